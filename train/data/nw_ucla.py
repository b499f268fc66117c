"""NW-UCLA multi-view actions: 1484 JSON sequences, read from the folder or from all_sqe.tar.gz.

A sequence is a file aAA_sSS_eEE_vVV.json (action, subject, repetition, camera view) that holds
{"file_name": name, "skeletons": [F][20][3], "label": 1..10}: metres in the space of a Kinect v1 camera
(x right, y up, z away), joints in kinect20 order. The class is `label`; aAA is not contiguous (a08,
a09, a11, a12 are classes 7 to 10) and is not used. A joint at exactly (0, 0, 0) was lost by the sensor
(12 in the whole set) and is filled from its neighbours in time. Sequences of one frame exist and stay.

Dropped, and reported: sequences without a single frame of a person, and JSON files whose name is not a
sequence's. Files that are not JSON are passed over in silence.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import tarfile
import tempfile
import weakref
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from train.data.clip import Clip, ClipSet
from train.data.errors import DataError
from train.data.lost import fill_lost

NAME = "nw-ucla"
LAYOUT = "kinect20"
CLASS_NAMES = (
    "pick up with one hand",
    "pick up with two hands",
    "drop trash",
    "walk around",
    "sit down",
    "stand up",
    "donning",
    "doffing",
    "throw",
    "carry",
)
JOINTS = 20
ARCHIVE = "all_sqe.tar.gz"
FOLDER = "all_sqe"
VIEWS: dict[str, tuple[int, ...]] = {"train": (1, 2), "test": (3,), "all": (1, 2, 3)}
"""Cross-view protocol: views of each split."""

MENDED = {(4, 2): (4, 5), (5, 2): (6, 7)}
"""Of a subject in a view: two classes whose published labels are exchanged (docs/datasets.md)."""
LABELS = ("published", "mended")

_SEQUENCE = re.compile(r"a\d{2}_s(?P<subject>\d{2})_e\d{2}_v(?P<view>\d{2})")
_WHOLE = "unpack or download it again"


def load(root: Path | None, split: str, *, labels: str = "published") -> ClipSet:
    """The clips (M = 1) of a split, sorted by name: train = views 1 and 2, test = view 3, all = all.

    root is the folder of JSON files, the folder above it, or the archive, which is inflated into a file
    without a name in the folder for temporary files. labels: as published, or those of `MENDED` exchanged
    back, all of them in training views.
    """
    return _load(root, split, labels, keep=True)


def listed(root: Path | None, split: str, *, labels: str = "published") -> ClipSet:
    """The same clips, every file looked at, without their joints: those are read again when asked for."""
    return _load(root, split, labels, keep=False)


def _load(root: Path | None, split: str, labels: str, keep: bool) -> ClipSet:
    if labels not in LABELS:
        raise DataError(f"{NAME}: unknown option labels={labels!r}; choose one of {', '.join(LABELS)}")
    if root is None:
        raise DataError(f"{NAME}: no path given; pass the folder of JSON files or {ARCHIVE} as --data")
    if split not in VIEWS:
        raise DataError(f"{NAME}: unknown split {split!r}; choose one of {', '.join(VIEWS)}")
    clips: list[Clip] = []
    dropped: list[str] = []
    for where, content in sorted(_documents(Path(root)), key=lambda document: document[0].name):
        match = _SEQUENCE.fullmatch(where.stem)
        if match is None:
            dropped.append(f"{where.name}: not named aAA_sSS_eEE_vVV.json")
        elif int(match["view"]) in VIEWS[split]:
            joints, label = _sequence(where, content())
            if joints.any():
                subject, view = int(match["subject"]), int(match["view"])
                if labels == "mended":
                    label = _mended(label, MENDED.get((subject, view), ()))
                held = joints if keep else partial(_joints, where, content)
                clips.append(Clip(where.stem, held, label, subject, view))
            else:
                dropped.append(f"{where.stem}: no frame with a person")
    if not clips:
        raise DataError.of(
            root,
            found=f"no sequence of split {split!r}",
            expected=f"files aAA_sSS_eEE_vVV.json of views {VIEWS[split]}",
            do="point --data at the NW-UCLA folder or archive",
        )
    _refuse_copies(root, clips)
    return ClipSet(NAME, LAYOUT, CLASS_NAMES, tuple(clips), tuple(dropped))


def _mended(label: int, exchanged: tuple[int, ...]) -> int:
    """The other of two exchanged classes; any other class is itself."""
    return sum(exchanged) - label if label in exchanged else label


def _refuse_copies(root: Path, clips: list[Clip]) -> None:
    """The clips are sorted by id, so that copies are neighbours."""
    for left, right in pairwise(clips):
        if left.id == right.id:
            raise DataError.of(
                root, found=f"{left.id} twice", expected="one file a sequence", do="remove the copy"
            )


def _documents(root: Path) -> Iterator[tuple[PurePosixPath, Callable[[], bytes]]]:
    """Name of each JSON file below root, a folder or an archive, and what reads it."""
    if root.is_dir():
        folders = [folder for folder in (root, root / FOLDER) if any(folder.glob("a??_s*.json"))]
        if folders:
            for path in folders[0].glob("*.json"):
                yield PurePosixPath(path.as_posix()), path.read_bytes
        elif (root / ARCHIVE).is_file():
            yield from _archived(root / ARCHIVE)
    elif root.is_file():
        yield from _archived(root)
    else:
        raise DataError.of(
            root,
            found="nothing",
            expected=f"the NW-UCLA folder of JSON files or {ARCHIVE}",
            do="correct --data",
        )


def _archived(path: Path) -> Iterator[tuple[PurePosixPath, Callable[[], bytes]]]:
    """JSON members of the archive, inflated onto disk: a member is then found without those before it.

    The whole stream is inflated first: gzip then proves length and checksum, where tarfile alone would
    take a cut between two members for the end. The file has no name and goes with the last who can read it.
    """
    inflated = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        with gzip.open(path) as packed:
            shutil.copyfileobj(packed, inflated)
        inflated.seek(0)
        tar = tarfile.open(fileobj=inflated, mode="r:")  # noqa: SIM115
        weakref.finalize(tar, inflated.close)
        for member in tar:
            name = PurePosixPath(member.name)
            # "._x.json" are resource forks that macOS adds beside the real files
            if member.isfile() and name.suffix == ".json" and not name.name.startswith("._"):
                yield PurePosixPath(path.as_posix()) / name.name, partial(_member, tar, member)
    except (EOFError, OSError, zlib.error, tarfile.TarError) as error:
        inflated.close()
        raise DataError.of(
            path, found=f"a broken archive ({error})", expected="a whole .tar.gz", do=_WHOLE
        ) from error


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    return tar.extractfile(member).read()


def _joints(where: PurePosixPath, content: Callable[[], bytes]) -> NDArray[np.float32]:
    return _sequence(where, content())[0]


def _sequence(where: PurePosixPath, text: bytes) -> tuple[NDArray[np.float32], int]:
    """joints: float32 [1, F, 20, 3] with lost joints filled, and the label from 0."""
    document = _document(where, text)
    label = document["label"]
    if isinstance(label, bool) or not isinstance(label, int) or not 1 <= label <= len(CLASS_NAMES):
        raise DataError.of(
            where,
            found=f"unknown class: label {label!r}",
            expected=f"an integer 1..{len(CLASS_NAMES)}",
            do="correct the label or remove the file",
        )
    if document.get("file_name", where.stem) != where.stem:
        raise DataError.of(
            where,
            found=f"file_name {document['file_name']!r}",
            expected=repr(where.stem),
            do="give the file its own name back",
        )
    joints, _ = fill_lost(_skeletons(where, document["skeletons"]))
    return joints[None], label - 1


def _document(where: PurePosixPath, text: bytes) -> dict[str, object]:
    """The JSON object of one file; NaN and Infinity, which Python would read, are refused."""

    def refuse(constant: str) -> float:
        raise DataError.of(
            where, found=constant, expected="finite numbers", do="repair or remove the sequence"
        )

    try:
        document = json.loads(text, parse_constant=refuse)
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError.of(
            where, found=f"broken JSON ({error})", expected="one whole JSON object", do=_WHOLE
        ) from error
    if not isinstance(document, dict) or not {"skeletons", "label"} <= document.keys():
        raise DataError.of(
            where,
            found="JSON without the keys of a sequence",
            expected='{"file_name", "skeletons", "label"}',
            do=_WHOLE,
        )
    return document


def _skeletons(where: PurePosixPath, frames: object) -> NDArray[np.float32]:
    """float32 [F, 20, 3] of nested lists; the frame at fault is named."""
    if not isinstance(frames, list) or not frames:
        raise DataError.of(where, found="no frames", expected="at least one frame", do=_WHOLE)
    for number, frame in enumerate(frames):
        count = len(frame) if isinstance(frame, list) else 0
        if count != JOINTS:
            raise DataError.of(
                where,
                found=f"{count} joints in frame {number}",
                expected=f"{JOINTS} (Kinect v1)",
                do="this is not an NW-UCLA sequence; repair or remove it",
            )
    try:
        joints = np.array(frames, dtype=np.float32)
    except (ValueError, TypeError, OverflowError):
        joints = np.empty((0,), np.float32)
    if joints.shape != (len(frames), JOINTS, 3):
        raise DataError.of(
            where,
            found="a joint that is not three numbers",
            expected="x, y, z for each joint",
            do="repair or remove the sequence",
        )
    if not np.isfinite(joints).all():
        raise DataError.of(
            where, found="infinity", expected="finite numbers", do="repair or remove the sequence"
        )
    return joints
