"""Statistics of one number a sample: where it lies, how it spreads, how sure the mean is.

The interval is the percentile bootstrap of the mean: RESAMPLES times n samples drawn with replacement, seed
SEED, the middle LEVEL of their means. It says how far other samples of the same kind would move the mean, and
nothing of conventions or constants.
"""

from __future__ import annotations

from typing import Any

import numpy as np

RESAMPLES, SEED, LEVEL = 1000, 0, 0.95
_SLAB = 1 << 16  # draws at a time: bounds the memory (16 bytes each), changes no digit


def described(values: np.ndarray) -> dict[str, Any]:
    """values: float64 [n], n > 0. Percentiles interpolate linearly; std divides by n."""
    low, middle, high = np.percentile(values, [5, 50, 95])
    return {
        "median": float(middle), "std": float(values.std()),
        "p5": float(low), "p95": float(high),
        "min": float(values.min()), "max": float(values.max()),
        "ci95": interval(values),
    }  # fmt: skip


def interval(values: np.ndarray) -> list[float]:
    """[low, high] of the mean of values [n]; one value alone has no width."""
    generator, n = np.random.default_rng(SEED), len(values)
    at_once = max(1, _SLAB // n)
    means: list[np.ndarray] = []
    for start in range(0, RESAMPLES, at_once):
        size = min(at_once, RESAMPLES - start)
        means.append(values[generator.integers(0, n, (size, n))].mean(axis=1))
    edge = 50 * (1 - LEVEL)
    return [float(v) for v in np.percentile(np.concatenate(means), [edge, 100 - edge])]


def how() -> dict[str, Any]:
    """The bootstrap, as a report states it."""
    return {"resamples": RESAMPLES, "seed": SEED, "level": LEVEL, "of": "mean", "method": "percentile"}
