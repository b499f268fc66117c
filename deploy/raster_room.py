"""Every step of what a target was asked for, of a batch that runs in slices: one piece of memory for all.

A batch of rasters is some fifty arrays of a megabyte. Memory of each its own goes back to the system with
the batch and comes again page by page: 15,000 faults took as long as counting. Here it is lent, and lent
again to the next batch once no array in it is left.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping
from typing import Any, final

import numpy as np

_LINE = 64  # bytes: no two arrays share a line of the cache


@final
class Memory:
    """One piece of memory, of what the largest batch so far took."""

    def __init__(self) -> None:
        self._free: np.ndarray | None = None

    def lend(self, size: int) -> np.ndarray:
        """uint8 [size], of any values. It comes back when the last view of it is gone; until then the next
        one to ask gets memory of its own."""
        block, self._free = self._free, None
        if block is None or len(block) < size:
            block = np.empty(size, np.uint8)
        lent = _Lent(block)
        weakref.finalize(lent, self._back, block).atexit = False
        return np.asarray(lent)[:size]

    def _back(self, block: np.ndarray) -> None:
        if self._free is None or len(self._free) < len(block):
            self._free = block


class _Lent:
    """Owner of the arrays in a block: it lives as long as they do."""

    def __init__(self, block: np.ndarray) -> None:
        self.__array_interface__: dict[str, Any] = block.__array_interface__


@final
class RasterRoom:
    """Room for arrays [T, N, ...] of N samples, filled from slices [T, n, ...]."""

    def __init__(self, memory: Memory, samples: int) -> None:
        self._memory, self._samples = memory, samples
        self.arrays: dict[str, np.ndarray] = {}

    def put(self, start: int, given: dict[str, np.ndarray]) -> None:
        """given: name -> values [T, n, ...] of the samples from `start` on; each slice has the same names. A
        slice of all samples is kept as it is."""
        if all(values.shape[1] == self._samples for values in given.values()):
            self.arrays = given
            return
        if not self.arrays:
            self.arrays = self._made(given)
        for name, values in given.items():  # while the cache holds them
            self.arrays[name][:, start : start + values.shape[1]] = values

    def _made(self, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        shapes = {name: (len(v), self._samples, *v.shape[2:]) for name, v in given.items()}
        sizes = {name: math.prod(shape) * given[name].itemsize for name, shape in shapes.items()}
        ends = np.cumsum([-(-size // _LINE) * _LINE for size in sizes.values()]).tolist()
        block = self._memory.lend(ends[-1])
        starts = dict(zip(shapes, (0, *ends), strict=False))
        return {
            name: block[at : at + sizes[name]].view(given[name].dtype).reshape(shapes[name])
            for name, at in starts.items()
        }
