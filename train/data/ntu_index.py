"""A prepared NTU file: all clips of a set in one HDF5 file, whose joints are read through a memory map.

    /joints    float32 [total frames, 2 persons, 25 joints, 3], contiguous, clip after clip; zero where a
               person is not; finite, as recorded (metres, y up)
    /names     bytes [N], SsssCcccPpppRrrrAaaa, ascending
    /frames    int64 [N], frames of each clip; a clip starts where the one before it ends
    /persons   uint8 [N], 1 or 2
    /report    JSON text: what was left out and mended on the way, by kind

Attributes of the root: format, version, dataset (ntu60 or ntu120), rules (train.data.ntu_bodies.RULES),
index_digest (SHA-256 of all but the joints; checked whenever the file is opened) and joints_digest (SHA-256
of the joints' bytes; checked by `cli.py prepare --check`, for it reads everything). Equal input gives equal
bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
from numpy.typing import NDArray

from convert.ir.files import whole
from train.data.errors import DataError
from train.data.ntu_bodies import PERSONS, RULES
from train.data.ntu_file import JOINTS
from train.data.ntu_name import FAMILIES, Name, parse

FORMAT, VERSION = "basalt-ntu", 1
SHAPE = (PERSONS, JOINTS, 3)
FRAME_BYTES = 4 * PERSONS * JOINTS * 3
_MEMBERS = ("frames", "joints", "names", "persons", "report")
_SAID = ("dataset", "index_digest", "joints_digest")
_AGAIN = "prepare it again (`cli.py prepare`)"


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """A prepared file, open. joints: float32 [total, 2, 25, 3], a view of the file; starts: int64 [N]."""

    path: Path
    dataset: str
    names: tuple[Name, ...]
    starts: NDArray[np.int64]
    frames: NDArray[np.int64]
    persons: NDArray[np.uint8]
    joints: NDArray[np.float32]
    report: dict[str, list[str]]
    joints_digest: str

    def clip(self, place: int) -> NDArray[np.float32]:
        """float32 [2, F, 25, 3] of one clip: a view, nothing is read yet."""
        start = self.starts[place]
        return self.joints[start : start + self.frames[place]].swapaxes(0, 1)


def write(
    path: Path,
    dataset: str,
    names: Sequence[str],
    frames: Sequence[int],
    persons: Sequence[int],
    report: dict[str, list[str]],
    blocks: Iterable[NDArray[np.float32]],
) -> None:
    """Write the file, whole or not at all; blocks [k, 2, 25, 3] are the frames of all clips, in order."""
    columns = {
        "names": np.array(names, np.bytes_),
        "frames": np.array(frames, "<i8"),
        "persons": np.array(persons, np.uint8),
        "report": np.frombuffer(json.dumps(report, sort_keys=True).encode(), np.uint8),
    }
    total, done = int(columns["frames"].sum()), 0
    digest = hashlib.sha256()
    with (
        whole(path) as draft,
        h5py.File(draft, "w", alignment_threshold=1, alignment_interval=4096) as file,
    ):
        joints = file.create_dataset("joints", (total, *SHAPE), "<f4")
        for block in blocks:
            joints[done : done + len(block)] = block
            digest.update(np.ascontiguousarray(block, "<f4"))
            done += len(block)
        if done != total:
            raise ValueError(f"{path}: {done} frames of joints; the index says {total}")
        for name, column in columns.items():
            file.create_dataset(name, data=column)
        file.attrs.update(
            format=FORMAT,
            version=VERSION,
            dataset=dataset,
            rules=RULES,
            index_digest=_digest(dataset, columns),
            joints_digest=digest.hexdigest(),
        )


def read(path: Path) -> Index:
    """Open a prepared file; what is not one, or was edited, is refused with what is wrong."""
    if not path.is_file():
        raise DataError.of(path, found="no file", expected="a prepared NTU file", do="correct --data")
    try:
        with h5py.File(path, "r") as file:
            about, columns, offset = _content(path, file)
            shape, kind = file["joints"].shape, file["joints"].dtype
    except (OSError, KeyError, TypeError, AttributeError) as error:
        raise DataError.of(
            path, found=f"no whole HDF5 file ({error})", expected="a prepared NTU file", do=_AGAIN
        ) from error
    total = int(columns["frames"].sum())
    end = (offset or 0) + total * FRAME_BYTES
    if shape != (total, *SHAPE) or kind != np.dtype("<f4") or offset is None or path.stat().st_size < end:
        _refuse(path, f"joints {kind} {shape} at {offset}", f"contiguous float32 {(total, *SHAPE)}")
    names = [parse(name.decode("ascii", "replace")) for name in columns["names"]]
    if not names or not all(names):
        _refuse(path, "a clip without an NTU name", "SsssCcccPpppRrrrAaaa")
    return Index(
        path=path,
        dataset=about["dataset"],
        names=tuple(name for name in names if name),
        starts=np.cumsum(columns["frames"]) - columns["frames"],
        frames=columns["frames"],
        persons=columns["persons"],
        joints=np.asarray(np.memmap(path, "<f4", "r", offset or 0, (total, *SHAPE))),
        report=json.loads(columns["report"].tobytes()),
        joints_digest=about["joints_digest"],
    )


def _content(path: Path, file: h5py.File) -> tuple[dict[str, str], dict[str, Any], int | None]:
    """Attributes, columns that match their digest, and where the joints begin; None: not in one piece."""
    if file.attrs.get("format") != FORMAT:
        _refuse(path, "an HDF5 file of another kind")
    if file.attrs.get("version") != VERSION:
        _refuse(path, f"version {file.attrs.get('version')}", f"version {VERSION}")
    if (rules := str(file.attrs.get("rules"))) != RULES:  # other persons in the same clips
        _refuse(path, f"persons by the rules {rules}", f"those of the rules {RULES}")
    if absent := [name for name in _MEMBERS if name not in file]:
        _refuse(path, f"no {absent[0]}", f"{', '.join(_MEMBERS)}")
    about = {name: str(file.attrs.get(name, "")) for name in _SAID}
    columns = {name: file[name][()] for name in _MEMBERS if name != "joints"}
    if about["dataset"] not in FAMILIES or _digest(about["dataset"], columns) != about["index_digest"]:
        _refuse(path, "an index that does not match its digest", "the file as it was written")
    return about, columns, file["joints"].id.get_offset()


def check(index: Index, block: int = 1 << 16) -> None:
    """Read all joints and compare them with their digest."""
    digest = hashlib.sha256()
    for start in range(0, len(index.joints), block):
        digest.update(np.ascontiguousarray(index.joints[start : start + block]))
    if digest.hexdigest() != index.joints_digest:
        _refuse(index.path, "joints that do not match their digest", "the file as it was written")


def _digest(dataset: str, columns: dict[str, Any]) -> str:
    """SHA-256 of the set's name and the columns, each with its length."""
    digest = hashlib.sha256(f"{FORMAT} {VERSION} {dataset}".encode())
    for name in sorted(columns):
        column = np.ascontiguousarray(columns[name])
        digest.update(f"{name} {column.dtype.str} {column.shape}".encode())
        digest.update(column.tobytes())
    return digest.hexdigest()


def _refuse(path: Path, found: str, expected: str = "a prepared NTU file") -> NoReturn:
    raise DataError.of(path, found=found, expected=expected, do=_AGAIN)
