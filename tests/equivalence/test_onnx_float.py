"""Float graphs in ONNX against the reference: step model in a loop == scan model == float64 numpy.

Weights, inputs, decays and thresholds lie on a dyadic grid (multiples of 2^-4, decays 1/2 and 1/4), small
enough that for the steps run here every float32 operation is exact: spikes and readouts must be *equal*.
v loses one or two bits of grid per step while no spike resets it, so `_STEPS` is kept at 6; the test of many
steps has a decay of 1 or 0, which needs no more bits. Off the grid, see `test_real_weights`.
"""

import itertools

import numpy as np
import pytest

from convert import ir
from deploy.cpu_onnx import OnnxCpu, Stepper
from deploy.reference import Reference, membrane, values

_STEPS = 6


def grid(rng, *shape, top=8):
    return rng.integers(-top, top + 1, shape) / 16.0


def chain(in_shape, *nodes, readout=True):
    """input -> nodes... [-> flatten -> dense -> integrator]: a graph of one path."""
    named = {"in": ir.Input(in_shape), **{f"n{i}": n for i, n in enumerate(nodes)}}
    names = list(named)
    return ir.Graph(named, tuple(itertools.pairwise(names)), (names[-1],), "folded")


def linear_cases():
    rng = np.random.default_rng(3)
    return {
        "affine": ((3, 2), ir.Affine(grid(rng, 4, 6), grid(rng, 4))),
        "affine-to-image": ((5,), ir.Affine(grid(rng, 12, 5), grid(rng, 12), shape=(3, 4))),
        "affine-exp": ((5,), ir.Affine(grid(rng, 4, 5), grid(rng, 4), weight_exp=2)),
        "mix": ((3, 4), ir.ChannelMix(grid(rng, 5, 3), grid(rng, 5))),
        "mix-vector": ((3,), ir.ChannelMix(grid(rng, 5, 3))),
        "mix-image": ((3, 4, 5), ir.ChannelMix(grid(rng, 2, 3), grid(rng, 2))),
        "graph": ((3, 4), ir.GraphConv(grid(rng, 2, 5, 3), grid(rng, 2, 4, 6), grid(rng, 5))),
        "slice": ((5, 2, 3), ir.Slice(1, 4)),
        "relu": ((3, 4), ir.Relu()),
        "graph-frames": ((3, 4, 2), ir.GraphConv(grid(rng, 2, 5, 3), grid(rng, 2, 4, 6), grid(rng, 5))),
        "steps": ((3, 4), ir.StepConv(grid(rng, 5, 3, 3), grid(rng, 5))),
        "steps-vector": ((3,), ir.StepConv(grid(rng, 5, 3, 2))),
        "steps-image": ((3, 2, 4), ir.StepConv(grid(rng, 2, 3, 4))),
        "steps-one": ((3, 4), ir.StepConv(grid(rng, 5, 3, 1))),
        "steps-longer-than-window": ((2, 2), ir.StepConv(grid(rng, 3, 2, 9))),
        "conv": ((4, 7, 5), ir.Conv2d(grid(rng, 6, 2, 3, 2), grid(rng, 6), (2, 1), (1, 0), (1, 2), 2)),
        "pool": ((2, 5, 7), ir.AvgPool2d((2, 2), (2, 3))),
        "transposed": (
            (3, 3, 2),
            ir.ConvTranspose2d(grid(rng, 2, 3, 4, 3), grid(rng, 2), (2, 1), (1, 0), (1, 0)),
        ),
        "repeat": ((2, 2, 3), ir.Repeat2d((3, 2))),
        "largest": ((2, 5, 4), ir.MaxPool2d((3, 2), (2, 1), (1, 0))),
        "scale": ((3, 4), ir.ChannelScale(grid(rng, 3), grid(rng, 3))),
        "joints": ((3, 4), ir.JointMap(grid(rng, 1, 1, 5, 4))),
        "joints-stacked-in": ((6, 4), ir.JointMap(grid(rng, 1, 2, 5, 4))),
        "joints-stacked-out": ((3, 4), ir.JointMap(grid(rng, 2, 1, 4, 4))),
        "joints-stacked": ((4, 3), ir.JointMap(grid(rng, 3, 2, 2, 3))),
        "mean": ((3, 4), ir.JointMean()),
        "mean-image": ((3, 2, 4), ir.JointMean()),
        "reshape": ((3, 4), ir.Reshape((2, 6))),
        "delay": ((3, 4), ir.Delay(2)),
        "delay-none": ((3, 4), ir.Delay(0)),
        "delay-longer-than-window": ((3,), ir.Delay(9)),
    }


NEURONS = {
    "lif": ir.LIF(0.5, 0.75),
    "lif-bias": ir.LIF(0.5, 0.75, bias=np.array(0.25)),
    "cuba": ir.CubaLIF(0.5, 0.25, 0.75),
    "cuba-bias": ir.CubaLIF(0.5, 0.25, 0.75, bias=np.arange(12).reshape(3, 4) / 16),
    "cuba-no-current": ir.CubaLIF(1.0, 0.5, 0.75),
    "if": ir.IF(0.75, bias=np.arange(3).reshape(3, 1) / 16),
}


def stepped(graph, x, probes=()):
    stepper = Stepper.of(graph, x.shape[1], probes)
    return [stepper(frame) for frame in x]


def check_equal(graph, x):
    """Scan == reference == step loop, every spiking node and output; the spikes that flowed."""
    probes = graph.spiking()
    want = Reference().compile(graph).run(x, probes)
    got = OnnxCpu(threads=1).compile(graph).run(x, probes)
    frames = stepped(graph, x, probes)
    for name in probes:
        np.testing.assert_array_equal(got.rasters[name], want.rasters[name], err_msg=name)
        np.testing.assert_array_equal(got.counts[name], want.counts[name], err_msg=name)
        np.testing.assert_array_equal(
            np.stack([f[f"{name}.spikes"] for f in frames]), want.rasters[name], err_msg=f"step {name}"
        )
    for name in set(graph.outputs) - set(probes):
        np.testing.assert_array_equal(got.outputs[name], want.outputs[name], err_msg=name)
        np.testing.assert_array_equal(frames[-1][name], want.outputs[name], err_msg=f"step {name}")
    return sum(int(c.sum()) for c in want.counts.values())


@pytest.mark.parametrize("case", linear_cases())
@pytest.mark.parametrize("steps, samples", [(_STEPS, 3), (1, 1)])
def test_linear_node(case, steps, samples):
    shape, node = linear_cases()[case]
    x = grid(np.random.default_rng(4), steps, samples, *shape, top=16)
    graph = chain(shape, node)
    check_equal(graph, x)
    every = values(graph, x)["n0"]
    assert every.any() or "longer" in case or steps == 1, "vacuous case"


@pytest.mark.parametrize("case", linear_cases())
def test_linear_node_of_spikes(case):
    """The same between two spiking layers: other types and layouts meet the node."""
    shape, node = linear_cases()[case]
    graph = chain(shape, ir.LIF(0.5, 0.25), node, ir.LIF(0.5, 0.25))
    assert check_equal(graph, grid(np.random.default_rng(5), _STEPS, 2, *shape, top=16)) > 5


@pytest.mark.parametrize("case", NEURONS)
@pytest.mark.parametrize("last", [False, True], ids=["channels-first", "channels-last"])
def test_neuron(case, last):
    nodes = [NEURONS[case], ir.LeakyIntegrator(0.5, bias=np.array(0.125))]
    if last:
        nodes.insert(0, ir.ChannelMix(np.eye(3)))
    x = grid(np.random.default_rng(6), _STEPS, 4, 3, 4, top=16)
    assert check_equal(chain((3, 4), *nodes), x) > 10


def test_threshold_equality_does_not_spike():
    graph = chain((1,), ir.LIF(0.5, 0.75))
    x = np.array([0.75, 0.375, 0.5625, 0.0])[:, None, None]  # v = 0.75, 0.75, then 0.9375: one spike
    got = OnnxCpu(threads=1).compile(graph).run(x, ["n0"])
    assert got.rasters["n0"].reshape(-1).tolist() == [0, 0, 1, 0]


def test_readout_in_the_middle_and_with_current():
    nodes = ir.LeakyIntegrator(0.5, du=0.5, bias=np.array(0.25)), ir.LIF(0.5, 0.25), ir.LeakyIntegrator()
    assert check_equal(chain((4,), *nodes), grid(np.random.default_rng(7), _STEPS, 3, 4, top=16)) > 5


def residual(rng, layouts_differ=False):
    """Two branches of unlike length and type, meeting twice; two outputs of which one spikes."""
    nodes = {
        "in": ir.Input((3, 4)),
        "a": ir.IF(0.5), "g": ir.GraphConv(grid(rng, 2, 3, 3), grid(rng, 2, 4, 4)), "d": ir.Delay(1),
        "sum": ir.Add(), "b": ir.CubaLIF(1.0, 1.0, 0.5), "t": ir.StepConv(grid(rng, 3, 3, 3)),
        "sum2": ir.Add(), "c": ir.IF(0.5), "flat": ir.Reshape((12,)),
        "head": ir.Affine(grid(rng, 5, 12), grid(rng, 5)), "out": ir.LeakyIntegrator(),
    }  # fmt: skip
    edges = [
        ("in", "a"), ("a", "g"), ("a", "d"), ("g", "sum"), ("d", "sum"), ("sum", "b"), ("b", "t"),
        ("t", "sum2"), ("b", "sum2"), ("a", "sum2"), ("sum2", "c"), ("c", "flat"), ("flat", "head"),
        ("head", "out"),
    ]  # fmt: skip
    return ir.Graph(nodes, tuple(edges), ("out", "c", "sum2"), "folded", dt_s=1e-3)


def test_residual_graph_over_200_steps_loses_no_state():
    rng = np.random.default_rng(8)
    graph = residual(rng)
    assert check_equal(graph, grid(rng, 200, 2, 3, 4, top=16)) > 500


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_window_in_the_scan_model(samples, channels_last):
    """Spikes, a map of 8 steps to 4, a spiking layer over those, back to 8, the mean: all on the dyadic grid,
    where float32 is exact."""
    rng = np.random.default_rng(11)
    nodes = [
        ir.LIF(0.5, 0.75), ir.StepMap(grid(rng, 4, 8)), ir.IF(0.5), ir.StepMap(grid(rng, 8, 4)),
        ir.LIF(0.5, 0.25), ir.StepMean(), ir.LeakyIntegrator(),
    ]  # fmt: skip
    if channels_last:
        nodes.insert(2, ir.ChannelMix(np.eye(3)))
    graph = chain((3, 4), *nodes)
    x, probes = grid(rng, 8, samples, 3, 4, top=16), graph.spiking()
    want = Reference().compile(graph).run(x, probes)
    got = OnnxCpu(threads=1).compile(graph).run(x, probes)
    assert want.rasters[probes[1]].shape[0] == 4 and all(want.counts[n].any() for n in probes)
    for name in probes:
        np.testing.assert_array_equal(got.rasters[name], want.rasters[name], err_msg=name)
        np.testing.assert_array_equal(got.counts[name], want.counts[name], err_msg=name)
    np.testing.assert_array_equal(got.outputs[graph.outputs[0]], want.outputs[graph.outputs[0]])


@pytest.mark.parametrize("steps", [4, 16])
def test_a_window_of_another_length_is_refused_and_never_folded_into_the_batch(steps):
    graph = chain((2,), ir.LIF(0.5, 0.75), ir.StepMap(np.eye(8)))
    x = np.ones((steps, 2, 2))
    with pytest.raises(ir.ShapeError, match=f"n1: expected 8 steps, got {steps}"):
        OnnxCpu(threads=1).compile(graph).run(x)
    runner = OnnxCpu(threads=1).compile(graph)
    runner.graph = None  # as a file without its graph: the runtime itself refuses, in one line
    with pytest.raises(ir.BadInput, match="ONNX Runtime failed"):
        runner.run(x)


def test_batch_is_independent():
    rng = np.random.default_rng(9)
    graph, x = residual(rng), grid(rng, 12, 5, 3, 4, top=16)
    run = OnnxCpu(threads=1).compile(graph).run
    whole, alone = run(x, ["c"]), [run(x[:, i : i + 1], ["c"]) for i in range(5)]
    np.testing.assert_array_equal(whole.rasters["c"], np.concatenate([a.rasters["c"] for a in alone], axis=1))
    assert whole.rasters["c"].any()


def test_real_weights_differ_only_near_the_threshold():
    """Off the grid: fed with the reference's own spikes, it differs only where |v - threshold| < 1e-4."""
    rng = np.random.default_rng(10)
    weight = rng.normal(size=(30, 20))
    graph = chain((20,), ir.Affine(weight, rng.normal(size=30)), ir.CubaLIF(0.3, 0.1, 1.7))
    x = rng.normal(size=(100, 8, 20))
    got = OnnxCpu(threads=1).compile(graph).run(x, ["n1"]).rasters["n1"]
    every = values(graph, x)
    _, before = membrane(graph.nodes["n1"], every["n0"])
    near = np.abs(before - 1.7) < 1e-4
    # A differing spike changes what follows in that neuron: compare up to its first difference.
    differs = got != every["n1"]
    first = differs & (np.cumsum(differs, axis=0) == 1)
    assert not (first & ~near).any()
    assert every["n1"].sum() > 1000 and differs.mean() < 1e-3
