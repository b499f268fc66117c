"""Coincidence populations in the Loihi simulator: the AND of two spikes, without the neurons' arithmetic.

A population of LoihiLIF(du = 4095, dv = 4095, vth = 3) without bias, fed by exactly two projections of spikes
with one synapse of weight 2 a neuron each (exponent 0), spikes exactly where both of its sources did:

    u = a << 6;  v = dec(v, 4095) + u, and v before is 0 or 128, of which nothing is left;  4 > 3, 2 < 3

It is recognised by this structure, whoever made the program, and run from the spikes of its less active side:
each asks its partners. Same spikes, same counts as the general path (`compact=False` on the target).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from convert.ir import LoihiLIF, Population, Program, Projection, SparseWeights
from deploy.loihi_kernels import compiled
from deploy.loihi_spikes import Desk, Spikes


class Coincidence:
    """One population of that structure: who its neurons listen to, in both directions."""

    def __init__(self, left: Projection, right: Projection) -> None:
        self.sides = left, right
        of = [_listens_to(p.weights) for p in self.sides]
        self.tables = tuple(
            table
            for p, other in zip(self.sides, reversed(of), strict=True)
            for table in (p.weights.starts, other[p.weights.rows].astype(np.int64) << 32 | p.weights.rows)
        )

    def meet(
        self,
        rasters: Mapping[str, np.ndarray],
        listed: Callable[[str, int, int], Spikes | None],
        steps: tuple[int, int],
        samples: int,
        out: np.ndarray,
        counts: np.ndarray,
        desk: Desk,
    ) -> None:
        """Fill out uint8 [(stop - start) N, size], aligned steps (start, stop), from rasters [T N, size];
        listed(name, first, end): their spikes, where they have been listed."""
        start, stop = steps
        silent = min(stop, max(start, *(p.delay for p in self.sides)))  # nothing was sent before step 0
        out[: (silent - start) * samples] = 0
        if silent == stop:
            return
        sides: list[np.ndarray] = []
        for side, p in enumerate(self.sides):
            low, high = (silent - p.delay) * samples, (stop - p.delay) * samples
            raster, spikes = rasters[p.src][low:high], listed(p.src, low, high)
            spikes = desk.listed(("side", side), raster) if spikes is None else spikes
            sides += [spikes.places, spikes.starts, raster]
        hits = desk.array("hits", (counts.shape[1] + 1,), np.int32)
        _meet(*sides, out[(silent - start) * samples :], counts, hits, *self.tables)


def coincidences(program: Program) -> dict[str, Coincidence]:
    """The coincidence populations of a program by name."""
    found = {}
    for name in program.neurons():
        into = program.into(name)
        if (
            _memoryless(program.populations[name])
            and len(into) == 2
            and all(_pairs(program, p) for p in into)
        ):
            found[name] = Coincidence(*into)
    return found


def _memoryless(population: Population) -> bool:
    model = population.model
    if type(model) is not LoihiLIF or model.bias_mant is not None:
        return False
    constants = (model.du, model.dv, model.vth)
    return not any(isinstance(c, np.ndarray) for c in constants) and constants == (4095, 4095, 3)


def _pairs(program: Program, p: Projection) -> bool:
    """One synapse of weight 2 a neuron, from a source of binary spikes."""
    source, weights = program.populations[p.src], p.weights
    if source.message != "binary" or not getattr(source.model, "spiking", True) or p.exp != 0:
        return False
    if not isinstance(weights, SparseWeights) or not np.all(weights.values == 2):
        return False
    size = weights.shape[0]
    return len(weights.rows) == size and len(np.unique(weights.rows)) == size


def _listens_to(weights: SparseWeights) -> np.ndarray:
    """int32 [size]: the source of each neuron's one synapse."""
    sources = np.empty(weights.shape[0], np.int32)
    sources[weights.rows] = np.repeat(np.arange(weights.shape[1], dtype=np.int32), np.diff(weights.starts))
    sources.setflags(write=False)
    return sources


@compiled
def _meet(
    l_spikes, l_rows, left, r_spikes, r_rows, right, out, counts, hits, l_starts, l_pairs, r_starts, r_pairs
):  # fmt: skip
    """out[r, i] = left[r, l_of[i]] & right[r, r_of[i]], and counts [N, size] += out, row by row.

    spikes, rows: the lists of both sides (`kernels.list_spikes`); starts, pairs: the neurons that listen to
    each source, in compressed columns, and above their 32 bits the source each has on the other side. hits
    int32 [size + 1] is scratch.
    """
    samples = counts.shape[0]
    for r in range(out.shape[0]):
        out[r, :] = 0
        l_first, l_end, r_first, r_end = l_rows[r], l_rows[r + 1], r_rows[r], r_rows[r + 1]
        # One synapse a neuron: a source's columns are its share of the work.
        if _work(l_spikes, l_first, l_end, l_starts) <= _work(r_spikes, r_first, r_end, r_starts):
            n = _ask(l_spikes, l_first, l_end, l_starts, l_pairs, right[r], hits)
        else:
            n = _ask(r_spikes, r_first, r_end, r_starts, r_pairs, left[r], hits)
        for k in range(n):
            i = np.uintp(hits[k])
            out[r, i] = 1
            counts[r % samples, i] += 1


@compiled
def _work(spikes, first, end, starts):
    n = 0
    for s in range(first, end):
        i = np.uintp(spikes[s])
        n += starts[i + np.uintp(1)] - starts[i]
    return n


@compiled
def _ask(spikes, first, end, starts, pairs, other, hits):
    """hits[:n]: the listeners of every spike whose partner spiked too; n. Each is written, and kept if so: a
    branch would be foretold wrongly."""
    n = np.uintp(0)
    for s in range(first, end):
        i = np.uintp(spikes[s])
        for k in range(np.uintp(starts[i]), np.uintp(starts[i + np.uintp(1)])):
            pair = pairs[k]
            hits[n] = np.int32(pair & 0xFFFFFFFF)
            n += np.uintp(other[np.uintp(pair) >> np.uintp(32)])
    return np.intp(n)
