"""The meaning of a graph: numpy, float64 for float stages and exact integers for integer graphs.

Slow and obvious. Arrays are [T, N, *shape]; linear nodes treat all steps at once, neurons loop over steps.
Integer products run in float64 matrix routines, which are exact while sums stay under 2^53; the bound is
checked, not assumed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from typing import final

import numpy as np

from convert.ir import activations, enlarging, linear, neurons, parts, products, window
from convert.ir.check import check
from convert.ir.errors import Unsupported
from convert.ir.graph import Graph
from convert.ir.loihi import LoihiNeuron
from convert.ir.node import Neuron, Node, WindowNode
from convert.ir.sources import Input
from convert.ir.steps import steps
from deploy.record import Record
from deploy.reference_neurons import FAMILIES, rest, step
from deploy.target import Model, Runner, Target, check_input, kind

Rule = Callable[..., np.ndarray]
LINEAR: dict[type[Node], Rule] = {}
EXACT_FLOAT = 2**53


def _rule(cls: type[Node]) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        LINEAR[cls] = function
        return function

    return register


def _exact(x: np.ndarray, product: Callable[[np.ndarray], np.ndarray], gain: int) -> np.ndarray:
    """product(x) in float64; for integers back to int64, exact because |result| <= max|x| gain < 2^53."""
    if x.dtype.kind == "f":
        return product(x)
    reach = int(np.abs(x).max(initial=0)) * gain
    if reach >= EXACT_FLOAT:
        raise Unsupported(
            "reference", f"an integer product may reach {reach}, above 2^53", "lower the weights"
        )
    return np.rint(product(x.astype(np.float64))).astype(np.int64)


def _gain(*factors: np.ndarray) -> int:
    """A bound on what a chain of weights can multiply its input by."""
    return math.prod(int(np.abs(f.astype(np.float64)).sum()) + 1 for f in factors)


def _mixed(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """sum_c W[o, c] x[t, n, c, ...] -> [t, n, o, ...]."""
    rows = x.reshape(*x.shape[:3], -1)
    y = _exact(rows, lambda r: weight.astype(np.float64) @ r, _gain(weight))
    return y.reshape(*x.shape[:2], len(weight), *x.shape[3:])


def _finish(node: Node, y: np.ndarray, channel_axis: int = 2) -> np.ndarray:
    """Apply the weight exponent (floor shift of the sum) and add the bias along its axis."""
    exp, bias = getattr(node, "weight_exp", 0), getattr(node, "bias", None)
    if exp > 0:
        y = y << exp if y.dtype.kind == "i" else y * 2.0**exp
    elif exp < 0:
        y = y >> -exp if y.dtype.kind == "i" else y * 2.0**exp
    if bias is None:
        return y
    return y + bias.reshape((-1,) + (1,) * (y.ndim - channel_axis - 1))


@_rule(linear.Affine)
def _affine(node: linear.Affine, x: np.ndarray) -> np.ndarray:
    rows = x.reshape(x.shape[0] * x.shape[1], -1)
    y = _exact(rows, lambda r: r @ node.weight.astype(np.float64).T, _gain(node.weight))
    return _finish(node, y.reshape(*x.shape[:2], -1)).reshape(*x.shape[:2], *node.shape)


@_rule(linear.ChannelMix)
def _channel_mix(node: linear.ChannelMix, x: np.ndarray) -> np.ndarray:
    return _finish(node, _mixed(x, node.weight))


@_rule(linear.GraphConv)
def _graph_conv(node: linear.GraphConv, x: np.ndarray) -> np.ndarray:
    rows = np.moveaxis(x, 3, -1)  # joints last
    taps = [_mixed(np.moveaxis(rows @ a, -1, 3), w) for w, a in zip(node.weight, node.adjacency, strict=True)]
    return _finish(node, sum(taps[1:], taps[0]))


@_rule(linear.StepConv)
def _step_conv(node: linear.StepConv, x: np.ndarray) -> np.ndarray:
    taps = [_mixed(_delayed(x, k), node.weight[:, :, k]) for k in range(node.weight.shape[2])]
    return _finish(node, sum(taps[1:], taps[0]))


@_rule(linear.Conv2d)
def _conv2d(node: linear.Conv2d, x: np.ndarray) -> np.ndarray:
    (p0, p1), (s0, s1), (d0, d1) = node.padding, node.stride, node.dilation
    padded = np.pad(x, ((0, 0), (0, 0), (0, 0), (p0, p0), (p1, p1)))
    kh, kw = node.weight.shape[2:]
    window = ((kh - 1) * d0 + 1, (kw - 1) * d1 + 1)
    view = np.lib.stride_tricks.sliding_window_view(padded, window, axis=(3, 4))
    view = view[:, :, :, ::s0, ::s1, ::d0, ::d1]  # [T, N, C, Ho, Wo, kh, kw]
    y = [
        _exact(v, lambda q, w=w: np.einsum("tncyxij,ocij->tnoyx", q, w, optimize=True), _gain(w))
        for v, w in zip(
            np.split(view, node.groups, axis=2), np.split(node.weight, node.groups, axis=0), strict=True
        )
    ]
    return _finish(node, np.concatenate(y, axis=2))


@_rule(linear.AvgPool2d)
def _avg_pool(node: linear.AvgPool2d, x: np.ndarray) -> np.ndarray:
    view = np.lib.stride_tricks.sliding_window_view(x, node.kernel, axis=(3, 4))
    return view[:, :, :, :: node.stride[0], :: node.stride[1]].mean(axis=(-2, -1))


@_rule(enlarging.ConvTranspose2d)
def _conv_transpose(node: enlarging.ConvTranspose2d, x: np.ndarray) -> np.ndarray:
    out, _, kh, kw = node.weight.shape
    (s0, s1), (p0, p1), (rows, cols) = node.stride, node.padding, x.shape[3:]
    _, high, wide = node.out_shape("reference", x.shape[2:])
    # As large as all kernels reach, `extra` included; padding is what is cut off it.
    whole = np.zeros((*x.shape[:2], out, high + 2 * p0, wide + 2 * p1))
    for p, q in np.ndindex(kh, kw):
        tap = np.einsum("tncyx,oc->tnoyx", x, node.weight[:, :, p, q], optimize=True)
        whole[..., p : p + s0 * (rows - 1) + 1 : s0, q : q + s1 * (cols - 1) + 1 : s1] += tap
    return _finish(node, whole[..., p0 : p0 + high, p1 : p1 + wide])


@_rule(enlarging.Repeat2d)
def _repeat(node: enlarging.Repeat2d, x: np.ndarray) -> np.ndarray:
    return x.repeat(node.times[0], axis=3).repeat(node.times[1], axis=4)


@_rule(linear.BatchNorm)
def _batch_norm(node: linear.BatchNorm, x: np.ndarray) -> np.ndarray:
    column = (-1,) + (1,) * (x.ndim - 3)
    gain = node.gamma / np.sqrt(node.var + node.eps)
    return (x - node.mean.reshape(column)) * gain.reshape(column) + node.beta.reshape(column)


@_rule(linear.ChannelScale)
def _channel_scale(node: linear.ChannelScale, x: np.ndarray) -> np.ndarray:
    return _finish(node, x * node.scale.reshape((-1,) + (1,) * (x.ndim - 3)))


@_rule(linear.JointMean)
def _joint_mean(node: linear.JointMean, x: np.ndarray) -> np.ndarray:
    return x.mean(axis=-1)


@_rule(linear.JointMap)
def _joint_map(node: linear.JointMap, x: np.ndarray) -> np.ndarray:
    parts = x.reshape(*x.shape[:2], node.matrix.shape[1], -1, x.shape[-1])  # [T, N, I, C, V]
    y = np.einsum("jiwv,tnicv->tnjcw", node.matrix, parts, optimize=True)
    return y.reshape(*x.shape[:2], -1, y.shape[-1])


@_rule(window.StepMap)
@_rule(window.StepMean)
def _over_steps(node: WindowNode, x: np.ndarray) -> np.ndarray:
    return np.tensordot(node.over(type(node).__name__, len(x)), x, axes=1)


@_rule(linear.Reshape)
def _reshape(node: linear.Reshape, x: np.ndarray) -> np.ndarray:
    return x.reshape(*x.shape[:2], *node.shape)


@_rule(linear.Permute)
def _permute(node: linear.Permute, x: np.ndarray) -> np.ndarray:
    return x.transpose(0, 1, *(axis + 2 for axis in node.axes))


@_rule(linear.Delay)
def _delay(node: linear.Delay, x: np.ndarray) -> np.ndarray:
    return _delayed(x, node.steps)


@_rule(linear.Add)
def _add(node: linear.Add, *inputs: np.ndarray) -> np.ndarray:
    return sum(inputs[1:], inputs[0])


@_rule(parts.Concat)
def _concat(node: parts.Concat, *inputs: np.ndarray) -> np.ndarray:
    return np.concatenate(inputs, axis=2)


@_rule(parts.Slice)
def _slice(node: parts.Slice, x: np.ndarray) -> np.ndarray:
    return x[:, :, node.start : node.stop]


def _spike_mat_mul(node: products.SpikeMatMul, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # |sum| <= k max|a| max|b|: k max|b| is what the first factor is multiplied by at most.
    gain = a.shape[-1] * int(np.abs(b).max(initial=0)) if b.dtype.kind == "i" else 0
    return _exact(a, lambda x: x @ b.astype(np.float64), gain)


def _spike_and(node: products.SpikeAnd, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a * b


PRODUCTS: dict[type[Node], Rule] = {products.SpikeMatMul: _spike_mat_mul, products.SpikeAnd: _spike_and}


def _relu(node: activations.Relu, x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


def _max_pool(node: activations.MaxPool2d, x: np.ndarray) -> np.ndarray:
    (p0, p1), (s0, s1) = node.padding, node.stride
    padded = np.pad(x, ((0, 0), (0, 0), (0, 0), (p0, p0), (p1, p1)), constant_values=-np.inf)
    view = np.lib.stride_tricks.sliding_window_view(padded, node.kernel, axis=(3, 4))
    return view[:, :, :, ::s0, ::s1].max(axis=(-2, -1))


ACTIVATIONS: dict[type[Node], Rule] = {activations.Relu: _relu, activations.MaxPool2d: _max_pool}


def combined(node: Node, *inputs: np.ndarray) -> np.ndarray:
    """Value of a node that holds no state: linear, a product or an activation."""
    return {**LINEAR, **PRODUCTS, **ACTIVATIONS}[type(node)](node, *inputs)


def _delayed(x: np.ndarray, steps: int) -> np.ndarray:
    out = np.zeros_like(x)
    if steps < len(x):
        out[steps:] = x[: len(x) - steps]
    return out


def _float_step(
    node: neurons.CubaLIF, u: np.ndarray, v: np.ndarray, a: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    u = (1.0 - node.du) * u + a
    return u, (1.0 - node.dv) * v + u + (0.0 if node.bias is None else node.bias)


def membrane(node: Neuron, a: np.ndarray, name: str = "neuron") -> tuple[np.ndarray, np.ndarray]:
    """Run one neuron over input a [T, N, *shape]: its output of every step (spikes uint8; ternary and graded
    messages int64; a readout's value), and what was held against the threshold, v before the reset."""
    if isinstance(node, LoihiNeuron):
        return _integer_membrane(node, a, name)
    threshold = getattr(node, "threshold", np.inf)
    u, v = np.zeros_like(a[0]), np.zeros_like(a[0])
    out, before = np.empty_like(a, np.uint8 if node.spiking else a.dtype), np.empty_like(a)
    for t in range(len(a)):
        u, v = _float_step(node, u, v, a[t])  # type: ignore[arg-type]
        before[t] = v
        spikes = v > threshold
        v = np.where(spikes, 0, v)
        out[t] = spikes if node.spiking else v
    return out, before


def _integer_membrane(node: LoihiNeuron, a: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    state, result = rest(node, a[0].shape), FAMILIES[type(node)].result
    out, before = (
        np.empty_like(a, np.uint8 if node.spiking and node.message == "binary" else a.dtype),
        a.copy(),
    )
    for t in range(len(a)):
        message, before[t] = step(name, node, state, (a[t],), t)
        out[t] = message if result is None else state[result]
    return out, before


def values(graph: Graph, x: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every node's value at every step, [T, N, *shape]: binary spikes as uint8, the rest float64 or int64.

    x: the one input's values, or those of every input by name. Behind a window node T is another.
    """
    fed = x if isinstance(x, Mapping) else {graph.input(): x}
    steps(graph, len(next(iter(fed.values()))))  # refuses a wrong length before any work is done
    got: dict[str, np.ndarray] = {}
    for name, node, inputs in graph:
        arrays = [_wide(got[i], graph.stage) for i in inputs]
        if isinstance(node, Input):
            got[name] = node.encode(fed[name])
        elif isinstance(node, Neuron):
            got[name] = membrane(node, arrays[0], name)[0]
        else:
            got[name] = combined(node, *arrays)
    return got


def _wide(x: np.ndarray, stage: str) -> np.ndarray:
    return x.astype(np.int64 if stage == "integer" else np.float64, copy=False)


def record(
    graph: Graph, got: Mapping[str, np.ndarray], rasters: Collection[str], wall_s: float = 0.0
) -> Record:
    """A Record from every node's values."""
    counts = {n: np.count_nonzero(got[n], axis=0).astype(np.int64) for n in graph.spiking()}
    outputs = {n: got[n].sum(axis=0, dtype=np.int64) if n in counts else got[n][-1] for n in graph.outputs}
    steps = len(next(iter(got.values())))
    return Record(outputs, counts, steps, {n: got[n] for n in rasters}, wall_s)


class _ReferenceRunner(Runner):
    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def run(self, x: np.ndarray, rasters: Collection[str] = ()) -> Record:
        source = self.graph.nodes[self.graph.input()]
        check_input(x, source.shape)  # type: ignore[attr-defined]
        start = time.perf_counter()
        got = values(self.graph, x)
        return record(self.graph, got, rasters, time.perf_counter() - start)


@final
class Reference(Target):
    """numpy, node by node."""

    name, exact, takes = "reference", True, ("float", "integer")
    what = "numpy, float64 or exact integers: the meaning of a graph, slow"

    def supports(self, model: Model) -> list[str]:
        return ["a program runs on loihi-sim or lava"] if kind(model) == "program" else []

    def compile(self, model: Model) -> Runner:
        if not isinstance(model, Graph):
            raise Unsupported("program", "the reference runs graphs", "use loihi-sim or lava for a program")
        return _ReferenceRunner(check(model))
