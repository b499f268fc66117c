"""Populations on a cycle, advanced step by step in one compiled loop.

What comes from outside the cycle is computed for a block of steps at a time, as everywhere. Inside, a step's
spikes are listed as they occur and kept for the longest delay; each projection adds its paired rows or its
columns (`deploy.loihi_synapses`), whichever costs less a spike: both cost in proportion to the spikes, so the
choice holds at every activity. Cycles of other neurons, messages or widths take the general path of
`deploy.loihi_sim`; the integers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from convert.ir import LoihiIntegrator, LoihiLIF, Program
from deploy import loihi_vectors as vectors
from deploy.loihi_kernels import compiled, list_row, sum_strip
from deploy.loihi_lif import count, step_u, step_v
from deploy.loihi_neurons import Neurons
from deploy.loihi_spikes import Desk
from deploy.loihi_synapses import Synapses, aligned

STRIP, MOST = vectors.ROW_BYTES, vectors.most_rows(8)  # outputs of a strip of 8-bit weights, rows of a sum
# columns of the tables of members and edges
SIZE, DEPTH, LISTS, STATE, OUTSIDE, KEEP_U, KEEP_V, THRESHOLD, FIRST, LAST = range(10)
SOURCE, DELAY, EXP, AT, STRIPS = range(5)
Outside = Callable[[str, int, int, np.ndarray], None]


def fits(program: Program, width: Mapping[str, np.dtype], members: list[str], into: list[Synapses]) -> bool:
    """LIF neurons with one decay for all, 32-bit currents, binary messages, sums that cannot wrap."""
    models = [program.populations[name].model for name in members]
    return (
        all(type(m) in (LoihiLIF, LoihiIntegrator) for m in models)
        and all(np.ndim(m.du) == np.ndim(m.dv) == 0 for m in models)  # type: ignore[union-attr]
        and all(width[name] == np.int32 for name in members)
        and not any(s.graded or s.wraps for s in into)
    )


class Cycle:
    """The tables of one cycle: its weights laid end to end, its members' constants."""

    def __init__(self, program: Program, members: list[str], into: Mapping[str, list[Synapses]]) -> None:
        self.members, self.sizes = members, [program.populations[name].size for name in members]
        inside = {name: [s for s in into[name] if s.projection.src in members] for name in members}
        self.table = np.zeros((len(members), LAST + 1), np.int64)
        edges: list[list[int]] = []
        rows: list[np.ndarray] = []
        columns: list[tuple[np.ndarray, ...]] = []
        for k, name in enumerate(members):
            model = program.populations[name].model
            first = len(edges)
            edges += [self._edge(s, rows, columns) for s in inside[name]]
            leaving = [s for found in inside.values() for s in found if s.projection.src == name]
            depth = max((s.projection.delay for s in leaving), default=0) + 1
            self.table[k, [SIZE, DEPTH, FIRST, LAST]] = self.sizes[k], depth, first, len(edges)
            self.table[k, [KEEP_U, KEEP_V]] = 4095 - model.du, 4096 - model.dv  # type: ignore[union-attr]
            self.table[k, THRESHOLD] = model.vth << 6  # type: ignore[union-attr]
        self.edges = np.array(edges, np.int64).reshape(-1, STRIPS + 1)
        self.pairs = aligned(sum(w.size for w in rows), np.dtype(np.uint16))
        np.concatenate([*(w.reshape(-1) for w in rows), np.empty(0, np.uint16)], out=self.pairs)
        self.columns = tuple(
            np.concatenate([c[k] for c in columns] or [np.empty(0, kind)]).astype(kind)
            for k, kind in enumerate((np.int64, np.int32, np.int16))
        )

    def _edge(self, s: Synapses, rows: list[np.ndarray], columns: list[tuple[np.ndarray, ...]]) -> list[int]:
        layout = s.choose(1, 1, ("rows", "columns"))
        (made, *others) = s.layout(layout)
        if layout == "rows" and made.dtype == np.uint16:
            at, strips = sum(w.size for w in rows), len(made)
            rows.append(made)
        else:
            starts, targets, values = (made, *others) if layout == "columns" else s.layout("columns")
            at, strips = sum(len(c[0]) for c in columns), 0
            columns.append((starts + sum(len(c[1]) for c in columns), targets, values))
        source = self.members.index(s.projection.src)
        return [source, s.projection.delay, s.exp, at, strips]

    def run(
        self, neurons: Mapping[str, Neurons], desk: Desk, steps: int, stride: int, outside: Outside,
        rasters: Mapping[str, np.ndarray],
    ) -> None:  # fmt: skip
        """All steps, `stride` at a time; outside(name, start, stop, acc) adds what comes from elsewhere."""
        made = [neurons[name] for name in self.members]
        samples = len(made[0].counts)
        table, sizes = self._placed(samples, stride)
        u, v, bias, counts = (_packed(made, key) for key in ("u", "v", "bias", "counts"))
        acc = desk.array("cycle acc", (sizes[OUTSIDE],), np.int32)
        fired = desk.array("cycle spikes", (sizes[OUTSIDE],), np.uint8)
        lists = desk.array("cycle lists", (sizes[LISTS],), np.int32)
        lengths = np.zeros((len(made), int(table[:, DEPTH].max()), samples), np.int64)
        row, part = np.empty((2, -(-max(self.sizes) // STRIP) * STRIP), np.int32)
        sums = np.empty((2, STRIP), np.int32)
        for start in range(0, steps, stride):
            stop = min(steps, start + stride)
            blocks = [(at, at + (stop - start) * samples * n) for at, n in table[:, [OUTSIDE, SIZE]]]
            for name, size, (low, high) in zip(self.members, self.sizes, blocks, strict=True):
                acc[low:high] = 0
                outside(name, start, stop, acc[low:high].reshape(-1, size))
            run_cycle(
                start, stop, samples, table, self.edges, self.pairs, *self.columns, acc, fired, u, v, bias,
                counts, lists, lengths, row, part, sums,
            )  # fmt: skip
            for name, size, (low, high) in zip(self.members, self.sizes, blocks, strict=True):
                rasters[name][start * samples : stop * samples] = fired[low:high].reshape(-1, size)
        for one, at in zip(made, table[:, STATE], strict=True):
            for kept, value in ((one.states["u"], u), (one.states["v"], v), (one.counts, counts)):
                kept[:] = value[at : at + kept.size].reshape(kept.shape)
            one.at = steps

    def _placed(self, samples: int, stride: int) -> tuple[np.ndarray, dict[int, int]]:
        """The table with the places of each member's arrays, and the sizes of all members' together."""
        table, sizes = self.table.copy(), {}
        lists = table[:, DEPTH] * (table[:, SIZE] + vectors.WORD)
        for column, each in ((STATE, table[:, SIZE]), (OUTSIDE, stride * table[:, SIZE]), (LISTS, lists)):
            ends = np.cumsum(samples * each)
            table[1:, column], sizes[column] = ends[:-1], int(ends[-1])
        return table, sizes


def _packed(made: list[Neurons], key: str) -> np.ndarray:
    """One state, the counts or the bias of all members, end to end, [N, size] each."""
    parts = (one.states[key] if key in one.states else getattr(one, key) for one in made)
    return np.concatenate(
        [np.broadcast_to(p, one.counts.shape).reshape(-1) for p, one in zip(parts, made, strict=True)]
    )


@compiled
def run_cycle(
    first, stop, samples, members, edges, pairs, starts, targets, values, acc, fired, u, v, bias, counts,
    lists, lengths, row, part, sums,
):  # fmt: skip
    """Steps first..stop of all members, in order, all samples.

    members, edges: the tables above. acc int32 holds what comes from outside, fired uint8 takes the spikes,
    both [steps, N, size] from OUTSIDE on; u, v, bias, counts int32 [N, size] from STATE on. Spikes of step t
    and sample n lie in lists, from LISTS on, in slot t % DEPTH; lengths [members, slots, N].
    """
    whole = np.int32
    for t in range(first, stop):
        for m in range(members.shape[0]):
            size, depth = members[m, SIZE], members[m, DEPTH]
            for n in range(samples):
                at = members[m, OUTSIDE] + ((t - first) * samples + n) * size
                state = members[m, STATE] + n * size
                end, spikes = state + size, fired[at : at + size]
                row[:size] = acc[at : at + size]
                for e in range(members[m, FIRST], members[m, LAST]):
                    _add_edge(
                        t, n, samples, members, edges[e], pairs, starts, targets, values, lists, lengths,
                        row, part, sums,
                    )  # fmt: skip
                keep_u, keep_v = whole(members[m, KEEP_U]), whole(members[m, KEEP_V])
                step_u(row[:size], u[state:end], keep_u)
                step_v(
                    u[state:end], v[state:end], bias[state:end], spikes, keep_v, whole(members[m, THRESHOLD])
                )
                count(spikes, counts[state:end])
                base = members[m, LISTS] + (t % depth * samples + n) * (size + vectors.WORD)
                lengths[m, t % depth, n] = list_row(fired, at, size, lists, base) - base


@compiled
def _add_edge(t, n, samples, members, edge, pairs, starts, targets, values, lists, lengths, row, part, sums):
    """row += the currents of one projection for step t, sample n."""
    source, sent = edge[SOURCE], t - edge[DELAY]
    if sent < 0:
        return
    slot = sent % members[source, DEPTH]
    size = members[source, SIZE]
    low = members[source, LISTS] + (slot * samples + n) * (size + vectors.WORD)
    high = low + lengths[source, slot, n]
    if low == high:
        return
    if edge[STRIPS]:
        _add_strips(edge, size, lists, low, high, pairs, row, sums)
    else:
        _scatter(edge, lists, low, high, starts, targets, values, row, part)


@compiled
def _add_strips(edge, size, lists, low, high, pairs, row, sums):
    exp = edge[EXP]
    for strip in range(edge[STRIPS]):
        at = edge[AT] + strip * size * (STRIP // 2)
        if high - low <= MOST:
            vectors.add_rows(pairs, at, lists, low, high, exp, row, strip * STRIP)
        else:
            sum_strip(pairs, at, lists, low, high, MOST, sums[0], sums[1])
            for o in range(STRIP):
                row[strip * STRIP + o] += np.int32(sums[0, o] << exp if exp >= 0 else sums[0, o] >> -exp)


@compiled
def _scatter(edge, lists, low, high, starts, targets, values, row, part):
    exp = edge[EXP]
    into = row if exp >= 0 else part
    if exp < 0:
        part[:] = 0
    for k in range(low, high):
        i = edge[AT] + lists[k]
        for s in range(starts[i], starts[i + 1]):
            into[targets[s]] += np.int32(np.int32(values[s]) << max(exp, 0))
    if exp < 0:
        for o in range(row.shape[0]):
            row[o] += np.int32(part[o] >> -exp)
