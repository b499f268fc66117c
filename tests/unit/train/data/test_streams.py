"""Streams on hand-sized skeletons: three joints in a line, 0 <- 1 <- 2, and the root 0."""

import numpy as np
import pytest

from train.data import streams

PARENTS = (0, 0, 1)


@pytest.fixture
def joints():
    """[T = 3, C = 3, V = 3]: joint v stands at v * v along x; everything moves by t * t along y."""
    x = np.zeros((3, 3, 3), np.float32)
    x[:, 0] = [0, 1, 4]
    x[:, 1] = [[0], [1], [4]]
    return x


def test_bone_is_child_minus_parent(joints):
    bone = streams.compose(joints, "bone", PARENTS)
    np.testing.assert_array_equal(bone[:, 0], [[0, 1, 3]] * 3)
    assert not bone[:, 1:].any()


def test_motion_is_the_step_ahead_and_the_last_is_zero(joints):
    motion = streams.compose(joints, "joint-motion", PARENTS)
    np.testing.assert_array_equal(motion[:, 1], [[1] * 3, [3] * 3, [0] * 3])
    assert not motion[:, 0].any()
    assert not streams.compose(joints, "bone-motion", PARENTS).any()  # rigid


@pytest.mark.parametrize("stream", ["joint", "bone+joint", "joint+bone+joint-motion+bone-motion"])
def test_concatenation_keeps_the_order(joints, stream):
    both = streams.compose(joints, stream, PARENTS)
    assert both.shape == (3, streams.channels(stream), 3)
    for place, part in enumerate(stream.split("+")):
        alone = streams.compose(joints, part, PARENTS)
        np.testing.assert_array_equal(both[:, 3 * place : 3 * place + 3], alone)


def test_a_single_step_has_no_motion(joints):
    assert not streams.compose(joints[:1], "joint-motion+bone-motion", PARENTS).any()


def test_gains(joints):
    parts = "bone+joint-motion+bone-motion"
    joints[1, 0, 2] += 1.0
    plain = streams.compose(joints, parts, PARENTS)
    scaled = streams.compose(joints, parts, PARENTS, bone_gain=2.0, motion_gain=3.0)
    for place, gain in enumerate((2.0, 3.0, 6.0)):
        at = slice(3 * place, 3 * place + 3)
        assert plain[:, at].any()
        np.testing.assert_allclose(scaled[:, at], gain * plain[:, at])


def test_no_motion_into_or_out_of_an_empty_frame(joints):
    joints[1] = 0.0
    seen = np.array([True, False, True])
    assert streams.compose(joints, "joint-motion", PARENTS).any()
    assert not streams.compose(joints, "joint-motion", PARENTS, seen=seen).any()


@pytest.mark.parametrize("stream", ["", "joints", "joint+", "joint+joint", "bone motion"])
def test_unknown_streams(refused, stream):
    refused(lambda: streams.channels(stream), repr(stream), "joint-motion")
