"""PCK by hand, its sizes, and what does not count."""

from __future__ import annotations

import numpy as np
import pytest

from train.pose.pck import head, longer_side, pck, torso


def test_a_joint_on_the_edge_is_right():
    truth = np.zeros((1, 3, 2))
    found = np.array([[[2.0, 0.0], [0.0, 2.0001], [1.2, 1.6]]])
    made = pck(found, truth, np.ones((1, 3)), np.array([10.0]), 0.2)
    assert made.right.tolist() == [1, 0, 1] and made.counted.tolist() == [1, 1, 1]
    assert made.pooled == pytest.approx(2 / 3) and made.mean == pytest.approx(2 / 3)


def test_pooled_and_mean_differ_where_joints_count_unequally():
    """Joint 0 right in 1 of 1, joint 1 in 1 of 3: pooled 2/4, mean (1 + 1/3) / 2."""
    counts = np.array([[1, 1], [0, 1], [0, 1]])
    found = np.array([[[0, 0], [0, 0]], [[9, 9], [9, 9]], [[9, 9], [9, 9]]], float)
    made = pck(found, np.zeros((3, 2, 2)), counts, np.ones(3), 0.5)
    assert (made.pooled, made.mean) == (0.5, pytest.approx(2 / 3))


def test_batches_add_up_exactly():
    draw = np.random.default_rng(0)
    truth, found = draw.normal(0, 10, (50, 14, 2)), draw.normal(0, 10, (50, 14, 2))
    counts, size = draw.random((50, 14)) < 0.8, draw.uniform(10, 60, 50)
    whole = pck(found, truth, counts, size, 0.2)
    parts = pck(found[:17], truth[:17], counts[:17], size[:17], 0.2) + pck(
        found[17:], truth[17:], counts[17:], size[17:], 0.2
    )
    assert np.array_equal(whole.right, parts.right) and np.array_equal(whole.counted, parts.counted)
    assert 0 < whole.right.sum() < whole.counted.sum() and whole.right.dtype == np.int64


def test_it_grows_with_the_threshold_and_scales_with_the_image():
    draw = np.random.default_rng(1)
    truth, found = draw.normal(0, 10, (30, 5, 2)), draw.normal(0, 10, (30, 5, 2))
    shares = [pck(found, truth, np.ones((30, 5)), np.full(30, 40.0), t).pooled for t in (0.1, 0.2, 0.5)]
    assert shares == sorted(shares) and shares[0] < shares[-1]
    again = pck(4 * found, 4 * truth, np.ones((30, 5)), np.full(30, 160.0), 0.2)
    assert again.pooled == shares[1]


def test_what_was_not_found_is_wrong_and_who_has_no_size_is_left_out():
    truth = np.zeros((3, 1, 2))
    found = np.array([[[np.nan, np.nan]], [[0.0, 0.0]], [[0.0, 0.0]]])
    made = pck(found, truth, np.ones((3, 1)), np.array([10.0, np.nan, 0.0]), 0.2)
    assert (made.right.tolist(), made.counted.tolist(), made.unsized) == ([0], [1], 2)


def test_nothing_counted_is_no_number():
    made = pck(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), np.zeros((1, 2)), np.ones(1), 0.2)
    assert np.isnan(made.pooled) and np.isnan(made.mean) and np.isnan(made.joints).all()


def test_mpiis_total_leaves_joints_out():
    made = pck(np.zeros((1, 3, 2)), np.array([[[0, 0], [9, 9], [0, 0]]]), np.ones((1, 3)), np.ones(1), 0.5)
    assert made.pooled == pytest.approx(2 / 3) and made.among([0, 2]).pooled == 1


def test_sizes_by_hand():
    points = np.array([[[0, 0], [3, 4]], [[0, 0], [3, 4]]], float)
    length = torso(points, np.array([[1, 1], [1, 0]]), (0, 1))
    assert length[0] == 5 and np.isnan(length[1])
    assert head(np.array([[7, 7, 3, 4]])).tolist() == [3.0]  # 0.6 * 5
    assert longer_side(np.array([[0, 0, 3, 4], [1, 1, 9, 2]])).tolist() == [4, 9]
