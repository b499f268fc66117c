"""Synthetic actions: deterministic, plausible bodies, learnable, not trivial."""

import hashlib

import numpy as np
import pytest

from train.data import registry, synthetic
from train.data.errors import DataError
from train.data.recipe import Recipe
from train.data.transform import prepare
from train.skeletons import layout


@pytest.fixture(scope="module")
def train():
    return synthetic.load("train")


@pytest.fixture(scope="module")
def test():
    return synthetic.load("test")


def test_sizes_classes_and_subjects(train, test):
    assert len(train.class_names) == 12
    assert np.bincount([c.label for c in train.clips]).tolist() == [60] * 12
    assert np.bincount([c.label for c in test.clips]).tolist() == [24] * 12
    assert {c.subject for c in train.clips} == set(range(1, 8))
    assert {c.subject for c in test.clips} == {8, 9, 10}
    frames = [c.joints.shape[1] for c in train.clips]
    assert (min(frames), max(frames)) == (25, 60)


def test_the_seed_decides_everything():
    def digest(seed: int) -> str:
        clips = synthetic.load("all", seed=seed, train_per_class=2, test_per_class=1).clips
        return hashlib.sha256(b"".join(c.joints.tobytes() for c in clips)).hexdigest()

    assert digest(0) == digest(0)
    assert digest(0) != digest(1)


def test_more_clips_leave_the_others_as_they_are(train):
    few = {c.id: c for c in synthetic.load("train", train_per_class=8).clips}
    many = {c.id: c for c in train.clips}
    assert len(few) == 96
    assert all(np.array_equal(clip.joints, many[name].joints) for name, clip in few.items())


def test_bodies_are_human(train):
    """Median bone lengths in metres; the tracker's errors widen them by some centimetres."""
    parents = list(layout("kinect20").parents)
    for clip in train.clips[::37]:
        bones = np.linalg.norm(clip.joints[0] - clip.joints[0][:, parents], axis=-1)
        thigh, upper_arm = np.median(bones[:, [13, 17]]), np.median(bones[:, [5, 9]])
        assert 0.3 < thigh < 0.62
        assert 0.17 < upper_arm < 0.4
        assert clip.joints[0, :, :, 2].min() > 0.5  # in front of the sensor


def test_learnable_yet_not_trivial(train, test):
    """Nearest neighbour in joint space: far above chance (1 in 12), far from solved."""
    recipe, here = Recipe(stream="joint", normalise="minmax"), layout("kinect20")
    known, asked = (prepare(part.clips, recipe, here) for part in (train, test))
    a, b = known.x.reshape(len(known), -1), asked.x.reshape(len(asked), -1)
    nearest = ((a**2).sum(1) - 2.0 * b @ a.T).argmin(axis=1)
    accuracy = (known.labels[nearest] == asked.labels).mean()
    assert 0.5 < accuracy < 0.95


def test_bad_requests(refused):
    refused(lambda: synthetic.load("val"), "val", "train, test or all")
    refused(lambda: synthetic.load("train", seed=-1), "seed -1")
    refused(lambda: synthetic.load("test", test_per_class=0), "at least one")


def test_flat_clips_are_the_same_without_depth():
    solid, flat = (synthetic.load("test", test_per_class=2, flat=flat).clips for flat in (False, True))
    assert len(solid) == len(flat) > 0
    for one, other in zip(solid, flat, strict=True):
        assert one.id == other.id and not other.joints[..., 2].any() and one.joints[..., 2].any()
        assert np.array_equal(one.joints[..., :2], other.joints[..., :2])


@pytest.mark.parametrize(
    ("option", "words"), [({"flat": 1}, "true or false"), ({"seed": True}, "a whole number")]
)
def test_options_have_the_type_of_their_default(option, words):
    with pytest.raises(DataError, match=words):
        registry.load("synthetic", None, "test", **option)
