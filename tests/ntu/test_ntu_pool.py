"""Several processes: order, bounds, ends. The work is of the standard library, for workers import it."""

import os
import time
from pathlib import Path

import pytest

from train.data.ntu_pool import AHEAD, ordered


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order(workers):
    assert list(ordered(abs, list(range(-40, 0)), workers)) == list(range(40, 0, -1))
    assert list(ordered(abs, [], workers)) == []


def test_no_worker_runs_far_ahead(tmp_path):
    """Tasks are given out as results are taken: files that are made tell how many."""
    results = ordered(Path.touch, [tmp_path / str(k) for k in range(40)], 2)
    next(results)
    time.sleep(0.5)
    made = len(list(tmp_path.iterdir()))
    results.close()
    assert 1 <= made <= 1 + 2 * AHEAD


def test_a_worker_that_dies_is_an_error(refused):
    message = refused(lambda: list(ordered(os._exit, [7, 7, 7], 2)), "7", "gone", "--workers")
    assert "goes on" in message
