"""LIF neurons of the Loihi simulator as LLVM vectors: GROUP neurons take one step, state to state.

The equations are `loihi_lif.step_u` and `step_v`, in fewer operations, exact where the caller
has proven so much:

    dec(x, d) = (x >> 12) k + ((x & 4095) k + c >> 12),  k = 4096 - d, c = 4095 where x < 0: toward zero
    the wrap of u, for |x| < 3 2^23:  1 + ((x - 1) << 8 >> 8)
    no upper bound of v: a threshold below it resets the neuron first
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from deploy.loihi_vectors import _all, _data, _spread, _vectors

GROUP = 32  # four registers of 32 bytes: their spikes are one of bytes
CURRENT_MAX = (1 << 18) - 1  # largest |current|: x = dec(u) + 64 a wraps once at most
THRESHOLD_MAX = (1 << 23) - 2
_LANES, _BYTES = ir.VectorType(ir.IntType(32), GROUP), ir.VectorType(ir.IntType(8), GROUP)


def _held(builder, x, keep):
    """dec(x), keep in every lane."""
    low = builder.mul(builder.and_(x, _all(_LANES, 4095)), keep)
    toward = builder.and_(builder.ashr(x, _all(_LANES, 31)), _all(_LANES, 4095))
    high = builder.mul(builder.ashr(x, _all(_LANES, 12)), keep)
    return builder.add(high, builder.lshr(builder.add(low, toward), _all(_LANES, 12)))


def _step(remembers):
    """The builder of a step, with dec(u) or without it."""

    def build(context, builder, signature, args):
        def at(k, offset, kind=_LANES):
            return _vectors(builder, builder.gep(_data(context, builder, signature, args, k), [offset]), kind)

        places = [at(0, args[1])] + [at(k, args[6]) for k in (2, 3, 5)] + [at(4, args[7])]
        a, u, v, counts, bias = (builder.load(place, align=4) for place in places)
        keep_u, keep_v, threshold = (_spread(builder, _LANES, args[k]) for k in (10, 11, 12))
        x = builder.sub(builder.shl(a, _all(_LANES, 6)), _all(_LANES, 1))
        if remembers:
            x = builder.add(x, _held(builder, u, keep_u))
        wrapped = builder.ashr(builder.shl(x, _all(_LANES, 8)), _all(_LANES, 8))
        u = builder.add(wrapped, _all(_LANES, 1))
        x = builder.add(builder.add(_held(builder, v, keep_v), u), bias)
        bottom = _all(_LANES, -(1 << 23) + 1)
        x = builder.select(builder.icmp_signed("<", x, bottom), bottom, x)
        fired = builder.icmp_signed(">", x, threshold)
        builder.store(u, places[1], align=4)
        builder.store(builder.select(fired, _all(_LANES, 0), x), places[2], align=4)
        builder.store(builder.sub(counts, builder.sext(fired, _LANES)), places[3], align=4)
        builder.store(builder.zext(fired, _BYTES), at(8, args[9], _BYTES), align=1)
        return context.get_dummy_value()

    return build


def _types(row, u, v, bias, counts, raster):
    at, number = types.intp, types.int32
    return types.void(row, at, u, v, bias, counts, at, at, raster, at, number, number, number)


@intrinsic
def step_group(
    typing, row, at, u, v, bias, counts, state, first, raster, place, keep_u, keep_v, threshold
):  # fmt: skip
    """GROUP neurons: currents row[at:], u, v, counts[state:], bias[first:] int32, spikes raster[place:]
    uint8; all contiguous, flat places. |currents| <= CURRENT_MAX, threshold <= THRESHOLD_MAX."""
    return _types(row, u, v, bias, counts, raster), _step(True)


@intrinsic
def step_group_now(
    typing, row, at, u, v, bias, counts, state, first, raster, place, keep_u, keep_v, threshold
):  # fmt: skip
    """`step_group` where nothing is kept of u (keep_u = 0)."""
    return _types(row, u, v, bias, counts, raster), _step(False)
