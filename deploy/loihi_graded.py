"""Compiled loops of the Loihi simulator: sigma-delta neurons and resonators, `convert.ir.sigma_delta` and
`convert.ir.resonators`. All states and sums are int64; rows as in `deploy.loihi_lif`."""

from __future__ import annotations

from deploy.loihi_kernels import compiled


@compiled
def step_resonators(a_real, a_imag, raster, counts, real, imag, sin, cos, threshold, up, izhikevich):
    """RF, or RF_IZ; a_real, a_imag [steps N, size], raster uint8; threshold already shifted by up."""
    samples = real.shape[0]
    top = (1 << 23) - 1
    for row in range(a_real.shape[0]):
        n = row % samples
        for i in range(real.shape[1]):
            re, im = real[n, i], imag[n, i]
            x = _toward_zero(cos * re) - _toward_zero(sin * im) + (a_real[row, i] << up)
            y = _toward_zero(sin * re) + _toward_zero(cos * im) + (a_imag[row, i] << up)
            x, y = min(max(x, -top), top), min(max(y, -top), top)
            if izhikevich:
                fired = y >= threshold
                if fired:
                    x, y = 0, threshold - 1
            else:
                fired = x >= threshold and y >= 0 and im < 0
            real[n, i], imag[n, i] = x, y
            raster[row, i] = fired
            counts[n, i] += fired


@compiled
def _toward_zero(x):
    return -(-x >> 12) if x < 0 else x >> 12


@compiled
def step_changes(
    acc, raster, counts, totals, sigma, act, residue, error, bias, fault, up, threshold, down, limit,
    sums, relu, cumulative, carry,
):  # fmt: skip
    """Delta (x = a << up) and SigmaDelta (sums: x = sigma + bias, or its relu); raster int32.

    A message beyond `limit` ends the call: fault = (step of this call, magnitude).
    """
    samples = act.shape[0]
    for row in range(acc.shape[0]):
        n = row % samples
        for i in range(act.shape[1]):
            x = acc[row, i] << up
            if sums:
                sigma[n, i] += x
                x = sigma[n, i] + bias[i]
                x = 0 if relu and x < 0 else x
            delta = x - act[n, i] + residue[n, i]
            held = delta
            if cumulative:
                error[n, i] += delta
                held = error[n, i]
            sent = delta if abs(held) >= threshold else 0
            if cumulative and sent != 0:
                error[n, i] = 0
            message = sent >> down
            residue[n, i], act[n, i] = delta - (message << down if carry else sent), x
            if abs(message) > limit:
                fault[0], fault[1] = row // samples, max(fault[1], abs(message))
                message = 0
            raster[row, i] = message
            counts[n, i] += message != 0
            totals[n, i] += message
        if fault[1] > 0 and n == samples - 1:
            return


@compiled
def step_sums(acc, raster, sigma):
    """sigma += a; raster int64: sigma after every step."""
    samples = sigma.shape[0]
    for row in range(acc.shape[0]):
        n = row % samples
        for i in range(sigma.shape[1]):
            sigma[n, i] += acc[row, i]
            raster[row, i] = sigma[n, i]


@compiled
def add_wrapped(sums, acc):
    """acc += sums, each wrapped to 24 bits as Lava's Conv does; both [rows, out]."""
    whole = acc.dtype.type
    half = 1 << 23
    for r in range(acc.shape[0]):
        for o in range(acc.shape[1]):
            acc[r, o] += whole(((sums[r, o] + half) & ((1 << 24) - 1)) - half)
