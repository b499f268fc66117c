"""One NTU RGB+D `.skeleton` file: text from a Kinect v2, lines ended by LF or CRLF.

    T                           frames
    per frame: B                bodies, 0 to 6
      per body:
        10 fields               bodyID clipedEdges handLeftConfidence handLeftState handRightConfidence
                                handRightState isRestricted leanX leanY trackingState
        25                      joints
        25 lines of 12 fields   x y z depthX depthY colorX colorY orientW orientX orientY orientZ
                                trackingState

x, y, z in metres, y up, z away from the sensor; trackingState 0 not tracked, 1 inferred, 2 tracked. Body ids
are 64 bits wide and are kept as text. Only ids, x, y, z and the joints' states are read: the other fields are
counted, and may hold what Kinect writes where it cannot map a joint onto an image.

Whatever else is found is refused with its line: the file is text without a checksum, and one lost line would
shift every joint behind it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from train.data.errors import DataError

JOINTS = 25
BODY_FIELDS, JOINT_FIELDS = 10, 12
MOST_BODIES = 6
"""A Kinect v2 tracks six people."""
STATE = JOINT_FIELDS - 1
STRANGE = (b"_", b"\0")
"""numpy would read 1_0 as 10 and drop zero bytes at the end of a text; neither is a number of this format."""
_AGAIN = "unpack or download the file again, or leave it out"


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """One body id through a file. frames: int64 [n] ascending; joints: float32 [n, 25, 3] in metres;
    states: uint8 [n, 25]."""

    id: str
    frames: NDArray[np.int64]
    joints: NDArray[np.float32]
    states: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """frames: how many the file has; bodies in the order of their appearance."""

    frames: int
    bodies: tuple[Body, ...]


def read(content: bytes, where: str) -> Recording:
    """The recording in a file's bytes; `where` is the file's name for errors."""
    lines = content.splitlines()
    reader = _Reader(lines, where)
    frames = reader.count("the number of frames", None)
    places: dict[str, list[int]] = {}
    shown: dict[str, list[int]] = {}
    for frame in range(frames):
        for _ in range(reader.count("the number of bodies", MOST_BODIES)):
            body, first = reader.body()
            if shown.get(body, (None,))[-1] == frame:
                reader.refuse(first - 2, f"body {body} twice in frame {frame}", "each body once")
            shown.setdefault(body, []).append(frame)
            places.setdefault(body, []).append(first)
    reader.end()
    bodies = []
    for body, starts in places.items():
        joints, states = _joints(reader, starts)
        bodies.append(Body(body, np.array(shown[body], np.int64), joints, states))
    return Recording(frames, tuple(bodies))


class _Reader:
    """Walks the lines of a file; `at` is the next one, counted from 0."""

    def __init__(self, lines: Sequence[bytes], where: str) -> None:
        self.lines = lines
        self.where = where
        self.at = 0

    def refuse(self, line: int, found: str, expected: str) -> NoReturn:
        """The one error of this file; line is counted from 0 here and from 1 there."""
        raise DataError.of(f"{self.where}:{line + 1}", found=found, expected=expected, do=_AGAIN)

    def next(self, what: str) -> bytes:
        """The next line."""
        if self.at >= len(self.lines):
            self.refuse(self.at, "the end of the file", what)
        self.at += 1
        return self.lines[self.at - 1]

    def count(self, what: str, most: int | None) -> int:
        """The next line as a whole number from 0 to most."""
        text = self.next(what).strip()
        number = int(text) if text.isdigit() and len(text) < 10 else -1
        if number < 0 or (most is not None and number > most):
            limit = "" if most is None else f", 0 to {most}"
            self.refuse(self.at - 1, _shown(text), f"{what}{limit}")
        return number

    def body(self) -> tuple[str, int]:
        """The id of the body that begins here, and the line of its first joint; steps over its joints."""
        fields = self.next(f"the {BODY_FIELDS} fields of a body").split()
        if len(fields) != BODY_FIELDS or not fields[0].isdigit() or len(fields[0]) > 20:
            found = f"{len(fields)} fields" if len(fields) != BODY_FIELDS else f"body id {_shown(fields[0])}"
            self.refuse(self.at - 1, found, f"{BODY_FIELDS} fields of a body that begin with its id")
        joints = self.next("the number of joints").strip()
        if joints != b"25":
            self.refuse(self.at - 1, f"{_shown(joints)} joints", f"{JOINTS} (Kinect v2)")
        first = self.at
        self.at += JOINTS
        if self.at > len(self.lines):
            self.refuse(
                len(self.lines), "the end of the file", f"the line of joint {len(self.lines) - first + 1}"
            )
        return fields[0].decode(), first

    def end(self) -> None:
        """Only empty lines may follow the last frame."""
        for place in range(self.at, len(self.lines)):
            if self.lines[place].strip():
                self.refuse(place, f"{_shown(self.lines[place])} after the last frame", "the end of the file")


def _joints(reader: _Reader, starts: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """float32 [n, 25, 3] and uint8 [n, 25] of the blocks of lines that begin at `starts`.

    All lines of a body are split and converted at once; only where that fails are they read one by one,
    to say which is wrong.
    """
    rows = [line for start in starts for line in reader.lines[start : start + JOINTS]]
    text = b" ".join(rows)
    tokens = text.split()
    # Twelve fields have eleven gaps: with single spaces, counting those is enough to prove each line.
    plain = len(tokens) == JOINT_FIELDS * len(rows) and all(row.strip().count(b" ") == STATE for row in rows)
    whole = plain or all(len(row.split()) == JOINT_FIELDS for row in rows)
    if whole and not any(strange in text for strange in STRANGE):
        states = np.array(tokens[STATE::JOINT_FIELDS], np.bytes_)
        try:
            joints = _floats([tokens[axis::JOINT_FIELDS] for axis in range(3)]).T.reshape(-1, JOINTS, 3)
        except ValueError:
            joints = np.full(1, np.nan)
        if np.isfinite(joints).all() and np.isin(states, (b"0", b"1", b"2")).all():
            return np.ascontiguousarray(joints), states.astype(np.uint8).reshape(-1, JOINTS)
    for start in starts:
        for place in range(start, start + JOINTS):
            _check_joint(reader, place)
    reader.refuse(starts[0], "joints that cannot be read", f"{JOINTS} lines of {JOINT_FIELDS} numbers")


def _floats(texts: Sequence[Sequence[bytes]] | bytes) -> NDArray[np.float32]:
    """Decimal texts as float32; infinity beyond its range. ValueError where one is no number."""
    with np.errstate(over="ignore"):
        return np.array(texts, np.bytes_).astype(np.float64).astype(np.float32)


def _check_joint(reader: _Reader, place: int) -> None:
    """Refuse the line of a joint for the first thing that is wrong with it."""
    fields = reader.lines[place].split()
    if len(fields) != JOINT_FIELDS:
        reader.refuse(place, f"{len(fields)} fields", f"{JOINT_FIELDS} fields of a joint")
    for axis, text in zip("xyz", fields[:3], strict=True):
        try:
            value = math.nan if any(strange in text for strange in STRANGE) else float(_floats(text))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            reader.refuse(place, f"{axis} = {_shown(text)}", "a finite number in metres")
    if fields[STATE] not in (b"0", b"1", b"2"):
        reader.refuse(place, f"tracking state {_shown(fields[STATE])}", "0, 1 or 2")


def _shown(text: bytes) -> str:
    """A piece of the file for a message."""
    return repr(text[:30].decode("ascii", "replace"))
