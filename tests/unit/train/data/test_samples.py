"""Samples: views of a prepared set."""

import numpy as np
import pytest

from train.data.samples import Samples


@pytest.fixture
def samples():
    x = np.arange(10 * 2 * 3 * 1 * 4, dtype=np.float32).reshape(10, 2, 3, 1, 4)
    return Samples(x, np.ones((10, 2), bool), np.arange(10), tuple(f"s{k}" for k in range(10)))


def test_limit_takes_the_first_in_file_order(samples):
    first = samples.limit(3)
    assert first.ids == ("s0", "s1", "s2")
    assert first.x.shape == (3, 2, 3, 1, 4)
    assert samples.limit(99).ids == samples.ids


def test_spread_is_even(samples):
    assert samples.spread(5).ids == ("s0", "s2", "s4", "s6", "s8")
    assert samples.spread(3).labels.tolist() == [0, 3, 6]
    assert samples.spread(10).ids == samples.spread(99).ids == samples.ids


def test_folding_puts_time_first_and_persons_into_the_batch(samples):
    folded = samples.folded()
    assert folded.shape == (3, 20, 1, 4)
    assert folded.flags.c_contiguous
    for n, m, t in ((0, 0, 0), (4, 1, 2), (9, 0, 1)):
        np.testing.assert_array_equal(folded[t, 2 * n + m], samples.x[n, m, t])


def test_a_count_below_one_is_refused(samples, refused):
    refused(lambda: samples.limit(0), "0", "at least 1")
    refused(lambda: samples.spread(-1), "-1")
