"""Compiled loops of the LIF family in the Loihi simulator: currents through neurons, `convert.ir.loihi`.

acc [steps N, size] in, raster [steps N, size] out, row = t N + n; u, v and counts [N, size] go on from the
call before. All but raster, counts and totals are of one integer type, int32 or int64, proven to suffice.
"""

from __future__ import annotations

from deploy.loihi_kernels import compiled


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
            step_u(acc[row], u[n], keep_u)
            step_v(u[n], v[n], bias, raster[row], keep_v, threshold)
            count(raster[row], counts[n])


@compiled
def _replace_u(a, u):
    """`step_u` without a current state, as most trained networks have it: half the work of a neuron less."""
    whole = a.dtype.type
    half, turn = whole(1 << 23), whole(1 << 24)
    for i in range(a.shape[0]):
        x = whole(a[i] << 6)
        down = turn if x > half else whole(0)
        up = turn if x <= -half else whole(0)
        u[i] = whole(whole(x - down) + up)


@compiled
def step_u(a, u, keep):
    """u [size] takes one step with the currents a [size]."""
    # |x| k >> 12 with k <= 4096, taken apart so that it never leaves the width of x
    whole = a.dtype.type
    half, turn = whole(1 << 23), whole(1 << 24)
    if keep == 0:
        _replace_u(a, u)
        return
    for i in range(a.shape[0]):
        mag = whole(abs(u[i]))
        held = whole(whole(whole(mag >> 12) * keep) + whole(whole(whole(mag & 4095) * keep) >> 12))
        held = whole(-held) if u[i] < 0 else held
        x = whole(held + whole(a[i] << 6))
        down = turn if x > half else whole(0)
        up = turn if x <= -half else whole(0)
        u[i] = whole(whole(x - down) + up)


@compiled
def step_v(u, v, bias, spikes, keep, threshold):
    """v [size] takes one step with the new u; spikes uint8 [size]."""
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
def count(spikes, counts):
    """counts [size] += spikes [size]."""
    for i in range(spikes.shape[0]):
        counts[i] += spikes[i]


@compiled
def step_family(
    acc, raster, counts, totals, u, v, left, bias, keep_u, keep_v, high, low, interval, offset, at,
    refractory, signed,
):  # fmt: skip
    """The others of the family, in one loop; a feature that a model has not is switched off by its constant.

    raster uint8 or int32; keep_u, keep_v [size]. Spike +1 above `high`, -1 below `low`. u = v = 0 before
    step t with t % interval == offset (interval 0: never); `at` is the first step of this call. v stands
    still while left [N, size] is above 0, `refractory` steps after a spike. totals are summed if signed.
    """
    samples = u.shape[0]
    for n in range(samples):
        for row in range(n, acc.shape[0], samples):
            if interval > 0 and (at + row // samples) % interval == offset:
                u[n, :] = 0
                v[n, :] = 0
            _step_u_each(acc[row], u[n], keep_u)
            _step_v_each(u[n], v[n], left[n], bias, raster[row], keep_v, high, low, refractory)
            for i in range(raster.shape[1]):
                counts[n, i] += raster[row, i] != 0
            if signed:
                for i in range(raster.shape[1]):
                    totals[n, i] += raster[row, i]


@compiled
def _step_u_each(a, u, keep):
    whole = a.dtype.type
    half, turn = whole(1 << 23), whole(1 << 24)
    for i in range(a.shape[0]):
        mag = whole(abs(u[i]))
        held = whole(whole(whole(mag >> 12) * keep[i]) + whole(whole(whole(mag & 4095) * keep[i]) >> 12))
        held = whole(-held) if u[i] < 0 else held
        x = whole(held + whole(a[i] << 6))
        down = turn if x > half else whole(0)
        up = turn if x <= -half else whole(0)
        u[i] = whole(whole(x - down) + up)


@compiled
def _step_v_each(u, v, left, bias, messages, keep, high, low, refractory):
    whole = v.dtype.type
    top = whole((1 << 23) - 1)
    for i in range(v.shape[0]):
        mag = whole(abs(v[i]))
        held = whole(whole(whole(mag >> 12) * keep[i]) + whole(whole(whole(mag & 4095) * keep[i]) >> 12))
        held = whole(-held) if v[i] < 0 else held
        x = whole(whole(held + u[i]) + bias[i])
        x = top if x > top else x
        x = whole(-top) if x < whole(-top) else x
        x = v[i] if left[i] > 0 else x
        left[i] = whole(left[i] - 1) if left[i] > 0 else whole(0)
        message = 1 if x > high else (-1 if x < low else 0)
        messages[i] = message
        v[i] = whole(0) if message != 0 else x
        left[i] = refractory if message != 0 else left[i]
