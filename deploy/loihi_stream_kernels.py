"""Compiled loops of a stream on the Loihi simulator: one frame's spikes into lists, lists into currents.

Arrays and the columns of their tables are those of `deploy.loihi_stream_layout`. Integers only, so the order
of additions is free. Nothing is allocated. What steers the form of the loops: see `deploy.loihi_kernels`.
"""

from __future__ import annotations

import numpy as np

from deploy.loihi_kernels import compiled, flush
from deploy.loihi_stream_layout import (
    AT,
    COLUMNS,
    DELAY,
    DENSE,
    DEPTH,
    EXP,
    FILL,
    FILLS,
    FIRST,
    GRADED,
    KIND,
    LIST,
    LOW,
    MOST,
    PANEL,
    PANELS,
    SOURCES,
    SUMMED,
    TARGETS,
    WIDTH,
    WRAPS,
)


@compiled
def list_frame(raster, order, starts, lists, list_at, fills, fill_at, values, graded):
    """List what raster [N, in] sends: places in `order`, panel by panel; and the values, if they are graded.

    Stream n's list begins at list_at + n in; its fills, [P + 1], say where in it each panel's share begins.
    """
    size, parts = order.shape[0], starts.shape[0] - 1
    for n in range(raster.shape[0]):
        at, fill, k = list_at + n * size, fill_at + n * (parts + 1), 0
        for b in range(parts):
            fills[fill + b] = k
            for r in range(starts[b], starts[b + 1]):
                x = raster[n, order[r]]
                lists[at + k] = r
                if graded:
                    values[at + k] = x
                k += 1 if x != 0 else 0
        fills[fill + parts] = k


@compiled
def add_currents(
    rows, table, panels, weights, starts, targets, lists, fills, values, t, acc, part, short, sums
):
    """acc [N, out] = the currents of frame t through projections rows[0]..rows[1] of the table.

    part and sums, of acc's type, and short are scratch of at least `out` elements.
    """
    samples = acc.shape[0]
    acc[:] = 0
    for r in range(rows[0], rows[1]):
        p = table[r]
        if t < p[DELAY]:
            continue
        slot = (t - p[DELAY]) % p[DEPTH] * samples
        for n in range(samples):
            at, fill = p[LIST] + (slot + n) * p[SOURCES], p[FILL] + (slot + n) * p[FILLS]
            if p[SUMMED]:
                sums[: acc.shape[1]] = 0
                _project(p, panels, weights, starts, targets, lists, fills, values, at, fill,
                         sums, part, short, 0)  # fmt: skip
                _close(sums, acc[n], p[EXP], p[WRAPS])
            else:
                _project(p, panels, weights, starts, targets, lists, fills, values, at, fill,
                         acc[n], part, short, p[EXP])  # fmt: skip


@compiled
def _project(p, panels, weights, starts, targets, lists, fills, values, at, fill, into, part, short, exp):
    """One projection of one stream, its spikes listed from `at`: into += shift(W x, exp)."""
    end = fills[fill + p[FILLS] - 1]
    if p[KIND] == COLUMNS:
        q = panels[p[PANEL]]
        places = starts[q[FIRST] :]
        for k in range(at, at + end):
            x = values[k] if p[GRADED] else 1
            _scatter_column(weights, targets, places, q[AT], q[TARGETS], lists[k], x, into, exp)
        return
    for b in range(p[PANELS]):
        first, last = (0, end) if p[KIND] == DENSE else (fills[fill + b], fills[fill + b + 1])
        q = panels[p[PANEL] + b]
        width = q[WIDTH]
        if first == last or width == 0:
            continue
        origin = q[AT] - q[FIRST] * width
        if p[GRADED]:
            _sum_values(weights, origin, width, lists, values, at + first, at + last, part)
        else:
            _sum_rows(weights, origin, width, lists, at + first, at + last, p[MOST], short, part)
        if q[LOW] >= 0:
            flush(part, into[q[LOW] : q[LOW] + width], exp)
        else:
            _scatter(part, targets[q[TARGETS] : q[TARGETS] + width], into, exp)


@compiled
def _sum_rows(weights, origin, width, lists, first, last, most, short, part):
    """part [width] = the sum of the listed rows; no more than `most` fit into short."""
    part[:width] = 0
    for begin in range(first, last, most):
        end = min(last, begin + most)
        short[:width] = 0
        k = begin
        while k + 8 <= end:
            _add_eight(weights, origin, width, lists, k, short)
            k += 8
        while k < end:
            row = weights[origin + lists[k] * width : origin + (lists[k] + 1) * width]
            for o in range(row.shape[0]):
                short[o] += row[o]
            k += 1
        for o in range(width):
            part[o] += short[o]


@compiled
def _add_eight(weights, origin, width, lists, k, short):
    a, b = weights[origin + lists[k] * width :], weights[origin + lists[k + 1] * width :]
    c, d = weights[origin + lists[k + 2] * width :], weights[origin + lists[k + 3] * width :]
    e, f = weights[origin + lists[k + 4] * width :], weights[origin + lists[k + 5] * width :]
    g, h = weights[origin + lists[k + 6] * width :], weights[origin + lists[k + 7] * width :]
    for o in range(width):
        short[o] += a[o] + b[o] + c[o] + d[o] + e[o] + f[o] + g[o] + h[o]


@compiled
def _sum_values(weights, origin, width, lists, values, first, last, part):
    """part [width] = the sum of the listed rows, each times its value."""
    whole = part.dtype.type
    part[:width] = 0
    for k in range(first, last):
        row = weights[origin + lists[k] * width : origin + (lists[k] + 1) * width]
        x = whole(values[k])
        for o in range(row.shape[0]):
            part[o] += whole(whole(row[o]) * x)


@compiled
def _scatter_column(weights, targets, places, at, to, source, x, into, exp):
    whole = into.dtype.type
    for k in range(places[source], places[source + 1]):
        y = whole(whole(weights[at + k]) * whole(x))
        into[targets[to + k]] += whole(y << exp) if exp >= 0 else whole(y >> -exp)


@compiled
def _scatter(part, targets, into, exp):
    """into [targets] += shift(part, exp)."""
    whole = into.dtype.type
    if exp >= 0:
        for o in range(targets.shape[0]):
            into[targets[o]] += whole(part[o] << exp)
    else:
        for o in range(targets.shape[0]):
            into[targets[o]] += whole(part[o] >> -exp)


@compiled
def _close(sums, into, exp, wraps):
    """into += shift(sums, exp), wrapped to 24 bits if Lava's Conv would."""
    half, whole = np.int64(1 << 23), into.dtype.type
    for o in range(into.shape[0]):
        x = np.int64(sums[o])
        x = x << exp if exp >= 0 else x >> -exp
        into[o] += whole(((x + half) & (2 * half - 1)) - half) if wraps else whole(x)
