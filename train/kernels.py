"""Compiled loops of the fused neuron: float32, CPU.

No fast-math: every product and sum rounds on its own, in the order of the step, so that a spike
here is a spike there. Arrays are [T, P] and [P], C-contiguous; blocks of P run in parallel, their
size is fixed and so the result does not depend on the number of threads. They let go of Python's lock:
the next batch is made meanwhile (train.ahead).
"""

import numpy as np
from numba import get_num_threads, njit, prange, set_num_threads

_BLOCK = 2048  # neurons; four float32 rows of a block fit the first-level cache


@njit(parallel=True, cache=True, nogil=True)
def _forward(
    a: np.ndarray, u: np.ndarray, v: np.ndarray, s: np.ndarray, v_pre: np.ndarray,
    keep_u: np.float32, keep_v: np.float32, threshold: np.float32, bias: np.float32,
) -> None:  # fmt: skip
    steps, size = a.shape
    zero, one = np.float32(0.0), np.float32(1.0)
    for block in prange((size + _BLOCK - 1) // _BLOCK):
        low = block * _BLOCK
        high = min(size, low + _BLOCK)
        for t in range(steps):
            for i in range(low, high):
                u_i = a[t, i] if keep_u == zero else keep_u * u[i] + a[t, i]
                v_i = keep_v * v[i] + u_i
                if bias != zero:
                    v_i = v_i + bias
                fired = v_i > threshold
                u[i] = u_i
                v_pre[t, i] = v_i
                s[t, i] = one if fired else zero
                v[i] = zero if fired else v_i


@njit(parallel=True, cache=True, nogil=True)
def _backward(
    gs_h: np.ndarray, s: np.ndarray, gu: np.ndarray, gv: np.ndarray, ga: np.ndarray,
    keep_u: np.float32, keep_v: np.float32,
) -> None:  # fmt: skip
    steps, size = gs_h.shape
    one = np.float32(1.0)
    for block in prange((size + _BLOCK - 1) // _BLOCK):
        low = block * _BLOCK
        high = min(size, low + _BLOCK)
        for back in range(steps):
            t = steps - 1 - back
            for i in range(low, high):
                g = gs_h[t, i] + (one - s[t, i]) * gv[i]
                g_a = g + gu[i]
                ga[t, i] = g_a
                gu[i] = keep_u * g_a
                gv[i] = keep_v * g


def forward(
    a: np.ndarray, u: np.ndarray, v: np.ndarray, s: np.ndarray, v_pre: np.ndarray,
    keep_u: np.float32, keep_v: np.float32, threshold: np.float32, bias: np.float32, threads: int,
) -> None:  # fmt: skip
    """Fill s, v_pre [T, P] from a [T, P]; u, v [P] hold the state before, and after on return."""
    use_threads(threads)
    _forward(a, u, v, s, v_pre, keep_u, keep_v, threshold, bias)


def backward(
    gs_h: np.ndarray, s: np.ndarray, gu: np.ndarray, gv: np.ndarray, ga: np.ndarray,
    keep_u: np.float32, keep_v: np.float32, threads: int,
) -> None:  # fmt: skip
    """Fill ga [T, P]; gu, gv [P] hold the gradient of the last state, on return of the first."""
    use_threads(threads)
    _backward(gs_h, s, gu, gv, ga, keep_u, keep_v)


def use_threads(threads: int) -> None:
    """As many threads for compiled loops as torch has."""
    # Torch's thread count rules; numba knows only as many threads as it was started with.
    threads = min(threads, _LIMIT)
    if get_num_threads() != threads:
        set_num_threads(threads)


_LIMIT = get_num_threads()
