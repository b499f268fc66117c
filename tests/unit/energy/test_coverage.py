"""Counts behind a window, counts of a model in two parts, and coverage: by hand, on four steps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from convert.ir import IF, Affine, BadInput, Graph, Input, LeakyIntegrator, StepMap, StepMean
from convert.passes.partition import parted
from deploy.reference import values
from energy.counts import count
from energy.coverage import coverage
from energy.split_counts import SplitCounter

HALVES = np.array([[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])


def model():
    """Spikes of three inputs to two neurons; pairs of steps; two neurons over two steps; their mean."""
    nodes = {
        "input": Input((3,), "binary"), "fc": Affine(np.ones((2, 3))), "if": IF(0.5),
        "pairs": StepMap(HALVES), "fc2": Affine(np.ones((2, 2)), np.ones(2)), "if2": IF(0.5),
        "mean": StepMean(), "out": LeakyIntegrator(),
    }  # fmt: skip
    return Graph(nodes, tuple(pairwise(nodes)), ("out",), "folded")


X = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 0], [0, 0, 0]])[:, None]  # [T 4, N 1, 3]: both spike at 0 and 2


def rasters(graph):
    got = values(graph, X)
    return {n: got[n] for n in (*graph.sources(), *graph.spiking())}


def test_a_graph_is_counted_in_the_steps_of_each_node():
    found = count(model(), rasters(model()))
    assert found.total("neuron_steps").tolist() == [2 * 4 + 2 * 2 + 2 * 1]  # if: 4 steps, if2: 2, out: 1
    assert found["fc"].counts["sop_exact"].tolist() == [3 * 2]
    # Four spikes, each of one weight that is not zero; 2 x 4 x 2 dense, half of them zero.
    assert found["pairs"].counts["sop_exact"].tolist() == found["pairs"].counts["ac"].tolist() == [4]
    assert [found["pairs"].counts[f][0] for f in ("dense_mac", "dense_mac_inbounds")] == [16, 8]
    assert found["fc2"].counts["mac"].tolist() == [2 * 4]  # real values: all of two steps
    assert found["fc2"].counts["bias_adds"].tolist() == [2 * 2]
    assert found["mean"].counts["ac"].tolist() == [values(model(), X)["if2"].sum()] != [0]


def test_a_raster_of_the_wrong_number_of_steps_is_refused():
    wrong = rasters(model()) | {"if2": np.zeros((4, 1, 2), np.uint8)}
    with pytest.raises(BadInput, match=r"if2: \(4, 1\) steps and samples, expected \(2, 1\)"):
        count(model(), wrong)


def test_the_cpu_does_every_mac_whatever_the_values():
    split = parted(model())
    counter = SplitCounter(split.chip, split.host)
    assert set(counter.rasters) == {"input", "if", "if2"}
    found = counter.count(rasters(model()))
    assert [line.name for line in found.lines if line.place != "cpu"] == ["fc", "if"]
    assert found["pairs"].counts["mac"].tolist() == [8] and found["fc2"].counts["mac"].tolist() == [8]
    assert found["mean"].counts["mac"].tolist() == [4]
    assert found["fc2"].counts["bias_adds"].tolist() == [4]
    assert found["if2"].counts["spikes_out"].tolist() == [values(model(), X)["if2"].sum()]
    assert found.total("sop_exact").tolist() == [6] and found.total("ac").tolist() == [6]
    assert found.total("neuron_steps").tolist() == [8 + 4 + 2] and found.uncounted == ()


def test_coverage_by_hand():
    graph = model()
    found = coverage(graph, parted(graph), rasters(graph))
    by = {n.node: n for n in found.nodes}
    assert [by[n].macs for n in ("fc", "pairs", "fc2", "mean")] == [24, 8, 8, 4]
    spikes = values(graph, X)["if2"].sum()
    assert [by[n].synaptic_operations for n in ("fc", "pairs", "fc2", "mean")] == [6, 4, 8, spikes]
    assert found.share("macs") == 24 / 44 and found.share("synaptic_operations") == 6 / (18 + spikes)
    assert (by["if"].place, by["pairs"].place) == ("chip", "cpu")
    assert found.as_json()["totals"]["macs"] == {"chip": 24, "cpu": 20, "share_on_chip": 24 / 44}


def test_a_model_that_is_on_the_chip_whole_is_covered_whole(case):
    got = values(case.graph, case.x())
    seen = {n: got[n] for n in (*case.graph.sources(), *case.graph.spiking())}
    found = coverage(case.graph, parted(case.graph), seen)
    assert found.share("macs") == found.share("synaptic_operations") == 1.0
    assert found.total("synaptic_operations", "chip") > 0
