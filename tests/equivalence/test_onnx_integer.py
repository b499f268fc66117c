"""Integer graphs in ONNX: scan == step loop == reference, equal in every spike and every readout."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert import ir
from deploy.cpu_onnx import OnnxCpu, Stepper
from deploy.reference import Reference, values


def whole(rng, *shape, top=127):
    return rng.integers(-top, top + 1, shape)


def chain(source, *nodes):
    named = {"in": source, **{f"n{i}": n for i, n in enumerate(nodes)}}
    names = list(named)
    return ir.Graph(named, tuple(itertools.pairwise(names)), (names[-1],), "integer")


def check_equal(graph, x):
    """Scan == reference == step loop; the spikes that flowed."""
    probes = graph.spiking()
    want = Reference().compile(graph).run(x, probes)
    got = OnnxCpu(threads=1).compile(graph).run(x, probes)
    stepper = Stepper.of(graph, x.shape[1], probes)
    frames = [stepper(frame) for frame in x]
    for name in probes:
        np.testing.assert_array_equal(got.rasters[name], want.rasters[name], err_msg=name)
        np.testing.assert_array_equal(got.counts[name], want.counts[name], err_msg=name)
        stepped = np.stack([f[f"{name}.spikes"] for f in frames])
        np.testing.assert_array_equal(stepped, want.rasters[name], err_msg=f"step {name}")
    for name in set(graph.outputs) - set(probes):
        assert got.outputs[name].dtype == np.int64
        np.testing.assert_array_equal(got.outputs[name], want.outputs[name], err_msg=name)
        np.testing.assert_array_equal(frames[-1][name], want.outputs[name], err_msg=f"step {name}")
    return sum(int(c.sum()) for c in want.counts.values())


def spikes(rng, *shape, rate=0.4):
    return (rng.random(shape) < rate).astype(np.int64)


def linear_cases(exp=0):
    rng = np.random.default_rng(3)
    return {
        "affine": ((3, 2), ir.Affine(whole(rng, 4, 6), weight_exp=exp)),
        "mix": ((3, 4), ir.ChannelMix(whole(rng, 5, 3), weight_exp=exp)),
        "graph": ((3, 4), ir.GraphConv(whole(rng, 2, 5, 3), whole(rng, 2, 4, 6), weight_exp=exp)),
        "steps": ((3, 4), ir.StepConv(whole(rng, 5, 3, 3), weight_exp=exp)),
        "steps-longer-than-window": ((2, 2), ir.StepConv(whole(rng, 3, 2, 60), weight_exp=exp)),
        "conv": ((4, 7, 5), ir.Conv2d(whole(rng, 6, 2, 3, 2), None, (2, 1), (1, 0), (1, 2), 2, exp)),
        "scale": ((3, 4), ir.ChannelScale(whole(rng, 3), weight_exp=exp)),
        "reshape": ((3, 4), ir.Reshape((2, 6))),
        "delay": ((3, 4), ir.Delay(2)),
        "graph over frames": (
            (3, 4, 2),
            ir.GraphConv(whole(rng, 2, 5, 3), whole(rng, 2, 4, 6), weight_exp=exp),
        ),
    }


SOURCES = {
    "binary": {"operand": "binary"},
    "graded8": {"operand": "graded", "scale": 0.01},
    "graded16": {"operand": "graded", "scale": 1e-4, "bits": 16},
    "graded24": {"operand": "graded", "scale": 1e-6, "bits": 24},
}


def stimulus(rng, source, steps, samples):
    shape = (steps, samples, *source.shape)
    return spikes(rng, *shape) if source.operand == "binary" else rng.normal(size=shape)


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("exp", [0, 3, -4])
@pytest.mark.parametrize("case", linear_cases())
def test_linear_node(case, exp, kind):
    shape, node = linear_cases(exp)[case]
    source = ir.Input(shape, **SOURCES[kind])
    graph = chain(source, node, ir.LoihiLIF(dv=100, vth=3 if kind == "binary" else 100))
    x = stimulus(np.random.default_rng(4), source, 9, 3)
    if case in ("delay", "reshape") and kind == "binary":
        graph = chain(source, node, ir.LoihiLIF(dv=0, vth=1))  # no weight: ones add up to pass it
    assert check_equal(graph, x) > 3


@pytest.mark.parametrize("exp", [5, -3])
def test_linear_output_is_exact(exp):
    """The sums themselves, negative floor shifts included, as the graph's output."""
    for shape, node in linear_cases(exp).values():
        source = ir.Input(shape, operand="graded", scale=0.01)
        graph = chain(source, node)
        check_equal(graph, np.random.default_rng(5).normal(size=(3, 2, *shape)))
        assert (values(graph, np.random.default_rng(5).normal(size=(3, 2, *shape)))["n0"] < 0).any()


NEURONS = {
    "plain": ir.LoihiLIF(dv=512, vth=60),
    "current": ir.LoihiLIF(dv=512, vth=300, du=1024),
    "all-current-kept": ir.LoihiLIF(dv=0, vth=3000, du=0),
    "no-memory": ir.LoihiLIF(dv=4096, vth=60),
    "bias": ir.LoihiLIF(dv=512, vth=60, bias_mant=np.arange(-6, 6).reshape(3, 4) * 300, bias_exp=2),
    "current-bias": ir.LoihiLIF(dv=100, vth=300, du=2000, bias_mant=np.array([-4096, 7, 4095])[:, None]),
    "scalar-bias": ir.LoihiLIF(dv=100, vth=100, bias_mant=np.array(-7), bias_exp=6),
}


@pytest.mark.parametrize("case", NEURONS)
@pytest.mark.parametrize("scale", [1, 40, 4000], ids=["small", "large", "wrapping"])
def test_neuron(case, scale):
    rng = np.random.default_rng(6)
    source = ir.Input((3, 4), operand="graded", scale=1.0, bits=20)
    x = rng.integers(-70 * scale, 90 * scale, (60, 2, 3, 4))
    readout = ir.LoihiIntegrator(dv=10)
    mix = ir.ChannelMix(np.array([[1, 0, 0], [0, 1, 1], [1, -1, 0]]))
    assert check_equal(chain(source, NEURONS[case], readout), x) > 20
    assert check_equal(chain(source, mix, NEURONS[case], readout), x) > 20
    if scale == 4000:
        assert (np.abs(source.encode(x)) << 6 > 1 << 23).any(), "vacuous case: nothing wraps"


def test_threshold_equality_wrap_and_saturation_by_hand():
    """du = 4095, dv = 0, vth = 10: threshold 640 in units of v.

    a = 10 -> v = 640, equal, no spike.  a = 1 -> 704: spike.  a = 131072 = 2^17: a << 6 = 2^23, not above it,
    no wrap, v clips to 2^23 - 1: spike.  a = 131073: 2^23 + 64 wraps to -2^23 + 64.  a = -131072: -2^23 wraps
    up to +2^23, which brings v to 64: no spike.  a = 9: v = 640, equal again.
    """
    source = ir.Input((1,), operand="graded", bits=20)
    graph = chain(source, ir.LoihiLIF(dv=0, vth=10))
    x = np.array([10, 1, 131072, 131073, -131072, 9])[:, None, None]
    check_equal(graph, x)
    got = OnnxCpu(threads=1).compile(graph).run(x, ["n0"])
    assert got.rasters["n0"].reshape(-1).tolist() == [0, 1, 1, 0, 0, 0]


def test_decay_truncates_toward_zero_and_shift_floors():
    """-3 >> 1 is -2; then v = -2 * 64 = -128, decays by 4095/4096 each step: -127 (not -128), ..."""
    source = ir.Input((1,), operand="graded")
    graph = chain(source, ir.Affine(np.array([[1]]), weight_exp=-1), ir.LoihiIntegrator(dv=1))
    x = np.array([-3, 0, 0])[:, None, None]
    check_equal(graph, x)
    assert OnnxCpu(threads=1).compile(graph).run(x).outputs["n1"].item() == -126


def test_sums_beyond_float32_are_exact():
    """One sum above 2^24 with odd low bits, in a product, over joints, over steps and in an image."""
    rng = np.random.default_rng(8)
    for shape, node in (
        ((600,), ir.Affine(np.full((2, 600), 127) - np.eye(2, 600, dtype=int))),
        ((8, 5), ir.GraphConv(np.full((3, 4, 8), 127), np.full((3, 5, 5), 127))),
        ((8, 5), ir.StepConv(np.full((4, 8, 5), 127))),
        ((8, 6, 5), ir.Conv2d(np.full((4, 8, 3, 3), 127), padding=(1, 1))),
    ):
        source = ir.Input(shape, operand="graded", bits=24)
        x = rng.integers((1 << 23) - 2000, (1 << 23) - 1, (6, 2, *shape))
        x[..., 0] *= -1
        graph = chain(source, node)
        check_equal(graph, x)
        assert np.abs(values(graph, x)["n0"]).max() > 2**25


def test_beyond_float64_is_refused():
    source = ir.Input((600,), operand="graded", bits=32)
    graph = chain(source, ir.Affine(np.full((2, 600), 2**20)))
    with pytest.raises(ir.Unsupported, match=r"n0: its sums may reach \d+"):
        OnnxCpu().compile(graph)
    assert "n0" in OnnxCpu().supports(graph)[0]


def residual(rng):
    nodes = {
        "in": ir.Input((3, 4), operand="graded", scale=0.02),
        "mix": ir.ChannelMix(whole(rng, 6, 3), weight_exp=1), "a": ir.LoihiLIF(dv=700, vth=200),
        "g": ir.GraphConv(whole(rng, 2, 6, 6), whole(rng, 2, 4, 4, top=20), weight_exp=-5),
        "r": ir.ChannelScale(whole(rng, 6)), "sum": ir.Add(),
        "b": ir.LoihiLIF(dv=300, vth=150, bias_mant=whole(rng, 6, 1, top=4000)),
        "t": ir.StepConv(whole(rng, 6, 6, 5)), "d": ir.Delay(3), "e": ir.ChannelMix(whole(rng, 6, 6)),
        "sum2": ir.Add(), "c": ir.LoihiLIF(dv=2000, vth=150, du=1500),
        "both": ir.Add(), "head": ir.Affine(whole(rng, 5, 24)), "out": ir.LoihiIntegrator(),
    }  # fmt: skip
    edges = [
        ("in", "mix"), ("mix", "a"), ("a", "g"), ("a", "r"), ("g", "sum"), ("r", "sum"), ("sum", "b"),
        ("b", "t"), ("b", "d"), ("d", "e"), ("t", "sum2"), ("e", "sum2"), ("sum2", "c"),
        ("c", "both"), ("b", "both"), ("both", "head"), ("head", "out"),
    ]  # fmt: skip
    return ir.Graph(nodes, tuple(edges), ("out", "b", "sum"), "integer")


def test_residual_graph_over_200_steps_loses_no_state():
    rng = np.random.default_rng(9)
    assert check_equal(residual(rng), rng.normal(size=(200, 2, 3, 4))) > 1000


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 12), samples=st.integers(1, 3),
    exps=st.tuples(*[st.integers(-6, 6)] * 3), decays=st.tuples(*[st.integers(0, 4095)] * 4),
    vth=st.integers(0, 2000), rate=st.floats(0.05, 0.95),
)  # fmt: skip
def test_random_graphs(seed, steps, samples, exps, decays, vth, rate):
    rng = np.random.default_rng(seed)
    source = ir.Input((4, 3), operand="binary")
    graph = chain(
        source,
        ir.StepConv(whole(rng, 5, 4, 3), weight_exp=exps[0]), ir.LoihiLIF(dv=decays[0], vth=vth),
        ir.GraphConv(whole(rng, 2, 6, 5), whole(rng, 2, 3, 4), weight_exp=exps[1]),
        ir.LoihiLIF(dv=decays[1], du=decays[2], vth=vth, bias_mant=whole(rng, 6, 4, top=4095), bias_exp=3),
        ir.Affine(whole(rng, 3, 24), weight_exp=exps[2]), ir.LoihiIntegrator(dv=decays[3]),
    )  # fmt: skip
    check_equal(graph, spikes(rng, steps, samples, 4, 3, rate=rate))
