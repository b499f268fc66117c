"""Compiled loops of the Loihi simulator: currents through neurons, and the state of a population.

The equations are those of `convert.ir.loihi`; rows and integer types as in `deploy.loihi_kernels`.
"""

from __future__ import annotations

import numpy as np

from convert.ir import Population
from deploy.loihi_kernels import compiled


class Neurons:
    """The state of one population over a batch of N samples."""

    def __init__(self, population: Population, dtype: np.dtype, samples: int) -> None:
        model = population.model
        self.name, self.size = population.name, population.size
        self.u, self.v = np.zeros((2, samples, self.size), dtype)
        self.counts = np.zeros((samples, self.size), np.int32)
        self.bias = np.broadcast_to(model.bias, population.shape).astype(dtype).reshape(-1)  # type: ignore[union-attr]
        keep_u, keep_v, threshold = 4095 - model.du, 4096 - model.dv, model.vth << 6  # type: ignore[union-attr]
        self.constants = dtype.type(keep_u), dtype.type(keep_v), dtype.type(threshold)

    def step(self, acc: np.ndarray, raster: np.ndarray) -> None:
        """Advance over the steps of acc, filling raster; both [steps N, size]."""
        step_neurons(acc, raster, self.counts, self.u, self.v, self.bias, *self.constants)


@compiled
def step_neurons(acc, raster, counts, u, v, bias, keep_u, keep_v, threshold):
    """Neurons of `convert.ir.loihi` over the steps of acc, all samples.

    acc [steps N, size] in, raster uint8 [steps N, size] out; counts int32, u, v [N, size] go on from the call
    before; bias [size]; keep_u = 4095 - du, keep_v = 4096 - dv, threshold = vth << 6; all but raster and
    counts of one integer type.
    """
    samples = u.shape[0]
    for n in range(samples):
        for row in range(n, acc.shape[0], samples):
            _step_u(acc[row], u[n], keep_u)
            _step_v(u[n], v[n], bias, raster[row], keep_v, threshold)
            _count(raster[row], counts[n])


@compiled
def _step_u(a, u, keep):
    # |x| k >> 12 with k <= 4096, taken apart so that it never leaves the width of x
    whole = a.dtype.type
    half, turn = whole(1 << 23), whole(1 << 24)
    for i in range(a.shape[0]):
        mag = whole(abs(u[i]))
        held = whole(whole(whole(mag >> 12) * keep) + whole(whole(whole(mag & 4095) * keep) >> 12))
        held = whole(-held) if u[i] < 0 else held
        x = whole(held + whole(a[i] << 6))
        down = turn if x > half else whole(0)
        up = turn if x <= -half else whole(0)
        u[i] = whole(whole(x - down) + up)


@compiled
def _step_v(u, v, bias, spikes, keep, threshold):
    whole = v.dtype.type
    top = whole((1 << 23) - 1)
    for i in range(v.shape[0]):
        mag = whole(abs(v[i]))
        held = whole(whole(whole(mag >> 12) * keep) + whole(whole(whole(mag & 4095) * keep) >> 12))
        held = whole(-held) if v[i] < 0 else held
        x = whole(whole(held + u[i]) + bias[i])
        x = top if x > top else x
        x = whole(-top) if x < whole(-top) else x
        fired = x > threshold
        spikes[i] = fired
        v[i] = whole(0) if fired else x


@compiled
def _count(spikes, counts):
    for i in range(spikes.shape[0]):
        counts[i] += spikes[i]
