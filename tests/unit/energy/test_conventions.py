"""Every switch by hand, on networks of a few values; the spread is one switch at a time."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from convert.ir import (
    LIF,
    Add,
    Affine,
    AvgPool2d,
    BatchNorm,
    ChannelMix,
    Conv2d,
    Graph,
    GraphConv,
    Input,
    LeakyIntegrator,
    Permute,
    Reshape,
    SpikeAnd,
    SpikeMatMul,
)
from energy.conventions import NAMED, SWITCHES, others
from energy.costs import cost_table
from energy.counts import count
from energy.energy import price, spread
from energy.line import Options, grouped, joined
from energy.operations import operations
from energy.sheet import Sheet

EXACT, SPIKFORMER = NAMED["exact"], NAMED["paper-spikformer"]
TABLE = cost_table("horowitz45-fp32")


def graph(nodes, *edges, outputs, stage="folded"):
    return Graph(nodes, tuple(e.split(">") for e in edges), outputs, stage)


def changed(base, **switches):
    for field, value in switches.items():
        base = base.switched(field.replace("_", "-"), value)
    return base


def ops(counts, line, base=EXACT, **switches):
    """(MACs, ACs) of sample 0 of one line."""
    found = operations(Sheet(counts), changed(base, **switches))["compute"]
    row = [x.name for x in counts.lines].index(line)
    return tuple(float(found[op][row, 0]) for op in ("mac", "ac"))


def component(counts, name, base=EXACT, **switches):
    """Operation -> number over all lines, of sample 0 of one component."""
    found = operations(Sheet(counts), changed(base, **switches))[name]
    return {op: int(number[:, 0].sum()) for op, number in found.items()}


def convs():
    """Real 3x3 input of two steps -> conv k3 p1, 2 channels -> LIF, 4 spikes -> conv k3 p1."""
    nodes = {
        "x": Input((1, 3, 3)), "one": Conv2d(np.ones((2, 1, 3, 3)), padding=(1, 1)), "lif": LIF(0.5),
        "two": Conv2d(np.ones((1, 2, 3, 3)), np.ones(1), padding=(1, 1)), "out": LeakyIntegrator(),
    }  # fmt: skip
    x = np.ones((2, 1, 1, 3, 3))
    x[1, 0, 0, 0, 0] = 0  # one real zero, at a corner
    lif = np.zeros((2, 1, 2, 3, 3), np.uint8)
    lif[0, 0, :, 1, 1] = lif[1, 0, :, 0, 0] = 1  # two in the middle (9 synapses), two at a corner (4)
    made = graph(nodes, "x>one", "one>lif", "lif>two", "two>out", outputs=("out",))
    return count(made, {"x": x, "lif": lif})


def test_rate_and_padding():
    # per step in-bounds 49 taps x 2 channels, padded 81 x 2; 4 of 36 values: rate 1/9
    c = convs()
    inbounds, dense = 2 * 49 * 2, 2 * 81 * 2
    assert ops(c, "two") == (0, 2 * 9 + 2 * 4)
    assert ops(c, "two", padding="dense") == pytest.approx((0, dense / 9))
    for rate in ("nonzero", "mean"):  # the same for spikes
        assert ops(c, "two", rate=rate) == pytest.approx((0, inbounds / 9))
        assert ops(c, "two", rate=rate, padding="dense") == pytest.approx((0, dense / 9))


def test_zeros_of_real_layers():
    c = convs()
    inbounds, dense = 2 * 49 * 2, 2 * 81 * 2
    assert ops(c, "one") == (inbounds - 4 * 2, 0)
    assert ops(c, "one", zeros="charged") == (inbounds, 0)
    assert ops(c, "one", zeros="charged", padding="dense") == (dense, 0)
    assert ops(c, "one", padding="dense") == pytest.approx((dense * 17 / 18, 0))
    assert ops(c, "one", SPIKFORMER) == (dense, 0)
    assert ops(c, "one", SPIKFORMER, zeros="skipped") == pytest.approx((dense * 17 / 18, 0))


def test_first_layer_once():
    c = convs()
    assert [line.first for line in c.lines if line.measures] == [True, False]
    assert ops(c, "one", SPIKFORMER, first_layer="once") == (81 * 2, 0)
    assert ops(c, "two", SPIKFORMER, first_layer="once") == ops(c, "two", SPIKFORMER)


def test_first_layer_of_event_frames():
    nodes = {"x": Input((3,), "binary"), "fc": Affine(np.ones((2, 3)))}
    c = count(graph(nodes, "x>fc", outputs=("fc",)), {"x": np.array([[[1, 0, 1]], [[0, 0, 1]]])})
    assert ops(c, "fc", SPIKFORMER) == (0, 6) and ops(c, "fc", NAMED["paper-sdt"]) == (6, 0)
    assert ops(c, "fc", first_operand="mac") == (6, 0)
    assert ops(c, "fc", first_layer="once") == (0, 6)  # spikes change: nothing is kept


def test_a_layer_that_multiplies_does_so_once_a_value():
    """Bits and sizes are how integers are added; a MAC takes the whole number."""
    nodes = {"x": Input((2,), "graded"), "fc": Affine(np.ones((3, 2)))}
    c = count(graph(nodes, "x>fc", outputs=("fc",)), {"x": np.array([[[5, 0]]])})
    assert ops(c, "fc", integers="bit-serial") == (0, 9)
    assert ops(c, "fc", integers="bit-serial", first_operand="mac") == (3, 0)
    c = sums()  # its sum reads the input
    for integers, want in (("bit-serial", (9, 0)), ("ac", (9, 0)), ("mac", (9, 0)), ("dense-mac", (12, 0))):
        assert ops(c, "fc", integers=integers, first_operand="mac") == want


def test_heads():
    c = convs()
    assert [line.name for line in c.lines if line.head] == ["two"]
    assert ops(c, "two", head="ignored") == (0, 0)
    assert ops(c, "two", head="mac-once") == (81 * 2 + 9, 0)  # dense of one step, 9 biases
    assert component(c, "bias") == {"add": 2 * 9} and component(c, "bias", head="ignored") == {"add": 0}
    assert component(c, "bias", head="mac-once") == {"add": 0} and component(c, "bias", SPIKFORMER) == {}


def sums():
    """Two spikes meet in input 0 of sample 0: values (2, 1) and (1, 0) in two steps."""
    nodes = {
        "a": Input((2,), "binary"), "b": Input((2,), "binary"), "sum": Add(), "fc": Affine(np.ones((3, 2))),
    }  # fmt: skip
    a, b = np.array([[[1, 0]], [[1, 0]]]), np.array([[[1, 1]], [[0, 0]]])
    return count(graph(nodes, "a>sum", "b>sum", "sum>fc", outputs=("fc",)), {"a": a, "b": b})


@pytest.mark.parametrize("integers, events, rate", [
    ("mac", (9, 0), (9, 0)),  # 3 values that are not zero x 3 outputs; share 3/4 of 12
    ("bit-serial", (0, 18), (0, 18)),  # 2 bits each
    ("ac", (0, 12), (0, 12)),  # 4 spikes x 3; mean 4/4 of 12
    ("dense-mac", (12, 0), (12, 0)),
])  # fmt: skip
def test_sums_of_spikes(integers, events, rate):
    c = sums()
    assert ops(c, "fc", integers=integers) == events
    assert ops(c, "fc", SPIKFORMER, integers=integers) == pytest.approx(rate)


def test_the_rate_of_a_sum_is_its_mean_or_its_share():
    c = sums()
    assert ops(c, "fc", SPIKFORMER) == (0, 12) and ops(c, "fc", NAMED["paper-sdt"]) == (9, 0)
    assert ops(c, "fc", SPIKFORMER, rate="nonzero") == (0, 9)
    assert component(c, "residual") == {"add": 4} and component(c, "residual", SPIKFORMER) == {}


def test_graded_values_are_no_spikes():
    # 5 needs 3 bits; -2 and 5: two values of four, three outputs
    nodes = {"x": Input((2,), "graded"), "fc": Affine(np.ones((3, 2)))}
    c = count(graph(nodes, "x>fc", outputs=("fc",)), {"x": np.array([[[5, 0]], [[0, -2]]])})
    assert [ops(c, "fc", integers=i) for i in SWITCHES["integers"]] == [(6, 0), (0, 18), (6, 0), (12, 0)]
    assert [ops(c, "fc", SPIKFORMER, integers=i) for i in SWITCHES["integers"]] == [
        (6, 0), (0, 18), (12, 0), (12, 0),
    ]  # fmt: skip


@pytest.mark.parametrize("peak, bits", [(1, 1), (2, 2), (3, 2), (4, 3), (7, 3), (8, 4), (127, 7)])
def test_bits_of_an_integer(peak, bits):
    assert bits == int(np.ceil(np.log2(peak + 1)))
    nodes = {"x": Input((1,), "graded"), "fc": Affine(np.ones((1, 1)))}
    for sign in (1, -1):
        c = count(graph(nodes, "x>fc", outputs=("fc",)), {"x": np.array([[[sign * peak]]])})
        assert ops(c, "fc", integers="bit-serial") == (0, bits)


def test_bits_are_those_of_each_sample_and_add_up():
    nodes = {"x": Input((1,), "graded"), "fc": Affine(np.ones((1, 1)))}
    made = graph(nodes, "x>fc", outputs=("fc",))
    x = np.array([[[1], [127], [3]]])
    c = changed(EXACT, integers="bit-serial")
    whole = count(made, {"x": x})
    parts = joined([count(made, {"x": x[:, :1]}), count(made, {"x": x[:, 1:]})])
    clip = grouped(whole, np.array([0, 0, 1]))
    for counts, want in ((whole, [1, 7, 2]), (parts, [1, 7, 2]), (clip, [8, 2])):
        assert operations(Sheet(counts), c)["compute"]["ac"].tolist() == [want]


def attention(neuron):
    """Q, K, V [1 head, 2 tokens, 3]; with or without a neuron on the map."""
    between = {"map": LIF(0.5)} if neuron else {"map": Permute((0, 1, 2))}
    nodes = {
        "q": Input((1, 2, 3), "binary"), "k": Input((1, 2, 3), "binary"), "v": Input((1, 2, 3), "binary"),
        "kt": Permute((0, 2, 1)), "qk": SpikeMatMul(), **between, "av": SpikeMatMul(), "lif": LIF(0.5),
    }  # fmt: skip
    edges = ("q>qk", "k>kt", "kt>qk", "qk>map", "map>av", "v>av", "av>lif")
    made = graph(nodes, *edges, outputs=("lif",))
    q = np.array([[[[[1, 1, 0], [0, 0, 1]]]]])  # 3 spikes
    k = np.array([[[[[1, 0, 0], [1, 1, 1]]]]])  # 4
    v = np.array([[[[[1, 0, 0], [0, 1, 0]]]]])  # 2
    scores = q @ k.swapaxes(-1, -2)  # (1, 2), (0, 1)
    rasters = {"q": q, "k": k, "v": v, "lif": np.zeros((1, 1, 1, 2, 3), np.uint8)}
    if neuron:
        rasters["map"] = (scores > 0).astype(np.uint8)
    return count(made, rasters)


def test_attention_pairs():
    c = attention(neuron=False)
    # Q K^T: 1 + 2 + 0 + 1 pairs of spikes meet; each of 3 spikes of Q has 2 partners
    assert ops(c, "qk") == (0, 4) and ops(c, "qk", attention="operand") == (0, 6)
    # the map holds 1, 2, 0, 1: row 0 meets both spikes of v, row 1 the second: 3 pairs of integers, 2 bits
    assert ops(c, "av") == (3, 0) and ops(c, "av", integers="bit-serial") == (0, 6)
    assert ops(c, "av", integers="ac") == (0, 1 + 2 + 1)  # with their sizes
    assert ops(c, "av", attention="operand") == (9, 0)  # 3 values that are not 0, 3 partners each
    assert ops(c, "av", SPIKFORMER) == (0, 4 * 3)  # mean 4/4 of all 12 pairs
    # K^T V first: min(4, 2) x 3 pairs, then 3 spikes of Q x 3; T heads N d^2 (min(fr_K, fr_V) + fr_Q)
    want = 15
    assert want == pytest.approx(1 * 1 * 2 * 9 * (min(4, 2) / 6 + 3 / 6))
    assert ops(c, "qk", attention="kv") == (0, 0) and ops(c, "av", attention="kv") == (0, want)
    assert ops(c, "av", NAMED["paper-spikingformer"], head="counted") == pytest.approx((0, want))


def test_a_neuron_on_the_map_unpairs_attention():
    c = attention(neuron=True)
    for line in ("qk", "av"):
        assert ops(c, line, attention="kv") == ops(c, line, attention="operand")
    assert ops(c, "av", attention="operand") == (0, 9) and ops(c, "av") == (0, 3)


def test_attention_of_real_values_is_macs():
    """Q is computed by a layer, so that its values are not known: all of them count."""
    nodes = {
        "x": Input((2, 2)), "q": ChannelMix(np.ones((2, 2))), "k": Input((2, 2)), "v": Input((2, 3)),
        "qk": SpikeMatMul(), "av": SpikeMatMul(),
    }  # fmt: skip
    made = graph(nodes, "x>q", "q>qk", "k>qk", "qk>av", "v>av", outputs=("av",))
    k = np.array([[[[1.0, 0], [0, 0]]]])
    c = count(made, {"x": np.ones((1, 1, 2, 2)), "k": k, "v": np.ones((1, 1, 2, 3))})
    assert ops(c, "qk") == (8, 0) and ops(c, "av") == (12, 0)
    assert ops(c, "qk", attention="kv") == (0, 0) and ops(c, "av", attention="kv") == (4 * 3 + 1 * 3, 0)


def test_a_hadamard_product_by_its_operand():
    nodes = {"a": Input((4,), "binary"), "b": Input((4,), "binary"), "and": SpikeAnd(), "lif": LIF(0.5)}
    made = graph(nodes, "a>and", "b>and", "and>lif", outputs=("lif",))
    a, b = np.array([[[1, 1, 1, 0]]]), np.array([[[1, 0, 0, 1]]])
    c = count(made, {"a": a, "b": b, "lif": np.zeros((1, 1, 4), np.uint8)})
    assert ops(c, "and") == (0, 1) and ops(c, "and", attention="operand") == (0, 3)


def test_adjacency_products():
    # 2 channels, 2 joints, 3 out, K 1; both channels of joint 0: mix 2 x 3 ACs; 3 real values to 2 joints
    nodes = {"x": Input((2, 2), "binary"), "gc": GraphConv(np.ones((1, 3, 2)), np.ones((1, 2, 2)))}
    c = count(graph(nodes, "x>gc", outputs=("gc",)), {"x": np.array([[[[1, 0], [1, 0]]]])})
    full = 3 * 2 * 2
    assert ops(c, "gc.mix") == (0, 6) and ops(c, "gc.adjacency") == (6, 0)
    for rate in SWITCHES["rate"]:  # half of the input, half of its joints
        assert ops(c, "gc.adjacency", rate=rate) == (full / 2, 0)
        assert ops(c, "gc.adjacency", rate=rate, adjacency="input") == (0, full / 2)
    assert ops(c, "gc.adjacency", zeros="charged") == (full, 0)
    assert ops(c, "gc.adjacency", SPIKFORMER) == (0, full / 2)
    assert ops(c, "gc.adjacency", SPIKFORMER, adjacency="real") == (full, 0)
    one = count(graph(nodes, "x>gc", outputs=("gc",)), {"x": np.array([[[[1, 0], [0, 0]]]])})
    assert ops(one, "gc.adjacency", rate="nonzero") == (full / 2, 0)  # one of four inputs, one of two joints
    assert ops(one, "gc.adjacency", rate="nonzero", adjacency="input") == (0, full / 4)


def test_zero_weights():
    # inputs 0 and 1 active: 2 x 2 synapses, of which input 1's are zero; rate 2/3 of 6
    nodes = {"x": Input((3,), "binary"), "fc": Affine(np.array([[1.0, 0, 2], [3, 0, 4]]))}
    made, x = graph(nodes, "x>fc", outputs=("fc",)), {"x": np.array([[[1, 1, 0]]])}
    c = count(made, x)
    assert ops(c, "fc") == (0, 4) and ops(c, "fc", zero_weights="skipped") == (0, 2)
    assert ops(c, "fc", SPIKFORMER, zero_weights="skipped") == pytest.approx((0, 2))
    counted = count(made, x, Options(zero_weights=False))  # left out already: not twice
    assert ops(counted, "fc") == ops(counted, "fc", zero_weights="skipped") == (0, 2)


def test_zero_adjacency():
    links = np.array([[[1.0, 0], [1, 1]]])  # joint 0 reaches one joint, joint 1 both
    nodes = {"x": Input((1, 2), "binary"), "gc": GraphConv(np.ones((1, 3, 1)), links)}
    made, x = graph(nodes, "x>gc", outputs=("gc",)), {"x": np.array([[[[1, 0]]]])}
    c = count(made, x)
    assert ops(c, "gc.adjacency") == (6, 0) and ops(c, "gc.adjacency", zero_adjacency="skipped") == (3, 0)
    assert ops(c, "gc.adjacency", zero_weights="skipped") == (6, 0)
    assert ops(c, "gc.mix", zero_adjacency="skipped") == ops(c, "gc.mix") == (0, 3)
    counted = count(made, x, Options(skip_zero_adjacency=True))
    assert ops(counted, "gc.adjacency", zero_adjacency="skipped") == (3, 0)


def test_norms():
    one = np.ones(2)
    nodes = {"x": Input((2, 3)), "bn": BatchNorm(one, one, one, one), "lif": LIF(0.5)}
    x, lif = np.ones((4, 1, 2, 3)), np.ones((4, 1, 2, 3), np.uint8)
    c = count(graph(nodes, "x>bn", "bn>lif", outputs=("lif",), stage="traced"), {"x": x, "lif": lif})
    want = {"mac": {"mac": 24}, "folded": {}, "mac-ac": {"mac": 24, "ac": 24}, "two-macs": {"mac": 48}}
    assert {norm: component(c, "scale", norm=norm) for norm in SWITCHES["norm"]} == want
    assert component(c, "neuron") == {"multiply": 24, "add": 48}
    assert component(c, "neuron", neurons="ignored") == component(c, "neuron", SPIKFORMER) == {}


def test_pools():
    nodes = {"x": Input((1, 2, 2)), "pool": AvgPool2d((2, 2), (2, 2)), "flat": Reshape((1,)),
             "fc": Affine(np.ones((2, 1)))}  # fmt: skip
    c = count(
        graph(nodes, "x>pool", "pool>flat", "flat>fc", outputs=("fc",)), {"x": np.ones((3, 1, 1, 2, 2))}
    )
    assert component(c, "pool") == {"add": 9} and component(c, "pool", pooling="ignored") == {}


def test_a_folded_pool_has_no_border():
    """Padding changes convolutions alone: a folded pool's spikes keep all their synapses."""
    nodes = {"x": Input((1, 2, 2), "binary"), "pool": AvgPool2d((2, 2), (2, 2)), "flat": Reshape((1,)),
             "fc": Affine(np.ones((2, 1)))}  # fmt: skip
    x = np.ones((3, 1, 1, 2, 2), int)
    c = count(graph(nodes, "x>pool", "pool>flat", "flat>fc", outputs=("fc",)), {"x": x})
    assert ops(c, "fc") == ops(c, "fc", padding="dense") == (0, 3 * 4 * 2)


def test_always_active_layers():
    nodes = {"x": Input((2,), "binary"), "fc": Affine(np.ones((3, 2)))}
    for x, want in (([1, 1], (6, 0)), ([1, 0], (0, 3))):
        c = count(graph(nodes, "x>fc", outputs=("fc",)), {"x": np.array([[x]])})
        assert ops(c, "fc", full_rate="mac") == want


def test_spikingformer_8_512_as_its_authors_logged_it():
    """4.9.3.64.224^2 + 512.1000 + 1000 MACs: the stem every step, the head once with its bias."""
    nodes = {
        "x": Input((3, 224, 224)), "stem": Conv2d(np.ones((64, 3, 3, 3), np.int8), padding=(1, 1)),
        "lif": LIF(0.5), "pool": AvgPool2d((224, 224), (224, 224)), "flat": Reshape((64,)),
        "fc": Affine(np.ones((512, 64), np.int8)), "lif2": LIF(0.5),
        "head": Affine(np.ones((1000, 512), np.int8), np.zeros(1000)), "out": LeakyIntegrator(),
    }  # fmt: skip
    made = Graph(nodes, tuple(pairwise(nodes)), ("out",), "folded")
    silent = {n: np.zeros((4, 1, *made.shapes[n]), np.uint8) for n in ("lif", "lif2")}
    c = count(made, {"x": np.ones((4, 1, 3, 224, 224), np.float32), **silent})
    bill = price(c, TABLE, ["paper-spikingformer"])["paper-spikingformer"]
    assert bill.total()[0] == pytest.approx(4.6 * 347_329_512, rel=1e-12)
    # With the AC of the log: 7.463502602 mJ, 10 digits printed.
    assert (bill.total()[0] + 0.9 * 6.517540941e9) / 1e9 == pytest.approx(7.463502602, rel=1e-9)


@pytest.mark.parametrize("base", NAMED.values(), ids=list(NAMED))
def test_the_spread_changes_one_switch_at_a_time(base):
    c = sums()
    found = spread(c, TABLE, base)
    assert [(v.switch, v.value) for v in found] == [(s, v) for s, v, _ in others(base)]
    assert len(found) == sum(len(values) - 1 for values in SWITCHES.values())
    for variant in found:
        one = base.switched(variant.switch, variant.value)
        assert variant.pj.tolist() == price(c, TABLE, [one])[one.name].total().tolist()
    by = {(v.switch, v.value): v.pj[0] for v in found}
    assert len(set(by.values())) > 2, "vacuous case"


def test_a_missing_price_leaves_a_variant_unknown():
    nodes = {"x": Input((2,), "binary"), "fc": Affine(np.ones((3, 2)))}
    c = count(graph(nodes, "x>fc", outputs=("fc",)), {"x": np.array([[[1, 0]]])})
    yan = cost_table("yan2024-22nm")  # knows no MAC
    found = {(v.switch, v.value): v.pj[0] for v in spread(c, yan, EXACT)}
    assert np.isnan(found["first-operand", "mac"]) and np.isnan(found["head", "mac-once"])
    assert found["padding", "dense"] == price(c, yan, ["exact"])["exact"].total()[0] > 0


def test_a_line_without_recounts_keeps_its_macs():
    """Counters that keep none (energy/torch_counts): integers of unknown size are never cheaper than MACs."""
    c = sums()
    bare = dataclasses.replace(
        c, lines=tuple(dataclasses.replace(x, recounts=None, sums=False) for x in c.lines)
    )
    for integers, want in (("mac", (9, 0)), ("bit-serial", (9, 0)), ("ac", (9, 0)), ("dense-mac", (12, 0))):
        assert ops(bare, "fc", integers=integers) == want
    for integers, want in (("mac", (9, 0)), ("bit-serial", (9, 0)), ("ac", (0, 12)), ("dense-mac", (12, 0))):
        assert ops(bare, "fc", SPIKFORMER, integers=integers) == want
