"""Clip and ClipSet refuse what cannot be used."""

import numpy as np
import pytest

from train.data.clip import Clip, ClipSet
from train.data.errors import DataError
from train.data.lost import fill_lost


@pytest.mark.parametrize(
    ("joints", "word"),
    [
        (np.zeros((1, 4, 20), np.float32), "shape (1, 4, 20)"),
        (np.zeros((1, 4, 20, 2), np.float32), "shape (1, 4, 20, 2)"),
        (np.zeros((1, 0, 20, 3), np.float32), "shape (1, 0, 20, 3)"),
        (np.zeros((1, 4, 20, 3)), "float64"),
        (np.full((1, 4, 20, 3), np.nan, np.float32), "NaN"),
    ],
)
def test_bad_joints(refused, joints, word):
    refused(lambda: Clip("walk7", joints, 0, 1), "walk7", word)


def test_joints_of_a_listed_clip_are_looked_at_when_they_are_read(refused):
    late = Clip("walk7", lambda: np.full((1, 4, 20, 3), np.nan, np.float32), 0, 1)
    refused(late.read, "walk7", "NaN")
    refused(lambda: ClipSet("made", "kinect20", ("a",), (Clip("x", late.joints, 1, 1),)), "x", "label 1")


def test_set_checks_joints_persons_labels_and_ids(clip, refused):
    def make(*clips):
        return ClipSet("made", "kinect20", ("a", "b"), clips)

    assert make(clip("x"), clip("y", label=1)).dropped == ()
    refused(make, "made", "no clip")
    refused(lambda: make(clip("x", joints=25)), "made", "x", "25 joints", "kinect20")
    refused(lambda: make(clip("x"), clip("y", persons=2)), "y", "2 persons")
    refused(lambda: make(clip("x", label=2)), "x", "label 2", "0..1")
    refused(lambda: make(clip("x"), clip("x")), "x more than once")


def test_an_error_is_one_line_whatever_it_is_made_of():
    error = DataError.of("file", found="a\nb", expected="c", do="d\r\ne")
    assert str(error) == "file: found a b; expected c; d e"
    assert isinstance(error, ValueError)


def test_fill_lost_holds_at_the_ends_and_leaves_empty_frames(walker):
    joints = walker(6)
    joints[0, 3] = joints[4, 3] = 0.0
    joints[2] = 0.0
    joints[:, 9] = 0.0
    filled, count = fill_lost(joints)
    assert count == 2
    np.testing.assert_array_equal(filled[0, 3], joints[1, 3])
    np.testing.assert_allclose(filled[4, 3], (joints[3, 3] + joints[5, 3]) / 2, atol=1e-6)
    assert not filled[2].any()
    assert not filled[:, 9].any()
    assert not joints[0, 3].any()  # the argument is left alone
