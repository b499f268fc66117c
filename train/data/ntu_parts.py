"""The half-done work of `prepare`: two files that are only ever appended to, beside the file to be.

    OUT.parts/joints.f32     float32 [frames, 2, 25, 3] of the clips so far
    OUT.parts/index.jsonl    a header, then a line for each .skeleton file so far, in the order of the names

Joints reach the disk before their lines do, so that a line is true as soon as it can be read. After a kill,
what lies beyond the last whole line is cut off, and so is everything from the first line on whose file is no
longer the one that it was made from.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from train.data.errors import DataError
from train.data.ntu_index import FRAME_BYTES, SHAPE

COMMIT_S = 1.0
"""[s] of work that a kill may cost, besides what is in flight."""
_BLOCK = 1 << 14


@dataclass(frozen=True, slots=True)
class Source:
    """A .skeleton file: its sample's name, where it lies, its size and time of change."""

    name: str
    path: str
    size: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of a source. frames 0: it is no clip, `why` says why; broken: because it could not be read.

    end: frames of all clips up to this one.
    """

    name: str
    size: int
    changed_ns: int
    frames: int
    persons: int
    end: int
    why: str
    broken: bool
    dropped: tuple[str, ...]
    joined: tuple[str, ...]


class Parts:
    """The two files, open and locked; entries are those of sources[: len(entries)]."""

    def __init__(self, folder: Path, header: str, sources: Sequence[Source], keep_broken: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.joints = (folder / "joints.f32").open("a+b")
        self.index = (folder / "index.jsonl").open("a+b")
        try:
            fcntl.flock(self.index, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError.of(
                folder, found="another prepare at work", expected="one at a time", do="wait for it"
            ) from error
        self.entries: list[Entry] = []
        self._lines: list[bytes] = []
        self._committed = -math.inf  # the first entry at once: whoever is stopped early finds it
        self._resume(header.encode() + b"\n", sources, keep_broken)

    def _resume(self, header: bytes, sources: Sequence[Source], keep_broken: bool) -> None:
        """Find the entries that are still true, and cut the files behind them."""
        self.index.seek(0)
        first = self.index.readline()
        if first.endswith(b"\n") and first != header:
            raise DataError.of(
                self.folder,
                found="the work of another data set or version",
                expected="work to go on with",
                do="remove the folder to begin anew",
            )
        size = os.fstat(self.joints.fileno()).st_size
        good = len(first) if first == header else 0
        for source, line in zip(sources, self.index if good else (), strict=False):
            entry = _entry(line)
            if entry is None or (entry.broken and not keep_broken) or entry.end * FRAME_BYTES > size:
                break
            if (entry.name, entry.size, entry.changed_ns) != (source.name, source.size, source.changed_ns):
                break
            self.entries.append(entry)
            good += len(line)
        self.index.truncate(good)
        self.joints.truncate(self.frames * FRAME_BYTES)
        if not good:
            self._lines.append(header)

    @property
    def frames(self) -> int:
        """Frames of all clips so far."""
        return self.entries[-1].end if self.entries else 0

    def add(self, entry: Entry, joints: bytes) -> None:
        """Append the next source's entry and joints; on disk after the next commit."""
        self.joints.write(joints)
        self.entries.append(entry)
        self._lines.append(json.dumps(asdict(entry), separators=(",", ":")).encode() + b"\n")
        if time.monotonic() - self._committed > COMMIT_S:
            self.commit()

    def commit(self) -> None:
        """Bring everything to disk: joints first."""
        self.joints.flush()
        os.fsync(self.joints.fileno())
        self.index.write(b"".join(self._lines))
        self.index.flush()
        os.fsync(self.index.fileno())
        self._lines.clear()
        self._committed = time.monotonic()

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """All joints so far, float32 [k, 2, 25, 3] at a time."""
        self.commit()
        self.joints.seek(0)
        while data := self.joints.read(_BLOCK * FRAME_BYTES):
            yield np.frombuffer(data, "<f4").reshape(-1, *SHAPE)

    def remove(self) -> None:
        """Take the folder away: the work is done."""
        for name in ("joints.f32", "index.jsonl"):
            (self.folder / name).unlink(missing_ok=True)
        self.folder.rmdir()

    def __enter__(self) -> Parts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.folder.is_dir():
            self.commit()
        self.joints.close()
        self.index.close()


def _entry(line: bytes) -> Entry | None:
    """The entry of a whole line; None of a torn one."""
    try:
        values = json.loads(line) if line.endswith(b"\n") else None
        values["dropped"], values["joined"] = tuple(values["dropped"]), tuple(values["joined"])
        return Entry(**values)
    except (ValueError, TypeError, KeyError):
        return None
