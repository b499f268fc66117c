"""Transposed convolution, repeated cells and maximum pooling: each against loops over its own equation,
torch, its matrices, ONNX Runtime and fine-tuning's float64 form, for geometries drawn at random.

Everything is compared with == : weights and values are whole numbers below 2^7, so that every sum of a few
dozen products is exact in float32 and float64 in whatever order it is taken.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convert.from_torch import from_torch
from convert.ir import (
    LIF,
    ChannelScale,
    Conv2d,
    ConvTranspose2d,
    Graph,
    GraphError,
    Input,
    MaxPool2d,
    Relu,
    Repeat2d,
    ShapeError,
    Unsupported,
)
from convert.onnx_model.builder import Builder
from convert.onnx_model.frames import write_frames
from convert.passes.fold_batchnorm import FOLD_BATCHNORM
from convert.passes.lower import lower
from convert.passes.operators import operator
from convert.passes.partition import parted
from convert.passes.quantise import Quantise
from convert.passes.sigma_delta import Ranges, SigmaDelta
from deploy.calibration import calibrate
from deploy.cpu_onnx import OnnxCpu
from deploy.loihi_sim import LoihiSim
from deploy.reference import Reference, combined, values
from energy.counts import count
from energy.fanout import fanout
from energy.updates import updates
from train.qat.host import RULES as ON_CPU
from train.stepwise import Stepwise


def pair(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def geometry(draw):
    """(node, its torch module or None where torch allows less, input shape); shapes that fit."""
    kind = draw(st.sampled_from(("deconv", "repeat", "pool")))
    sides, kernel, stride = draw(pair(1, 4)), draw(pair(1, 4)), draw(pair(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    if kind == "repeat":
        times = draw(pair(1, 3))
        return Repeat2d(times), nn.Upsample(scale_factor=tuple(map(float, times))), (2, *sides)
    if kind == "pool":
        padding = tuple(draw(st.integers(0, k - 1)) for k in kernel)
        sides = tuple(max(n, k - 2 * p) for n, k, p in zip(sides, kernel, padding, strict=True))
        half = all(2 * p <= k for p, k in zip(padding, kernel, strict=True))
        module = nn.MaxPool2d(kernel, stride, padding) if half else None
        return MaxPool2d(kernel, stride, padding), module, (2, *sides)
    extra = tuple(draw(st.integers(0, s - 1)) for s in stride)
    reach = [(n - 1) * s + k + e for n, s, k, e in zip(sides, stride, kernel, extra, strict=True)]
    padding = tuple(draw(st.integers(0, min(2, (r - 1) // 2))) for r in reach)
    weight, bias = rng.integers(-9, 10, (3, 2, *kernel)), rng.integers(-9, 10, 3)
    weight[rng.random(weight.shape) < 0.2] = 0
    module = nn.ConvTranspose2d(2, 3, kernel, stride, padding, extra)
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(weight.transpose(1, 0, 2, 3)))
        module.bias.copy_(torch.from_numpy(bias))
    return ConvTranspose2d(weight * 1.0, bias * 1.0, stride, padding, extra), module, (2, *sides)


def drawn(shape, seed=0):
    return np.random.default_rng(seed).integers(-9, 10, (2, 3, *shape)) * 1.0


def by_loops(node, x):
    """One image [C, H, W], and how often each of its values is read: the equation, as it stands."""
    out, read = np.zeros(node.out_shape("it", x.shape)), np.zeros(x.shape, np.int64)
    if isinstance(node, ConvTranspose2d):
        out += node.bias[:, None, None]
        for o, c, a, b, p, q in np.ndindex(len(out), *x.shape, *node.weight.shape[2:]):
            i, j = a * node.stride[0] + p - node.padding[0], b * node.stride[1] + q - node.padding[1]
            if 0 <= i < out.shape[1] and 0 <= j < out.shape[2]:
                out[o, i, j] += node.weight[o, c, p, q] * x[c, a, b]
                read[c, a, b] += 1
        return out, read
    for o, i, j in np.ndindex(*out.shape):
        if isinstance(node, Repeat2d):
            out[o, i, j] = x[o, i // node.times[0], j // node.times[1]]
        else:
            at = [n * s - p for n, s, p in zip((i, j), node.stride, node.padding, strict=True)]
            window = tuple(slice(max(a, 0), a + k) for a, k in zip(at, node.kernel, strict=True))
            out[o, i, j] = x[o][window].max()
            read[o][window] += 1
    return out, read


@given(geometry())
def test_the_reference_is_the_equation(case):
    node, _, shape = case
    x = drawn(shape)
    got = combined(node, x)
    assert got.shape == (2, 3, *node.out_shape("it", shape))
    assert np.array_equal(got[1, 2], by_loops(node, x[1, 2])[0])


@given(geometry())
def test_it_is_torchs_and_comes_from_there(case):
    node, module, shape = case
    if module is None:
        return
    graph = from_torch(nn.Sequential(Stepwise(module)), shape)
    (name,) = graph.outputs
    assert type(graph.nodes[name]) is type(node)
    x = drawn(shape)
    with torch.no_grad():
        want = module.double()(torch.from_numpy(x).flatten(0, 1)).unflatten(0, (2, 3)).numpy()
    assert np.array_equal(values(graph, x)[name], want)
    assert np.array_equal(combined(node, x), want)


@given(geometry())
def test_fine_tuning_and_matrices_say_the_same(case):
    node, _, shape = case
    x = drawn(shape)
    want, out = combined(node, x), node.out_shape("it", shape)
    fields = {
        k: torch.from_numpy(v.copy()) if isinstance(v, np.ndarray) else v for k, v in node.fields().items()
    }
    found = ON_CPU[type(node).__name__]({**fields, "out": out}, torch.from_numpy(x))
    assert np.array_equal(found.numpy(), want)
    if isinstance(node, MaxPool2d):
        return
    bias = 0.0 if isinstance(node, Repeat2d) else np.repeat(node.bias, out[1] * out[2])
    y = x.reshape(6, -1) @ operator(node, shape)[0].toarray().T + bias
    assert np.array_equal(y.reshape(want.shape), want)


@settings(max_examples=25)
@given(geometry())
def test_onnx_runtime_gives_the_same_of_windows_and_of_frames(case):
    node, _, shape = case
    graph = Graph({"x": Input(shape), "it": node}, (("x", "it"),), ("it",), "folded")
    x = drawn(shape)
    want = values(graph, x)["it"]
    assert np.array_equal(OnnxCpu().compile(graph).run(x.astype(np.float32)).outputs["it"], want[-1])
    b = Builder()
    b.give("it", write_frames(b, graph)["it"], "float32", ("N", *want.shape[2:]))
    session = onnxruntime.InferenceSession(b.model("m", {}).SerializeToString())
    assert np.array_equal(session.run(None, {"x": x[0].astype(np.float32)})[0], want[0])


@given(geometry())
def test_operations_are_counted_one_by_one(case):
    """Borders exact: taps that land outside, and pixels beyond the border, are no operations."""
    node, _, shape = case
    _, read = by_loops(node, drawn(shape)[0, 0])
    out = node.out_shape("it", shape)
    if isinstance(node, ConvTranspose2d):
        (fan,) = fanout(node, shape, 3)
        assert fan.synapses.dtype == fan.nonzero.dtype == np.int64
        assert np.array_equal(fan.synapses[0], read.reshape(-1))
        full = ConvTranspose2d((node.weight != 0) * 1.0, 0 * node.bias, node.stride, node.padding, node.extra)
        pairs = operator(full, shape)[0].toarray().sum(axis=0)
        assert np.array_equal(fan.nonzero[0], pairs)
        assert (fan.dense, fan.inbounds(3)) == (3 * node.weight.size * shape[1] * shape[2], 3 * read.sum())
    else:
        compares = read.sum() - np.prod(out)
        assert updates(node, (shape,), out) == (
            {} if isinstance(node, Repeat2d) else {"neuron_compares": compares}
        )


def test_a_transposed_convolution_by_hand():
    """A 1 and a 2, kernel (1 10 100), two cells apart, one cut off on each side: (1 10 100+2 20 200) less
    the ends; bias 0.5. Each value meets three taps, less one that is cut off."""
    node = ConvTranspose2d(np.array([[[[1.0, 10, 100]]]]), np.array([0.5]), (1, 2), (0, 1))
    assert combined(node, np.array([[[[[1.0, 2.0]]]]])).tolist() == [[[[[10.5, 102.5, 20.5]]]]]
    (fan,) = fanout(node, (1, 1, 2), 1)
    assert (fan.synapses.tolist(), fan.dense) == ([[2, 2]], 6)


def test_the_maximum_of_negative_values_does_not_see_the_border():
    node = MaxPool2d((3, 3), (2, 2), (1, 1))
    assert combined(node, np.full((1, 1, 1, 2, 2), -3.0)).tolist() == [[[[[-3.0]]]]]
    assert updates(node, ((1, 2, 2),), (1, 1, 1)) == {"neuron_compares": 3}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: ConvTranspose2d(np.ones((1, 1, 2, 2)), extra=(1, 0)), "extra .* not below the stride"),
        (lambda: ConvTranspose2d(np.ones((1, 1, 2))), "expected .out, in, kh, kw"),
        (lambda: MaxPool2d((2, 2), (2, 2), (0, 2)), "padding .* not below the kernel"),
        (lambda: Repeat2d((0, 1)), "not a pair of numbers from 1"),
    ],
)
def test_fields_that_make_no_sense(made, said):
    with pytest.raises(GraphError, match=said):
        made()


@pytest.mark.parametrize(
    ("node", "shape"),
    [
        (ConvTranspose2d(np.ones((1, 2, 1, 1))), (3, 4, 4)), (ConvTranspose2d(np.ones((1, 2, 1, 1))), (2, 4)),
        (ConvTranspose2d(np.ones((1, 1, 1, 1)), padding=(1, 0)), (1, 2, 2)),
        (MaxPool2d((3, 3), (1, 1)), (1, 2, 3)), (MaxPool2d((1, 1), (1, 1)), (4,)), (Repeat2d((2, 2)), (3, 4)),
    ],
)  # fmt: skip
def test_shapes_that_do_not_meet_name_the_node(node, shape):
    with pytest.raises(ShapeError, match=r"^it: "):
        node.out_shape("it", shape)


class Interpolated(nn.Module):
    def forward(self, x):
        return nn.functional.interpolate(x, scale_factor=2.0)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Stepwise(nn.Upsample(scale_factor=2, mode="bilinear")), "mode 'bilinear' interpolates"),
        (Stepwise(nn.Upsample(scale_factor=1.5)), "by 1.5 .* whole"),
        (Stepwise(nn.Upsample(size=(8, 8))), "to size .8, 8. .* whole"),
        (Stepwise(nn.MaxPool2d(2, dilation=2)), "ceil_mode, dilation or indices"),
        (Stepwise(nn.MaxPool2d(2, ceil_mode=True)), "ceil_mode, dilation or indices"),
        (Stepwise(nn.ConvTranspose2d(2, 2, 2, groups=2)), "of 2 groups"),
        (nn.MaxPool2d(2), "mixes steps and batch"),
        (Interpolated(), "interpolate has no node"),
    ],
)
def test_modules_that_no_node_says(module, said):
    with pytest.raises(Unsupported, match=said) as caught:
        from_torch(nn.Sequential(module), (2, 4, 4))
    assert caught.value.remedy


def test_a_norm_behind_a_transposed_convolution_is_in_its_weights():
    model = nn.Sequential(
        Stepwise(nn.ConvTranspose2d(2, 3, 4, 2, 1, bias=False)), Stepwise(nn.BatchNorm2d(3))
    )
    with torch.no_grad():
        model[1].module.weight.copy_(torch.tensor([0.5, -2.0, 3.0]))
        model[1].module.running_mean.copy_(torch.tensor([1.0, 0.5, -1.0]))
    traced = from_torch(model, (2, 3, 3))
    folded = FOLD_BATCHNORM(traced)
    assert [type(n) for n in folded.nodes.values()] == [Input, ConvTranspose2d]
    x = drawn((2, 3, 3))
    want = values(traced, x)[traced.outputs[0]]
    # the factor of the norm goes from the sum into its terms: float64 roundings of values of about 10
    np.testing.assert_allclose(values(folded, x)[folded.outputs[0]], want, rtol=0, atol=1e-13 * 10)


def spiking(*nodes):
    """Binary images -> nodes, each with a LIF behind it."""
    named = {"input": Input((2, 4, 4), "binary")}
    for i, node in enumerate(nodes):
        named |= {f"n{i}": node, f"lif{i}": LIF(0.5, threshold=1.5)}
    return Graph(named, tuple(pairwise(named)), (list(named)[-1],), "folded")


def test_spikes_go_up_on_a_chip_too():
    """Composed into synapses when quantised; the reference's and the simulator's integer spikes are equal."""
    rng = np.random.default_rng(4)
    up = ConvTranspose2d(rng.normal(size=(3, 2, 4, 4)), None, (2, 2), (1, 1))
    graph = spiking(up, Repeat2d((2, 2)), Conv2d(rng.normal(size=(2, 3, 3, 3)), None, (2, 2)))
    x = (rng.random((6, 2, 2, 4, 4)) < 0.5).astype(np.uint8)
    whole = Quantise(calibrate(graph, x))(graph)
    assert not any(isinstance(n, ConvTranspose2d | Repeat2d) for n in whole.nodes.values())
    want = Reference().compile(whole).run(x, rasters=("lif0", "lif2"))
    got = LoihiSim().compile(lower(whole)).run(x, rasters=("lif0", "lif2"))
    for name, raster in want.rasters.items():
        assert 0.02 < raster.mean() < 0.98, "vacuous case"
        assert np.array_equal(got.rasters[name], raster)


def test_no_chip_has_a_maximum():
    graph = spiking(MaxPool2d((2, 2), (2, 2)))
    with pytest.raises(Unsupported, match=r"^n0: MaxPool2d gives the largest of several values, no sum"):
        parted(graph)
    with pytest.raises(Unsupported, match=r"^n0: MaxPool2d is not linear; pool by means, or by a conv"):
        Quantise(calibrate(graph, np.ones((2, 1, 2, 4, 4), np.uint8)))(graph)
    pictures = {"x": Input((2, 4, 4)), "n": MaxPool2d((2, 2), (2, 2)), "y": Conv2d(np.ones((1, 2, 1, 1)))}
    with pytest.raises(Unsupported, match=r"^n: MaxPool2d is neither linear .* or pool by means"):
        SigmaDelta(Ranges({"x": 1.0}, {"x": 1.0}))(
            Graph(pictures, tuple(pairwise(pictures)), ("y",), "folded")
        )


def test_the_largest_of_spikes_is_a_spike_and_a_copy_of_one_too():
    """What is behind is counted as additions of the spikes that are there; real values are not known."""
    nodes = {
        "input": Input((1, 2, 4), "binary"), "pool": MaxPool2d((2, 2), (2, 2)), "up": Repeat2d((1, 3)),
        "scale": ChannelScale(np.ones(1)),
    }  # fmt: skip
    graph = Graph(nodes, tuple(pairwise(nodes)), ("scale",), "folded")
    x = np.zeros((1, 1, 1, 2, 4), np.uint8)
    x[..., 0, 1] = x[..., 1, 0] = 1  # both in the left window
    counts = count(graph, {"input": x})
    assert counts["scale"].counts["ac"].tolist() == [3] and counts.total("mac").tolist() == [0]
    assert counts.total("neuron_compares").tolist() == [2 * 3] and not counts.uncounted
    real = Graph({**nodes, "input": Input((1, 2, 4)), "relu": Relu()}, (
        ("input", "relu"), ("relu", "pool"), ("pool", "up"), ("up", "scale"),
    ), ("scale",), "folded")  # fmt: skip
    assert count(real, {"input": x * 1.0})["scale"].counts["mac"].tolist() == [6]
