"""Synthetic people: the same by seed, true joints, what is hidden, identities, and the files of them."""

import gc
import json
import weakref

import cv2
import numpy as np
import pytest

from train.data.errors import DataError
from train.data.figure import grow, pose
from train.pose.people.actor import Actor
from train.pose.people.body import COCO, Build
from train.pose.people.camera import Camera
from train.pose.people.export import POSETRACK18, write_coco, write_posetrack18
from train.pose.people.frame import ABSENT, HIDDEN, VISIBLE
from train.pose.people.motion import turned
from train.pose.people.stage import Stage
from train.pose.people.still import still
from train.pose.people.surroundings import Film, Thing
from train.pose.people.video import video
from train.pose.people.wardrobe import cloth, outfit

SMALL = (96, 72)


def staged(yaw=0.0, things=(), others=()):
    """One person upright, 4 m away, seen from the front where yaw is 0; nothing of the film's."""
    rng = np.random.default_rng(3)
    angles = np.zeros((20, 1, 3))
    angles[4, 0, 2], angles[8, 0, 2] = 0.7, -0.7  # arms away from the trunk
    joints = turned(pose(grow(rng), angles, np.zeros(1))[0], yaw) + np.array([0.0, 0.0, -4.0])
    wear = outfit(rng, 1.0)
    wear.pieces.pop("skirt", None)
    camera = Camera((160, 200), 380.0, 0.9)
    film = Film(np.ones(3, np.float32), 0.0, 0.0)
    stage = Stage(camera, tuple(things), np.full((200, 160, 3), 128, np.float32), np.array([0.0, -1.0]), film)
    actors = [Actor(1, joints, Build(), wear, "none"), *others]
    return stage.shot(rng, actors), camera


def test_the_same_seed_draws_the_same_people():
    first, again, other = still(5, 3, SMALL), still(5, 3, SMALL), still(6, 3, SMALL)
    assert np.array_equal(first.pixels, again.pixels) and not np.array_equal(first.pixels, other.pixels)
    assert len(first.people) == len(again.people)
    for a, b in zip(first.people, again.people, strict=True):
        assert np.array_equal(a.xy, b.xy) and np.array_equal(a.visibility, b.visibility)


def test_joints_lie_in_their_boxes_and_visible_ones_in_the_picture():
    people = [(frame, person) for i in range(25) if (frame := still(1, i, SMALL)) for person in frame.people]
    assert len(people) > 30
    kinds = np.concatenate([person.visibility for _, person in people])
    assert all((kinds == kind).mean() > 0.02 for kind in (ABSENT, HIDDEN, VISIBLE))
    for frame, person in people:
        height, width = frame.pixels.shape[:2]
        x, y, w, h = person.box
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height and w > 1 and h > 1
        inside = person.xy[person.visibility > ABSENT]
        # Boxes count from the edge of pixel 0. The nose and the ears' middles may stand out of what is drawn.
        assert (inside + 0.5 >= (x - 3, y - 3)).all() and (inside + 0.5 <= (x + w + 3, y + h + 3)).all()
        off = (person.xy < -0.5).any(axis=1) | (person.xy >= np.array([width, height]) - 0.5).any(axis=1)
        assert np.array_equal(off, person.visibility == ABSENT)
        assert 0 < person.area <= w * h


def test_a_person_seen_from_the_front_has_his_left_on_our_right():
    frame, _ = staged()
    (person,) = frame.people
    left, right = (
        person.xy[[COCO.index(f"{s} {j}") for j in ("shoulder", "wrist", "hip", "eye")]]
        for s in ("left", "right")
    )
    assert (left[:, 0] > right[:, 0] + 3).all()
    assert person.visibility.tolist() == [VISIBLE] * 17
    assert person.top[1] < person.xy[0, 1] < person.neck[1] < person.xy[5, 1] + 5
    assert 0.1 < person.head_box[3] / person.box[3] < 0.25


def test_from_behind_the_face_is_hidden_and_left_is_left():
    (person,) = staged(yaw=np.pi)[0].people
    assert (person.visibility[:3] == HIDDEN).all() and (person.visibility[5:] == VISIBLE).all()
    assert person.xy[5, 0] < person.xy[6, 0]


def wall(z, top):
    """Two metres wide, so high, at a distance of -z."""
    corners = np.array([[-1.0, 0.0, z], [1.0, 0.0, z], [-1.0, top, z], [1.0, top, z]])
    return Thing(corners, np.full(4, 0.05), cloth(np.random.default_rng(0)))


def test_what_stands_in_front_hides_and_what_stands_behind_does_not():
    free, _ = staged(things=[wall(-6.0, 0.5)])
    behind, _ = staged(things=[wall(-3.0, 0.5)])
    assert free.people[0].visibility.tolist() == [VISIBLE] * 17
    hidden = behind.people[0].visibility == HIDDEN
    assert hidden[[13, 14, 15, 16]].all() and not hidden[:13].any()
    # The box holds what is hidden too; the area does not.
    assert np.array_equal(free.people[0].box, behind.people[0].box)
    assert behind.people[0].area < 0.8 * free.people[0].area


def test_who_is_hidden_whole_is_not_annotated():
    assert staged(things=[wall(-3.0, 2.5)])[0].people == ()


def test_joints_are_where_limbs_are_painted():
    """Each joint of the limbs lies on the person: its pixel differs from an empty stage."""
    frame, _ = staged()
    touched = np.abs(frame.pixels.astype(int) - 128).max(axis=2) > 12
    rounded = np.rint(frame.people[0].xy).astype(int)
    assert touched[rounded[:, 1], rounded[:, 0]].all()
    assert 0.03 < touched.mean() < 0.4


def test_a_video_keeps_who_is_who_through_crossing_entry_and_exit():
    v = video(2, 0, frames=40, size=SMALL)
    shots = [v.frame(t) for t in range(0, 40, 3)]
    tracks = [{p.track: p for p in shot.people} for shot in shots]
    assert set().union(*tracks) == set(range(len(v.roles))) and len(v.roles) >= 3
    walkers = [v.stage.camera.project(role.joints[:, 0])[:, 0] for role in v.roles[:2]]
    assert np.sign(walkers[0][0] - walkers[1][0]) == -np.sign(walkers[0][-1] - walkers[1][-1])  # they crossed
    assert all({role.actions[0]} == set(role.actions) == {"walk in place"} for role in v.roles[:2])
    again = v.frame(9)
    assert np.array_equal(again.pixels, shots[3].pixels)
    with pytest.raises(DataError, match="expected 0 to 39"):
        v.frame(40)


def test_people_of_videos_come_and_go():
    gone = 0
    for number in range(4):
        v = video(0, number, frames=60, size=SMALL)
        seen = [{p.track for p in v.frame(t).people} for t in (0, 20, 40, 59)]
        gone += sum(any(track not in s for s in seen) and any(track in s for s in seen) for track in (0, 1))
    assert gone >= 4


def test_coco_files(tmp_path):
    def frames():
        for i in range(4):
            yield still(0, i, SMALL)

    path = write_coco(tmp_path, "val", frames(), seed=0)
    found = json.loads(path.read_text())
    assert found["categories"][0]["keypoints"][5] == "left_shoulder" and len(found["images"]) == 4
    truth = [p for i in range(4) for p in still(0, i, SMALL).people]
    assert len(found["annotations"]) == len(truth)
    for annotation, person in zip(found["annotations"], truth, strict=True):
        triples = np.array(annotation["keypoints"]).reshape(17, 3)
        assert np.array_equal(triples[:, 2], person.visibility)
        there = person.visibility > 0
        assert (
            np.abs(triples[there, :2] - person.xy[there]).max(initial=0) <= 0.0051
            and not triples[~there].any()
        )
        assert annotation["num_keypoints"] == there.sum() and annotation["iscrowd"] == 0
    for entry in found["images"]:
        image = cv2.imread(str(tmp_path / "val" / entry["file_name"]))
        assert image.shape == (entry["height"], entry["width"], 3) == (72, 96, 3)
    with pytest.raises(DataError, match="choose another folder"):
        write_coco(tmp_path, "val", frames(), seed=0)


def test_posetrack_files(tmp_path):
    v = video(0, 1, frames=6, size=SMALL)
    found = json.loads(write_posetrack18(tmp_path, "val", 1, v).read_text())
    assert [i["id"] for i in found["images"]] == [10000010000 + t for t in range(6)]
    assert found["categories"][0]["keypoints"] == list(POSETRACK18) and len(POSETRACK18) == 17
    assert all((tmp_path / i["file_name"]).is_file() and i["is_labeled"] for i in found["images"])
    assert len(found["annotations"]) > 8 and len({a["id"] for a in found["annotations"]}) == len(
        found["annotations"]
    )
    for a in found["annotations"]:
        triples = np.array(a["keypoints"]).reshape(17, 3)
        assert not triples[3:5].any() and set(triples[:, 2]) <= {0, 1} and len(a["bbox_head"]) == 4
        assert a["num_keypoints"] == triples[:, 2].sum() and a["image_id"] in {
            i["id"] for i in found["images"]
        }
    people = v.frame(2).people
    same = [a for a in found["annotations"] if a["image_id"] == 10000010002]
    assert {(a["track_id"], a["action"]) for a in same} == {(p.track, p.action) for p in people}


def test_pictures_are_written_one_at_a_time(tmp_path):
    """No more than the picture at work and the one before it are alive."""
    alive = []

    def frames():
        for i in range(6):
            frame = still(0, i, SMALL)
            alive.append(weakref.ref(frame.pixels))
            gc.collect()
            assert sum(ref() is not None for ref in alive) <= 2
            yield frame

    write_coco(tmp_path, "val", frames(), seed=0)
    assert len(alive) == 6
