"""Counts that fit in a comment, and relations that always hold."""

from dataclasses import dataclass

import numpy as np
import pytest

from convert.ir import (
    IF,
    LIF,
    Add,
    Affine,
    AvgPool2d,
    BadInput,
    BatchNorm,
    Conv2d,
    CubaLIF,
    Delay,
    Graph,
    GraphConv,
    Input,
    JointMean,
    LeakyIntegrator,
    LoihiDelta,
    LoihiIntegrator,
    LoihiLIF,
    LoihiLIFRefractory,
    LoihiLIFReset,
    LoihiRF,
    LoihiRFIZ,
    LoihiSigma,
    LoihiSigmaDelta,
    LoihiTernaryLIF,
    Reshape,
    StepConv,
)
from convert.ir.node import LinearNode
from energy.counts import count, counter
from energy.line import COUNTS, Options, joined
from energy.updates import neuron_ops, updates


def graph(nodes, *edges, outputs):
    return Graph(nodes, tuple(e.split(">") for e in edges), outputs, "folded")


def three_two():
    nodes = {
        "x": Input((3,), "binary"),
        "fc": Affine(np.array([[1.0, 0, 2], [3, 0, 4]]), np.ones(2)),
        "lif": LIF(0.5),
    }
    return graph(nodes, "x>fc", "fc>lif", outputs=("lif",))


def test_three_two_net_with_four_spikes():
    # 3 inputs, 2 neurons, 2 steps; spikes: t0: inputs 0 and 1, t1: inputs 0 and 2          = 4 spikes
    # each spike passes 2 synapses = 8 ACs; input 1 has zero weights: 6 through non-zero ones
    # dense 3 x 2 x 2 steps = 12; bias 2 x 2 = 4; neuron 2 x 2 steps x (1 multiply, 1 add, 1 compare)
    # rate 4 / 6, so the papers say 4/6 x 2 x 6 = 8
    x = np.array([[[1, 1, 0]], [[1, 0, 1]]])
    lif = np.array([[[0, 1]], [[1, 1]]], np.uint8)
    c = count(three_two(), {"x": x, "lif": lif})
    want = {
        "nnz_in": 4, "dense_mac": 12, "dense_mac_inbounds": 12, "sop_exact": 8, "sop_nonzero": 6, "ac": 8,
        "mac": 0,
        "bias_adds": 4, "spikes_out": 3, "neuron_steps": 4, "neuron_multiplies": 4, "neuron_adds": 4,
        "neuron_compares": 4, "pool_adds": 0, "residual_adds": 0, "scale_macs": 0,
    }  # fmt: skip
    assert {f: c.total(f).tolist() for f in COUNTS} == {f: [n] for f, n in want.items()}
    assert all(c.of(line, f).dtype == np.int64 for line in c.lines for f in COUNTS)
    assert c["fc"].measures["firing_rate"].tolist() == [4 / 6]
    assert c["fc"].measures["sop_paper"].tolist() == pytest.approx([8.0], rel=1e-15)
    assert count(three_two(), {"x": x, "lif": lif}, Options(zero_weights=False)).total("ac").tolist() == [6]


def test_no_spikes_no_operations():
    zero = {"x": np.zeros((2, 3, 3), int), "lif": np.zeros((2, 3, 2), np.uint8)}
    c = count(three_two(), zero)
    assert c.total("sop_exact").tolist() == [0, 0, 0] and c.paper().tolist() == [0.0, 0.0, 0.0]
    assert c["fc"].classes.tolist() == [0, 0, 0]  # silent spikes are still binary
    assert c.total("dense_mac").tolist() == [12, 12, 12]


def test_real_zeros_are_no_operations():
    g = graph({"x": Input((3,)), "fc": Affine(np.ones((2, 3)))}, "x>fc", outputs=("fc",))
    c = count(g, {"x": np.array([[[0.5, 0.0, -2.0]]])})
    assert (c.total("mac")[0], c.total("ac")[0], c["fc"].spike_input) == (4, 0, False)
    assert c["fc"].measures["sop_paper"].tolist() == [6.0]  # the papers charge a real layer densely


def test_graph_conv_stages():
    # C 2, V 3, out 4, K 1; spikes at (c0, u0), (c1, u0), (c0, u2): mix 3 x 4 = 12 ACs on spikes;
    # 2 joints active -> 2 x 4 real values, each through V = 3 adjacency entries: 24 MACs; 8 at entries not 0
    adjacency = np.array([[[1.0, 0, 0], [1, 1, 0], [0, 0, 1]]])
    nodes = {"x": Input((2, 3), "binary"), "gc": GraphConv(np.ones((1, 4, 2)), adjacency, np.ones(4))}
    g = graph(nodes, "x>gc", outputs=("gc",))
    x = np.array([[1, 0, 1], [1, 0, 0]])[None, None]
    c = count(g, {"x": x})
    mix, spread = c["gc.mix"], c["gc.adjacency"]
    assert (c.of(mix, "ac")[0], c.of(mix, "mac")[0]) == (12, 0)
    assert (c.of(spread, "ac")[0], c.of(spread, "mac")[0], c.of(spread, "nnz_in")[0]) == (0, 24, 8)
    assert spread.measures["firing_rate"].tolist() == [8 / 12]
    assert (spread.measures["sop_paper"][0], spread.spike_input) == (0.5 * 36, True)
    assert c.total("bias_adds")[0] == 12  # once, though there are two stages
    skipped = count(g, {"x": x}, Options(skip_zero_adjacency=True))
    assert skipped.total("mac")[0] == 8 and skipped.total("sop_exact")[0] == 36


def test_step_conv_and_delay_lose_what_comes_too_late():
    # 3 steps, one spike each; 2 taps: 2 + 2 + 1 = 5. Delayed by one step only the first two arrive: 2 + 1 = 3
    for delay, want in ((0, 5), (1, 3), (2, 1), (3, 0)):
        nodes = {"x": Input((1,), "binary"), "wait": Delay(delay), "sc": StepConv(np.ones((1, 1, 2)))}
        c = count(graph(nodes, "x>wait", "wait>sc", outputs=("sc",)), {"x": np.ones((3, 1, 1), int)})
        assert c.total("ac").tolist() == [want]


def residual():
    nodes = {
        "a": Input((2,), "binary"), "b": Input((2,), "binary"), "sum": Add(), "fc": Affine(np.ones((3, 2))),
    }  # fmt: skip
    return graph(nodes, "a>sum", "b>sum", "sum>fc", outputs=("fc",))


def test_residual_sums_are_integers_where_spikes_meet():
    # sample 0: sum (2, 1): 2 x 3 MACs; sample 1: sum (1, 1): 2 x 3 ACs; the sum itself 2 adds a step
    a, b = np.array([[[1, 0], [1, 0]]]), np.array([[[1, 1], [0, 1]]])
    c = count(residual(), {"a": a, "b": b})
    assert (c.total("mac").tolist(), c.total("ac").tolist()) == ([6, 0], [0, 6])
    assert c.total("residual_adds").tolist() == [2, 2]
    assert c["fc"].measures["mean_value"].tolist() == [1.5, 1.0] and c["fc"].spike_input
    by_class = {k: v.tolist() for k, v in c.by_class().items()}
    assert by_class == {"binary": [0, 6], "ternary": [0, 0], "integer": [6, 0], "real": [0, 0]}


def pooled():
    nodes = {
        "x": Input((1, 5, 4), "binary"), "pool": AvgPool2d((2, 2), (2, 2)), "flat": Reshape((4,)),
        "fc": Affine(np.array([[1.0, 1, 0, 1], [1, 1, 1, 1]])),
    }  # fmt: skip
    return graph(nodes, "x>pool", "pool>flat", "flat>fc", outputs=("fc",))


def test_pool_folded_and_not():
    # spikes: 3 in window 0, 1 in window 2 (a zero weight there), 1 in the dropped fifth row
    x = np.zeros((1, 5, 4), int)
    x[0, 0, :2] = x[0, 1, 0] = x[0, 2, 0] = x[0, 4, 3] = 1
    folded = count(pooled(), {"x": x[None, None]})
    assert (folded.total("ac")[0], folded.total("mac")[0], folded.total("pool_adds")[0]) == (8, 0, 0)
    assert folded.total("sop_nonzero")[0] == 3 * 2 + 1
    real = count(pooled(), {"x": x[None, None]}, Options(fold_pool=False))
    assert (real.total("ac")[0], real.total("mac")[0], real.total("pool_adds")[0]) == (0, 4, 3 * 4)
    for c in (folded, real):  # the papers' rate does not depend on folding: 4 of 16 kept positions
        assert c["fc"].measures["sop_paper"].tolist() == [0.25 * 8] and c["fc"].spike_input


def test_joint_mean_folds_into_what_reads_it():
    nodes = {"x": Input((2, 3), "binary"), "mean": JointMean(), "fc": Affine(np.ones((5, 2)))}
    c = count(graph(nodes, "x>mean", "mean>fc", outputs=("fc",)), {"x": np.ones((4, 1, 2, 3), int)})
    assert c.total("ac").tolist() == [4 * 6 * 5]


def test_unrecorded_operands_are_counted_dense_and_marked():
    nodes = {"x": Input((2,), "binary"), "one": Affine(np.ones((3, 2))), "two": Affine(np.eye(3))}
    c = count(graph(nodes, "x>one", "one>two", outputs=("two",)), {"x": np.zeros((2, 1, 2), int)})
    assert c["two"].assumed_dense and not c["one"].assumed_dense
    assert c.of(c["two"], "mac").tolist() == [18] and c.of(c["two"], "sop_nonzero").tolist() == [6]
    assert np.isnan(c["two"].measures["mean_value"][0])


def test_counts_above_2_24_and_2_31_stay_exact():
    n = 4099  # 4099^2 = 16 801 801: odd, above 2^24, float32 says 16 801 800
    nodes = {"x": Input((n,), "binary"), "fc": Affine(np.ones((n, n), np.int8))}
    c = count(graph(nodes, "x>fc", outputs=("fc",)), {"x": np.ones((1, 1, n), np.uint8)})
    assert c.total("ac").tolist() == [16_801_801]
    nodes = {
        "x": Input((64, 112, 112), "binary"),
        "conv": Conv2d(np.ones((128, 64, 3, 3), np.int8), padding=(1, 1)),
    }
    c = count(graph(nodes, "x>conv", outputs=("conv",)), {"x": np.ones((4, 1, 64, 112, 112), np.uint8)})
    assert c.total("ac").tolist() == [4 * 64 * 128 * (3 * 112 - 2) ** 2]  # 3 655 467 008 > 2^31
    assert c.total("ac")[0] > 1 << 31


@pytest.mark.parametrize("node, want", [
    (LIF(0.5), (1, 1, 1)), (LIF(0.5, bias=np.ones(3)), (1, 2, 1)), (CubaLIF(0.5, 0.5), (2, 2, 1)),
    (IF(), (0, 1, 1)),
    (LeakyIntegrator(0.1), (1, 1, 0)), (LoihiLIF(128, 10), (1, 1, 1)), (LoihiLIF(128, 10, du=7), (2, 2, 1)),
    (LoihiLIF(128, 10, bias_mant=np.ones(3, int)), (1, 2, 1)), (LoihiIntegrator(0), (1, 1, 1)),
    (LoihiLIF(128, 10, du=np.array([4095, 4095, 7])), (2, 2, 1)),
    (LoihiLIF(128, 10, du=np.full(3, 4095)), (1, 1, 1)), (LoihiLIFReset(0, 1, 3), (1, 1, 1)),
    (LoihiTernaryLIF(0, 5, -5), (1, 1, 2)), (LoihiLIFRefractory(0, 5, 2), (1, 2, 2)),
    (LoihiRF(100, 200, 5), (4, 4, 3)), (LoihiRFIZ(100, 200, 5), (4, 4, 1)),
    (LoihiDelta(5), (0, 2, 1)), (LoihiDelta(5, cum_error=True), (0, 3, 1)), (LoihiSigma(), (0, 1, 0)),
    (LoihiSigmaDelta(5), (0, 3, 2)), (LoihiSigmaDelta(5, bias=3, act="unit"), (0, 4, 1)),
])  # fmt: skip
def test_neuron_equations(node, want):
    ops = neuron_ops(node, 3)
    assert ops == dict(zip(
        ("neuron_steps", "neuron_multiplies", "neuron_adds", "neuron_compares"), (3, *(3 * n for n in want)),
        strict=True,
    ))  # fmt: skip


def test_unfolded_batch_norm_has_its_own_column():
    one = np.ones(2)
    assert updates(BatchNorm(one, one, one, one), ((2, 5),), (2, 5)) == {"scale_macs": 10}


@dataclass(frozen=True, eq=False)
class Swirl(LinearNode):
    """A node nobody knows."""

    def out_shape(self, name, *in_shapes):
        return in_shapes[0]


def test_unknown_nodes_are_listed_with_their_share():
    nodes = {"x": Input((3,), "binary"), "swirl": Swirl(), "fc": Affine(np.ones((1, 3)))}
    c = count(graph(nodes, "x>swirl", "swirl>fc", outputs=("fc",)), {"x": np.ones((1, 1, 3), int)})
    (left,) = c.uncounted
    assert (left.node, left.type, left.share) == ("swirl", "Swirl", 0.75)
    assert c.coverage()["counted_share"] == 0.25 and c["fc"].assumed_dense


def test_counts_do_not_depend_on_the_cut_of_batches():
    rng = np.random.default_rng(1)
    g = graph(
        {"x": Input((3, 5)), "sc": StepConv(rng.normal(size=(2, 3, 2))), "lif": LIF(0.5), "mean": JointMean(),
         "fc": Affine(np.ones((4, 2)))},
        "x>sc", "sc>lif", "lif>mean", "mean>fc", outputs=("fc",),
    )  # fmt: skip
    rasters = {"x": rng.normal(size=(6, 7, 3, 5)), "lif": rng.integers(0, 2, (6, 7, 2, 5), np.uint8)}
    whole, parts = counter(g), []
    for start, end in ((0, 1), (1, 4), (4, 7)):
        parts.append(whole.count({n: r[:, start:end] for n, r in rasters.items()}))
    one, many = whole.count(rasters), joined(parts)
    assert one.total("ac").all() and one.total("mac").all()
    for a, b in zip(one.lines, many.lines, strict=True):
        assert all(np.array_equal(one.of(a, f), many.of(b, f)) for f in COUNTS)
        assert a.measures is None or all(np.array_equal(a.measures[f], b.measures[f]) for f in a.measures)


def test_unknown_names_are_refused():
    c = count(three_two(), {"x": np.ones((1, 1, 3), int), "lif": np.ones((1, 1, 2), np.uint8)})
    with pytest.raises(BadInput, match="nope: no such line; known: fc, lif"):
        c["nope"]
    with pytest.raises(BadInput, match="no count 'flops'"):
        c.of(c["fc"], "flops")
    assert counter(three_two()).rasters == ("x", "lif")
