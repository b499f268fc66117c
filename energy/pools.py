"""Poolings and means over positions: which window an input value falls into, and the mean over windows.

A mean over windows that do not overlap is linear and sends every input to at most one output, so it can be
folded into the weights behind it: `y = W mean(x) = (W / k) x`. `route` is that assignment.
"""

from __future__ import annotations

import math

import numpy as np

from convert.ir import AvgPool2d, JointMean, LinearNode, Shape
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
