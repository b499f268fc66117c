"""Coincidence populations in the Loihi simulator: the AND of two spikes, without the neurons' arithmetic.

A population of LoihiLIF(du = 4095, dv = 4095, vth = 3) without bias, fed by exactly two projections of spikes
with one synapse of weight 2 a neuron each (exponent 0), spikes exactly where both of its sources did:

    u = a << 6;  v = dec(v, 4095) + u, and v before is 0 or 128, of which nothing is left;  4 > 3, 2 < 3

It is recognised by this structure, whoever made the program, and run from the spikes of its less active side:
each asks its partners. Same spikes, same counts as the general path (`compact=False` on the target).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from convert.ir import Input, LoihiLIF, Population, Program, Projection, SparseWeights
from deploy.loihi_kernels import compiled


class Coincidence:
    """One population of that structure: who its neurons listen to, in both directions."""

    def __init__(self, left: Projection, right: Projection) -> None:
        self.sides = left, right
        self.tables = tuple(table for p in self.sides for table in (p.weights.starts, p.weights.rows))
        self.partners = tuple(_listens_to(p.weights) for p in self.sides)

    def meet(
        self,
        rasters: Mapping[str, np.ndarray],
        steps: tuple[int, int],
        samples: int,
        out: np.ndarray,
        counts: np.ndarray,
    ) -> None:
        """Fill out uint8 [(stop - start) N, size], aligned steps (start, stop), from rasters [T N, size]."""
        start, stop = steps
        silent = min(stop, max(start, *(p.delay for p in self.sides)))  # nothing was sent before step 0
        out[: (silent - start) * samples] = 0
        if silent < stop:
            left, right = (
                rasters[p.src][(silent - p.delay) * samples : (stop - p.delay) * samples] for p in self.sides
            )
            out = out[(silent - start) * samples :]
            _meet(left, right, out, counts, *self.tables, *self.partners)


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
    source, weights = program.populations[p.src].model, p.weights
    binary = source.operand == "binary" if isinstance(source, Input) else source.message == "binary"
    if not binary or not getattr(source, "spiking", True) or p.exp != 0:
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
def _meet(left, right, out, counts, l_starts, l_rows, r_starts, r_rows, l_of, r_of):
    """out[r, i] = left[r, l_of[i]] & right[r, r_of[i]], and counts [N, size] += out, row by row.

    starts, rows: the neurons that listen to each source, in compressed columns.
    """
    samples = counts.shape[0]
    for r in range(out.shape[0]):
        out[r, :] = 0
        # One synapse a neuron: a source's columns are its share of the work.
        if _work(left[r], l_starts) <= _work(right[r], r_starts):
            _ask(left[r], l_starts, l_rows, right[r], r_of, out[r], counts[r % samples])
        else:
            _ask(right[r], r_starts, r_rows, left[r], l_of, out[r], counts[r % samples])


@compiled
def _work(spikes, starts):
    n = 0
    for i in range(spikes.shape[0]):
        n += spikes[i] * (starts[i + 1] - starts[i])
    return n


@compiled
def _ask(spikes, starts, rows, other, other_of, out, counts):
    """The listeners of every spike, each with its partner's spike."""
    for i in range(spikes.shape[0]):
        if spikes[i]:
            for k in range(starts[i], starts[i + 1]):
                met = other[other_of[rows[k]]]
                out[rows[k]] = met
                counts[rows[k]] += met
