"""Matrices of fixed linear maps, float64: what `StepMap` and `JointMap` of train/layers.py hold.

    fourier    X[k] = sum_n x[n] exp(-2 pi i k n / N)                  numpy.fft.fft's convention
    wavelet    orthonormal filter bank on a circle, Daubechies' filters
    interpolation   between the centres of cells, as images are resized

A complex number is two real parts, stacked: real above imaginary. Complex convolution of stacked channels is
then a ChannelMix of [[Wr, -Wi], [Wi, Wr]], a window of one weight per joint is `JointMap(np.diag(w))`.
"""

import math

import numpy as np


def fourier(n: int) -> np.ndarray:
    """The discrete Fourier transform of n real numbers: [2, n, n], real and imaginary part."""
    angle = 2.0 * np.pi * (np.outer(np.arange(n), np.arange(n)) % n) / n
    return np.stack([np.cos(angle), -np.sin(angle)])


def joint_fourier(n: int) -> np.ndarray:
    """[2, 1, n, n] for JointMap: C real channels in; C real and C imaginary channels out."""
    return fourier(n)[:, None]


def joint_fourier_inverse(n: int) -> np.ndarray:
    """[1, 2, n, n] for JointMap: the real part of the inverse transform of stacked channels."""
    # Re((cos + i sin)(a + i b)) = cos a - sin b, and `fourier` holds -sin.
    return fourier(n)[None] / n


def complex_mix(real: np.ndarray, imaginary: np.ndarray) -> np.ndarray:
    """[2 out, 2 in]: the ChannelMix weight of a complex weight [out, in] on stacked channels."""
    return np.block([[real, -imaginary], [imaginary, real]])


def wavelet(n: int, levels: int = 1, moments: int = 1) -> np.ndarray:
    """Orthonormal wavelet transform of n numbers on a circle: [n, n], rows coarse to fine.

    moments: vanishing moments of Daubechies' wavelet, 1 (Haar) to 10. Rows of J levels: n/2^J scaling
    coefficients, then the details of level J, J-1, ... 1. n must be a multiple of 2^levels, and at no level
    shorter than the filter. The inverse is the transpose. Order and phase are PyWavelets' of the mode
    'periodization' (compared once, to 1e-9); the definition is short enough not to need the library.
    """
    if levels < 1 or n % (1 << levels) or (n >> (levels - 1)) < 2 * moments:
        raise ValueError(
            f"{levels} levels of {2 * moments} taps do not fit {n} steps: "
            f"n must be a multiple of {1 << max(levels, 0)}, its last level no shorter than the filter"
        )
    low = daubechies(moments)
    high = low[::-1] * (-1.0) ** np.arange(len(low))
    coarse, details = np.eye(n), []
    for _ in range(levels):
        at = 2 * np.arange(len(coarse) // 2)[:, None] + np.arange(len(low)) - (moments - 1)
        details.append(np.einsum("k,mkn->mn", high, coarse[at % len(coarse)]))
        coarse = np.einsum("k,mkn->mn", low, coarse[at % len(coarse)])
    return np.concatenate([coarse, *details[::-1]])


def daubechies(moments: int) -> np.ndarray:
    """Daubechies' scaling filter of 2 p taps, extremal phase, sum sqrt(2).

    By its definition: h(z) = c ((1 + z) / 2)^p q(z), where q has the roots inside the unit circle of
    sum_k C(p - 1 + k, k) y^k,  y = (2 - z - 1/z) / 4   (Daubechies 1988).
    """
    if not 1 <= moments <= 10:
        raise ValueError(f"{moments} vanishing moments; 1 to 10 are exact enough in double precision")
    half = np.roots([math.comb(moments - 1 + k, k) for k in range(moments)][::-1])
    q = np.ones(1, complex)
    for y in half:
        pair = np.roots([1.0, 4.0 * y - 2.0, 1.0])  # z of this y; the other root is its inverse
        q = np.convolve(q, [1.0, -pair[np.abs(pair).argmin()]])
    h = q.real
    for _ in range(moments):
        h = np.convolve(h, [1.0, 1.0])
    return h * math.sqrt(2.0) / h.sum()


def interpolation(after: int, before: int) -> np.ndarray:
    """Linear interpolation of `before` values to `after`: [after, before], rows sum to 1.

    Value i lies at the centre of cell i of equal cells over one window; beyond the outer centres the outer
    value holds (torch's `interpolate`, align_corners=False).
    """
    at = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0.0, before - 1.0)
    left = np.minimum(np.floor(at).astype(int), max(before - 2, 0))
    out, rows = np.zeros((after, before)), np.arange(after)
    out[rows, left] = 1.0 - (at - left)
    out[rows, np.minimum(left + 1, before - 1)] += at - left
    return out
