"""Tallies of a batch, step by step: which values are not zero, and what they pass. Exact, int64.

These few loops are most of counting's time, so each takes the form that numpy runs fastest: ones are counted
eight to a byte; a map that is one number in every step is a product with a count; other maps are a matrix
product in a float type that holds every sum; channels are joined by halves, in long rows. `docs/energy.md`
has what was measured. No compiled code: a report of few samples is not to wait for a compiler.
"""

from __future__ import annotations

from functools import reduce

import numpy as np

CACHED = 2**16  # values that a core's own cache holds as floats


def nonzero(events: np.ndarray) -> np.ndarray:
    """events bool [T, N, P] -> how many are true, int64 [N, T]."""
    packed = np.packbits(events, axis=2)
    words = packed.view(np.uint64) if packed.shape[2] % 8 == 0 else packed
    return np.bitwise_count(words).sum(axis=2, dtype=np.int64).T


def through(events: np.ndarray, weights: np.ndarray, count: np.ndarray) -> np.ndarray:
    """sum over p of events[t, n, p] weights[t, p]: int64 [N, T].

    events: bool or whole numbers from 0, [T, N, P].  weights: int64 [1 or T, P], none negative.  count: the
    sums over all p of events, int64 [N, T].
    """
    steps, _, size = events.shape
    if (weights == weights[:, :1]).all():
        return count * weights[:, 0]
    if events.dtype == np.bool_ and events.strides[2] == 1 and size % 8 == 0:
        eights = weights.reshape(len(weights), -1, 8)
        if (eights == eights[:, :, :1]).all():  # channels side by side in memory
            events, weights = np.bitwise_count(events.view(np.uint64)), eights[:, :, 0]
    kind = holding(int(weights.sum(axis=1).max()) * peaks(events)[1])
    return _products(events, np.broadcast_to(weights.astype(kind), (steps, weights.shape[1])))


def _products(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """values [T, N, P] times rows [T, P], of a float type that holds the sums: int64 [N, T].

    As many samples at a time as leave the values in the cache, turned into that type.
    """
    steps, samples, size = values.shape
    found = np.empty((samples, steps), np.int64)
    at_once = max(1, CACHED // max(size, 1))
    for t, (now, row) in enumerate(zip(values, rows, strict=True)):
        for start in range(0, samples, at_once):
            part = slice(start, start + at_once)
            found[part, t] = now[part].astype(rows.dtype) @ row
    return found


def joined(events: np.ndarray) -> np.ndarray:
    """bool [T, N, C, *places] -> [T, N, *places]: whether any of the C channels is true there."""
    if events.strides[2] == 1 and events.shape[2] % 8 == 0:  # side by side in memory: eight to a word
        words = np.moveaxis(np.moveaxis(events, 2, -1).view(np.uint64), -1, 0)
        return reduce(np.bitwise_or, words) != 0
    return _halved(events, 2, np.logical_or)


def stacked(events: np.ndarray, places: int) -> np.ndarray:
    """bool [T, N, C places] -> how many of the C channels are true there, [T, N, places], narrow integers."""
    ones = events.reshape(*events.shape[:2], -1, places).view(np.uint8)
    return _halved(ones.astype(whole(0, ones.shape[2]), copy=False), 2, np.add)


def met(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """sum_ijk a[i, k] b[k, j] of each step, int64 [N, T]: of bool, the pairs that are both true.

    a: [T, N, *batch, m, k], b: [T, N, *batch, k, n], bool or whole numbers from 0, of any memory order.  As
    the sum is sum_k (sum_i a_ik) (sum_j b_kj), the product itself is not needed.
    """
    left, right = (along(x, axis).reshape(*x.shape[:2], -1) for x, axis in ((a, -2), (b, -1)))
    pairs = left.astype(np.float64) * right
    return pairs.sum(axis=2).astype(np.int64).T  # float64 holds them all


def along(values: np.ndarray, axis: int) -> np.ndarray:
    """The sum of bool or whole numbers from 0 over one axis, exact, in whatever type holds it."""
    most = values.shape[axis] * peaks(values)[1]
    if values.strides[axis] > values.itemsize:  # long rows of what lies beside the axis
        narrow = values.view(np.uint8) if values.dtype == np.bool_ else values
        return _halved(narrow.astype(whole(0, most), copy=False), axis, np.add)
    kind = holding(most)
    rows = np.ascontiguousarray(np.moveaxis(values, axis, -1), kind)
    return (rows.reshape(-1, rows.shape[-1]) @ np.ones(rows.shape[-1], kind)).reshape(rows.shape[:-1])


def _halved(values: np.ndarray, axis: int, join: np.ufunc) -> np.ndarray:
    """All of an axis joined into one, its second half on its first until one is left: long rows are fast."""
    left = np.moveaxis(values, axis, 0)
    while (size := len(left)) > 1:
        both = join(left[: size // 2], left[size - size // 2 :])
        if size % 2:  # the odd one in the middle joins the first
            both[0] = join(both[0], left[size // 2])
        left = both
    return left[0]


def sums(values: np.ndarray) -> np.ndarray:
    """Sums of whole numbers [T, N, P] of each step, int64 [N, T]."""
    steps, _, size = values.shape
    kind = holding(size * max(map(abs, peaks(values))))
    return _products(values, np.ones((steps, size), kind))


def totals(values: np.ndarray) -> np.ndarray:
    """Sums of whole numbers [T, N, P] of each sample, int64 [N]."""
    return sums(values).sum(axis=1)


def holding(largest: int) -> type[np.floating]:
    """The smallest float type whose sums up to `largest` are exact; no layer has 2^53 synapses."""
    return np.float32 if largest < 2**24 else np.float64


def peaks(values: np.ndarray) -> tuple[int, int]:
    """(least, largest) of 0 and the integers of values."""
    if values.dtype == np.bool_:
        return 0, 1
    least = 0 if values.dtype.kind == "u" else int(values.min(initial=0))
    return least, int(values.max(initial=0))


def sizes(values: np.ndarray) -> np.ndarray:
    """|x|; of integers in a type that holds it, as int8 does not that of -128."""
    return np.abs(values.astype(whole(*peaks(values)) if values.dtype.kind in "iub" else values.dtype))


def whole(least: int, largest: int) -> np.dtype:
    """The smallest integer type that holds both, and -least: what is narrow is added fast."""
    return np.min_scalar_type(largest if least == 0 else min(least, -largest) - 1)
