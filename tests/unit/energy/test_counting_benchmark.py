"""benchmarks/energy_counting.py: timed runs that did not count the same thing end it."""

import numpy as np
import pytest

from benchmarks.energy_counting import FLOAT32, agree, spike_driven
from convert.ir import LIF, ChannelMix, Graph, Input
from energy.counts import counter


@pytest.fixture
def counts():
    """A layer of spikes of 5 samples; a weight of zero tells both counts apart."""
    draw = np.random.default_rng(0)
    w = draw.normal(size=(6, 4))
    w[0, 0] = 0.0
    graph = Graph(
        {"x": Input((4, 3), "binary"), "mix": ChannelMix(w), "fire": LIF(0.5)},
        (("x", "mix"), ("mix", "fire")), ("fire",), "folded",
    )  # fmt: skip
    x = (draw.random((50, 40, 4, 3)) < 0.4).astype(np.uint8)
    fired = {"x": x, "fire": np.zeros((50, 40, 6, 3), np.uint8)}
    return counter(graph).count(fired)


def test_what_timed_runs_counted_is_compared(counts):
    exact, nonzero = (spike_driven(counts, field) for field in ("sop_exact", "sop_nonzero"))
    assert exact > nonzero > 2 / FLOAT32, "vacuous"
    assert agree(counts, exact, nonzero / 40, 40) == 0
    assert agree(counts, exact + 1, nonzero / 40, 40) == 1 / exact
    with pytest.raises(SystemExit, match=r"SpikingJelly .*not the same operations"):
        agree(counts, round(exact * (1 + 2 * FLOAT32)), nonzero / 40, 40)
    with pytest.raises(SystemExit, match=r"NeuroBench .*not the same operations"):
        agree(counts, exact, exact / 40, 40)
