"""Image joints to skeletons: by hand, and held against the layouts of the action models."""

import numpy as np
import pytest

from convert.ir import BadInput
from deploy.pose.joints import COCO, SETS
from deploy.pose.people import Frame, Person, Video
from deploy.pose.skeleton import TARGETS, skeleton_map
from deploy.pose.windows import Cut, filled, spans, windows
from train.skeletons import LAYOUTS

# A person in pixels, y down: shoulders at y 100, hips at y 200, one arm bent, legs straight down.
AT = {
    "nose": (50, 60), "left_eye": (53, 57), "right_eye": (47, 57), "left_ear": (56, 58),
    "right_ear": (44, 58), "left_shoulder": (70, 100), "right_shoulder": (30, 100),
    "left_elbow": (76, 130), "right_elbow": (24, 130),
    "left_wrist": (76, 160), "right_wrist": (54, 130), "left_hip": (62, 200), "right_hip": (38, 200),
    "left_knee": (62, 240), "right_knee": (38, 240), "left_ankle": (62, 280), "right_ankle": (38, 280),
}  # fmt: skip
POINTS = np.array([AT[name] for name in COCO], np.float64)
ALL = np.ones(17, bool)


def joint(made, layout, name):
    return made[TARGETS[layout].index(name)].tolist()


def test_layouts_are_those_of_the_action_models():
    assert {name: layout.joints for name, layout in LAYOUTS.items()} == TARGETS


def test_kinect20_by_hand():
    made = skeleton_map(COCO, "kinect20").skeletons(POINTS[None], ALL)[0]
    assert made.dtype == np.float32 and made.shape == (20, 3) and not made[:, 2].any()
    expected = {
        "hip centre": (50, -186), "spine": (50, -171), "shoulder centre": (50, -80), "head": (50, -58),
        "left shoulder": (70, -100), "right wrist": (54, -130), "left hand": (76, -170),
        "right hand": (64, -130), "left hip": (62, -200), "right ankle": (38, -280), "left foot": (62, -285),
    }  # fmt: skip
    for name, (
        x,
        y,
    ) in expected.items():  # float32 of numbers below 300: 2e-5 is half a unit in the last place
        assert joint(made, "kinect20", name) == pytest.approx([x, y, 0], abs=1e-4), name


def test_ntu25_by_hand():
    made = skeleton_map(COCO, "ntu25").skeletons(POINTS[None], ALL)[0]
    expected = {
        "spine base": (50, -186), "spine mid": (50, -143), "spine shoulder": (50, -100), "neck": (50, -80),
        "left hand tip": (76, -175), "right thumb": (64, -130),
    }  # fmt: skip
    for name, (x, y) in expected.items():
        assert joint(made, "ntu25", name) == pytest.approx([x, y, 0], abs=1e-4), name


def test_the_head_is_the_best_that_is_known():
    mapping, known = skeleton_map(COCO, "kinect20"), ALL.copy()
    steps = [
        ("left_ear", (44, -58)),
        ("right_ear", (50, -57)),
        ("left_eye", (47, -57)),
        ("right_eye", (50, -60)),
    ]
    for lost, expected in steps:
        known[COCO.index(lost)] = False
        assert joint(mapping.skeletons(POINTS[None], known)[0], "kinect20", "head")[:2] == list(expected)
    known[0] = False
    assert mapping.missing(known) == ["head"]
    with pytest.raises(BadInput, match="head cannot be made"):
        mapping.skeletons(POINTS[None], known)


@pytest.mark.parametrize("name", list(SETS))
def test_every_known_set_serves(name):
    for layout in TARGETS:
        mapping = skeleton_map(SETS[name].joints, layout)
        for rows in mapping.choices:  # a place is a place: whatever stands for a joint moves with the picture
            assert rows.sum(axis=1) == pytest.approx(np.ones(len(rows)), abs=1e-12)


def test_what_cannot_be_mapped_is_refused():
    with pytest.raises(BadInput, match="kinect20, ntu25"):
        skeleton_map(COCO, "hands42")
    with pytest.raises(BadInput, match="none gives left ankle of kinect20, which takes left_ankle"):
        skeleton_map([name for name in COCO if name != "left_ankle"], "kinect20")


def person(points, hidden=(), track=0):
    there = np.array([0 if name in hidden else 2 for name in COCO], np.int8)
    return Person(np.where(there[:, None] > 0, points, 0.0), there, track_id=track)


def video(*frames):
    return Video("v", COCO, tuple(Frame(n, people) for n, people in enumerate(frames)))


def test_gaps_are_filled_in_time():
    points = np.stack([POINTS, POINTS * 0, POINTS * 0, POINTS + 30, POINTS * 0])
    there = np.array([[1], [0], [0], [1], [0]], bool) & ALL
    made = filled(points, there, np.array([4, 5, 6, 7, 9]))
    assert made[1] == pytest.approx(POINTS + 10) and made[2] == pytest.approx(POINTS + 20)
    assert made[4] == pytest.approx(POINTS + 30)  # after the last sight it stands still


def test_spans():
    assert list(spans(3, 10, 20, 5)) == [(3, 11)]
    assert list(spans(0, 9, 10, 5)) == [(0, 10)]
    assert list(spans(0, 24, 10, 5)) == [(0, 10), (5, 15), (10, 20), (15, 25)]
    assert list(spans(0, 22, 10, 5)) == [(0, 10), (5, 15), (10, 20), (13, 23)]


def test_windows_hold_zeros_where_nobody_is():
    frames = [(person(POINTS + n),) if n != 2 else () for n in range(6)]
    (one,) = windows(video(*frames), skeleton_map(COCO, "kinect20"), Cut(10, 5, 3))
    assert (one.start, one.stop, one.seen) == (0, 6, 5)
    assert not one.joints[2].any() and one.joints[3].any()


def test_travel_can_be_taken_out():
    frames = [(person(POINTS + np.array([7.0 * n, 2.0 * n])),) for n in range(6)]
    mapping = skeleton_map(COCO, "kinect20")
    (kept,) = windows(video(*frames), mapping, Cut(10, 5, 3))
    (still,) = windows(video(*frames), mapping, Cut(10, 5, 3, travel=False))
    assert kept.joints[5, :, 0] - kept.joints[0, :, 0] == pytest.approx(np.full(20, 35.0), abs=1e-4)
    assert still.joints[5, :, 0] == pytest.approx(still.joints[0, :, 0], abs=1e-4)
    assert still.joints[..., 1] == pytest.approx(kept.joints[..., 1])  # heights stay


def test_windows_that_cannot_be_judged_say_why():
    mapping = skeleton_map(COCO, "kinect20")
    hidden = [(person(POINTS, ("left_ankle",)),)] * 5
    (one,) = windows(video(*hidden), mapping, Cut(10, 5, 3))
    assert one.joints is None and one.why == "never seen: what gives left ankle, left foot"
    (one,) = windows(video((person(POINTS),), ()), mapping, Cut(10, 5, 3))
    assert one.joints is None and one.why == "seen in 1 frames, 3 are needed"
