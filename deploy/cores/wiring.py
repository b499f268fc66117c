"""The synapses of a projection by target: what a piece of a population receives, and in which lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from convert.ir import DenseWeights, Projection

SAMPLE = 64  # sources looked at to see whether lists repeat


@dataclass(frozen=True, eq=False)
class Lists:
    """The lists of one piece, one per source that reaches it.

    sources int64 [k] ascending; lengths int64 [k] synapses; base int64 [k] the first target of each, counted
    within the piece; span: largest distance of a target from its base; kinds: number of different lists, a
    list being its weights and its targets counted from the base; kind_lengths int64 [kinds].
    """

    sources: np.ndarray
    lengths: np.ndarray
    base: np.ndarray
    span: int
    kind_lengths: np.ndarray


class Wiring:
    """A projection with its targets in the order in which their population is cut.

    order int64 [targets]: position -> neuron. A DenseWeights stays a rule: every source reaches every target.
    """

    def __init__(self, projection: Projection, order: np.ndarray) -> None:
        self.projection = projection
        self.sources = projection.weights.shape[1]
        self.dense = isinstance(projection.weights, DenseWeights)
        if self.dense:
            return
        target, source, value = projection.weights.synapses()
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        shape = (len(order), self.sources)
        rows = sparse.csr_matrix((value, (place[target].astype(np.int32), source.astype(np.int32))), shape)
        rows.sort_indices()
        self._starts, self._source, self._value = rows.indptr, rows.indices, rows.data
        self.may_share = self._repeats()

    def lengths(self, start: int, stop: int) -> np.ndarray:
        """Synapses of every source in positions start..stop: int64 [sources]."""
        if self.dense:
            return np.full(self.sources, stop - start, np.int64)
        cut = slice(self._starts[start], self._starts[stop])
        return np.bincount(self._source[cut], minlength=self.sources)

    def lists(self, start: int, stop: int) -> Lists:
        """The lists of positions start..stop; only for projections that are not dense."""
        first, end = self._starts[start], self._starts[stop]
        return _lists(self._starts[start : stop + 1] - first, self._source[first:end], self._value[first:end])

    def _repeats(self) -> bool:
        """Whether lists repeat: at most half as many kinds as sources, among neighbouring sources."""
        seen = self._source < SAMPLE
        if not seen.any():
            seen = np.ones(len(self._source), bool)
        place = np.repeat(np.arange(len(self._starts) - 1), np.diff(self._starts))
        starts = np.searchsorted(place[seen], np.arange(len(self._starts)))
        found = _lists(starts, self._source[seen], self._value[seen])
        return len(found.kind_lengths) * 2 <= len(found.sources)


def _lists(starts: np.ndarray, source: np.ndarray, value: np.ndarray) -> Lists:
    """The lists of synapses in CSR form: position p's are source, value [starts[p]:starts[p + 1]]."""
    by_source = np.argsort(source, kind="stable")  # targets stay ascending within a source
    place = np.repeat(np.arange(len(starts) - 1, dtype=np.int64), np.diff(starts))[by_source]
    source, value = source[by_source], value[by_source]
    sources, first, lengths = np.unique(source, return_index=True, return_counts=True)
    base = place[first]
    away = place - np.repeat(base, lengths)
    marks = _mixed(away.astype(np.uint64) << np.uint64(32) | (value & 0xFFFFFFFF).astype(np.uint64))
    # 64-bit names: equal lists, equal names
    names = np.add.reduceat(marks, first) if len(first) else marks
    _, kept = np.unique(names, return_index=True)
    return Lists(sources.astype(np.int64), lengths, base, int(away.max(initial=0)), lengths[kept])


def _mixed(x: np.ndarray) -> np.ndarray:
    """A well mixed 64-bit number for each, so that sums of them name lists (splitmix64's finaliser)."""
    with np.errstate(over="ignore"):
        x = (x + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
