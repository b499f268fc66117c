"""Histograms of a report's page."""

from array import array
from types import SimpleNamespace

import numpy as np
import pytest

from energy.page_data import BINS, histograms


@pytest.mark.parametrize(
    "values",
    [
        [
            29850.123,
            np.nextafter(29850.123, 1e9),
            29850.123,
        ],  # samples of one model without spikes: rounding alone
        [7.0, 7.0, 7.0],
        [1e20, 1e20, 1e20],
        [0.0, 0.0, 0.0],
        [1.0, 2.0, 4.0],
    ],
)
def test_every_sample_is_in_a_bin(values):
    sums = SimpleNamespace(labels=[0, 1, 1], totals={"exact": array("d", values)})
    made = histograms(sums)["exact"]
    assert len(made["edges"]) == BINS + 1 and (np.diff(made["edges"]) > 0).all()
    assert [sum(one["counts"]) for one in made["classes"]] == [1, 2]
