"""Compiled loops of the Loihi simulator: spikes into currents, currents through neurons.

Rows are (step, sample) pairs in time-major order, row = t N + n. Currents `acc` are int32 or int64
[rows, out], as the caller has proven sufficient; shift(x, e) = x << e, or the floor shift x >> -e. Integers
only, so the order of additions is free and every route to a sum gives the same sum. Nothing is allocated.

Two things steer the form of the loops. Numba widens small integers to 64 bits, so each intermediate that
must stay narrow is cast back, or the loop would run with half the lanes. And LLVM vectorises only while it
can test the arrays for overlap with few comparisons, so a loop writes one or two arrays and reads few.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
from numba import njit

from deploy import loihi_vectors as vectors

TILE = 32  # rows whose spike lists are held while the weights of one block of outputs stay in the cache
GROUP = 8  # weight rows added in one pass over the block


def _stamp() -> str:
    """Of the sources of all compiled loops: one is compiled into another across files, which numba's own
    stamp, of a function's own file, does not notice."""
    sources = sorted(Path(__file__).parent.glob("loihi_*.py"))
    return sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


STAMP = _stamp()


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """The function compiled without the interpreter lock, kept on disk: in NUMBA_CACHE_DIR, beside the
    source or in the user's cache; where none of them can be written, each process compiles afresh."""
    try:
        made = njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return njit(nogil=True)(function)
    made._cache._cache_file._source_stamp = STAMP
    return made


@compiled
def flush(part, acc, exp):
    """acc [m] += shift(part [>= m], exp)."""
    whole = acc.dtype.type
    if exp >= 0:
        for o in range(acc.shape[0]):
            acc[o] += whole(whole(part[o]) << exp)
    else:
        for o in range(acc.shape[0]):
            acc[o] += whole(whole(part[o]) >> -exp)


@compiled
def list_spikes(raster, spikes, starts):
    """Row r's places of ones are spikes[starts[r]:starts[r + 1]]; returns how many there are in all.

    raster uint8 [rows, in], contiguous; spikes int32 [>= rows in + WORD], starts int64 [rows + 1].
    """
    rows, size = raster.shape
    n = 0
    for r in range(rows):
        starts[r] = n
        n = list_row(raster, r * size, size, spikes, n)
    starts[rows] = n
    return n


@compiled
def list_row(raster, low, size, spikes, n):
    """Append the places of ones among `size` elements of raster from `low` on to spikes[:n]; the new n."""
    words = size // vectors.WORD * vectors.WORD
    for i in range(0, words, vectors.WORD):
        n += vectors.list_word(raster, low + i, vectors.PLACES, i, spikes, n)
    flat = raster.reshape(-1)
    for i in range(words, size):
        spikes[n] = i
        n += flat[low + i]
    return n


@compiled
def add_spikes(spikes, starts, acc, w, strips, most, exp, total, sums):
    """acc [rows, out] += shift(W s, exp) for the spikes of `list_spikes`.

    w uint16/uint32 [strips, in, lanes] as in `deploy.loihi_vectors`; `strips` (first, last) is the share of
    this call; `most` rows of weights are summed at a time; total, sums [2 lanes] are scratch.
    """
    rows, out = acc.shape
    wide = total.shape[0]
    for strip in range(strips[0], strips[1]):
        low = strip * wide
        high = min(out, low + wide)
        at = strip * w.shape[1] * w.shape[2]
        for r in range(rows):
            start, stop = starts[r], starts[r + 1]
            if start < stop <= start + most and high - low == wide:
                vectors.add_rows(w, at, spikes, start, stop, exp, acc, r * out + low)
            elif start < stop:
                sum_strip(w, at, spikes, start, stop, most, total, sums)
                flush(total, acc[r, low:high], exp)


@compiled
def sum_strip(w, at, spikes, start, stop, most, total, sums):
    """total = the sum of rows spikes[start:stop] of the strip that begins at element `at`."""
    vectors.sum_rows(w, at, spikes, start, min(stop, start + most), total)
    for k in range(start + most, stop, most):
        vectors.sum_rows(w, at, spikes, k, min(stop, k + most), sums)
        for o in range(total.shape[0]):
            total[o] += sums[o]


@compiled
def add_shared(spikes, rows, acc, w, starts, places, kernel_rows, most, exp, lists, lengths, total, sums):
    """acc [rows, out] += shift(a convolution of the spikes of `list_spikes`, exp), `rows` its starts.

    w [strips, kernel rows, lanes]: the kernel's outputs for one input channel and tap are a row. Source i
    brings row kernel_rows[k] to output place places[k], k in starts[i]:starts[i + 1]; a place's rows are
    listed, then summed in registers. lists int32 [places, kernel rows], lengths int64 [places] are scratch.
    """
    positions, wide, whole = lists.shape[0], total.shape[0], acc.dtype.type
    cap, flat = lists.shape[1], lists.reshape(-1)
    out = acc.shape[1] // positions
    for r in range(acc.shape[0]):
        lengths[:] = 0
        for s in range(rows[r], rows[r + 1]):
            i = np.uintp(spikes[s])
            for k in range(starts[i], starts[i + np.uintp(1)]):
                place = np.uintp(places[k])
                flat[place * np.uintp(cap) + np.uintp(lengths[place])] = kernel_rows[k]
                lengths[place] += 1
        for place in range(positions):
            low = place * cap
            if lengths[place] == 0:
                continue
            for strip in range(w.shape[0]):
                at, first = strip * w.shape[1] * w.shape[2], strip * wide
                sum_strip(w, at, flat, low, low + lengths[place], most, total, sums)
                for o in range(min(wide, out - first)):
                    value = whole(total[o])
                    acc[r, (first + o) * positions + place] += whole(
                        value << exp if exp >= 0 else value >> -exp
                    )


@compiled
def add_values(raster, acc, w, blocks, exp, lists, lengths, factors, part):
    """acc += shift(W x, exp) for graded values raster int32 [rows, in].

    w int8/int16 [blocks, in + 1, width] holds W transposed, in blocks of outputs; its last row is zero.
    `blocks` (first, last) is the share of this call. part [width] is of acc's type; lists int32 [TILE, in +
    GROUP] and lengths int64 [TILE] are scratch, as is
    factors [TILE, in + GROUP], of acc's type, for the values that belong to lists.
    """
    rows, out = acc.shape
    width = w.shape[2]
    for top in range(0, rows, TILE):
        bottom = min(rows, top + TILE)
        for r in range(top, bottom):
            lengths[r - top] = _list_values(raster[r], lists[r - top], factors[r - top])
        for block in range(blocks[0], blocks[1]):
            low = block * width
            high = min(out, low + width)
            for r in range(top, bottom):
                part[:] = 0
                for k in range(0, lengths[r - top], GROUP):
                    _add_scaled(w[block], lists[r - top], factors[r - top], k, part)
                flush(part, acc[r, low:high], exp)


@compiled
def _list_values(row, places, factors):
    """Indices of the non-zeros of row int32 [in] and their values, filled up with the zero row."""
    n = 0
    size = row.shape[0]
    for i in range(size):
        places[n], factors[n] = i, row[i]
        n += row[i] != 0
    while n % GROUP:
        places[n], factors[n] = size, 0
        n += 1
    return n


@compiled
def _add_scaled(w, places, factors, k, part):
    """part [width] += factor * row, for GROUP rows of w [in + 1, width]."""
    at, whole = np.uintp, part.dtype.type
    a, b, c, d = w[at(places[k])], w[at(places[k + 1])], w[at(places[k + 2])], w[at(places[k + 3])]
    e, f, g, h = w[at(places[k + 4])], w[at(places[k + 5])], w[at(places[k + 6])], w[at(places[k + 7])]
    xa, xb, xc, xd = factors[k], factors[k + 1], factors[k + 2], factors[k + 3]
    xe, xf, xg, xh = factors[k + 4], factors[k + 5], factors[k + 6], factors[k + 7]
    for o in range(part.shape[0]):
        first = whole(whole(whole(a[o] * xa) + whole(b[o] * xb)) + whole(whole(c[o] * xc) + whole(d[o] * xd)))
        other = whole(whole(whole(e[o] * xe) + whole(f[o] * xf)) + whole(whole(g[o] * xg) + whole(h[o] * xh)))
        part[o] += whole(first + other)


@compiled
def scatter_spikes(spikes, rows, acc, starts, targets, values, exp, part):
    """acc += shift(W s, exp) for the spikes of `list_spikes`, `rows` its starts; W in compressed columns.

    starts int64 [in + 1], targets int32, values int16, part [out]. Without a shift to the right each synapse
    goes straight to acc: nothing is done for targets that get none.
    """
    whole = acc.dtype.type
    for r in range(acc.shape[0]):
        if exp >= 0:
            for s in range(rows[r], rows[r + 1]):
                i = np.uintp(spikes[s])
                for k in range(starts[i], starts[i + np.uintp(1)]):
                    acc[r, np.uintp(targets[k])] += whole(whole(values[k]) << exp)
        elif rows[r] < rows[r + 1]:
            part[:] = 0
            for s in range(rows[r], rows[r + 1]):
                i = np.uintp(spikes[s])
                for k in range(starts[i], starts[i + np.uintp(1)]):
                    part[np.uintp(targets[k])] += whole(values[k])
            flush(part, acc[r], exp)


@compiled
def add_columns(raster, acc, starts, targets, values, exp, part):
    """acc += shift(W x, exp) for values int32 raster [rows, in]; W in compressed columns.

    starts int64 [in + 1], targets int32, values int16, part [out].
    """
    whole = part.dtype.type
    for r in range(acc.shape[0]):
        part[:] = 0
        for i in range(raster.shape[1]):
            if raster[r, i] != 0:
                x = whole(raster[r, i])
                for k in range(starts[i], starts[i + 1]):
                    part[targets[k]] += whole(whole(values[k]) * x)
        flush(part, acc[r], exp)


@compiled
def add_product(product, acc, exp):
    """acc [rows, out] += shift(product, exp); product float32/float64 [rows, out] holds exact integers."""
    whole = acc.dtype.type
    for r in range(acc.shape[0]):
        if exp >= 0:
            for o in range(acc.shape[1]):
                acc[r, o] += whole(whole(product[r, o]) << exp)
        else:
            for o in range(acc.shape[1]):
                acc[r, o] += whole(whole(product[r, o]) >> -exp)
