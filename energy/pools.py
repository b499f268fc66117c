"""Poolings and means over positions: which window an input value falls into, what each window gives.

A mean over windows that do not overlap is linear and sends every input to at most one output, so it can be
folded into the weights behind it: `y = W mean(x) = (W / k) x`. `route` is that assignment.
"""

from __future__ import annotations

import math

import numpy as np

from convert.ir import AvgPool2d, JointMean, LinearNode, MaxPool2d, Shape
from energy import tally

POOLS: tuple[type[LinearNode], ...] = (AvgPool2d, JointMean)


def window(node: LinearNode, in_shape: Shape) -> int:
    """Values under one output."""
    return math.prod(node.kernel) if isinstance(node, AvgPool2d) else in_shape[-1]


def overlaps(node: LinearNode) -> bool:
    """Whether an input may belong to two outputs; such a pool merges synapses and is never folded."""
    return isinstance(node, AvgPool2d) and any(s < k for k, s in zip(node.kernel, node.stride, strict=True))


def route(node: LinearNode, in_shape: Shape) -> np.ndarray:
    """int64 [prod(in_shape)]: flat output index of each flat input, -1 where a window is dropped."""
    if isinstance(node, JointMean):
        return np.arange(math.prod(in_shape), dtype=np.int64) // in_shape[-1]
    channels, *sides = in_shape
    rows, cols = (
        _side(n, k, s) for n, k, s in zip(sides, node.kernel, node.stride, strict=True)
    )  # fmt: skip
    high, wide = int(rows.max()) + 1, int(cols.max()) + 1
    plane = np.where((rows[:, None] < 0) | (cols < 0), -1, rows[:, None] * wide + cols)
    offset = np.arange(channels, dtype=np.int64)[:, None, None] * (high * wide)
    return np.where(plane < 0, -1, plane + offset).reshape(-1)


def _side(size: int, kernel: int, stride: int) -> np.ndarray:
    at = np.arange(size, dtype=np.int64)
    count = (size - kernel) // stride + 1
    return np.where((at % stride < kernel) & (at // stride < count), at // stride, -1)


def seen(node: MaxPool2d, in_shape: Shape) -> int:
    """Values within the image under all windows of one channel: the border holds none."""
    _, *outs = node.out_shape("MaxPool2d", in_shape)
    total = 1
    for side in (0, 1):
        at = np.arange(outs[side])[:, None] * node.stride[side] - node.padding[side]
        taps = at + np.arange(node.kernel[side])
        total *= int(np.count_nonzero((taps >= 0) & (taps < in_shape[1 + side])))
    return total


def largest(node: MaxPool2d, values: np.ndarray) -> np.ndarray:
    """values [T, N, *shape] -> [T, N, *out_shape], of the same type: the largest of each window."""
    _, high, wide = node.out_shape("MaxPool2d", values.shape[2:])
    (k0, k1), (s0, s1), (p0, p1) = node.kernel, node.stride, node.padding
    whole = values.dtype.kind in "iu"
    least = np.iinfo(values.dtype).min if whole else -np.inf if values.dtype.kind == "f" else False
    x = np.pad(values, ((0, 0), (0, 0), (0, 0), (p0, p0), (p1, p1)), constant_values=least)
    taps = (
        x[..., p : p + s0 * (high - 1) + 1 : s0, q : q + s1 * (wide - 1) + 1 : s1]
        for p in range(k0)
        for q in range(k1)
    )
    out = next(taps)
    for tap in taps:
        out = np.maximum(out, tap)
    return out


def mean(node: LinearNode, values: np.ndarray) -> np.ndarray:
    """values [T, N, *shape] -> float64 [T, N, *out_shape], the mean over each window; integers are summed
    exactly."""
    if isinstance(node, JointMean) and values.dtype.kind in "ub":
        return tally.along(values, -1).astype(np.float64) / values.shape[-1]
    # In the order of the axes: sums of reals do not depend on where memory holds them.
    x = values.astype(np.int64 if values.dtype.kind in "iub" else np.float64, order="C")
    if isinstance(node, JointMean):
        return x.sum(axis=-1) / x.shape[-1]
    (kh, kw), (sh, sw) = node.kernel, node.stride
    high, wide = ((n - k) // s + 1 for n, k, s in zip(x.shape[3:], node.kernel, node.stride, strict=True))
    total = sum(
        x[..., p : p + sh * (high - 1) + 1 : sh, q : q + sw * (wide - 1) + 1 : sw]
        for p in range(kh)
        for q in range(kw)
    )
    return total / (kh * kw)
