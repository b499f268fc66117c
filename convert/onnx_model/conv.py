"""Convolutions, over steps and over images, transposed ones, pooling and repeating."""

from __future__ import annotations

import numpy as np

from convert.ir import (
    AvgPool2d,
    Conv2d,
    ConvTranspose2d,
    MaxPool2d,
    Node,
    Repeat2d,
    Shape,
    StepConv,
    Unsupported,
)
from convert.onnx_model.arithmetic import choose, interval, magnitude
from convert.onnx_model.builder import DTYPES
from convert.onnx_model.context import TO_END, Context
from convert.onnx_model.images import conv_transpose, max_pool, repeat
from convert.onnx_model.linear import Rule, operand, product, registrar, result
from convert.onnx_model.values import EXACT, Value, form, made, wide_enough

RULES: dict[type[Node], Rule] = {}
rule = registrar(RULES)


@rule(StepConv)
def _step_conv(c: Context, name: str, node: StepConv, shape: Shape, x: Value) -> Value:
    weight = c.weights(node)
    reach = magnitude(weight, (1, 2)) * x.reach if c.integer else 0
    kind = choose(name, c.stage, x, weight, reach)
    # A whole window in float32 is fastest as a convolution; bytes, and single frames, as one product.
    windowed = kind == "float32" and not c.stream and weight.shape[2] > 1
    y = _as_convolution(c, weight, x) if windowed else _as_product(c, name, weight, x, kind)
    bounds = interval(x, weight, (1, 2)) if c.integer else (0, 0)
    return c.finish(name, node, made(y, shape, "last", result(kind), *bounds))


def _as_convolution(c: Context, weight: np.ndarray, x: Value) -> str:
    """[T, N, *rest, C] -> [1, C, T, N rest]: a causal convolution over T, everything else in one axis."""
    b, rank = c.b, len(x.shape) + 2
    turned = b.op("Transpose", form(b, x, "last", "float32"), perm=[rank - 1, *range(rank - 1)])
    image = b.op("Unsqueeze", b.op("Reshape", turned, b.const([0, 0, -1], "int64")), b.const([0], "int64"))
    kernel = weight[:, :, ::-1, None]  # ONNX convolution correlates; tap k looks k steps back
    pads = [weight.shape[2] - 1, 0, 0, 0]
    y = b.op("Conv", image, b.const(kernel, "float32", "weight"), pads=pads)
    rows = b.op("Transpose", b.op("Squeeze", y, b.const([0], "int64")), perm=[1, 2, 0])
    return b.op("Reshape", rows, b.const([0, -1, *x.shape[1:], len(weight)], "int64"))


def _as_product(c: Context, name: str, weight: np.ndarray, x: Value, kind: str) -> str:
    """The K frames a step sees side by side, [T, N, *rest, K C], times [K C, out]."""
    out, inside, k = weight.shape
    whole = c.padded(name, x, k - 1, "last", operand(kind))
    if k > 1:
        taps = [c.frames(whole, k - 1 - i, -i if i else TO_END) for i in range(k)]
        whole = c.b.op("Concat", *taps, axis=-1)
    return product(c, whole, weight.transpose(2, 1, 0).reshape(k * inside, out), kind)


@rule(Conv2d)
def _conv2d(c: Context, name: str, node: Conv2d, shape: Shape, x: Value) -> Value:
    weight = c.weights(node)
    if not c.integer:
        y = _image_conv(c, node, form(c.b, x, "first", "float32"), weight, x.shape, shape)
        return c.finish(name, node, made(y, shape, "first", "float32"))
    widest = magnitude(weight, (1, 2, 3))
    bounds = interval(x, weight, (1, 2, 3))
    if widest * x.reach <= EXACT["float32"]:
        y = _image_conv(c, node, form(c.b, x, "first", "float32"), weight, x.shape, shape)
        return c.finish(name, node, made(y, shape, "first", "float32", *bounds))
    y, dtype = _split_conv(c, name, node, x, shape, widest)
    return c.finish(name, node, made(y, shape, "first", dtype, *bounds))


def _split_conv(c: Context, name: str, node: Conv2d, x: Value, shape: Shape, widest: int) -> tuple[str, str]:
    """A sum too large for float32: x = sum_i digit_i 2^(bits i), each digit's convolution proven exact.

    Convolution in ONNX Runtime exists in float32 alone.
    """
    b, bits = c.b, (EXACT["float32"] // max(widest, 1)).bit_length() - 1
    if bits < 1:
        raise Unsupported(name, f"sum of |weights| {widest} is above 2^23", "lower the weights")
    dtype = wide_enough(name, 2 * widest * (x.reach + (1 << bits)), "float64")
    rest, reach, place, total = form(b, x, "first", "int64"), x.reach, 1, ""
    radix = b.const(1 << bits, "int64")
    while True:
        last = reach < 1 << bits
        # Mod is a floor mod, 0..2^bits - 1: the sign stays with the rest.
        digit = rest if last else b.op("Mod", rest, radix)
        part = _image_conv(c, node, b.op("Cast", digit, to=DTYPES["float32"]), node.weight, x.shape, shape)
        part = b.op("Mul", b.op("Cast", part, to=DTYPES[dtype]), b.const(place, dtype))
        total = b.op("Add", total, part) if total else part
        if last:
            return total, dtype
        rest = b.op("Div", b.op("Sub", rest, digit), radix)
        reach, place = (reach >> bits) + 1, place << bits


def _image_conv(
    c: Context, node: Conv2d, tensor: str, weight: np.ndarray, in_shape: Shape, shape: Shape
) -> str:
    """The convolution of [T, N, C, H, W] in float32."""
    y = c.b.op(
        "Conv", _images(c, tensor, in_shape), c.b.const(weight, "float32", "weight"),
        strides=list(node.stride), pads=[*node.padding, *node.padding],
        dilations=list(node.dilation), group=node.groups,
    )  # fmt: skip
    return _windows(c, y, shape)


@rule(AvgPool2d)
def _avg_pool(c: Context, name: str, node: AvgPool2d, shape: Shape, x: Value) -> Value:
    images = _images(c, form(c.b, x, "first", "float32"), x.shape)
    y = c.b.op("AveragePool", images, kernel_shape=list(node.kernel), strides=list(node.stride))
    return made(_windows(c, y, shape), shape, "first", "float32")


@rule(ConvTranspose2d)
def _conv_transpose(c: Context, name: str, node: ConvTranspose2d, shape: Shape, x: Value) -> Value:
    """In float graphs alone, as the two rules below."""
    y = conv_transpose(c.b, node, _images(c, form(c.b, x, "first", "float32"), x.shape))
    return c.finish(name, node, made(_windows(c, y, shape), shape, "first", "float32"))


@rule(MaxPool2d)
def _max_pool(c: Context, name: str, node: MaxPool2d, shape: Shape, x: Value) -> Value:
    y = max_pool(c.b, node, _images(c, form(c.b, x, "first", "float32"), x.shape))
    return made(_windows(c, y, shape), shape, "first", "float32")


@rule(Repeat2d)
def _repeat(c: Context, name: str, node: Repeat2d, shape: Shape, x: Value) -> Value:
    y = repeat(c.b, node, _images(c, form(c.b, x, "first", "float32"), x.shape))
    return made(_windows(c, y, shape), shape, "first", "float32")


def _images(c: Context, tensor: str, shape: Shape) -> str:
    """[T, N, C, H, W] -> [T N, C, H, W]."""
    return c.b.op("Reshape", tensor, c.b.const([-1, *shape], "int64"))


def _windows(c: Context, images: str, shape: Shape) -> str:
    """[T N, C, H, W] -> [T, N, C, H, W]; T and N are the input's."""
    lead = c.b.op("Shape", c.x, start=0, end=2)
    target = c.b.op("Concat", lead, c.b.const(list(shape), "int64"), axis=0)
    return c.b.op("Reshape", images, target)
