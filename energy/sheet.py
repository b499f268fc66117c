"""Counts as arrays over lines and samples, [L, N], and what the lines are, as columns [L, 1].

Made once for a batch and read by every convention, so that one more convention costs a few array operations,
whatever the network.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from energy.line import Counts, Line
from energy.operand import INTEGER, REAL

Array = np.ndarray
PRODUCTS = ("SpikeMatMul", "SpikeAnd", "MatMul", "Multiply")  # the last two: of torch modules


class Sheet:
    """`field(name)`: one count; the rest are recounts, measures and roles of `energy.line`."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self._zero = np.zeros(counts.samples, np.int64)
        self._fields: dict[str, Array] = {}

    def field(self, name: str) -> Array:
        """int64 [L, N]."""
        if name not in self._fields:
            self._fields[name] = self._stacked(lambda line: line.counts.get(name, self._zero))
        return self._fields[name]

    @cached_property
    def mean(self) -> Array:
        """fr T FL with the mean size of a spiking layer's input."""
        return self._stacked(lambda line: (line.measures or {}).get("sop_paper", self._zero))

    @cached_property
    def rate(self) -> Array:
        """Share of non-zero operand values."""
        return self._stacked(lambda line: (line.measures or {}).get("firing_rate", self._zero))

    @cached_property
    def share(self) -> Array:
        """fr T FL with the share of non-zero input values."""
        dense = self.field("dense_mac")
        return self._recount("sop_share", self.rate * dense)

    @cached_property
    def wide_share(self) -> Array:
        """The same, times the bits of the sample's largest integer."""
        return self._recount("sop_bits", self.share)

    @cached_property
    def padded(self) -> Array:
        """Operations if every value had the mean fan-out of a padded map."""
        return self._recount("sop_padded", self.field("sop_exact"))

    @cached_property
    def whole(self) -> Array:
        """Of `mac`, those of known integer operands."""
        return self._recount("mac_integer", np.where(self.integer, self.field("mac"), 0))

    @cached_property
    def bit_adds(self) -> Array:
        """The same as additions, bit by bit."""
        return self._recount("ac_bits")

    @cached_property
    def sized(self) -> Array:
        """The same, each value counted with its size."""
        return self._recount("sop_sized")

    @cached_property
    def pairs(self) -> Array:
        """Operations of attention with K^T V first, where `paired`."""
        return self._recount("pairs_kv")

    @cached_property
    def filled(self) -> Array:
        """float64 [L, N]: of the synapses that were passed, the share whose weight is not zero."""
        sop = self.field("sop_exact")
        return np.where(sop > 0, self.field("sop_nonzero") / np.maximum(sop, 1), 1.0)

    @cached_property
    def integer(self) -> Array:
        """bool [L, N]: the operand of that sample is integer, and known."""
        return self._classes(INTEGER) & ~self.assumed

    @cached_property
    def real(self) -> Array:
        """bool [L, N]: the operand of that sample is real."""
        return self._classes(REAL)

    @cached_property
    def spikes(self) -> Array:
        """bool [L, 1]: the operand is spikes, or sums or means of spikes."""
        return self._flags(lambda line: line.spike_input)

    @cached_property
    def sums(self) -> Array:
        """bool [L, 1 | N]: it is sums or counts of spikes; without recounts, where it is integer."""
        return self._flags(lambda line: line.sums) | (self.integer & self.spikes & ~self.recounted)

    @cached_property
    def first(self) -> Array:
        """bool [L, 1]: it is what enters the network."""
        return self._flags(lambda line: line.first)

    @cached_property
    def head(self) -> Array:
        """bool [L, 1]: no layer comes behind this one."""
        return self._flags(lambda line: line.head)

    @cached_property
    def assumed(self) -> Array:
        """bool [L, 1]: the operand is not known, all of it was counted."""
        return self._flags(lambda line: line.assumed_dense)

    @cached_property
    def synaptic(self) -> Array:
        """bool [L, 1]: the line is a layer."""
        return self._flags(lambda line: line.measures is not None)

    @cached_property
    def product(self) -> Array:
        """bool [L, 1]: it multiplies two tensors."""
        return self._flags(lambda line: line.type in PRODUCTS)

    @cached_property
    def adjacency(self) -> Array:
        """bool [L, 1]: the adjacency product of a graph convolution; `share` and `mean` are its layer's."""
        return self._flags(lambda line: line.item == "adjacency")

    @cached_property
    def entries(self) -> Array:
        """bool [L, 1]: zeros among its weights are zeros of an adjacency."""
        return self.adjacency | self._flags(lambda line: line.fixed)

    @cached_property
    def recounted(self) -> Array:
        """bool [L, 1]: bits and sizes of its integers are known; otherwise they stay MACs."""
        return self._flags(lambda line: "sop_bits" in (line.recounts or {}))

    @cached_property
    def paired(self) -> Array:
        """bool [L, 1]: it is one of two products of an attention."""
        return self._flags(lambda line: "pairs_kv" in (line.recounts or {}))

    @cached_property
    def steps(self) -> Array:
        """int64 [L, 1]: steps of the line's input."""
        steps = [line.steps or self.counts.steps for line in self.counts.lines]
        return np.array(steps, np.int64).reshape(-1, 1)

    def _flags(self, of: Callable[[Line], bool]) -> Array:
        return np.array([of(line) for line in self.counts.lines], bool).reshape(-1, 1)

    def _classes(self, cls: int) -> Array:
        none = np.full(self.counts.samples, -1, np.int8)
        return self._stacked(lambda line: none if line.classes is None else line.classes) == cls

    def _recount(self, name: str, missing: Array | None = None) -> Array:
        """A recount, and where a line does not know it `missing`, or 0."""
        lines = self.counts.lines
        rows = self._zero if missing is None else missing
        other = np.broadcast_to(rows, (len(lines), self.counts.samples))
        return self._rows(
            [(line.recounts or {}).get(name, row) for line, row in zip(lines, other, strict=True)]
        )

    def _stacked(self, of: Callable[[Line], Array]) -> Array:
        return self._rows([of(line) for line in self.counts.lines])

    def _rows(self, rows: list[Array]) -> Array:
        return np.stack(rows) if rows else np.zeros((0, self.counts.samples), np.int64)
