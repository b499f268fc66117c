"""The values on one edge of a graph for one batch: their operand class, and what is counted of them.

Values stay where they were made: a Permute is a view, and a raster lies as its target wrote it. Counts do not
depend on an order: of what was only moved they are taken once, where it was made, and a Reshape that would
have to copy waits until somebody asks for places. A fan-out map is brought into the order of the values, for
it is the smaller of the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from energy import tally

CLASSES = ("binary", "ternary", "integer", "real")
BINARY, TERNARY, INTEGER, REAL = range(4)


@dataclass(frozen=True, eq=False)
class Tensor:
    """The values on one edge, with their class per sample.

    given: [T, N, *shape] in any memory order (a Permute moves none), or what makes them, called when a count
    needs places; None where they were not computed (then every value counts as non-zero).
    classes: int8 [N], indices into CLASSES.  route: int64 [P], for each of the P values of a step its flat
    position in the consumer's input, where a folded pool lies between (-1: dropped); None where values are
    the input itself.  source: the same values before they were moved.
    """

    given: np.ndarray | Callable[[], np.ndarray] | None
    classes: np.ndarray
    route: np.ndarray | None = None
    source: Tensor | None = None

    def moved(
        self,
        move: Callable[[np.ndarray], np.ndarray] = lambda values: values,
        route: np.ndarray | None = None,
    ) -> Tensor:
        """The same values elsewhere: as `move` lays them, or on the way `route`."""
        if not self.known:
            return Tensor(None, self.classes, route)
        return Tensor(lambda: move(self.values), self.classes, route, self)

    @property
    def known(self) -> bool:
        """Whether the values were computed, or can be."""
        return self.given is not None

    @cached_property
    def values(self) -> np.ndarray:
        """As `given`, made by now; ValueError where they are not `known`."""
        if self.given is None:
            raise ValueError("these values were not computed; ask whether they are known first")
        return self.given() if callable(self.given) else self.given

    @cached_property
    def _axes(self) -> tuple[int, ...]:
        """The axes of a step, slowest in memory first."""
        strides = self.values.strides
        return tuple(sorted(range(2, self.values.ndim), key=lambda axis: -strides[axis]))

    def laid(self, values: np.ndarray) -> np.ndarray:
        """`values`, or what was computed of each of them, as memory holds them: [T, N, P], mostly no copy."""
        return values.transpose(0, 1, *self._axes).reshape(*values.shape[:2], -1)

    def placed(self, map_: np.ndarray) -> np.ndarray:
        """A map [S, P'] over the consumer's input as one over `laid` values, [S, P]; dropped ones get 0."""
        return self._turned(map_ if self.route is None else np.where(self.route < 0, 0, map_[:, self.route]))

    def _turned(self, map_: np.ndarray) -> np.ndarray:
        """[S, P] over the values in the order of their axes -> as laid."""
        if self._axes == tuple(range(2, self.values.ndim)):
            return map_
        shaped = map_.reshape(len(map_), *self.values.shape[2:])
        return shaped.transpose(0, *(axis - 1 for axis in self._axes)).reshape(len(map_), -1)

    @cached_property
    def spikes(self) -> bool:
        """Whether all are ones and zeros, in every sample."""
        return bool((self.classes == BINARY).all())

    @cached_property
    def _whole(self) -> bool:
        """Whether no value is dropped."""
        return self.route is None or bool((self.route >= 0).all())

    @property
    def origin(self) -> Tensor:
        """Where the values were made; the tensor itself where a pool on the way drops some.

        Not kept: a tensor that holds itself would hold a batch's memory until the collector comes.
        """
        return self if self.source is None or not self._whole else self.source.origin

    @cached_property
    def width(self) -> int:
        """Values of a step, less those that a folded pool drops."""
        if self.route is None or self._whole:
            return math.prod(self.origin.values.shape[2:])
        return int(np.count_nonzero(self.route >= 0))

    @cached_property
    def kept(self) -> np.ndarray:
        """`values` as laid, less the positions that a folded pool drops."""
        if self.route is None or self._whole:
            return self.laid(self.values)
        return self.laid(self.values)[:, :, self._turned(self.route[None] >= 0)[0]]

    @cached_property
    def events(self) -> np.ndarray:
        """bool [T, N, *shape]: value is not zero."""
        if self.values.dtype in (np.dtype(np.uint8), np.dtype(np.bool_)) and self.spikes:
            return self.values.view(np.bool_)
        return np.not_equal(self.values, 0)

    @cached_property
    def events_by_step(self) -> np.ndarray:
        """int64 [N, T]: non-zero values of each step."""
        if self.origin is not self:
            return self.origin.events_by_step
        return tally.nonzero(self.laid(self.events))

    def through(self, map_: np.ndarray) -> np.ndarray:
        """int64 [N, T]: what the non-zero values of each step pass by a map [1 or T, P'] of the consumer."""
        if self._whole and (map_ == map_[:, :1]).all():
            return self.events_by_step * map_[:, 0]
        events, map_ = self.laid(self.events), self.placed(map_)
        if self._axes[0] == 2 and len(map_) == 1:  # a convolution's borders are the same in each channel
            planes = map_.reshape(self.values.shape[2], -1)
            if (planes == planes[0]).all():
                return tally.through(tally.stacked(events, planes.shape[1]), planes[:1], self.events_by_step)
        return tally.through(events, map_, self.events_by_step)

    @cached_property
    def sums_by_step(self) -> np.ndarray:
        """int64 [N, T]: sums of whole numbers from 0, all of them kept."""
        return tally.sums(self.laid(self.values))

    @cached_property
    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """(sum |x|, sum x) over the kept values of all steps, [N]: int64 of integers, float64 of reals."""
        if self.origin is not self and self.origin.values.dtype.kind in "iub":
            return self.origin.sums
        if self.spikes and self._whole:
            total = self.events_by_step.sum(axis=1)
            return total, total
        kept = self.kept
        if self.spikes:
            total = tally.nonzero(kept != 0).sum(axis=1)
            return total, total
        if kept.dtype.kind in "iub":
            total = self.sums_by_step.sum(axis=1) if self._whole else tally.totals(kept)
            return (tally.totals(tally.sizes(kept)) if tally.peaks(kept)[0] < 0 else total), total
        # Of a sample at a time, in the order of the axes: the same in every batch and memory order.
        rows = (np.ascontiguousarray(self.values[:, n]).reshape(-1) for n in range(kept.shape[1]))
        found = np.array([(np.abs(row).sum(dtype=np.float64), row.sum(dtype=np.float64)) for row in rows])
        return found[:, 0].copy(), found[:, 1].copy()
