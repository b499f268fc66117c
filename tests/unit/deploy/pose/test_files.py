"""Files of poses: PoseTrack18 JSON there and back, COCO's lists, and everything that can be wrong with
them.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from convert.ir import BadInput
from deploy.pose.annotations import parse, read
from deploy.pose.coco_file import read_boxes, read_results, results, write_results
from deploy.pose.posetrack import TRACKS, read_poses, read_with_results, write_poses

FRAMES = [
    [((100.25, 60.0), {"track": 3, "score": 0.5}), ((300, 60), {"track": 0, "lost": (9, 16)})],
    [],
    [((110, 61), {"track": 3, "score": 0.25})],
]


def same(one, two):
    assert one.joints == two.joints and len(one.videos) == len(two.videos)
    for a, b in zip(one.videos, two.videos, strict=True):
        assert a.name == b.name
        for f, g in zip(a.frames, b.frames, strict=True):
            assert (f.image_id, f.file_name, f.labelled, f.width) == (
                g.image_id,
                g.file_name,
                g.labelled,
                g.width,
            )
            for p, q in zip(f.people, g.people, strict=True):
                assert (p.id, p.track_id, p.score, p.crowd) == (q.id, q.track_id, q.score, q.crowd)
                for name in ("keypoints", "visibility", "scores", "box", "head_box"):
                    mine, theirs = getattr(p, name), getattr(q, name)
                    assert (mine is None and theirs is None) or np.array_equal(mine, theirs), name


def test_posetrack_there_and_back_is_the_same(poses, tmp_path):
    first = read_poses(poses(FRAMES))
    write_poses(tmp_path / "again.json", first.videos)
    again = read_poses(tmp_path / "again.json")
    same(first, again)
    write_poses(tmp_path / "third.json", again.videos)
    assert (tmp_path / "third.json").read_bytes() == (tmp_path / "again.json").read_bytes()


def test_image_ids_and_unknown_fields_are_kept(poses, tmp_path):
    path = poses(FRAMES, images={1: {"mask_file": "mask/1.jpg", "is_labeled": False}})
    write_poses(tmp_path / "again.json", read_poses(path).videos)
    before, after = (json.loads(p.read_text())["images"] for p in (path, tmp_path / "again.json"))
    assert after == before


def test_a_folder_is_its_files_and_a_file_may_hold_videos(poses, pose_body, tmp_path):
    folder = tmp_path / "val"
    folder.mkdir()
    for k, video in enumerate(("000002", "000001")):
        body = pose_body(FRAMES, video=video, first=10000010000 + 10000 * k)
        (folder / f"{video}.json").write_text(json.dumps(body))
    assert [v.name for v in read_poses(folder).videos] == ["000001", "000002"]
    one, two = (json.loads(p.read_text()) for p in sorted(folder.iterdir()))
    merged = {k: one[k] + (two[k] if k != "categories" else []) for k in one}
    (tmp_path / "merged.json").write_text(json.dumps(merged))
    assert [v.name for v in read_poses(tmp_path / "merged.json").videos] == ["000001", "000002"]


def test_frames_are_in_order_of_their_numbers(pose_body, tmp_path):
    body = pose_body(FRAMES)
    body["images"].reverse()
    (tmp_path / "p.json").write_text(json.dumps(body))
    ids = [f.image_id for f in read_poses(tmp_path / "p.json").videos[0].frames]
    assert ids == sorted(ids)


def test_junk_coordinates_of_invisible_joints_are_zero(pose_body):
    body = pose_body(FRAMES)
    body["annotations"][0]["keypoints"][3 * 9 : 3 * 9 + 3] = [-26.0, 1e9, 0]
    person = parse(body, "x").frames[0].people[0]
    assert not person.there[9] and np.array_equal(person.keypoints[9], [0, 0])


def test_a_score_in_the_place_of_visibility_is_a_joint_that_is_there(pose_body):
    body = pose_body(FRAMES)
    body["annotations"][0]["keypoints"][2] = 0.37
    assert parse(body, "x").frames[0].people[0].visibility[0] == 1


def test_what_is_mended_is_counted(pose_body):
    body = pose_body(FRAMES)
    body["images"].append(dict(body["images"][0]))
    body["annotations"][0]["bbox"] = [1, 2, 0, 5]
    del body["annotations"][1]["keypoints"]
    found = parse(body, "x")
    assert found.notes == {
        "image entries listed again: read once": 1,
        "bbox without width or height: left out": 1,
        "annotations without keypoints: persons without joints": 1,
    }
    assert found.frames[0].people[0].box is None and not found.frames[0].people[1].there.any()


def test_annotations_of_other_categories_are_passed_over(pose_body):
    body = pose_body(FRAMES)
    body["categories"].append({"id": 18, "name": "dog"})
    body["annotations"].append(
        {"id": 5, "image_id": body["images"][0]["id"], "category_id": 18, "bbox": [0, 0, 1, 1]}
    )
    assert len(parse(body, "x").frames[0].people) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda b: b["images"].append({**b["images"][0], "file_name": "other"}),
            "listed twice, with different",
        ),
        (lambda b: b["annotations"][0].update(image_id=5), "annotation 1000001000000: belongs to image 5"),
        (lambda b: b["annotations"][1].update(id=1000001000000), "its id is used twice"),
        (lambda b: b["annotations"][0]["keypoints"].pop(), "keypoints has 50 numbers, expected 51"),
        (lambda b: b["annotations"][0].update(keypoints="none"), "expected a list of numbers"),
        (lambda b: b["annotations"][0].update(bbox=[1, 2, 3]), "bbox: found 3 numbers, expected 4"),
        (lambda b: b["annotations"][0].update(scores=[0.5]), "scores: found 1 numbers, expected 17"),
        (lambda b: b["annotations"][0].update(track_id="a"), "'track_id' is 'a'; expected a whole number"),
        (lambda b: b["annotations"][0].update(track_id=True), "'track_id' is True; expected a whole number"),
        (lambda b: b["annotations"][0].update(track_id=TRACKS), "track_id 10000; expected 0 to 9999"),
        (lambda b: b["annotations"][1].update(track_id=3), "track_id 3 is used by two persons"),
        (lambda b: b["annotations"][0].update(bbox=[1, 2, 3, float("inf")]), "holds Infinity"),
        (lambda b: b["annotations"][0]["keypoints"].__setitem__(0, float("nan")), "holds NaN"),
        (lambda b: b["images"][0].update(id="a"), "'id' is 'a'; expected a whole number"),
        (lambda b: b["images"][0].update(ignore_regions_x=[[1, 2, 3]]), "as many polygons"),
        (lambda b: b["categories"][0].pop("keypoints"), "0 categories name keypoints"),
        (lambda b: b.pop("annotations"), "has no 'annotations'"),
        (lambda b: b.update(images=[], annotations=[]), "lists no images"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(pose_body, tmp_path, change, message):
    body = pose_body(FRAMES)
    change(body)
    path = tmp_path / "p.json"
    path.write_text(json.dumps(body))
    with pytest.raises(BadInput, match=message) as caught:
        read_poses(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "is no JSON"), ("[1, 2", "is no JSON"), ("[]", "has no 'categories'"), ("3", "has no 'categories'"),
     ('{"categories": 3}', "'categories' is 3; expected a list"),
     ('{"annolist": []}', "is in PoseTrack17's form"), ("[" * 100000, "nested too deeply|no JSON")],
)  # fmt: skip
def test_what_is_no_such_file_is_refused(tmp_path, text, message):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(BadInput, match=message):
        read(tmp_path / "p.json")


def test_what_is_no_text_or_not_there_is_refused(tmp_path):
    (tmp_path / "p.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="is no text"):
        read(tmp_path / "p.json")
    with pytest.raises(BadInput, match="there is no such file"):
        read(tmp_path / "none.json")
    with pytest.raises(BadInput, match=r"holds no \.json file"):
        (tmp_path / "empty").mkdir()
        read_poses(tmp_path / "empty")


def test_an_image_in_two_files_is_refused(poses, pose_body, tmp_path):
    (tmp_path / "d").mkdir()
    for name in ("a.json", "b.json"):
        (tmp_path / "d" / name).write_text(json.dumps(pose_body(FRAMES)))
    with pytest.raises(BadInput, match="is in more than one file or video"):
        read_poses(tmp_path / "d")


def test_nothing_is_half_written(poses, tmp_path, monkeypatch):
    path = tmp_path / "out.json"
    path.write_text("before")
    videos = read_poses(poses(FRAMES)).videos
    monkeypatch.setattr(
        "pathlib.Path.write_text", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full"))
    )
    with pytest.raises(OSError, match="disk full"):
        write_poses(path, videos)
    monkeypatch.undo()
    assert path.read_text() == "before" and [p.name for p in tmp_path.iterdir()].count("out.json") == 1
    assert not list(tmp_path.glob(".out.json*"))


def test_numbers_beyond_json_are_not_written(pose_body, tmp_path):
    """1e999 reads as infinity; in a field that nobody looks at it comes to light when it is written."""
    text = json.dumps(pose_body(FRAMES, images={0: {"mask": 123.25}})).replace("123.25", "1e999")
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(BadInput, match="a field that is not finite"):
        write_poses(tmp_path / "out.json", read_poses(tmp_path / "p.json").videos)
    assert not (tmp_path / "out.json").exists()


def test_results_there_and_back(poses, tmp_path):
    frames = read_poses(poses(FRAMES)).videos[0].frames
    write_results(tmp_path / "r.json", results(frames))
    found, notes = read_results(tmp_path / "r.json", 17)
    assert notes == {} and sorted(found) == [frames[0].image_id, frames[2].image_id]
    assert np.array_equal(found[frames[0].image_id][1].keypoints, frames[0].people[1].keypoints)
    assert [p.score for p in found[frames[0].image_id]] == [0.5, 1.0]


def test_a_result_list_over_the_frames_of_annotations(poses, tmp_path):
    """Third numbers that are no visibilities are scores; frames nobody was found in are there all the
    same.
    """
    path = poses(FRAMES)
    frames = read_poses(path).videos[0].frames
    made = results(frames[:1])
    made[0]["keypoints"][2::3] = [0.25 if v else 0 for v in made[0]["keypoints"][2::3]]
    write_results(tmp_path / "r.json", made)
    found = read_with_results(tmp_path / "r.json", path)
    people = [f.people for f in found.videos[0].frames]
    assert [len(p) for p in people] == [2, 0, 0] and found.joints == read_poses(path).joints
    assert people[0][0].scores[0] == 0.25 and not people[0][0].there[3] and people[0][0].visibility[0] == 2
    assert people[0][1].scores is None  # all 0 or 1
    with pytest.raises(BadInput, match="give --annotations too"):
        read_with_results(tmp_path / "r.json", None)
    write_results(tmp_path / "r.json", [{**made[0], "image_id": 5}])
    with pytest.raises(BadInput, match="image 5 is not in"):
        read_with_results(tmp_path / "r.json", path)
    same(read_with_results(path, None), read_poses(path))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"image_id": 1, "score": 1}, "has no 'keypoints'"),
        ({"image_id": 1, "keypoints": [0] * 51}, "score: is None"),
        ({"image_id": "1", "keypoints": [0] * 51, "score": 1}, "'image_id' is '1'"),
        ({"image_id": 1, "keypoints": [0] * 42, "score": 1}, "has 42 numbers, expected 51"),
        (7, "has no 'image_id'"),
    ],
)
def test_results_that_are_none_are_refused(tmp_path, entry, message):
    (tmp_path / "r.json").write_text(json.dumps([entry]))
    with pytest.raises(BadInput, match=message):
        read_results(tmp_path / "r.json", 17)


def test_boxes_empty_or_outside_are_left_out(tmp_path):
    rows = [[0, 0, 10, 20], [0, 0, 0, 20], [0, 0, 5, -1], [100, 0, 10, 10], [-10, 0, 10, 10], [95, 5, 10, 10]]
    made = [{"image_id": 1, "category_id": 1, "bbox": r, "score": 0.1 * k} for k, r in enumerate(rows)]
    made += [{"image_id": 1, "category_id": 3, "bbox": [0, 0, 9, 9], "score": 1.0}]
    (tmp_path / "b.json").write_text(json.dumps(made))
    found, notes = read_boxes(tmp_path / "b.json", {1: (100, 50)})
    assert found[1].boxes.tolist() == [[95, 5, 10, 10], [0, 0, 10, 20]]  # best first
    assert notes == {
        "boxes without width or height: left out": 2,
        "boxes wholly outside their image: left out": 2,
    }


@pytest.mark.parametrize("people", [{"id": 7, "keypoints": ["nose"]}, {"id": 7, "name": "person"}])
def test_the_file_says_which_category_people_are(tmp_path, people):
    rows = [{"image_id": 1, "category_id": c, "bbox": [0, 0, c, 9], "score": 0.5} for c in (1, 7)]
    (tmp_path / "a.json").write_text(
        json.dumps({"annotations": rows, "categories": [{"id": 1, "name": "dog"}, people]})
    )
    (tmp_path / "b.json").write_text(json.dumps(rows))
    listed, told = read_boxes(tmp_path / "b.json", category=7)[0], read_boxes(tmp_path / "a.json")[0]
    assert told[1].boxes.tolist() == listed[1].boxes.tolist() == [[0, 0, 7, 9]]
    assert read_boxes(tmp_path / "b.json")[0][1].boxes.tolist() == [[0, 0, 1, 9]]  # COCO's
    none = "boxes, none of them of the category of people, 2: passed over"
    assert read_boxes(tmp_path / "b.json", category=2) == ({}, {none: 2})


def test_annotations_serve_as_boxes_without_crowds(tmp_path):
    rows = [{"image_id": 1, "bbox": [0, 0, 9, 9]}, {"image_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1}]
    (tmp_path / "b.json").write_text(json.dumps({"annotations": rows}))
    found, _ = read_boxes(tmp_path / "b.json")
    assert len(found[1]) == 1 and found[1].scores.tolist() == [1.0]


def test_boxes_that_are_none_are_refused(tmp_path):
    for entry, message in (
        ({"image_id": 1, "bbox": [0, 0, 1, 1]}, "score: is None"),
        ({"image_id": 1, "score": 1}, "has no 'bbox'"),
        ({"image_id": 1, "score": 1, "bbox": [0, 0, 1, "a"]}, "expected a list of numbers"),
    ):
        (tmp_path / "b.json").write_text(json.dumps([entry]))
        with pytest.raises(BadInput, match=message):
            read_boxes(tmp_path / "b.json")
