"""The two innermost loops of the Loihi simulator as LLVM vectors: listing spikes, summing rows of weights.

Numba's own loops over small integers test their arrays for overlap at every entry and keep their sums in
memory; these keep them in registers. LLVM fits the vectors to the processor there is, so the code runs
anywhere, and integers come out the same everywhere.

Weights lie in pairs. A row of ROW_BYTES is one source's weights to a strip of outputs: lane o, of 2 h bits,
holds w + 2^(h-1) of output o in its lower half and of output o + lanes in its upper half (h = 8 or 16).
Two sums are kept, of the lanes and of their upper halves; the lower halves are the first less the second,
modulo a lane. That is three operations a vector, where widening signed weights takes six. 2^(h-1) a row is
taken off at the end.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

ROW_BYTES = 128  # two cache lines, and sums for eight registers of 32 bytes
VECTOR_BYTES = 32
WORD = 8  # sources looked at together

PLACES = np.zeros((1 << WORD, WORD), np.uint8)  # mask -> the places of its ones, then zeros
for _mask in range(1 << WORD):
    _ones = [k for k in range(WORD) if _mask >> k & 1]
    PLACES[_mask, : len(_ones)] = _ones

_GATHER = 0x0102040810204080  # times eight bytes of 0 or 1: their mask, in the top byte
_I8, _I32, _I64 = (ir.IntType(bits) for bits in (8, 32, 64))


def _data(context, builder, signature, args, k):
    """Address of the first element of argument k, an array."""
    return context.make_array(signature.args[k])(context, builder, args[k]).data


def _all(kind, value):
    """A constant vector."""
    return ir.Constant(kind, [value] * kind.count)


def _spread(builder, kind, value):
    """`value` in every lane."""
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, _I32(0))
    return builder.shuffle_vector(
        one, ir.Constant(kind, ir.Undefined), _all(ir.VectorType(_I32, kind.count), 0)
    )


def _vectors(builder, start, kind):
    """An address as one of vectors."""
    return builder.bitcast(start, kind.as_pointer())


@intrinsic
def list_word(typing, raster, at, places, base, spikes, n):
    """spikes[n:] = base + the places of ones among the WORD bytes raster[at:]; returns how many they are.

    raster uint8 of 0 and 1, places `PLACES`, spikes int32: WORD of them are written, whatever is found.
    """

    def build(context, builder, signature, args):
        raster, places, spikes = (_data(context, builder, signature, args, k) for k in (0, 2, 4))
        few, many = ir.VectorType(_I8, WORD), ir.VectorType(_I32, WORD)
        eight = builder.bitcast(builder.gep(raster, [args[1]]), _I64.as_pointer())
        mask = builder.lshr(builder.mul(builder.load(eight, align=1), _I64(_GATHER)), _I64(56))
        place = builder.load(
            _vectors(builder, builder.gep(places, [builder.mul(mask, _I64(WORD))]), few), align=1
        )
        found = builder.add(builder.zext(place, many), _spread(builder, many, builder.trunc(args[3], _I32)))
        builder.store(found, _vectors(builder, builder.gep(spikes, [args[5]]), many), align=4)
        return builder.ctpop(mask)

    return types.intp(raster, types.intp, places, types.intp, spikes, types.intp), build


@intrinsic
def sum_rows(typing, w, at, spikes, start, stop, total):
    """total [2 lanes] = the sum of a strip's rows spikes[start:stop], start < stop <= start + `most_rows`.

    w uint16 or uint32, contiguous; the row of source i begins at element at + i lanes. total int32 or int64,
    of outputs in their order.
    """

    def build(context, builder, signature, args):
        data = [_data(context, builder, signature, args, k) for k in (0, 2, 5)]
        lane, wide = signature.args[0].dtype.bitwidth, signature.args[5].dtype.bitwidth
        sums = _sum_rows(builder, lane, data[0], args[1], data[1], args[3], args[4])
        for value, place in _outputs(builder, sums, builder.sub(args[4], args[3]), wide, data[2]):
            builder.store(value, place, align=wide // 8)
        return context.get_dummy_value()

    return types.void(w, types.intp, spikes, types.intp, types.intp, total), build


@intrinsic
def add_rows(typing, w, at, spikes, start, stop, exp, acc, low):
    """acc[low:low + 2 lanes] += shift(the sum of `sum_rows`, exp); acc contiguous, int32 or int64."""

    def build(context, builder, signature, args):
        data = [_data(context, builder, signature, args, k) for k in (0, 2, 6)]
        lane, wide = signature.args[0].dtype.bitwidth, signature.args[6].dtype.bitwidth
        sums = _sum_rows(builder, lane, data[0], args[1], data[1], args[3], args[4])
        acc = builder.gep(data[2], [args[7]])
        exp = builder.trunc(args[5], ir.IntType(wide)) if wide < 64 else args[5]
        left = builder.icmp_signed(">=", exp, ir.IntType(wide)(0))
        many = ir.VectorType(ir.IntType(wide), sums[0][0].type.count)
        up = _spread(builder, many, builder.select(left, exp, ir.IntType(wide)(0)))
        down = _spread(builder, many, builder.select(left, ir.IntType(wide)(0), builder.neg(exp)))
        for value, place in _outputs(builder, sums, builder.sub(args[4], args[3]), wide, acc):
            value = builder.ashr(builder.shl(value, up), down)
            value = builder.add(builder.load(place, align=wide // 8), value)
            builder.store(value, place, align=wide // 8)
        return context.get_dummy_value()

    return types.void(w, types.intp, spikes, types.intp, types.intp, types.intp, acc, types.intp), build


def _sum_rows(builder, bits, w, at, spikes, start, stop):
    """The loop: [(sum of lanes, sum of their upper halves)] per vector of a row."""
    kind = ir.VectorType(ir.IntType(bits), VECTOR_BYTES * 8 // bits)
    vectors, lanes = ROW_BYTES // VECTOR_BYTES, ROW_BYTES * 8 // bits
    entry, loop = builder.block, builder.append_basic_block("rows")
    end = builder.append_basic_block("rows.end")
    builder.branch(loop)
    builder.position_at_end(loop)
    k = builder.phi(_I64)
    sums = [(builder.phi(kind), builder.phi(kind)) for _ in range(vectors)]
    source = builder.zext(builder.load(builder.gep(spikes, [k])), _I64)
    row = _vectors(builder, builder.gep(w, [builder.add(at, builder.mul(source, _I64(lanes)))]), kind)
    new = []
    for j, (whole, upper) in enumerate(sums):
        pair = builder.load(builder.gep(row, [_I64(j)]), align=bits // 8)
        new.append((builder.add(whole, pair), builder.add(upper, builder.lshr(pair, _all(kind, bits // 2)))))
    following = builder.add(k, _I64(1))
    builder.cbranch(builder.icmp_signed("<", following, stop), loop, end)
    for phi, before, after in [(k, start, following)] + [
        (phi, _all(kind, 0), value) for pair, grown in zip(sums, new, strict=True)
        for phi, value in zip(pair, grown, strict=True)
    ]:  # fmt: skip
        phi.add_incoming(before, entry)
        phi.add_incoming(after, loop)
    builder.position_at_end(end)
    return new


def _outputs(builder, sums, rows, wide, start):
    """(sums of outputs, their address): both halves of the lanes, less what was added to each weight."""
    bits, kind = sums[0][0].type.element.width, ir.VectorType(ir.IntType(wide), sums[0][0].type.count)
    rows = builder.trunc(rows, ir.IntType(wide)) if wide < 64 else rows
    less = _spread(builder, kind, builder.mul(rows, ir.IntType(wide)(1 << (bits // 2 - 1))))
    place = _vectors(builder, start, kind)
    for j, (whole, upper) in enumerate(sums):
        lower = builder.sub(whole, builder.shl(upper, _all(upper.type, bits // 2)))
        for half, value in enumerate((lower, upper)):
            value = builder.zext(value, kind) if wide > bits else value
            yield builder.sub(value, less), builder.gep(place, [_I64(half * len(sums) + j)])


def most_rows(bits: int) -> int:
    """Rows whose sum fits a half of weights of `bits` bits."""
    return 1 << bits
