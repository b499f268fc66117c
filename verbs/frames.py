"""Frames from outside: a .npy file, or JSON lines from a file or stdin, one frame a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from convert.ir import BadInput, Shape
from deploy.stream import check_frame

STDIN = "-"


def read_frames(source: str, shape: Shape) -> Iterator[np.ndarray]:
    """Frames [*shape], each as it comes; BadInput with its place (line or index) if one is not a frame.

    A line is one frame as nested lists of the model's input shape, in the model's own units; empty lines are
    passed over. `-` is stdin.
    """
    if source == STDIN:
        return _lines(sys.stdin.buffer, "stdin", shape)
    path = Path(source)
    if not path.is_file():
        raise BadInput(f"{path}: no such file; give a .npy file, JSON lines, or - for stdin")
    return _array(path, shape) if path.suffix == ".npy" else _opened(path, shape)


def _opened(path: Path, shape: Shape) -> Iterator[np.ndarray]:
    with path.open("rb") as file:
        yield from _lines(file, str(path), shape)


def _lines(lines: Iterable[bytes], where: str, shape: Shape) -> Iterator[np.ndarray]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _checked(_parsed(line, f"{where}, line {number}", shape), f"{where}, line {number}", shape)


def _parsed(line: bytes, place: str, shape: Shape) -> np.ndarray:
    try:
        value = json.loads(line)  # bytes that are no UTF-8 are a ValueError too
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise BadInput(f"{place}: not a frame as JSON ({reason}); one whole frame a line") from error
    if not isinstance(value, list):
        raise BadInput(f"{place}: is a JSON {type(value).__name__}, expected nested lists of numbers")
    try:
        return np.array(value)
    except (ValueError, RecursionError) as error:
        expected = f"expected the shape {'x'.join(map(str, shape))}"
        raise BadInput(f"{place}: lists of different lengths or depths, {expected}") from error


def _array(path: Path, shape: Shape) -> Iterator[np.ndarray]:
    try:
        frames = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise BadInput(f"{path}: not a readable .npy file ({reason})") from error
    if not isinstance(frames, np.ndarray) or frames.ndim != len(shape) + 1:
        found = frames.shape if isinstance(frames, np.ndarray) else "an archive"
        raise BadInput(f"{path}: holds {found}, expected (frames, {', '.join(map(str, shape))})")
    for index, frame in enumerate(frames):
        yield _checked(frame, f"{path}, frame {index}", shape)


def _checked(frame: np.ndarray, place: str, shape: Shape) -> np.ndarray:
    try:
        check_frame(frame, shape)
    except BadInput as error:
        raise BadInput(f"{place}: {error}") from error
    return frame
