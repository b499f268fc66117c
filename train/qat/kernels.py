"""Compiled loops of the integer neuron: Lava's arithmetic in int64, and its surrogate backward.

Forward, all integers (convert/ir/loihi.py states the equations, deploy/reference_neurons.py their meaning):

    u1 = toward_zero(u keep_u / 4096) + (a << 6)        one wrap above 2^23 or at and below -2^23
    v  = clip(toward_zero(v keep_v / 4096) + u + bias)  to 24 bits
    s  = v > threshold;  v = 0 where s

Backward, with k = keep / 4096 and gs_h the gradient of the spike times the surrogate; wrap, truncation and
saturation pass the gradient as it is:

    gv_t = gs_h_t + (1 - s_t) k_v gv_{t+1};   gu_t = gv_t + k_u gu_{t+1};   ga_t = 2^6 gu_t
"""

import numpy as np
from numba import njit, prange

from train.kernels import use_threads

HALF = 1 << 23  # states live in 24 bits
STATE_SHIFT = 6


@njit(inline="always")
def _toward_zero(x: np.int64) -> np.int64:
    return -((-x) >> 12) if x < 0 else x >> 12


@njit(parallel=True, cache=True)
def _forward(
    a: np.ndarray, s: np.ndarray, x: np.ndarray, v_out: np.ndarray,
    keep_u: np.ndarray, keep_v: np.ndarray, bias: np.ndarray, threshold: np.int64, unit: np.float64,
) -> None:  # fmt: skip
    steps, rows, size = a.shape
    for n in prange(rows):
        u, v = np.zeros(size, np.int64), np.zeros(size, np.int64)
        for t in range(steps):
            for i in range(size):
                u_i = _toward_zero(u[i] * keep_u[i]) + (np.int64(a[t, n, i]) << STATE_SHIFT)
                if u_i > HALF:
                    u_i -= 2 * HALF
                elif u_i <= -HALF:
                    u_i += 2 * HALF
                v_i = _toward_zero(v[i] * keep_v[i]) + u_i + bias[i]
                v_i = min(max(v_i, -HALF + 1), HALF - 1)
                fired = v_i > threshold
                s[t, n, i] = 1.0 if fired else 0.0
                x[t, n, i] = (v_i - threshold) * unit
                u[i] = u_i
                v[i] = 0 if fired else v_i
        for i in range(size):
            v_out[n, i] = v[i]


@njit(parallel=True, cache=True)
def _backward(
    gs_h: np.ndarray, s: np.ndarray, gv_last: np.ndarray, ga: np.ndarray, gb: np.ndarray,
    keep_u: np.ndarray, keep_v: np.ndarray,
) -> None:  # fmt: skip
    steps, rows, size = gs_h.shape
    part = np.float32(1.0 / 4096.0)
    for n in prange(rows):
        gu, gv = np.zeros(size, np.float32), gv_last[n].copy()
        total = np.zeros(size, np.float32)
        for back in range(steps):
            t = steps - 1 - back
            for i in range(size):
                g = gs_h[t, n, i] + (np.float32(1.0) - s[t, n, i]) * gv[i]
                g_u = g + gu[i]
                ga[t, n, i] = np.float32(64.0) * g_u
                total[i] += g
                gu[i] = np.float32(keep_u[i]) * part * g_u
                gv[i] = np.float32(keep_v[i]) * part * g
        for i in range(size):
            gb[n, i] = total[i]


def forward(
    a: np.ndarray, keep_u: np.ndarray, keep_v: np.ndarray, bias: np.ndarray, threshold: int, unit: float,
    threads: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """a [T, N, P] integers in floats; keep, bias int64 [P] -> spikes float32 [T, N, P], (v before the reset -
    threshold) unit float32 [T, N, P], v after the last step float64 [N, P]."""
    use_threads(threads)
    s, x = np.empty(a.shape, np.float32), np.empty(a.shape, np.float32)
    v = np.empty(a.shape[1:], np.float64)
    _forward(a, s, x, v, keep_u, keep_v, bias, np.int64(threshold), np.float64(unit))
    return s, x, v


def backward(
    gs_h: np.ndarray, s: np.ndarray, gv_last: np.ndarray, keep_u: np.ndarray, keep_v: np.ndarray, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """gs_h, s float32 [T, N, P], gv_last float32 [N, P] -> ga [T, N, P], gradient of the bias [N, P]."""
    use_threads(threads)
    ga, gb = np.empty(s.shape, np.float32), np.empty(s.shape[1:], np.float32)
    _backward(gs_h, s, gv_last, ga, gb, keep_u, keep_v)
    return ga, gb
