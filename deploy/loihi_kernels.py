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

import numpy as np
from numba import njit

TILE = 32  # rows whose spike lists are held while the weights of one block of outputs stay in the cache
GROUP = 8  # weight rows added in one pass over the block


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """The function compiled without the interpreter lock, kept on disk: in NUMBA_CACHE_DIR, beside the
    source or in the user's cache; where none of them can be written, each process compiles afresh."""
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return njit(nogil=True)(function)


@compiled
def _list_spikes(row, spikes):
    """Indices of the ones of row uint8 [in], filled up to a multiple of GROUP with `in`, the zero row."""
    n = 0
    size = row.shape[0]
    for i in range(size):
        spikes[n] = i
        n += row[i]
    while n % GROUP:
        spikes[n] = size
        n += 1
    return n


@compiled
def _add_group(w, spikes, k, part):
    """part [width] += the sum of GROUP rows of w [in + 1, width]."""
    at = np.uintp  # an unsigned index spares the test for a negative one
    a, b, c, d = w[at(spikes[k])], w[at(spikes[k + 1])], w[at(spikes[k + 2])], w[at(spikes[k + 3])]
    e, f, g, h = w[at(spikes[k + 4])], w[at(spikes[k + 5])], w[at(spikes[k + 6])], w[at(spikes[k + 7])]
    for o in range(part.shape[0]):
        part[o] += a[o] + b[o] + c[o] + d[o] + e[o] + f[o] + g[o] + h[o]


@compiled
def _flush(part, acc, exp):
    """acc [m] += shift(part [>= m], exp)."""
    whole = acc.dtype.type
    if exp >= 0:
        for o in range(acc.shape[0]):
            acc[o] += whole(whole(part[o]) << exp)
    else:
        for o in range(acc.shape[0]):
            acc[o] += whole(whole(part[o]) >> -exp)


@compiled
def add_spikes(raster, acc, w, blocks, most, exp, lists, lengths, short, part):
    """acc += shift(W s, exp) for spikes raster uint8 [rows, in].

    w int8/int16 [blocks, in + 1, width] holds W transposed, in blocks of outputs; its last row is zero.
    `blocks` (first, last) is the share of this call. `most` rows (a multiple of GROUP) never overflow short
    int16/int32 [width]; part [width] is of acc's type; lists int32 [TILE, in + GROUP] and lengths int64
    [TILE] are scratch.
    """
    rows, out = acc.shape
    width = w.shape[2]
    for top in range(0, rows, TILE):
        bottom = min(rows, top + TILE)
        for r in range(top, bottom):
            lengths[r - top] = _list_spikes(raster[r], lists[r - top])
        for block in range(blocks[0], blocks[1]):
            low = block * width
            high = min(out, low + width)
            for r in range(top, bottom):
                _add_row(w[block], lists[r - top], lengths[r - top], most, exp, short, part, acc[r, low:high])


@compiled
def _add_row(w, spikes, n, most, exp, short, part, acc):
    """One row of `add_spikes` in one block of outputs."""
    if n == 0:
        return
    short[:] = 0
    if n <= most:
        for k in range(0, n, GROUP):
            _add_group(w, spikes, k, short)
        _flush(short, acc, exp)
        return
    part[:] = 0
    for start in range(0, n, most):
        for k in range(start, min(n, start + most), GROUP):
            _add_group(w, spikes, k, short)
        _flush(short, part, 0)
        short[:] = 0
    _flush(part, acc, exp)


@compiled
def add_values(raster, acc, w, blocks, exp, lists, lengths, factors, part):
    """acc += shift(W x, exp) for graded values raster int32 [rows, in]; the rest as in `add_spikes`.

    factors [TILE, in + GROUP], of acc's type, is scratch for the values that belong to lists.
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
                _flush(part, acc[r, low:high], exp)


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
def add_columns(raster, acc, starts, targets, values, exp, part):
    """acc += shift(W x, exp) for spikes uint8 or values int32 raster [rows, in]; W in compressed columns.

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
        _flush(part, acc[r], exp)


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
