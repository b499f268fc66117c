"""Working memory of the Loihi simulator: spikes as lists, sums, buffers; kept from run to run."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from deploy import loihi_kernels as kernels
from deploy import loihi_vectors as vectors

SHARE_MIN = 1 << 18  # additions worth a hand-over to another thread: some 5 us of them
GIVEN = 1 << 24  # cells of an array that is kept after it was given away
WIDTH_MAX = 1024  # widest block of the layouts for values


@dataclass(frozen=True, eq=False)
class Spikes:
    """The ones of binary rows: row r's are places[starts[r]:starts[r + 1]]. See `kernels.list_spikes`."""

    places: np.ndarray  # int32
    starts: np.ndarray  # int64 [rows + 1]

    def __len__(self) -> int:
        """How many spikes there are."""
        return int(self.starts[-1] - self.starts[0])

    def rows(self, first: int, end: int) -> Spikes:
        """Those of rows first..end."""
        return Spikes(self.places, self.starts[first : end + 1])


class _Lease:
    """Memory on loan: numpy makes this the base of every view of it, so it ends with the last of them."""

    def __init__(self, memory: np.ndarray) -> None:
        self._memory = memory
        self.__array_interface__ = memory.__array_interface__


class Desk:
    """Working memory of one thread, or of several that share a projection; grows to what a program needs."""

    def __init__(
        self, sources: int, targets: int, pool: ThreadPoolExecutor | None = None, seats: int = 1
    ) -> None:
        self.pool, self.seats = pool, seats
        self._kept: dict[object, np.ndarray] = {}
        self._given: dict[object, tuple[np.ndarray, weakref.ref[_Lease]]] = {}
        wide = max(targets, WIDTH_MAX)
        self.lists = np.empty((seats, kernels.TILE, sources + kernels.GROUP), np.int32)
        self.lengths = np.empty((seats, kernels.TILE), np.int64)
        self.factors = {np.dtype(t): np.empty(self.lists.shape, t) for t in (np.int32, np.int64)}
        self.sums = {np.dtype(t): np.empty((seats, 2, wide), t) for t in (np.int32, np.int64)}

    def array(self, key: object, shape: tuple[int, ...], dtype: np.typing.DTypeLike) -> np.ndarray:
        """An array with whatever it last held: the same memory for the same key, as long as it is enough."""
        size, dtype = math.prod(shape), np.dtype(dtype)
        kept = self._kept.get(key)
        if kept is None or kept.size < size or kept.dtype != dtype:
            kept = self._kept[key] = np.empty(size, dtype)
        return kept[:size].reshape(shape)

    def given(self, key: object, shape: tuple[int, ...], dtype: np.typing.DTypeLike) -> np.ndarray:
        """An array that leaves with a result. Its memory is used again once nobody else holds any view of it:
        new pages cost more than the spikes of a wide population that are written to them."""
        size, dtype = math.prod(shape), np.dtype(dtype)
        memory, lease = self._given.get(key, (None, None))
        if memory is None or memory.size != size or memory.dtype != dtype or (lease and lease()):
            memory = np.empty(size, dtype)
        out = _Lease(memory)
        if size <= GIVEN:
            self._given[key] = memory, weakref.ref(out)
        return np.asarray(out).reshape(shape)

    def listed(self, key: object, raster: np.ndarray) -> Spikes:
        """The spikes of raster uint8 [rows, in], until the next call with this key."""
        places = self.array((key, "places"), (raster.size + vectors.WORD,), np.int32)
        starts = self.array((key, "starts"), (len(raster) + 1,), np.int64)
        kernels.list_spikes(raster, places, starts)
        return Spikes(places, starts)

    def share(self, work: Callable[[int, int, int], None], blocks: int, additions: float) -> None:
        """work(seat, first, last) over all blocks of outputs, on one thread or on all."""
        seats = min(self.seats, blocks) if additions >= SHARE_MIN else 1
        if self.pool is None or seats == 1:
            work(0, 0, blocks)
            return
        cuts = [blocks * k // seats for k in range(seats + 1)]
        others = [self.pool.submit(work, k, cuts[k], cuts[k + 1]) for k in range(1, seats)]
        work(0, cuts[0], cuts[1])  # this thread takes a share too: one hand-over less
        for other in others:
            other.result()
