"""What becomes of a dense weight on its way through a `.net` into a Lava synapse.

netx's `optimize_weight_bits` shifts the weights of the file up into 8 bits and derives bits and exponent;
Lava's Dense then picks a sign mode of its own, clips and drops low bits. `product` replays both, so that what
a `.net` would change is refused and not changed. Source: lava-dl 0.6.0 `netx/utils.py`, lava-nc 0.10.0
`utils/weightutils.py`, `proc/dense/models.py`.
"""

from __future__ import annotations

import math

import numpy as np

from convert.ir import Unsupported

LOW, HIGH = -256, 255


def mantissa(name: str, weight: np.ndarray, *, zero: bool = False) -> tuple[np.ndarray, int, int]:
    """(mantissas, exponent, bits) of integer weights: 8 bits where they fit, 9 for odd ones of one sign.

    Unsupported, with the layer's name, for weights no synapse holds, and for all zeros unless `zero`.
    """
    if not weight.size or not (zero or weight.any()):
        raise Unsupported(
            name, f"all {weight.size} weights are zero, and netx divides by the largest", "remove the layer"
        )
    low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
    if low < LOW or high > HIGH:
        raise Unsupported(
            name, f"weights {low}..{high} are outside {LOW}..{HIGH}", "train with 8-bit weights"
        )
    if low >= -128 and high <= 127:
        return weight.astype(np.int8), 0, 8
    if not (weight % 2).any():
        return (weight >> 1).astype(np.int8), 1, 8
    if low < 0 < high:
        raise Unsupported(
            name, f"odd weights of both signs, {low}..{high}, need 9 bits of 8", "export even weights"
        )
    return weight.astype(np.int16), 0, 9


def fault(weights: np.ndarray) -> str | None:
    """None if a synapse holds these integer weights exactly, else why not, in the words of a reason."""
    low, high = int(weights.min()), int(weights.max())
    if low == high == 0:
        return "all weights are zero, at which netx divides by zero"
    if low < LOW or high > HIGH:
        return f"weights {low}..{high} are outside {LOW}..{HIGH}"
    if low < 0 < high and high > 254:
        return f"weights {low}..{high} of both signs are outside {LOW}..254"
    shifted, bits, exp = _optimised(weights, low, high)
    if bits > 8:
        return f"weights {low}..{high} with odd values need {bits} bits of 8"
    got = _synapse(shifted, bits)
    got = got << exp if exp > 0 else got >> -exp
    if not np.array_equal(got, weights):
        changed = int((got != weights).sum())
        return f"netx holds weights {low}..{high} in {bits} bits and changes {changed} of them"
    return None


def _optimised(weights: np.ndarray, low: int, high: int) -> tuple[np.ndarray, int, int]:
    """(weights, bits, exponent) as netx derives them."""
    signed = int(not (high < 0 or low >= 0))
    if signed:
        scale = min(127 / high if high else math.inf, -128 / low)
    else:
        scale = -256 / low if high < 0 else 255 / high
    up = math.floor(math.log2(scale)) + signed
    n = next((n for n in range(8, 0, -1) if not (weights % (1 << n)).any()), 0) - signed
    return weights << up, 8 - up - n, -up


def _synapse(weights: np.ndarray, bits: int) -> np.ndarray:
    """Clip and truncation in Lava's Dense, with the sign mode it finds for itself."""
    if weights.min() >= 0:
        sign, mixed, clipped = 1, 0, np.clip(weights, 0, 255)
    elif weights.max() <= 0:
        sign, mixed, clipped = -1, 0, np.clip(weights, -255, 0)
    else:
        sign, mixed, clipped = 1, 1, np.clip(weights, -256, 255)
    drop = 8 - bits + mixed
    return sign * ((sign * clipped >> drop) << drop) if drop > 0 else clipped
