"""Partition: the chip keeps the largest part, every cut leaves from spikes or an input, nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest

from convert.ir import (
    LIF,
    Add,
    Affine,
    ChannelScale,
    Graph,
    Input,
    JointMap,
    LeakyIntegrator,
    Neuron,
    Source,
    SpikeAnd,
    StageError,
    StepMean,
    Unsupported,
)
from convert.passes.partition import parted, partition
from deploy.reference import values


def graph(outputs, **nodes):
    """name=(node, *inputs), in order."""
    edges = tuple((i, name) for name, (_, *inputs) in nodes.items() for i in inputs)
    return Graph({n: v[0] for n, v in nodes.items()}, edges, outputs, "folded")


def fc(out, size, seed=0):
    return Affine(np.random.default_rng(seed).normal(0.4, 1.0, (out, size)))


def branches():
    """Two spiking layers; a sum that a chip's neuron and the CPU both read; a readout on each side."""
    return graph(
        ("late", "readout"),
        input=(Input((3,), "binary"),), a=(fc(4, 3, 1), "input"), lif1=(LIF(0.5), "a"),
        b=(fc(4, 4, 2), "lif1"), sum=(Add(), "b", "lif1"), lif2=(LIF(0.5), "sum"), head=(fc(2, 4, 3), "lif2"),
        readout=(LeakyIntegrator(), "head"), mean=(StepMean(), "sum"), raw=(StepMean(), "input"),
        wide=(fc(4, 3, 4), "raw"), both=(Add(), "mean", "wide"), late=(LeakyIntegrator(), "both"),
    )  # fmt: skip


def test_a_graph_that_a_chip_holds_is_its_own_chip_part(case):
    split = partition(case.graph)
    assert split.chip is case.graph and split.host is None
    assert not split.reasons and split.cut == () and {split.place(n) for n in case.graph.nodes} == {"chip"}


def test_both_parts_of_branches():
    split = parted(branches())
    assert set(split.chip.nodes) == {"input", "a", "lif1", "b", "sum", "lif2", "head", "readout"}
    assert set(split.host.nodes) == {"input", "lif1", "b", "sum", "mean", "raw", "wide", "both", "late"}
    assert split.chip.outputs == ("readout", "lif1") and split.host.outputs == ("late",)
    assert split.cut == ("lif1",) and split.outputs == ("late", "readout")
    assert split.host.nodes["lif1"].operand == "binary" and split.host.inputs_of("lif1") == ()
    assert [split.place(n) for n in ("input", "lif1", "sum", "lif2", "mean")] == [
        "chip, cpu", "chip", "chip, cpu", "chip", "cpu",
    ]  # fmt: skip
    assert split.reasons["mean"] == "StepMean needs the whole window"
    assert split.reasons["both"] == split.reasons["late"] == "behind mean"
    assert split.reasons["sum"] == "its sum is read on the CPU too"


def test_both_parts_together_are_the_whole():
    """The chip part's spikes into the host part: every value of the whole graph, bit for bit: one code and
    the same numbers."""
    whole, split = branches(), parted(branches())
    x = (np.random.default_rng(0).random((9, 4, 3)) < 0.5).astype(np.int64)
    want = values(whole, x)
    assert 0 < want["lif1"].mean() < 1 and 0 < want["lif2"].mean() < 1
    chip = values(split.chip, x)
    host = values(split.host, {"input": x, "lif1": chip["lif1"]})
    for name in whole.nodes:
        got = host[name] if split.place(name) == "cpu" else chip[name]
        np.testing.assert_array_equal(got, want[name])


def test_every_cut_leaves_from_spikes_or_an_input_and_the_chip_is_closed():
    whole, split = branches(), parted(branches())
    for name in split.host.sources():
        node = whole.nodes[name]
        assert isinstance(node, Source) or (isinstance(node, Neuron) and node.spiking)
    for name in split.chip.nodes:
        assert set(whole.inputs_of(name)) <= set(split.chip.nodes)


def test_a_linear_end_goes_to_the_cpu_with_its_region():
    split = parted(graph(
        ("head",), input=(Input((3,), "binary"),), a=(fc(4, 3), "input"), lif=(LIF(0.5), "a"),
        b=(fc(4, 4), "lif"), head=(fc(2, 4), "b"),
    ))  # fmt: skip
    assert set(split.host.nodes) == {"lif", "b", "head"} and split.chip.outputs == ("lif",)
    assert split.reasons["head"] == "its sum leaves the graph, and is no spike"
    assert split.reasons["b"] == "head reads its sum, which is no spike"


def test_a_sum_that_leaves_the_graph_and_feeds_a_neuron_is_on_both_sides():
    split = parted(graph(
        ("a", "lif"), input=(Input((3,), "binary"),), a=(fc(4, 3), "input"), lif=(LIF(0.5), "a"),
    ))  # fmt: skip
    assert split.place("a") == "chip, cpu" and split.reasons["a"].startswith("its sum leaves the graph")
    assert split.chip.outputs == ("lif",) and split.host.outputs == ("a",) and split.cut == ()


def test_what_reads_a_membrane_is_on_the_cpu_and_so_is_the_neuron():
    split = parted(graph(
        ("out",), input=(Input((3,), "binary"),), a=(fc(4, 3), "input"), lif=(LIF(0.5), "a"),
        v=(LeakyIntegrator(0.5), "lif"), b=(fc(2, 4), "v"), lif2=(LIF(0.5), "b"),
        out=(LeakyIntegrator(), "lif2"),
    ))  # fmt: skip
    assert set(split.chip.nodes) == {"input", "a", "lif"}
    assert split.reasons["v"] == "b reads its value, which is no spike"
    assert split.reasons["b"] == "v does not spike: its value is read"
    assert split.reasons["lif2"] == "behind b"


def gated(*between):
    """The AND of two spiking layers, or of one and what lies between, into a neuron and a mean over time."""
    return graph(
        ("out", "mean"), input=(Input((3,), "binary"),), a=(fc(4, 3, 1), "input"), lif1=(LIF(0.5), "a"),
        b=(fc(4, 3, 2), "input"), lif2=(LIF(0.5), "b"), scale=(ChannelScale(np.full(4, 0.5)), "lif2"),
        y=(SpikeAnd(), "lif1", *(between or ("lif2",))), lif3=(LIF(0.5, 0.2), "y"),
        out=(LeakyIntegrator(), "lif3"), mean=(StepMean(), "y"),
    )  # fmt: skip


def test_a_product_of_spikes_is_on_the_chip():
    """And again on the CPU, from the same spikes, where a node of the CPU reads it."""
    split = parted(gated())
    assert split.place("y") == "chip, cpu" and split.place("lif3") == "chip"
    assert set(split.cut) == {"lif1", "lif2"} and split.reasons["y"] == "its sum is read on the CPU too"
    x = (np.random.default_rng(0).random((9, 2, 3)) < 0.5).astype(np.uint8)
    whole, chip = values(gated(), x), values(split.chip, x)
    host = values(split.host, {n: chip[n] for n in split.cut})
    assert whole["mean"].any(), "vacuous case"
    np.testing.assert_array_equal(host["mean"], whole["mean"])
    np.testing.assert_array_equal(chip["out"], whole["out"])


def test_a_product_of_something_else_is_on_the_cpu():
    split = parted(gated("scale"))
    assert split.place("y") == split.place("lif3") == "cpu"
    assert "its right operand scale is a linear map (ChannelScale)" in split.reasons["y"]
    assert split.reasons["lif3"] == "behind y"


def test_a_joint_map_is_synapses():
    split = parted(graph(
        ("lif",), input=(Input((3, 4), "binary"),), m=(JointMap(np.ones((1, 1, 2, 4))), "input"),
        lif=(LIF(0.5), "m"),
    ))  # fmt: skip
    assert split.host is None


def test_nothing_for_a_chip_is_refused_with_the_reason():
    whole = graph(("out",), input=(Input((3,), "binary"),), mean=(StepMean(), "input"),
                  out=(LeakyIntegrator(), "mean"))  # fmt: skip
    assert partition(whole).chip is None and partition(whole).host is not None
    with pytest.raises(Unsupported, match=r"mean: StepMean needs the whole window; so no node .* on a chip"):
        parted(whole)


def test_a_node_that_no_output_needs_is_on_neither_side():
    whole = graph(("lif",), input=(Input((3,), "binary"),), lif=(LIF(0.5), "input"), mean=(StepMean(), "lif"))
    split = parted(whole)
    assert split.host is None and split.place("mean") == "unused" and "mean" not in split.chip.nodes


def test_a_relay_that_only_the_cpu_reads_is_not_on_the_chip():
    """The chip could hold it, and would compute for nobody; its share of the work would be too large."""
    split = parted(graph(
        ("out",), input=(Input((3,), "binary"),), lif=(LIF(0.5), "input"), a=(fc(2, 3), "lif"),
        relay=(LeakyIntegrator(1.0), "a"), mean=(StepMean(), "relay"), out=(LeakyIntegrator(), "mean"),
    ))  # fmt: skip
    assert list(split.chip.nodes) == ["input", "lif"] and split.cut == ("lif",)
    assert split.place("relay") == split.place("a") == "cpu"
    assert split.reasons["relay"] == split.reasons["a"] == "only the CPU reads it"


def test_only_a_folded_graph_is_parted(traced_case):
    with pytest.raises(StageError, match="needs a folded graph, got traced"):
        partition(traced_case.graph)
