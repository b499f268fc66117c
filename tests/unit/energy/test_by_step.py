"""Counts of each step: their sum is the total, whatever makes the line, and batches keep them."""

from __future__ import annotations

import numpy as np
import pytest

from convert.ir import (
    IF,
    LIF,
    Add,
    Affine,
    AvgPool2d,
    Conv2d,
    Delay,
    DenseWeights,
    Graph,
    GraphConv,
    Input,
    LoihiIntegrator,
    LoihiLIF,
    Permute,
    Population,
    Program,
    Projection,
    Reshape,
    SpikeMatMul,
    StepConv,
    StepMap,
)
from convert.passes.partition import parted
from energy.counts import count, count_program, counter
from energy.line import STEPPED, grouped, joined
from energy.split_counts import SplitCounter

T, N = 4, 3


def everything():
    """Every way a line is counted: real input, spikes, folded pool, product, delay, taps, window, unknown."""
    one = np.ones
    nodes = {
        "x": Input((2, 4, 4)), "conv": Conv2d(one((2, 2, 3, 3)), one(2), padding=(1, 1)), "a": LIF(0.5),
        "wait": Delay(1), "sum": Add(), "pool": AvgPool2d((2, 2), (2, 2)), "flat": Reshape((8,)),
        "fc": Affine(one((6, 8))), "b": IF(0.5), "square": Reshape((2, 3)), "turned": Permute((1, 0)),
        "met": SpikeMatMul(), "c": IF(0.5), "gc": GraphConv(one((1, 2, 2)), one((1, 2, 2))), "d": IF(0.5),
        "taps": StepConv(one((1, 2, 2))), "again": Affine(one((3, 2))), "e": IF(0.5),
        "pairs": StepMap(np.repeat(np.eye(2), 2, axis=1)), "f": IF(0.5),
    }  # fmt: skip
    edges = (
        "x>conv", "conv>a", "a>wait", "a>sum", "wait>sum", "sum>pool", "pool>flat", "flat>fc", "fc>b",
        "b>square", "square>turned", "square>met", "turned>met", "met>c", "c>gc", "gc>d", "d>taps",
        "taps>again", "again>e", "e>pairs", "pairs>f",
    )  # fmt: skip
    return Graph(nodes, tuple(e.split(">") for e in edges), ("f",), "folded")


def rasters(graph, steps=T, samples=N):
    rng = np.random.default_rng(0)
    lengths = {"f": steps // 2}
    seen = {
        n: rng.integers(0, 2, (lengths.get(n, steps), samples, *graph.shapes[n]), np.uint8)
        for n in graph.spiking()
    }
    return seen | {"x": rng.normal(size=(steps, samples, 2, 4, 4))}


def assert_sums(counts):
    """Every line that counts one of the stepped fields has it by step, int64, and it adds up."""
    found = 0
    for line in counts.lines:
        by_step = line.by_step or {}
        assert set(by_step) == set(line.counts) & set(STEPPED), line.name
        for field, steps in by_step.items():
            assert steps.dtype == np.int64 and steps.ndim == 2, (line.name, field)
            assert steps.sum(axis=1).tolist() == line.counts[field].tolist(), (line.name, field)
            found += int(steps.sum())
    assert found > 0, "vacuous case"


def test_steps_of_a_graph_add_up():
    graph = everything()
    counts = count(graph, rasters(graph))
    assert_sums(counts)
    assert counts["taps"].by_step["sop_exact"].shape == (N, T)
    assert counts["pairs"].by_step["sop_exact"].shape == (N, T) and counts["again"].assumed_dense
    assert counts["f"].by_step["spikes_out"].shape == (N, T // 2)  # behind the window: steps of its own
    assert counts["sum"].by_step is None


def test_steps_by_hand():
    # 3 inputs to 2 outputs, 2 taps, 3 steps; a spike at t has min(2, 3 - t) taps left: 2, 2, 1
    nodes = {"x": Input((3,), "binary"), "sc": StepConv(np.ones((2, 3, 2)))}
    x = np.array([[[1, 1, 0]], [[0, 0, 0]], [[1, 1, 1]]])
    line = count(Graph(nodes, (("x", "sc"),), ("sc",), "folded"), {"x": x})["sc"]
    assert line.by_step["sop_exact"].tolist() == [[2 * 2 * 2, 0, 3 * 2 * 1]]
    assert line.by_step["nnz_in"].tolist() == [[2, 0, 3]]


def test_adjacency_by_hand():
    # step 0: both channels of joint 0, so one joint of z is active; step 1: joints 0 and 1
    nodes = {"x": Input((2, 2), "binary"), "gc": GraphConv(np.ones((1, 3, 2)), np.ones((1, 2, 2)))}
    x = np.array([[[[1, 0], [1, 0]]], [[[1, 0], [0, 1]]]])
    counts = count(Graph(nodes, (("x", "gc"),), ("gc",), "folded"), {"x": x})
    assert counts["gc.mix"].by_step["sop_exact"].tolist() == [[2 * 3, 2 * 3]]
    assert counts["gc.adjacency"].by_step["sop_exact"].tolist() == [[3 * 2, 2 * 3 * 2]]
    assert counts["gc.adjacency"].by_step["nnz_in"].tolist() == [[3, 6]]


@pytest.mark.parametrize("delay", [0, 2])
def test_steps_of_a_program_add_up(delay):
    populations = {
        "x": Population("x", (2,), Input((2,), "binary")),
        "lif": Population("lif", (3,), LoihiLIF(100, 5), 1),
        "out": Population("out", (1,), LoihiIntegrator(), 2),
    }  # fmt: skip
    into = Projection("in", "x", "lif", DenseWeights(np.ones((3, 2), np.int8)), delay=delay)
    last = Projection("last", "lif", "out", DenseWeights(np.ones((1, 3), np.int8)))
    program = Program(populations, (into, last), ("out",))
    rng = np.random.default_rng(1)
    seen = {"x": rng.integers(0, 2, (T, N, 2)), "lif": rng.integers(0, 2, (T, N, 3))}
    counts = count_program(program, seen)
    assert_sums(counts)
    arriving = seen["x"].sum(axis=2).T * 3
    arriving[:, T - delay :] = 0  # a spike counts at its own step, if it arrives within the run
    assert counts["in"].by_step["sop_exact"].tolist() == arriving.tolist()
    assert counts["lif"].by_step["spikes_out"].tolist() == seen["lif"].sum(axis=2).T.tolist()
    assert counts["out"].by_step is None


def test_steps_of_a_model_in_two_parts_add_up():
    graph = everything()
    split = parted(graph)
    whole = rasters(graph)
    counter_ = SplitCounter(split.chip, split.host)
    counts = counter_.count({n: whole[n] for n in counter_.rasters})
    assert_sums(counts)
    (last,) = [line for line in counts.lines if line.node == "f"]
    assert last.place == "cpu" and last.by_step["spikes_out"].tolist() == whole["f"].sum(axis=(2,)).T.tolist()


def test_batches_and_groups_keep_them():
    graph = everything()
    whole, counting = rasters(graph), counter(graph)
    one = counting.count(whole)
    cuts = ((0, 1), (1, 3))
    many = joined([counting.count({n: r[:, a:b] for n, r in whole.items()}) for a, b in cuts])
    clips = grouped(one, np.array([0, 0, 1]))
    assert_sums(many)
    assert_sums(clips)
    for a, b, c in zip(one.lines, many.lines, clips.lines, strict=True):
        for field, steps in (a.by_step or {}).items():
            assert b.by_step[field].tolist() == steps.tolist()
            assert c.by_step[field].tolist() == [(steps[0] + steps[1]).tolist(), steps[2].tolist()]
