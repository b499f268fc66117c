"""Operations of products: coincidences counted by loops over pairs, on the graph and on the program."""

from __future__ import annotations

import numpy as np
import pytest

from convert.ir import Graph, Input, LoihiLIF, Permute, SpikeAnd, SpikeMatMul
from convert.passes.lower import lower
from deploy.loihi_sim import LoihiSim
from deploy.reference import values
from energy.counts import count, count_program


def graph(product=None, source=None):
    nodes = {"input": source or Input((2, 3, 4), "binary"), "turned": Permute((0, 2, 1)),
             "y": product or SpikeMatMul(), "lif": LoihiLIF(dv=4096, vth=0)}  # fmt: skip
    right = "input" if isinstance(product, SpikeAnd) else "turned"
    edges = (("input", "turned"), ("input", "y"), (right, "y"), ("y", "lif"))
    return Graph(nodes, edges, ("lif",), "integer")


def spikes(steps=5, samples=3):
    return (np.random.default_rng(0).random((steps, samples, 2, 3, 4)) < 0.4).astype(np.int64)


def test_a_coincidence_is_one_addition():
    x = spikes()
    got = values(graph(), x)
    line = count(graph(), {"input": x, "lif": got["lif"]})["y"]
    met = np.zeros(3, np.int64)  # every pair of spikes in one step and head, by loops
    for t, n, h, i, j, k in np.ndindex(5, 3, 2, 3, 3, 4):
        met[n] += x[t, n, h, i, k] and x[t, n, h, j, k]
    assert met.min() > 0, "vacuous case"
    for field in ("ac", "sop_exact", "sop_nonzero"):
        np.testing.assert_array_equal(line.counts[field], met)
    np.testing.assert_array_equal(line.counts["mac"], 0)
    np.testing.assert_array_equal(line.counts["dense_mac"], 5 * 2 * 3 * 3 * 4)
    np.testing.assert_array_equal(line.counts["nnz_in"], x.sum(axis=(0, 2, 3, 4)))
    # Papers: rate of the left operand times all pairs. Sums of whole numbers, one division: exact to 1e-12.
    rate = x.mean(axis=(0, 2, 3, 4))
    np.testing.assert_allclose(line.measures["sop_paper"], rate * 360, rtol=1e-12)


def test_an_and_counts_its_spikes():
    x = spikes()
    made = graph(SpikeAnd())
    line = count(made, {"input": x, "lif": values(made, x)["lif"]})["y"]
    np.testing.assert_array_equal(line.counts["ac"], x.sum(axis=(0, 2, 3, 4)))


def test_a_graded_operand_makes_macs():
    made = graph(source=Input((2, 3, 4), "graded"))
    x = spikes() * 3
    line = count(made, {"input": x, "lif": values(made, x)["lif"]})["y"]
    met = ((x @ x.swapaxes(-1, -2)) // 9).sum(axis=(0, 2, 3, 4))
    np.testing.assert_array_equal(line.counts["mac"], met)
    np.testing.assert_array_equal(line.counts["ac"], 0)


def test_a_chip_pays_for_every_spike_met_or_not():
    """Each spike of the left reaches n neurons, each of the right m; then one synapse a coincidence."""
    x = spikes()
    program = lower(graph())
    names = list(program.populations)
    rasters = LoihiSim(1).compile(program).run(x, names).rasters
    counts = count_program(program, rasters)
    fired = x.sum(axis=(0, 2, 3, 4))
    left, right = (counts[p.name] for p in program.into("y"))
    (summing,) = program.into("lif")
    np.testing.assert_array_equal(left.counts["ac"], 3 * fired)
    np.testing.assert_array_equal(right.counts["ac"], 3 * fired)
    met = count(graph(), {"input": x, "lif": rasters["lif"]})["y"].counts["ac"]
    np.testing.assert_array_equal(counts[summing.name].counts["ac"], met)
    np.testing.assert_array_equal(counts["y"].counts["neuron_steps"], 5 * 2 * 3 * 3 * 4)


@pytest.mark.parametrize("cut", [1, 2])
def test_batches_may_be_cut_anywhere(cut):
    x = spikes()
    made = graph()
    lif = values(made, x)["lif"]
    whole = count(made, {"input": x, "lif": lif})["y"].counts["sop_exact"]
    parts = [count(made, {"input": x[:, s], "lif": lif[:, s]})["y"].counts["sop_exact"]
             for s in (slice(cut), slice(cut, None))]  # fmt: skip
    np.testing.assert_array_equal(np.concatenate(parts), whole)
