"""Which chunk is counted next, whoever counts them: in order, and never far ahead of the first one missing.

Memory does not grow with the data: neither this, nor the chunks that a report holds until those before came.
"""

from __future__ import annotations

AHEAD = 4  # chunks a worker may be ahead of the first one missing


class ChunkOrder:
    """The chunks 0 .. n - 1 of a job for `workers` processes: each is given out once, and comes back done."""

    def __init__(self, chunks: int, workers: int) -> None:
        self._chunks, self._width = chunks, AHEAD * workers
        self._next = self._first = 0  # never given out yet; not done, and all before it are
        self._done: set[int] = set()  # of those behind the first one missing

    @property
    def left(self) -> bool:
        """Whether a chunk is missing."""
        return self._first < self._chunks

    def take(self) -> int | None:
        """The next chunk; None where there is none, or where it has to wait for the first one missing."""
        if self._next >= min(self._chunks, self._first + self._width):
            return None
        self._next += 1
        return self._next - 1

    def done(self, chunk: int) -> None:
        """A chunk that was taken is counted."""
        self._done.add(chunk)
        while self._first in self._done:
            self._done.remove(self._first)
            self._first += 1
