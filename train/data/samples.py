"""Prepared samples: what a network, a simulator or an energy count is fed with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.data.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """x: float32 [n, M persons, F frames, C channels, V joints]; present: bool [n, M]; labels: int64 [n].

    A person who is absent throughout has present False and zeros in x. repeat is the recipe's.
    """

    x: NDArray[np.float32]
    present: NDArray[np.bool_]
    labels: NDArray[np.int64]
    ids: tuple[str, ...]
    repeat: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> Samples:
        """The samples at these indices, in this order."""
        at = np.asarray(indices, dtype=np.int64)
        ids = tuple(self.ids[i] for i in at)
        return Samples(self.x[at], self.present[at], self.labels[at], ids, self.repeat)

    def part(self, start: int, size: int) -> Samples:
        """The samples from `start` on, `size` of them or those that are left: a view."""
        at = slice(start, start + size)
        return Samples(self.x[at], self.present[at], self.labels[at], self.ids[at], self.repeat)

    def prepared(self) -> Samples:
        """Themselves (see `train.data.supply`)."""
        return self

    def limit(self, n: int) -> Samples:
        """The first n in file order (all, where there are fewer). Files are often sorted by class."""
        return self.take(np.arange(min(_positive(n), len(self))))

    def spread(self, n: int) -> Samples:
        """n samples at evenly spaced indices, the first included: in a sorted set, from every class."""
        return self.take(spaced(n, len(self)))

    def folded(self) -> NDArray[np.float32]:
        """[T, n*M, C, V] or [T, n*M, C, F, V], the persons of sample i at i*M .. i*M + M - 1."""
        return fold(self.x, self.repeat)


def fold(x: NDArray[np.float32], repeat: int = 0) -> NDArray[np.float32]:
    """[n, M, F, C, V] -> contiguous, time first, persons folded into the batch.

    repeat 0: frames are steps, [F, n*M, C, V]. Else every step shows the clip, [repeat, n*M, C, F, V].
    """
    n, persons, *rest = x.shape
    rows = x.reshape(n * persons, *rest)
    if repeat:
        return np.repeat(rows.swapaxes(1, 2)[None], repeat, axis=0)
    return np.ascontiguousarray(np.moveaxis(rows, 1, 0))


def spaced(n: int, of: int) -> NDArray[np.int64]:
    """n evenly spaced indices of `of` things, the first included; all, where there are fewer."""
    count = min(_positive(n), of)
    return np.arange(count) * of // max(count, 1)


def _positive(n: int) -> int:
    if n < 1:
        raise DataError(f"number of samples is {n}; expected at least 1")
    return n
