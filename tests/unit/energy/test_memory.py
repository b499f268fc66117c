"""Lemaire's accesses, against loops over every spike and tap; and the prices of memories as published."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.ir import (
    IF,
    LIF,
    Add,
    Affine,
    AvgPool2d,
    ChannelMix,
    Conv2d,
    CubaLIF,
    DenseWeights,
    Graph,
    GraphConv,
    Input,
    LoihiLIF,
    LoihiLIFRefractory,
    Population,
    Program,
    Projection,
    SparseWeights,
    SpikeMatMul,
    StepConv,
)
from energy.accesses import accesses
from energy.costs import cost_table
from energy.counts import count, count_program
from energy.layer import layers
from energy.line import joined
from energy.memory import ITEMS, memory

FIELDS = ("mac", "acc", "inputs", "parameters", "potentials", "outputs", "address_mac", "address_acc")


def graph(nodes, *edges, outputs):
    return Graph(nodes, tuple(e.split(">") for e in edges), outputs, "folded")


def total(model, counts):
    """field -> int64 [N] over all lines."""
    known = layers(model)
    out = dict.fromkeys(FIELDS, 0)
    for line in counts.lines:
        if isinstance(known.get(line.name), str) or line.name not in known:
            continue
        found = accesses(counts, line, known[line.name])
        for field in FIELDS:
            value = getattr(found, field)
            assert value.dtype == np.int64
            out[field] = out[field] + value
    return out


class TestPrices:
    """The two published readings, 9 times apart at 1 kB and 3.8 times at 4 MB; Horowitz by the word."""

    @pytest.mark.parametrize("name, words, pj", [
        ("lemaire2022-leat", 288, 13.3), ("lemaire2022-interp", 288, 1.4),
        ("lemaire2022-leat", 1 << 20, 379.0), ("lemaire2022-interp", 1 << 20, 100.0),
    ])  # fmt: skip
    def test_published(self, name, words, pj):
        assert cost_table(name).memory.pj(words) == pytest.approx(pj, rel=5e-3)  # as printed: 3 digits

    def test_interpolation_goes_through_its_points(self):
        ram = cost_table("lemaire2022-interp").memory
        assert [ram.pj(kib * 256) for kib in (0, 8, 32, 1024, 2048)] == [0.0, 10.0, 20.0, 100.0, 100.0]
        assert ram.pj(20 * 256) == 15.0  # half way from 8 to 32 KiB

    @pytest.mark.parametrize("name, bits", [("fp32", 32), ("int32", 32), ("fp16", 16), ("int8", 8)])
    def test_horowitz_charges_a_word_its_share_of_64_bits(self, name, bits):
        ram = cost_table(f"horowitz45-{name}").memory
        sizes = [8192, 8193, 32768, 1 << 20, (1 << 20) + 8]  # bytes
        prices = [ram.pj(math.ceil(size * 8 / bits)) for size in sizes]
        assert prices == [pj * bits / 64 for pj in (10, 20, 20, 100, 1300)]
        assert (ram.word_bits, ram.access_bits) == (bits, 64)


@st.composite
def conv_cases(draw):
    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    groups = draw(st.sampled_from([1, 2]))
    shape = (2 * groups, draw(st.integers(3, 5)), draw(st.integers(3, 5)))
    channels, padding = groups * draw(st.integers(1, 2)), (draw(st.integers(0, 1)),) * 2
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weight = rng.normal(size=(channels, shape[0] // groups, *kernel))
    bias = rng.normal(size=channels) if draw(st.booleans()) else None
    conv = Conv2d(weight, bias, stride, padding, (1, 1), groups)
    operand, neuron = draw(st.sampled_from(["binary", "real"])), draw(st.sampled_from([LIF(0.5), IF()]))
    nodes = {"x": Input(shape, operand), "conv": conv, "n": neuron}
    made = graph(nodes, "x>conv", "conv>n", outputs=("n",))
    steps, samples = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    rasters = {
        "x": (rng.random((steps, samples, *shape)) < 0.4).astype(np.int64),
        "n": (rng.random((steps, samples, *made.shapes["n"])) < 0.3).astype(np.uint8),
    }
    if operand == "real":
        rasters["x"] = rng.normal(size=rasters["x"].shape)
    return made, rasters


def conv_by_loops(made, rasters, n):
    """The printed equations, one increment at a time."""
    conv, neuron = made.nodes["conv"], made.nodes["n"]
    out = dict.fromkeys(FIELDS, 0)
    (co, ho, wo), (ci, hi, wi) = made.shapes["conv"], made.shapes["x"]
    rows, cols = conv.weight.shape[2:]
    reached = co // conv.groups
    for x in rasters["x"][:, n]:
        if made.nodes["x"].operand == "real":
            for _ in range(co * ho * wo):
                for _ in range(ci // conv.groups * rows * cols):
                    for field in ("mac", "inputs", "parameters"):
                        out[field] += 1
                out["outputs"] += 1
            out["address_acc"] += ci * hi * wi + co * ho * wo + co * rows * cols
        else:
            for _ in range(np.count_nonzero(x)):
                out["inputs"] += 1
                out["address_mac"] += 2
                for _ in range(reached):
                    for p in range(rows):
                        for q in range(cols):
                            for field in ("parameters", "potentials", "address_acc"):
                                out[field] += 1
                            out["acc"] += p % conv.stride[0] == 0 and q % conv.stride[1] == 0  # ceil(k / S)
        if conv.bias is not None:
            out["acc"] += co * ho * wo
            out["parameters"] += co * ho * wo
        out["potentials"] += co * ho * wo
        out["mac"] += co * ho * wo if isinstance(neuron, LIF) else 0  # leak
    spikes = np.count_nonzero(rasters["n"][:, n])
    out["acc"] += spikes  # resets
    out["outputs"] += spikes
    return out


@settings(max_examples=40, deadline=None)
@given(conv_cases())
def test_conv_equals_the_loops(case):
    made, rasters = case
    found = total(made, count(made, rasters))
    for n in range(rasters["x"].shape[1]):
        assert {f: int(found[f][n]) for f in FIELDS} == conv_by_loops(made, rasters, n)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.booleans(),
       st.sampled_from(["binary", "real"]), st.integers(0, 2**32 - 1))  # fmt: skip
def test_fc_equals_the_equations(ni, no, steps, biased, operand, seed):
    rng = np.random.default_rng(seed)
    fc = Affine(rng.normal(size=(no, ni)), np.ones(no) if biased else None)
    made = graph({"x": Input((ni,), operand), "fc": fc, "n": LIF(0.5)}, "x>fc", "fc>n", outputs=("n",))
    x = (rng.random((steps, 1, ni)) < 0.5).astype(np.int64)
    spikes = (rng.random((steps, 1, no)) < 0.5).astype(np.uint8)
    found = total(made, count(made, {"x": x if operand == "binary" else x * 0.5, "n": spikes}))
    theta_in, theta_out, bias = int(x.sum()), int(spikes.sum()), steps * no * biased
    want = {
        "mac": steps * no, "acc": theta_in * no + bias + theta_out, "inputs": theta_in,
        "parameters": theta_in * no + bias, "potentials": theta_in * no + steps * no, "outputs": theta_out,
        "address_mac": 0, "address_acc": theta_in * no,
    }  # fmt: skip
    if operand == "real":
        want |= {
            "mac": steps * ni * no + steps * no, "acc": bias + theta_out, "inputs": steps * ni,
            "parameters": steps * ni * no + bias, "potentials": steps * no, "outputs": steps * no + theta_out,
            "address_acc": steps * (ni + no),
        }  # fmt: skip
    assert {f: int(found[f][0]) for f in FIELDS} == want


def test_the_erratum():
    # the paper's Eq. 2 prints theta_in Ni No: 3 spikes of 4 inputs to 5 neurons would be 60 instead of 15
    made = graph({"x": Input((4,), "binary"), "fc": Affine(np.ones((5, 4))), "n": IF()},
                 "x>fc", "fc>n", outputs=("n",))  # fmt: skip
    x, n = np.zeros((1, 1, 4), int), np.zeros((1, 1, 5), np.uint8)
    x[0, 0, :3], n[0, 0, :2] = 1, 1
    assert total(made, count(made, {"x": x, "n": n}))["acc"].tolist() == [15 + 2]


def test_the_tiny_net_as_another_tool_counts_it():
    # SpikingJelly 2.0's Lemaire gives its second convolution 29280 synaptic operations for both samples; the
    # input fires at 0.44678 of 2 x 4 steps x 256 values = 915 spikes, of ceil(3 / 2)^2 x 8 = 32 each
    made = chain(Conv2d(np.ones((8, 4, 3, 3)), np.ones(8), (2, 2), (1, 1)), (4, 8, 8))
    x = np.stack([(np.arange(1024) < k).reshape(4, 4, 8, 8) for k in (458, 457)], axis=1).astype(np.uint8)
    n = np.zeros((4, 2, 8, 4, 4), np.uint8)
    counts = count(made, {"x": x, "n": n})
    found = accesses(counts, counts["w"], layers(made)["w"])
    assert round(0.44678 * 2 * 4 * 256) == 915
    assert int((found.acc - counts.of(counts["w"], "bias_adds")).sum()) == 29280


def test_priced_by_hand():
    # interp, 32-bit words: fc of 2 x 3 weights: 8 bytes -> 24 B, bias 2: 32 B; potentials 2 words: 8 B;
    # a queue of 1000 words: 4000 B.   E = B / 8192 x 10 pJ
    made = graph({"x": Input((3,), "binary"), "fc": Affine(np.ones((2, 3)), np.ones(2)), "n": LIF(0.5)},
                 "x>fc", "fc>n", outputs=("n",))  # fmt: skip
    x, n = np.zeros((2, 1, 3), int), np.zeros((2, 1, 2), np.uint8)
    x[0, 0, :2], n[1, 0, 0] = 1, 1
    counts = count(made, {"x": x, "n": n})
    items = memory(counts, layers(made), cost_table("lemaire2022-interp"))
    queue, params, potentials = (b * 10 / 8192 for b in (4000, 32, 8))
    fc = 2 * queue + (2 * 2 + 2 * 2) * params + 2 * (2 * 2) * potentials
    neurons = 2 * (2 * 2) * potentials + 1 * queue
    assert items["memory"].pj[:, 0].tolist() == pytest.approx([fc, neurons], rel=1e-12)
    assert items["addressing"].pj[:, 0].tolist() == pytest.approx([2 * 2 * 0.1, 0.0])
    assert items["operations"].pj[:, 0].tolist() == pytest.approx([(4 + 4) * 0.1, 4 * 3.2 + 1 * 0.1])
    assert items["memory"].total() == pytest.approx([fc + neurons])


def chain(node, shape, operand="binary"):
    return graph({"x": Input(shape, operand), "w": node, "n": LIF(0.5)}, "x>w", "w>n", outputs=("n",))


def run_of(made, steps=3, seed=0, rate=0.5):
    rng = np.random.default_rng(seed)
    return {name: (rng.random((steps, 2, *made.shapes[name])) < rate).astype(np.uint8)
            for name in (*made.sources(), *made.spiking())}  # fmt: skip


class TestExtensions:
    """Layers that the paper does not have, by the statements of energy/accesses.py."""

    def test_a_channel_mix_is_a_1x1_convolution(self):
        mix, conv = ChannelMix(np.ones((4, 3)), np.ones(4)), Conv2d(np.ones((4, 3, 1, 1)), np.ones(4))
        a, b = chain(mix, (3, 2, 2)), chain(conv, (3, 2, 2))
        rasters = run_of(a)
        one, other = total(a, count(a, rasters)), total(b, count(b, rasters))
        assert all(np.array_equal(one[f], other[f]) for f in FIELDS) and one["acc"].all()

    def test_a_convolution_over_steps_is_a_kernel_of_its_taps(self):
        made = chain(StepConv(np.ones((4, 3, 2))), (3, 5))
        counts = count(made, run_of(made))
        found = accesses(counts, counts["w"], layers(made)["w"])
        assert np.array_equal(found.parameters, counts.of(counts["w"], "nnz_in") * 4 * 2)

    def test_two_layers_into_one_neuron_pay_its_leak_once(self):
        nodes = {"x": Input((3,), "binary"), "a": Affine(np.ones((2, 3))), "b": Affine(np.ones((2, 3))),
                 "sum": Add(), "n": LIF(0.5)}  # fmt: skip
        made = graph(nodes, "x>a", "x>b", "a>sum", "b>sum", "sum>n", outputs=("n",))
        rasters = run_of(made)
        found = total(made, count(made, rasters))
        assert found["mac"].tolist() == [3 * 2, 3 * 2]
        assert (
            memory(count(made, rasters), layers(made), cost_table("lemaire2022-leat"))["memory"].reasons == {}
        )

    def test_a_neuron_with_a_current_has_two_memories(self):
        made = graph({"x": Input((3,), "binary"), "w": Affine(np.ones((2, 3))), "n": CubaLIF(0.5, 0.5)},
                     "x>w", "w>n", outputs=("n",))  # fmt: skip
        counts = count(made, run_of(made))
        found = accesses(counts, counts["n"], layers(made)["n"])
        assert found.potentials.tolist() == [2 * 2 * 3] * 2 and found.mac.tolist() == [2 * 2 * 3] * 2

    @pytest.mark.parametrize("model, states, adds", [
        (LoihiLIF(9, 5), 1, 0), (LoihiLIF(9, 5, bias_mant=np.ones(2, int)), 1, 1),
        (LoihiLIF(9, 5, du=7), 2, 0), (LoihiLIFRefractory(9, 5, 2), 2, 0),
        (LoihiLIFRefractory(9, 5, 2, du=7), 3, 0),
    ])  # fmt: skip
    def test_a_neuron_of_loihi_keeps_what_it_needs_and_adds_a_bias_where_it_has_one(
        self, model, states, adds
    ):
        populations = {
            "x": Population("x", (3,), Input((3,), "binary")), "n": Population("n", (2,), model, 1),
        }  # fmt: skip
        into = Projection("in", "x", "n", DenseWeights(np.ones((2, 3), np.int8)))
        made = Program(populations, (into,), ("n",))
        n = np.array([[[1, 0]], [[1, 1]]], np.uint8)
        counts = count_program(made, {"x": np.ones((2, 1, 3), np.uint8), "n": n})
        found = accesses(counts, counts["n"], layers(made)["n"])
        assert found.potentials.tolist() == [2 * 2 * states] and found.parameters.tolist() == [2 * 2 * adds]
        assert found.acc.tolist() == [3 + 2 * 2 * adds]  # 3 resets

    def test_a_graph_convolution_reads_each_value_that_it_mixes(self):
        made = chain(GraphConv(np.ones((2, 4, 3)), np.ones((2, 5, 5))), (3, 5))
        counts = count(made, run_of(made, rate=0.2))
        known = layers(made)
        mix, spread = (
            accesses(counts, counts[f"w.{item}"], known[f"w.{item}"]) for item in ("mix", "adjacency")
        )
        assert np.array_equal(mix.parameters, counts.of(counts["w.mix"], "nnz_in") * 2 * 4)
        assert np.array_equal(spread.mac, counts.of(counts["w.adjacency"], "mac")) and spread.mac.all()
        assert np.array_equal(spread.potentials, spread.mac) and not spread.acc.any()

    def test_a_product_reads_its_right_operand(self):
        nodes = {
            "x": Input((2, 3), "binary"),
            "y": Input((3, 4), "binary"),
            "p": SpikeMatMul(),
            "n": LIF(0.5),
        }
        made = graph(nodes, "x>p", "y>p", "p>n", outputs=("n",))
        counts, known = count(made, run_of(made)), layers(made)
        found = accesses(counts, counts["p"], known["p"])
        met = counts.of(counts["p"], "ac")
        assert met.all() and np.array_equal(found.parameters, met) and np.array_equal(found.acc, met)
        assert (known["p"].weights, known["p"].outputs) == (12, 8)

    def test_a_pool_that_is_not_folded_adds_up(self):
        nodes = {
            "x": Input((1, 4, 4), "real"),
            "pool": AvgPool2d((2, 2), (2, 2)),
            "w": Affine(np.ones((2, 4))),
        }
        made = graph(nodes, "x>pool", "pool>w", outputs=("w",))
        counts, known = count(made, {"x": np.ones((1, 1, 1, 4, 4))}), layers(made)
        found = accesses(counts, counts["pool"], known["pool"])
        assert found.acc.tolist() == [3 * 4] and found.potentials.tolist() == [3 * 4]
        assert known["pool"].weights == 0  # a mean has no parameters: reading none costs nothing

    def test_graded_spikes_multiply(self):
        made = chain(Affine(np.ones((2, 3))), (3,), "graded")
        counts = count(made, {"x": np.array([[[5, 0, -2]]]), "n": np.zeros((1, 1, 2), np.uint8)})
        found = accesses(counts, counts["w"], layers(made)["w"])
        assert (found.mac.tolist(), found.acc.tolist(), found.inputs.tolist()) == ([4], [0], [2])

    def test_a_program(self):
        into = np.array([[1, 0], [2, 3]], np.int8)
        sparse = SparseWeights(np.array([0, 1, 3]), np.array([0, 0, 1]), np.array([1, 1, 1], np.int8), (2, 2))
        lif = LoihiLIF(dv=0, vth=1)
        populations = {
            "x": Population("x", (2,), Input((2,), "binary")), "a": Population("a", (2,), lif, 1),
            "b": Population("b", (2,), lif, 2),
        }  # fmt: skip
        projections = (Projection("0", "x", "a", DenseWeights(into)), Projection("1", "a", "b", sparse))
        made = Program(populations, projections, ("b",))
        rasters = {"x": np.ones((1, 1, 2), np.uint8), "a": np.ones((1, 1, 2), np.uint8),
                   "b": np.zeros((1, 1, 2), np.uint8)}  # fmt: skip
        counts = count_program(made, rasters)
        known = layers(made)
        dense, listed = (accesses(counts, counts[name], known[name]) for name in ("0", "1"))
        assert (dense.acc.tolist(), dense.parameters.tolist(), dense.address_acc.tolist()) == ([4], [4], [4])
        assert (listed.acc.tolist(), listed.inputs.tolist()) == ([3], [2])
        assert (known["0"].weights, known["1"].weights, known["a"].states) == (4, 3, 1)


class TestUnknownIsNotZero:
    def test_a_line_of_unknown_sizes_is_nan_with_its_reason(self):
        made = chain(Affine(np.ones((2, 3))), (3,))
        counts = count(made, run_of(made))
        for known, why in (({}, "its sizes are not known"), ({"w": "no torch layer"}, "no torch layer")):
            items = memory(counts, {"n": layers(made)["n"], **known}, cost_table("lemaire2022-interp"))
            for name in ITEMS:
                assert np.isnan(items[name].pj[0]).all() and not np.isnan(items[name].pj[1]).any()
                assert items[name].total() is None and items[name].reason == f"w: {why}"

    def test_a_folded_pool_and_a_sum_reach_no_memory_of_their_own(self):
        nodes = {
            "x": Input((1, 4, 4), "binary"),
            "pool": AvgPool2d((2, 2), (2, 2)),
            "w": Affine(np.ones((2, 4))),
        }
        made = graph(nodes, "x>pool", "pool>w", outputs=("w",))
        counts = count(made, run_of(made))
        item = memory(counts, layers(made), cost_table("lemaire2022-interp"))["memory"]
        assert item.reasons == {} and item.pj[0].tolist() == [0.0, 0.0] and item.pj[1].all()

    def test_a_table_without_memory(self):
        made = chain(Affine(np.ones((2, 3))), (3,))
        item = memory(count(made, run_of(made)), layers(made), cost_table("loihi1-davies2018"))["memory"]
        assert item.total() is None and item.reason == "loihi1-davies2018 prices no memory"


def test_batches_may_be_cut_anywhere():
    made = chain(Conv2d(np.ones((2, 2, 3, 3)), np.ones(2), padding=(1, 1)), (2, 4, 4))
    rasters = run_of(made)
    whole = memory(count(made, rasters), layers(made), cost_table("lemaire2022-leat"))
    parts = joined([count(made, {k: r[:, n : n + 1] for k, r in rasters.items()}) for n in range(2)])
    again = memory(parts, layers(made), cost_table("lemaire2022-leat"))
    for name in ITEMS:
        assert np.array_equal(whole[name].pj, again[name].pj) and whole[name].pj.any()
