"""CTR-GCN npz (NTU60_CS.npz and its like): x_train, y_train, x_test, y_test.

x: float32 [N, T, 150]; 150 = 2 persons x 25 joints x 3 coordinates, person outermost; y: one-hot [N, K].
Metres in the sensor's axes (y up), joints in ntu25 order, spine of the first valid frame subtracted.
Zeros mark unused frames and absent persons; a frame is valid where any value is not zero (a sum of zero,
the field's test, loses real frames). Frames after the last valid one are cut off. The format names
neither subjects (-1) nor views (None) nor classes (A001 ...).

Dropped, and reported: samples without any valid frame.

Arrays are streamed out of the file a few samples at a time: NTU-60's training part alone is 7 GB.
Nothing is unpickled: an array of objects is refused.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from train.data.clip import UNKNOWN_SUBJECT, Clip, ClipSet
from train.data.errors import DataError

NAME = "ctrgcn-npz"
LAYOUT = "ntu25"
PERSONS, JOINTS, COORDINATES = 2, 25, 3
WIDTH = PERSONS * JOINTS * COORDINATES
PARTS: dict[str, tuple[str, ...]] = {
    "train": ("train",),
    "test": ("test",),
    "all": ("train", "test"),
}

_ROWS = 64
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, struct.error, KeyError)


def load(root: Path | None, split: str) -> ClipSet:
    """The clips (M = 2) of train, test or all; ids are train-00000, ..., in the order of the file."""
    if root is None:
        raise DataError(f"{NAME}: no path given; pass the .npz file as --data")
    if split not in PARTS:
        raise DataError(f"{NAME}: unknown split {split!r}; choose one of {', '.join(PARTS)}")
    path = Path(root)
    if not path.is_file():
        raise DataError.of(path, found="no file", expected="a CTR-GCN .npz", do="correct --data")
    clips: list[Clip] = []
    dropped: list[str] = []
    classes: set[int] = set()
    try:
        with zipfile.ZipFile(path) as archive:
            for part in PARTS[split]:
                labels, count = _labels(path, archive, part)
                classes.add(count)
                for place, rows in enumerate(_rows(path, archive, part, len(labels))):
                    _add(path, f"{part}-{place:05d}", rows, int(labels[place]), clips, dropped)
    except _BROKEN as error:
        raise DataError.of(
            path, found=f"a broken file ({error})", expected="a whole .npz", do="download it again"
        ) from error
    if len(classes) != 1 or not clips:
        raise DataError.of(
            path,
            found=f"{len(clips)} clips and one-hot widths {sorted(classes)}",
            expected=f"clips of one set of classes in split {split!r}",
            do="check how the file was made",
        )
    names = tuple(f"A{number + 1:03d}" for number in range(classes.pop()))
    return ClipSet(NAME, LAYOUT, names, tuple(clips), tuple(dropped))


def _add(
    path: Path,
    name: str,
    rows: NDArray[np.float32],
    label: int,
    clips: list[Clip],
    dropped: list[str],
) -> None:
    """rows: float32 [T, 150] of one sample, to clips or, when nobody is in it, to dropped."""
    if not np.isfinite(rows).all():
        raise DataError.of(
            f"{path}: {name}",
            found="NaN or infinity",
            expected="finite coordinates",
            do="repair or remove the sample",
        )
    valid = np.flatnonzero(rows.any(axis=1))
    if valid.size == 0:
        dropped.append(f"{name}: no valid frame")
        return
    joints = rows[: valid[-1] + 1].reshape(-1, PERSONS, JOINTS, COORDINATES)
    clips.append(Clip(name, joints.swapaxes(0, 1).copy(), label, UNKNOWN_SUBJECT))


def _labels(path: Path, archive: zipfile.ZipFile, part: str) -> tuple[NDArray[np.int64], int]:
    """int64 [N] and K of the one-hot array y_<part>."""
    with _member(path, archive, f"y_{part}") as stream:
        shape, dtype = _header(path, stream, f"y_{part}")
        if len(shape) != 2:
            raise DataError.of(
                f"{path}: y_{part}",
                found=f"shape {shape}",
                expected="one-hot [N, K]",
                do="convert the labels to one-hot",
            )
        onehot = _read(stream, shape, dtype)
    if not (((onehot == 0) | (onehot == 1)).all() and (onehot.sum(axis=1) == 1).all()):
        raise DataError.of(
            f"{path}: y_{part}",
            found="rows that are not one-hot",
            expected="a single 1 in each row",
            do="check how the file was made",
        )
    return onehot.argmax(axis=1).astype(np.int64), shape[1]


def _rows(path: Path, archive: zipfile.ZipFile, part: str, count: int) -> Iterator[NDArray[np.float32]]:
    """float32 [T, 150], sample by sample, of x_<part>."""
    with _member(path, archive, f"x_{part}") as stream:
        shape, dtype = _header(path, stream, f"x_{part}")
        if len(shape) != 3 or shape[2] != WIDTH or shape[0] != count or shape[1] < 1:
            raise DataError.of(
                f"{path}: x_{part}",
                found=f"shape {shape}",
                expected=f"[{count} as y_{part}, T, {WIDTH} = 2 persons x 25 joints x 3]",
                do="convert the file to CTR-GCN's layout",
            )
        for start in range(0, count, _ROWS):
            rows = min(_ROWS, count - start)
            yield from _read(stream, (rows, *shape[1:]), dtype).astype(np.float32, copy=False)


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """The stream of one array; a missing one is named."""
    if f"{name}.npy" not in archive.namelist():
        raise DataError.of(
            path,
            found=f"no array {name} (only {', '.join(archive.namelist()) or 'nothing'})",
            expected="x_train, y_train, x_test, y_test",
            do="pass a CTR-GCN .npz",
        )
    return archive.open(f"{name}.npy")


def _header(path: Path, stream: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the .npy that starts here; objects and column order are refused."""
    try:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read(stream)
    except (ValueError, KeyError) as error:
        raise DataError.of(
            f"{path}: {name}",
            found=f"no array header ({error})",
            expected=".npy version 1 or 2",
            do="write it with numpy.savez",
        ) from error
    if dtype.kind not in "biuf" or fortran:
        raise DataError.of(
            f"{path}: {name}",
            found=f"an array of {dtype}{' in column order' if fortran else ''}",
            expected="numbers in row order (objects are never unpickled)",
            do="write it as a plain numeric array",
        )
    return shape, dtype


def _read(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype) -> NDArray:
    """The next prod(shape) values; a short stream is an EOFError."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    data = stream.read(size)
    if len(data) != size:
        raise EOFError(f"{len(data)} bytes where {size} were announced")
    return np.frombuffer(data, dtype).reshape(shape)
