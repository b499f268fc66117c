"""Matrices of fixed linear maps, float64: what `StepMap` and `JointMap` of train/layers.py hold.

    fourier    X[k] = sum_n x[n] exp(-2 pi i k n / N)                  numpy.fft.fft's convention
    wavelet    orthonormal filter bank on a circle, Daubechies' filters
    interpolation   between the centres of cells, as images are resized

A complex number is two real parts, stacked: real above imaginary. Complex convolution of stacked channels is
then a ChannelMix of [[Wr, -Wi], [Wi, Wr]], a window of one weight per joint is `JointMap(np.diag(w))`.
"""

import math

import numpy as np
import pywt


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


def wavelet_bands(n: int, levels: int, name: str = "haar") -> list[tuple[np.ndarray, np.ndarray]]:
    """Orthonormal wavelet transform of n numbers on a circle: (trend, detail) of level 1..J, [n / 2^j, n].

    name: an orthogonal wavelet of PyWavelets (haar, db2, sym4, coif1, ...), its filters and its mode
    'periodization'. The last trend and all details together are orthonormal rows: their transpose is the
    inverse. n must be a multiple of 2^J, and at no level shorter than the filter.
    """
    _fits(n, levels, _orthogonal(name).dec_len)
    bands, trend = [], np.eye(n)
    for _ in range(levels):
        trend, detail = pywt.dwt(trend, name, mode="periodization", axis=0)
        bands.append((trend, detail))
    return bands


def _orthogonal(name: str) -> pywt.Wavelet:
    if name not in pywt.wavelist(kind="discrete") or not pywt.Wavelet(name).orthogonal:
        raise ValueError(
            f"wavelet {name!r}; expected an orthogonal one of PyWavelets: haar, db2, sym4, coif1, ..."
        )
    return pywt.Wavelet(name)


def _fits(n: int, levels: int, taps: int) -> None:
    if levels < 1 or n % (1 << levels) or (n >> (levels - 1)) < taps:
        raise ValueError(
            f"{levels} levels of {taps} taps do not fit {n} steps: "
            f"n must be a multiple of {1 << max(levels, 0)}, its last level no shorter than the filter"
        )


def legendre(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Multiwavelet filters of the Legendre polynomials below `order`: H, G [order, 2 order] each.

    With s[n] the `order` coefficients of cell n, the cell that holds cells 2n and 2n+1 has the trend
    H [s[2n]; s[2n+1]] and the detail G [s[2n]; s[2n+1]]; [H; G] is orthogonal. H is made of the orthonormal
    Legendre polynomials phi_i of [0, 1], for the halves c = 0, 1 (Alpert 1993):

        H[i, c order + j] = sqrt(1/2) integral phi_i((y + c) / 2) phi_j(y) dy

    G spans what is left, by orthonormalising the polynomials with their sign turned in the left half; within
    that span its basis is free, and Alpert's further vanishing moments are not asked for.
    """
    y, weight = np.polynomial.legendre.leggauss(order)
    y, weight = (y + 1.0) / 2.0, weight / 2.0

    def phi(at: np.ndarray) -> np.ndarray:
        scale = np.sqrt(2.0 * np.arange(order) + 1.0)
        return scale[:, None] * np.polynomial.legendre.legvander(2.0 * at - 1.0, order - 1).T

    left, right = (math.sqrt(0.5) * (phi((y + c) / 2.0) * weight) @ phi(y).T for c in (0.0, 1.0))
    h = np.hstack([left, right])
    g = np.hstack([-left, right])
    for _ in range(2):  # once leaves 1e-10 of H in it: the rows that remain are small
        q, r = np.linalg.qr((g - g @ h.T @ h).T)
        g = (q * np.sign(np.diag(r))).T
    return h, g


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
