"""Tallies of a batch, step by step: which values are not zero, and what they pass. Exact, int64.

These few loops are all of counting's time, so each takes the form that numpy runs fastest: ones are counted
eight to a byte; a map that is one number in every step is a product with a count; other maps are a matrix
product in a float type that holds every sum; channels are joined by halves, in long rows. `docs/energy.md`
has what was measured. No compiled code: a report of few samples is not to wait for a compiler.
"""

from __future__ import annotations

import numpy as np


def nonzero(events: np.ndarray) -> np.ndarray:
    """events bool [T, N, P] -> how many are true, int64 [N, T]."""
    ones = np.bitwise_count(np.packbits(events, axis=2))
    return ones.sum(axis=2, dtype=np.int64).T


def through(events: np.ndarray, weights: np.ndarray, count: np.ndarray) -> np.ndarray:
    """sum over p of events[t, n, p] weights[t, p]: int64 [N, T].

    events: bool [T, N, P].  weights: int64 [1 or T, P], none negative.  count: `nonzero(events)`.
    """
    steps, samples, _ = events.shape
    if (weights == weights[:, :1]).all():
        return count * weights[:, 0]
    kind = holding(int(weights.sum(axis=1).max()))
    if len(weights) == 1:
        return (events.astype(kind) @ weights[0].astype(kind)).astype(np.int64).T
    out = np.empty((samples, steps), np.int64)
    for t, (now, row) in enumerate(zip(events, weights.astype(kind), strict=True)):
        out[:, t] = now.astype(kind) @ row
    return out


def joined(events: np.ndarray, places: int) -> np.ndarray:
    """bool [T, N, C places] -> [T, N, places]: whether any of the C channels is true there."""
    channels = events.shape[2] // places
    while channels > 1:
        half = (channels + 1) // 2  # an odd channel in the middle is joined with itself
        events = events[:, :, : half * places] | events[:, :, (channels - half) * places :]
        channels = half
    return events


def met(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """sum_ijk a[i, k] b[k, j] of each step, int64 [N, T]: of bool, the pairs that are both true.

    a: [T, N, *batch, m, k], b: [T, N, *batch, k, n], bool or whole numbers from 0.  As the sum is
    sum_k (sum_i a_ik) (sum_j b_kj), the product itself is not needed.
    """
    m, n = a.shape[-2], b.shape[-1]
    left = a.astype(whole(0, m * max(1, peaks(a)[1])))
    while left.shape[-2] > 1:  # by halves, as in `joined`; an odd row in the middle waits for the next round
        rows, half = left.shape[-2], left.shape[-2] // 2
        both = left[..., :half, :] + left[..., rows - half :, :]
        left = np.concatenate([both, left[..., half : rows - half, :]], axis=-2) if rows % 2 else both
    kind = holding(n * peaks(b)[1])
    right = b.reshape(-1, n).astype(kind) @ np.ones(n, kind)
    pairs = left.reshape(*a.shape[:2], -1) * right.astype(np.float64).reshape(*a.shape[:2], -1)
    return pairs.sum(axis=2).astype(np.int64).T  # float64 holds them all


def totals(values: np.ndarray) -> np.ndarray:
    """Sums of whole numbers [T, N, P] of each sample, int64 [N]."""
    size = values.shape[2]
    kind = holding(size * max(map(abs, peaks(values))))
    return (values.astype(kind) @ np.ones(size, kind)).astype(np.int64).sum(axis=0)


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
