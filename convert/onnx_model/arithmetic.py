"""Which number type computes a weighted sum: float32, or the cheapest type that is proven exact.

u8s8      uint8 x int8 -> int32 (MatMulInteger). Spikes and small counts. Kernels without dot-product
          instructions add *pairs* of products in 16 bits that saturate, so 2 x w <= 32767 must hold.
float32   integers stay exact while every partial sum is below 2^24: sum |w| max |x| is the bound
float64   the same below 2^53
"""

from __future__ import annotations

import numpy as np

from convert.onnx_model.values import Value, wide_enough

_PAIR_LIMIT = 32767


def magnitude(weight: np.ndarray, axes: tuple[int, ...]) -> int:
    """max over outputs of sum |w|, over the axes that are summed."""
    return int(np.abs(weight.astype(np.int64)).sum(axis=axes).max())


def choose(name: str, stage: str, x: Value, weight: np.ndarray, reach: int) -> str:
    """'u8s8', 'float32' or 'float64' for a sum whose partial sums reach `reach`."""
    if stage != "integer":
        return "float32"
    if fits_u8s8(x, weight) and reach <= 2**31 - 1:
        return "u8s8"
    return wide_enough(name, max(reach, x.reach), "float32", "float64")


def fits_u8s8(x: Value, weight: np.ndarray) -> bool:
    """Whether the product of bytes is exact on every kernel."""
    low, high = int(weight.min()), int(weight.max())
    widest = max(-low, high)
    bytes_hold = x.low >= 0 and x.high <= 255 and low >= -128 and high <= 127
    return bytes_hold and 2 * x.high * widest <= _PAIR_LIMIT


def interval(x: Value, weight: np.ndarray, axes: tuple[int, ...]) -> tuple[int, int]:
    """Bounds of sum w x over `axes` of the weight, for x between its own bounds; 0 is always inside.

    Zero belongs to it because padding and steps before the first count as 0 whatever x may be.
    """
    w = weight.astype(np.int64)
    plus, minus = np.maximum(w, 0).sum(axis=axes), np.minimum(w, 0).sum(axis=axes)
    low, high = min(x.low, 0), max(x.high, 0)
    return int((plus * low + minus * high).min()), int((plus * high + minus * low).max())
