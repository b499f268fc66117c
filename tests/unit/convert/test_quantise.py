"""Quantising: integers worked by hand, ranges kept, spikes close to the float graph's, refusals by name."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from convert.ir import (
    LIF,
    Add,
    Affine,
    AvgPool2d,
    ChannelMix,
    ChannelScale,
    Conv2d,
    CubaLIF,
    Delay,
    Graph,
    GraphConv,
    Input,
    LeakyIntegrator,
    LoihiIntegrator,
    LoihiLIF,
    Permute,
    SpikeMatMul,
    StageError,
    StepConv,
    Unsupported,
    check,
)
from convert.ir.loihi import STATE_SHIFT
from convert.passes.fold_batchnorm import FOLD_BATCHNORM
from convert.passes.lower import lower
from convert.passes.quantise import Calibration, Quantise
from deploy.calibration import calibrate
from deploy.reference import values


def chain(**nodes):
    names = list(nodes)
    return Graph(nodes, tuple(pairwise(names)), (names[-1],), "folded")


def calibration(peak, **rate):
    return Calibration(peak, {n: np.asarray(r, float) for n, r in rate.items()})


# The 24-bit membrane holds 2^23 / 2^6 = 2^17 = 131072 counts of input; divided by headroom * peak it is the
# largest scale S. A peak of 512 at headroom 2 gives S = 128; the weights alone would allow 254.99 / |w|.
S128 = 512.0


def test_a_layer_by_hand():
    """S = 128. Weight 1 is 128 counts: one exponent up, 64 << 1; -0.5 is -32 << 1, without error, so that no
    other scale is better. vth = 128. dv = 4096 / 4. Bias 0.25 is 0.25 * 128 * 64 = 2048, 13 bits hold it."""
    graph = chain(input=Input((2,), "binary"), fc=Affine([[1.0, -0.5]], [0.25]), lif=LIF(0.25))
    got = Quantise(calibration({"input": 1.0, "lif": S128}, input=[0.5, 0.5]))(graph)
    fc, lif = got.nodes["fc"], got.nodes["lif"]
    assert (fc.weight.tolist(), fc.weight.dtype, fc.weight_exp, fc.bias) == ([[64, -32]], np.int8, 1, None)
    assert (lif.vth, lif.dv, lif.du, lif.bias_mant.tolist(), lif.bias_exp) == (128, 1024, 4095, [2048], 0)


def test_a_bias_that_needs_an_exponent_by_hand():
    """Bias 1 is 8192 counts of v; 8192 / 4 = 2048 is the first that 12 bits hold (8192 / 2 = 4096 > 4095)."""
    graph = chain(input=Input((1,), "binary"), fc=Affine([[1.0]], [1.0]), lif=LIF(0.5))
    lif = Quantise(calibration({"input": 1.0, "lif": S128}, input=[0.5]))(graph).nodes["lif"]
    assert (lif.bias_mant.tolist(), lif.bias_exp) == ([2048], 2)


def test_a_real_input_by_hand():
    """Peak 127 / 8 makes a count 1 / 8. Weight 1 is 1/8 per count; S = 128 gives 16 counts, refined by a
    right shift: 16 = 64 >> 2 ... until 7 bits are full: 16 / 2^-2 = 64, 16 / 2^-3 = 128 is one too many."""
    graph = chain(input=Input((1,)), fc=Affine([[1.0]]), out=LeakyIntegrator(0.5))
    got = Quantise(calibration({"input": 127 / 8, "out": S128}, input=[0.5]))(graph)
    source, fc, out = (got.nodes[n] for n in ("input", "fc", "out"))
    assert (source.operand, source.scale, source.bits) == ("graded", 0.125, 8)
    assert (fc.weight.tolist(), fc.weight_exp) == ([[64]], -2)
    assert isinstance(out, LoihiIntegrator)
    assert (out.dv, out.du, out.vth) == (2048, 4095, 131071)
    assert out.unit == 1 / (128 * 64)


def test_a_current_state_by_hand():
    """dec takes du + 1: du = 0.25 is 4096 / 4 - 1."""
    graph = chain(input=Input((1,), "binary"), fc=Affine([[1.0]]), lif=CubaLIF(0.25, 1.0, 2.0))
    lif = Quantise(calibration({"input": 1.0, "lif": S128}, input=[0.5]))(graph).nodes["lif"]
    assert (lif.du, lif.dv, lif.vth) == (1023, 4096, 256)


def test_two_branches_have_one_scale_and_two_exponents():
    """A residual of 1 and weights of 1/8: the finest branch sets the scale, the other takes an exponent more.
    S = 128 (membrane): residual 128 = 64 << 1, the branch 16 << 0."""
    nodes = {"input": Input((1, 2), "binary"), "mix": ChannelMix([[0.125]]), "sum": Add(), "lif": LIF(0.5)}
    edges = (("input", "mix"), ("mix", "sum"), ("input", "sum"), ("sum", "lif"))
    graph = Graph(nodes, edges, ("lif",), "folded")
    got = Quantise(calibration({"input": 1.0, "lif": S128}, input=[[0.5, 0.5]]))(graph)
    scale = got.nodes["lif.residual"]
    assert isinstance(scale, ChannelScale)
    assert (scale.scale.tolist(), scale.weight_exp) == ([64], 1)
    assert (got.nodes["mix"].weight.tolist(), got.nodes["mix"].weight_exp) == ([[16]], 0)
    assert got.inputs_of("lif") == ("lif.sum",)


def test_ranges(case, integer_of):
    """Weights fit 8 bits without -128, every register its width; the graph is legal and its names stay."""
    graph = check(integer_of(case.name).graph)
    assert set(graph.neurons()) == set(case.graph.neurons())
    assert graph.outputs == case.graph.outputs
    assert graph.dt_s == case.graph.dt_s
    weights = [(n, k) for n, k, _ in graph if hasattr(k, "weight_exp")]
    assert weights
    for name, node in weights:
        weight = getattr(node, "weight", getattr(node, "scale", None))
        assert weight.dtype == np.int8
        assert 64 <= np.abs(weight.astype(int)).max() <= 127 or node.weight_exp in (0, -8), name
        assert -8 <= node.weight_exp <= 8
    for name in graph.neurons():
        node, was = graph.nodes[name], case.graph.nodes[name]
        assert isinstance(node, LoihiLIF if was.spiking else LoihiIntegrator)
        assert 0 < node.vth < 1 << 17
        assert node.dv == round(4096 * was.dv)
        assert node.du == round(4096 * was.du) - 1
        assert np.all(np.abs(node.bias) <= 4096 << 7)


def test_rates_stay_close(case, integer_of):
    """On data the calibration has not seen, every layer's mean rate is within 0.02 of the float one, and no
    neuron's rate off by more than 0.15: 8-bit weights move a membrane by at most 1 % of the threshold or so,
    so few spikes flip, and flips in either direction cancel in the mean."""
    x = case.x(30, 20, seed=5)
    want, got = values(case.graph, x), values(integer_of(case.name).graph, x)
    assert case.graph.spiking()
    for name in case.graph.spiking():
        assert 0.02 < want[name].mean() < 0.9, "vacuous case"
        assert abs(want[name].mean() - got[name].mean()) < 0.02
        assert np.abs(want[name].mean(axis=(0, 1)) - got[name].mean(axis=(0, 1))).max() < 0.15


def test_a_readout_comes_back_in_float_units(graph_cases, integer_of):
    """v * unit is the float readout: within 6 % of the largest on a graph of one or two hidden layers, whose
    spikes flip here and there; without `unit` the two are 2^13 apart."""
    seen = 0
    for case in graph_cases.values():
        integer, x = integer_of(case.name).graph, case.x(20, 10, seed=6)
        want, got = values(case.graph, x), values(integer, x)
        for name in (n for n in integer.outputs if not integer.nodes[n].spiking):
            off = got[name] * integer.nodes[name].unit - want[name]
            assert np.sqrt(np.mean(off**2)) < 0.06 * np.abs(want[name]).max(), case.name
            seen += 1
    assert seen >= 5


def test_dyadic_weights_lose_nothing(integer_of, graph_cases):
    """Quarters are integers times a power of two where the scale is one: every spike equals the float
    graph's, on the threshold too. S is forced to a power of two by peak and headroom."""
    graph = graph_cases["on-threshold"].graph
    known = calibrate(graph, graph_cases["on-threshold"].x(20, 10))
    peaks = {n: 1.0 if n == "input" else S128 for n in known.peak}
    integer = Quantise(replace(known, peak=peaks))(graph)
    x = graph_cases["on-threshold"].x(40, 20, seed=3)
    want, got = values(graph, x), values(integer, x)
    for name in graph.spiking():
        assert want[name].any(), "vacuous case"
        np.testing.assert_array_equal(got[name], want[name])
    np.testing.assert_array_equal(got["out"] * integer.nodes["out"].unit, want["out"])


def test_fewer_bits(case):
    """4 bits: mantissas up to 7, and a larger weight error than 8 bits in every layer, as reported."""
    known = calibrate(case.graph, case.x(20, 8))
    coarse, fine = Quantise(known, bits=4), Quantise(known)
    graph = coarse(case.graph)
    fine(case.graph)
    for _, node, _ in graph:
        if hasattr(node, "weight_exp"):
            assert np.abs(getattr(node, "weight", getattr(node, "scale", None)).astype(int)).max() <= 7
    assert [r.neuron for r in coarse.report] == list(case.graph.neurons()) == [r.neuron for r in fine.report]
    for low, high in zip(coarse.report, fine.report, strict=True):
        assert low.weight_error >= high.weight_error
        assert high.weight_error < 0.02  # one part in 127, uniform: 0.3 % of the peak, the peak is some rms
    assert any(low.weight_error > 0.02 for low in coarse.report) or case.exact
    x = case.x(20, 10, seed=4)
    assert all(values(graph, x)[n].any() for n in graph.spiking()), "4 bits silence a layer"


def test_the_report_says_what_was_done(case):
    run = Quantise(calibrate(case.graph, case.x(20, 8)))
    graph = run(case.graph)
    for report in run.report:
        node = graph.nodes[report.neuron]
        assert report.scale > 0
        if node.spiking:
            assert report.vth == node.vth == round(case.graph.nodes[report.neuron].threshold * report.scale)


def drifting(bias):
    """Weights that round down in 4 bits: 0.46 of a step is lost at each of 12 inputs."""
    weight = np.full((1, 12), 1.46 / 7)
    weight[0, 0] = 1.0
    return chain(input=Input((12,), "binary"), fc=Affine(weight, bias), lif=LIF(0.5, 1.0))


def test_drift_goes_into_the_bias_where_there_is_one():
    """The mean current at the measured rates is the float graph's again, to the bias's own rounding; a layer
    without a bias gets none: nothing is invented."""
    rate = np.linspace(0.2, 0.8, 12)
    known = calibration({"input": 1.0, "lif": 3.0}, input=rate)
    graph = drifting([0.1])
    run = Quantise(known, bits=4)
    integer = run(graph)
    scale = run.report[0].scale
    fc, lif = integer.nodes["fc"], integer.nodes["lif"]
    current = (fc.weight.astype(float) * 2.0**fc.weight_exp) @ rate + lif.bias / (1 << STATE_SHIFT)
    wanted = (graph.nodes["fc"].weight @ rate + 0.1) * scale
    plain = (fc.weight.astype(float) * 2.0**fc.weight_exp) @ rate + 0.1 * scale
    step = 2.0**lif.bias_exp / (1 << STATE_SHIFT)
    assert np.abs(current - wanted).max() <= step
    assert np.abs(plain - wanted).max() > 4 * step, "vacuous case: nothing drifted"
    assert Quantise(known, bits=4)(drifting(None)).nodes["lif"].bias_mant is None


def test_a_large_bias_lowers_the_scale():
    """Fine weights alone would take a scale at which a bias of 3 leaves 13 bits and exponent 7."""
    graph = chain(input=Input((2,), "binary"), fc=Affine([[0.001, 0.002]], [3.0]), lif=LIF(0.5, 4.0))
    lif = Quantise(calibration({"input": 1.0, "lif": 6.0}, input=[0.5, 0.5]))(graph).nodes["lif"]
    assert lif.bias_exp <= 7
    np.testing.assert_allclose(lif.bias / (lif.vth << STATE_SHIFT), 3 / 4, rtol=1e-3)  # 13 and 17 bits


def test_convolutions_stay_and_composites_become_dense(integer_of):
    conv, graph = integer_of("conv").graph, integer_of("graph-conv").graph
    assert isinstance(conv.nodes["conv"], Conv2d)
    assert isinstance(conv.nodes["head"], Affine)
    assert conv.nodes["head"].weight.shape == (3, 8 * 4 * 4)  # pool, flat and head are one matrix
    assert isinstance(graph.nodes["graph"], Affine)
    assert isinstance(graph.nodes["branch"], ChannelMix)
    assert isinstance(graph.nodes["norm2"], ChannelScale)
    assert not any(
        isinstance(n, GraphConv | AvgPool2d) for n in (*conv.nodes.values(), *graph.nodes.values())
    )


GOOD = {"input": 1.0, "lif": 2.0}


def refused(graph, words, peak=None, rate=(0.5, 0.5), **options):
    with pytest.raises(Unsupported, match=words) as caught:
        Quantise(calibration(peak or GOOD, input=rate), **options)(graph)
    assert caught.value.exit_code == 4
    assert caught.value.remedy


def test_refusals():
    """Each names the layer, the reason and a remedy; nothing is approximated instead."""
    two = Input((2,), "binary")
    refused(
        chain(input=two, fc=Affine(np.zeros((1, 2))), lif=LIF(0.5)),
        "^lif: the weights from input are all zero; remove the branch",
    )
    refused(
        chain(input=two, fc=Affine([[1.0, 1.0]]), lif=CubaLIF(1e-5, 0.5)), "^lif: du = 1e-05 rounds below"
    )
    refused(
        chain(input=two, fc=Affine([[1.0, 1.0]]), lif=LIF(0.5, 1e6)),
        "^lif: the weights from input, at most 1, round to 0 where its threshold fits 17 bits",
    )
    refused(chain(input=two, fc=Affine([[1.0, 1.0]], [0.5]), lif=CubaLIF(0.5, 0.5)),
            "^lif: a bias before a neuron with a current state")  # fmt: skip
    moved = chain(
        input=two, mix=ChannelMix(np.eye(2), np.ones(2)), steps=StepConv(np.ones((2, 2, 2))), lif=LIF(0.5)
    )
    refused(moved, "^steps: ")
    nodes = {
        "input": two,
        "a": Affine(np.eye(2) * 1e-4),
        "b": Affine(np.eye(2)),
        "sum": Add(),
        "lif": LIF(0.5, 1e-3),
    }
    edges = (("input", "a"), ("input", "b"), ("a", "sum"), ("b", "sum"), ("sum", "lif"))
    refused(Graph(nodes, edges, ("lif",), "folded"), "^lif: a branch needs weight exponent",
            peak={"input": 1.0, "lif": 1e-3})  # fmt: skip
    with pytest.raises(Unsupported, match=r"^lif: calibration knows no rate of input"):
        Quantise(Calibration(GOOD, {}))(chain(input=two, fc=Affine([[1.0, 1.0]]), lif=LIF(0.5)))


def calibrated(graph, x):
    return Quantise(calibrate(graph, x))(graph)


def test_a_delay_stays_a_delay():
    """Before or behind weights, and alone; the scale is that of the same graph without it."""
    three = Input((3,), "binary")
    mix = ChannelMix([[1.0, 0.5, -0.25], [0.75, 1.0, 0.5], [0.5, 0.25, 1.0]])
    x = (np.random.default_rng(0).random((20, 4, 3)) < 0.5).astype(np.uint8)
    plain = calibrated(chain(input=three, mix=mix, lif=LIF(0.5)), x)
    for nodes in ({"late": Delay(2), "mix": mix}, {"mix": mix, "late": Delay(2)}):
        graph = calibrated(chain(input=three, **nodes, lif=LIF(0.5)), x)
        assert [type(n) for n in graph.nodes.values()][1:-1] == [type(n) for n in nodes.values()]
        late, now = values(graph, x)["lif"], values(plain, x)["lif"]
        assert now.any()
        np.testing.assert_array_equal(late[2:], now[:-2])
    alone = calibrated(chain(input=three, late=Delay(1), lif=LIF(0.5, 0.5)), x)
    np.testing.assert_array_equal(values(alone, x)["lif"][1:], x[:-1])


def test_weights_over_several_delays_become_one_matrix_each():
    """Two maps of which one looks back in steps: a matrix and a delay for every tap, zero taps left out."""
    taps = np.stack([np.eye(2), np.zeros((2, 2)), [[0.5, 0.25], [0.0, 1.0]]], axis=-1)
    graph = chain(
        input=Input((2,), "binary"), mix=ChannelMix([[1.0, 0.5], [0.0, 1.0]]), steps=StepConv(taps),
        late=Delay(1), lif=LIF(0.5),
    )  # fmt: skip
    x = (np.random.default_rng(0).random((30, 4, 2)) < 0.5).astype(np.uint8)
    quantised = calibrated(graph, x)
    delays = sorted(n.steps for n in quantised.nodes.values() if isinstance(n, Delay))
    assert delays == [1, 3]
    got, want = values(quantised, x)["lif"], values(graph, x)["lif"]
    # All weights are sums of quarters up to 1.5: rounding to 7 bits moves a membrane by less than 1 %.
    assert want.any() and (got != want).mean() < 0.02


def test_a_composed_region_has_the_synapses_its_nodes_join():
    """A graph convolution over a chain of joints: 3 of 5 sources a joint; what is lowered is sparse."""
    near = np.abs(np.subtract.outer(np.arange(5), np.arange(5))) <= 1
    weight = np.random.default_rng(0).normal(0.6, 0.3, (1, 2, 2))
    graph = chain(input=Input((2, 5), "binary"), graph=GraphConv(weight, near[None] / 3.0), lif=LIF(0.5))
    x = (np.random.default_rng(1).random((20, 3, 2, 5)) < 0.6).astype(np.uint8)
    quantised = calibrated(graph, x)
    node = quantised.nodes["graph"]
    np.testing.assert_array_equal(node.synapses, np.kron(np.ones((2, 2)), near))
    (projection,) = lower(quantised).projections
    assert len(projection.weights.values) == 4 * near.sum()
    assert values(quantised, x)["lif"].any()


def test_counts_of_spikes_land_on_the_threshold_as_in_float():
    """0.125 of a count against 0.5: four coincidences are the threshold, and do not pass it."""
    nodes = {"input": Input((4, 9), "binary"), "turned": Permute((1, 0)), "y": SpikeMatMul(),
             "eighth": ChannelScale(np.full(4, 0.125)), "lif": LIF(1.0, 0.5)}  # fmt: skip
    edges = (("input", "turned"), ("input", "y"), ("turned", "y"), ("y", "eighth"), ("eighth", "lif"))
    graph = Graph(nodes, edges, ("lif",), "folded")
    x = (np.random.default_rng(0).random((40, 4, 4, 9)) < 0.6).astype(np.uint8)
    quantised = calibrated(graph, x)
    counts = values(graph, x)["y"]
    assert (counts == 4).any() and (counts == 5).any(), "vacuous case"
    np.testing.assert_array_equal(values(quantised, x)["lif"], counts > 4)


@pytest.mark.parametrize("options", [{"bits": 1}, {"bits": 9}, {"input_bits": 1}, {"input_bits": 17}])
def test_widths_out_of_range(options):
    with pytest.raises(Unsupported, match=f"{next(iter(options))} = .* is outside"):
        Quantise(Calibration({}, {}), **options)


def test_only_a_folded_graph_is_quantised(traced_case, integer_of):
    known = calibrate(FOLD_BATCHNORM(traced_case.graph), traced_case.x())
    for graph in (traced_case.graph, integer_of(traced_case.name).graph):
        with pytest.raises(StageError, match="quantise: needs a folded graph"):
            Quantise(known)(graph)


def test_the_float_graph_is_left_alone(case):
    before = values(case.graph, case.x())
    Quantise(calibrate(case.graph, case.x()))(case.graph)
    after = values(case.graph, case.x())
    for name in before:
        np.testing.assert_array_equal(after[name], before[name])
