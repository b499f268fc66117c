"""Linear nodes, all T steps at once: matrix products over channels-last tensors, and plain moves."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from convert.ir import (
    Add,
    Affine,
    ChannelMix,
    ChannelScale,
    Concat,
    Delay,
    GraphConv,
    JointMean,
    Node,
    Permute,
    Relu,
    Reshape,
    Shape,
    Slice,
)
from convert.onnx_model.arithmetic import choose, interval, magnitude
from convert.onnx_model.context import Context, shape_of
from convert.onnx_model.values import Value, form, made, wide_enough

Rule = Callable[..., Value]
RULES: dict[type[Node], Rule] = {}


def registrar(rules: dict[type[Node], Rule]) -> Callable[[type[Node]], Callable[[Rule], Rule]]:
    """A decorator that enters a node's rule: (context, name, node, out shape, *inputs) -> value."""

    def rule(cls: type[Node]) -> Callable[[Rule], Rule]:
        def register(function: Rule) -> Rule:
            rules[cls] = function
            return function

        return register

    return rule


rule = registrar(RULES)


def product(c: Context, tensor: str, matrix: np.ndarray, kind: str) -> str:
    """[..., in] x [in, out], the tensor already of the type that `kind` takes."""
    if kind == "u8s8":
        return c.b.op("MatMulInteger", tensor, c.b.const(matrix, "int8", "weight"))
    return c.b.op("MatMul", tensor, c.b.const(matrix, kind, "weight"))


def operand(kind: str) -> str:
    """Number type of the activations."""
    return "uint8" if kind == "u8s8" else kind


def result(kind: str) -> str:
    """Number type of the sums."""
    return "int32" if kind == "u8s8" else kind


@rule(Affine)
def _affine(c: Context, name: str, node: Affine, shape: Shape, x: Value) -> Value:
    weight = c.weights(node)
    reach = magnitude(weight, (1,)) * x.reach if c.integer else 0
    kind = choose(name, c.stage, x, weight, reach)
    flat = form(c.b, x, "first", operand(kind))
    if len(x.shape) != 1:
        flat = c.b.op("Reshape", flat, c.b.const([0, 0, -1], "int64"))
    bounds = interval(x, weight, (1,)) if c.integer else (0, 0)
    y = made(product(c, flat, weight.T, kind), (len(weight),), "first", result(kind), *bounds)
    return _reshaped(c, c.finish(name, node, y), shape)


@rule(ChannelMix)
def _channel_mix(c: Context, name: str, node: ChannelMix, shape: Shape, x: Value) -> Value:
    weight = c.weights(node)
    reach = magnitude(weight, (1,)) * x.reach if c.integer else 0
    kind = choose(name, c.stage, x, weight, reach)
    y = product(c, form(c.b, x, "last", operand(kind)), weight.T, kind)
    bounds = interval(x, weight, (1,)) if c.integer else (0, 0)
    return c.finish(name, node, made(y, shape, "last", result(kind), *bounds))


@rule(GraphConv)
def _graph_conv(c: Context, name: str, node: GraphConv, shape: Shape, x: Value) -> Value:
    """Channels first, all K at once: [T, N, U, in] x [in, K out]; then joints: [V, U K] x [U K, out].

    Frames behind the joints, [T, N, U, F, in]: the second product is [V, U K] x [U K, F out].
    """
    weight, adjacency = c.weights(node), node.adjacency
    k, out, inside = weight.shape
    joints = adjacency.shape[1]
    first, second, reach = "float32", "float32", 0
    if c.integer:
        # |sum| <= sum_k (sum_c |W_k|)(sum_u |A_k|) max |x|, for every output channel and joint
        rows, columns = np.abs(weight.astype(np.int64)).sum(2), np.abs(adjacency.astype(np.int64)).sum(1)
        inner, reach = int(rows.max()) * x.reach, int((rows.T @ columns).max()) * x.reach
        first = choose(name, c.stage, x, weight, inner)
        second = wide_enough(name, max(inner, reach), "float32", "float64")
    matrix = weight.transpose(2, 0, 1).reshape(inside, k * out)
    mixed = product(c, form(c.b, x, "last", operand(first)), matrix, first)
    if result(first) != second:
        mixed = form(c.b, made(mixed, (k * out, joints, *shape[2:]), "last", result(first)), dtype=second)
    frames = shape[2:]
    places = math.prod(frames)
    if frames:  # [T, N, U F, K out] -> [T, N, U, K, F, out]
        parted = c.b.op("Reshape", mixed, c.b.const([0, 0, joints, places, k, out], "int64"))
        mixed = c.b.op("Transpose", parted, perm=[0, 1, 2, 4, 3, 5])
    stacked = c.b.op("Reshape", mixed, c.b.const([0, 0, joints * k, places * out], "int64"))
    spread = adjacency.transpose(2, 1, 0).reshape(-1, joints * k)
    y = c.b.op("MatMul", c.b.const(spread, second, "adjacency"), stacked)
    if frames:
        y = c.b.op("Reshape", y, c.b.const([0, 0, shape[1], *frames, out], "int64"))
    return c.finish(name, node, made(y, shape, "last", second, -reach, reach))


@rule(ChannelScale)
def _channel_scale(c: Context, name: str, node: ChannelScale, shape: Shape, x: Value) -> Value:
    column = (-1,) if x.order == "last" else (-1, *[1] * (len(shape) - 1))
    if not c.integer:
        scale = c.b.const((node.scale * 2.0**node.weight_exp).reshape(column), "float32", "scale")
        y = c.b.op("Mul", form(c.b, x, dtype="float32"), scale)
        return c.finish(name, node, made(y, shape, x.order, "float32"))
    ends = [int(w) * end for w in (node.scale.min(), node.scale.max()) for end in (x.low, x.high)]
    reach = max(abs(e) for e in ends)
    dtype = wide_enough(name, max(reach, x.reach), "float32", "float64", "int64")
    y = c.b.op("Mul", form(c.b, x, dtype=dtype), c.b.const(node.scale.reshape(column), dtype, "scale"))
    return c.finish(name, node, made(y, shape, x.order, dtype, min(ends), max(ends)))


@rule(JointMean)
def _joint_mean(c: Context, name: str, node: JointMean, shape: Shape, x: Value) -> Value:
    axis = -2 if x.order == "last" else -1
    axes = c.b.const([axis], "int64")
    y = c.b.op("ReduceMean", form(c.b, x, dtype="float32"), axes, keepdims=0)
    return made(y, shape, x.order, "float32")


@rule(Reshape)
def _reshape(c: Context, name: str, node: Reshape, shape: Shape, x: Value) -> Value:
    return _reshaped(c, x, shape)


def _reshaped(c: Context, x: Value, shape: Shape) -> Value:
    if x.shape == shape:
        return x
    y = c.b.op("Reshape", form(c.b, x, "first"), c.b.const(shape_of(shape, "first"), "int64"))
    return made(y, shape, "first", x.dtype, x.low, x.high)


@rule(Permute)
def _permute(c: Context, name: str, node: Permute, shape: Shape, x: Value) -> Value:
    perm = [0, 1, *(axis + 2 for axis in node.axes)]
    y = c.b.op("Transpose", form(c.b, x, "first"), perm=perm)
    return made(y, shape, "first", x.dtype, x.low, x.high)


@rule(Delay)
def _delay(c: Context, name: str, node: Delay, shape: Shape, x: Value) -> Value:
    if node.steps == 0:
        return x
    # Pad and Concat of bool are not everywhere; a byte is what it takes anyway.
    dtype = "uint8" if x.dtype == "bool" else x.dtype
    y = c.frames(c.padded(name, x, node.steps, x.order, dtype), 0, -node.steps)
    return made(y, shape, x.order, dtype, min(x.low, 0), max(x.high, 0))


@rule(Add)
def _add(c: Context, name: str, node: Add, shape: Shape, *xs: Value) -> Value:
    order = "last" if any(x.order == "last" for x in xs) else "first"
    low, high = sum(x.low for x in xs), sum(x.high for x in xs)
    dtype = "float32"
    if c.integer:
        # Partial sums count too: what a type must hold is the sum of the magnitudes.
        dtype = wide_enough(name, sum(x.reach for x in xs), *_common({x.dtype for x in xs}))
    total = form(c.b, xs[0], order, dtype)
    for x in xs[1:]:
        total = c.b.op("Add", total, form(c.b, x, order, dtype))
    return made(total, shape, order, dtype, low, high)


@rule(Concat)
def _concat(c: Context, name: str, node: Concat, shape: Shape, *xs: Value) -> Value:
    """In float graphs alone, as the two rules below."""
    order = "last" if any(x.order == "last" for x in xs) and len(shape) > 1 else "first"
    tensors = [form(c.b, x, order, "float32") for x in xs]
    return made(c.b.op("Concat", *tensors, axis=_channel_axis(order)), shape, order, "float32")


@rule(Slice)
def _slice(c: Context, name: str, node: Slice, shape: Shape, x: Value) -> Value:
    ends = [c.b.const([n], "int64") for n in (node.start, node.stop, _channel_axis(x.order))]
    return made(c.b.op("Slice", form(c.b, x, dtype="float32"), *ends), shape, x.order, "float32")


@rule(Relu)
def _relu(c: Context, name: str, node: Relu, shape: Shape, x: Value) -> Value:
    return made(c.b.op("Relu", form(c.b, x, dtype="float32")), shape, x.order, "float32")


def _channel_axis(order: str) -> int:
    """Where the channels of [T, N, *tail] are."""
    return 2 if order == "first" else -1


def _common(dtypes: set[str]) -> tuple[str, ...]:
    """Types for a sum of values of these types, cheapest first; float32 sums stay float32 if they fit."""
    if "int64" in dtypes:
        return ("int64",)
    if "float64" in dtypes:
        return ("float64", "int64")
    return ("float32" if "float32" in dtypes else "int32", "float64", "int64")
