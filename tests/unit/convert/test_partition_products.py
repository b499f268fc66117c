"""Products in a partition: of spikes they are the chip's, of values the CPU's; both sides may need one."""

from __future__ import annotations

import numpy as np

from convert.ir import LIF, Add, Affine, Graph, Input, LeakyIntegrator, SpikeAnd, StepMean
from convert.passes.partition import parted
from deploy.reference import values
from energy.split_counts import SplitCounter


def graph():
    """An AND of two layers that a neuron and a mean over the window read; a product of a sum and spikes."""
    d = np.random.default_rng(0)
    nodes = {
        "input": (Input((3,), "binary"),),
        "a": (Affine(d.normal(0.4, 1, (4, 3))), "input"), "left": (LIF(0.5), "a"),
        "b": (Affine(d.normal(0.4, 1, (4, 3))), "input"), "right": (LIF(0.5), "b"),
        "both": (SpikeAnd(), "left", "right"), "c": (Affine(d.normal(0.4, 1, (4, 4))), "both"),
        "lif": (LIF(0.5), "c"), "real": (SpikeAnd(), "c", "left"), "mean": (StepMean(), "both"),
        "mean2": (StepMean(), "real"), "sum": (Add(), "mean", "mean2"), "out": (LeakyIntegrator(), "sum"),
    }  # fmt: skip
    edges = tuple((i, name) for name, (_, *inputs) in nodes.items() for i in inputs)
    return Graph({n: v[0] for n, v in nodes.items()}, edges, ("lif", "out"), "folded")


def test_products_of_spikes_are_on_the_chip_and_of_values_on_the_cpu():
    split = parted(graph())
    places = {n: split.place(n) for n in ("left", "both", "c", "lif", "real", "mean")}
    assert places == {
        "left": "chip", "both": "chip, cpu", "c": "chip, cpu", "lif": "chip", "real": "cpu", "mean": "cpu"
    }  # fmt: skip
    assert split.reasons["real"].startswith("its left operand c is a linear map (Affine)")
    assert split.cut == ("left", "right")


def test_both_parts_together_are_the_whole():
    """Bit for bit: one code and the same numbers."""
    whole, split = graph(), parted(graph())
    x = (np.random.default_rng(1).random((6, 2, 3)) < 0.5).astype(np.int64)
    want, chip = values(whole, x), values(split.chip, x)
    assert want["both"].any() and want["lif"].any()
    host = values(split.host, {n: chip[n] for n in split.host.sources()})
    for name in whole.nodes:
        got = host[name] if split.place(name) == "cpu" else chip[name]
        np.testing.assert_array_equal(got, want[name])


def test_a_product_on_the_cpu_counts_all_its_pairs():
    split = parted(graph())
    x = (np.random.default_rng(1).random((6, 2, 3)) < 0.5).astype(np.int64)
    counter, got = SplitCounter(split.chip, split.host), values(graph(), x)
    found = counter.count({n: got[n] for n in counter.rasters})
    assert found["real"].counts["mac"].tolist() == [6 * 4] * 2 and found["real"].place == "cpu"
    assert found.uncounted == ()
