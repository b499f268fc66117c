"""PYSKL pickle, which mmaction2 uses too: one file with all splits of a data set.

{"split": {name: [frame_dir, ...]}, "annotations": [{"frame_dir", "total_frames", "label", "keypoint"}]}
with keypoint float [M, T, V, C = 3]; label from 0. keypoint_score and img_shape are not read. Joints in
ntu25 order (V = 25) or kinect20 order (V = 20), units as recorded (metres, y up, for NTU). A person who
is absent in a frame is zero there. The subject is read from names SsssCcccPpppRrrrAaaa, the view is their
camera; other names give -1 and None. Classes have no names in the file: A001, A002, ...

Every clip is brought to `persons` bodies (zeros added). Dropped, and reported: bodies beyond `persons`,
and sequences in which nobody is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from train.data import safe_pickle
from train.data.clip import UNKNOWN_SUBJECT, Clip, ClipSet
from train.data.errors import DataError

NAME = "pyskl"
LAYOUTS = {25: "ntu25", 20: "kinect20"}
ROLES: dict[str, tuple[str, ...]] = {"train": ("train",), "test": ("val", "test")}
"""Endings of split names that serve as our splits."""

UNSEEN = {"xsub": "subjects", "xview": "views", "xset": "setups"}
"""What the test of a protocol shows that training does not; another protocol is taken for xsub's kind."""

_NTU = re.compile(r"S(?P<setup>\d{3})C(?P<view>\d{3})P(?P<subject>\d{3})R\d{3}A\d{3}")
_REMAKE = "check how the file was made"


def load(root: Path | None, split: str, *, protocol: str | None = None, persons: int = 2) -> ClipSet:
    """The clips of a split, in the file's order.

    split is a name in the file (xsub_train), or train / test, which mean <protocol>_train and
    <protocol>_val, or all. protocol (xsub) may be left out where the file has only one.
    """
    if root is None:
        raise DataError(f"{NAME}: no path given; pass the .pkl file as --data")
    path = Path(root)
    if not path.is_file():
        raise DataError.of(path, found="no file", expected="a PYSKL .pkl", do="correct --data")
    if persons < 1:
        raise DataError(f"{NAME}: persons is {persons}; expected at least 1")
    splits, annotations = _content(path)
    clips: list[Clip] = []
    dropped: list[str] = []
    found, chosen = _chosen(path, splits, annotations, split, protocol)
    for name in chosen:
        joints = _keypoints(path, name, annotations[name])
        if len(joints) > persons:
            dropped.append(f"{name}: bodies {persons + 1} to {len(joints)}")
        body = np.zeros((persons, *joints.shape[1:]), np.float32)
        body[: len(joints)] = joints[:persons]
        if not body.any():
            dropped.append(f"{name}: no frame with a person")
            continue
        match = _NTU.fullmatch(name)
        said = {key: int(value) for key, value in match.groupdict().items()} if match else {}
        label, subject = int(cast(int, annotations[name]["label"])), said.get("subject", UNKNOWN_SUBJECT)
        clips.append(Clip(name, body, label, subject, said.get("view"), said.get("setup")))
    if not clips:
        raise DataError.of(path, found=f"no clip in split {split!r}", expected="at least one", do=_REMAKE)
    classes = 1 + max(int(cast(int, item["label"])) for item in annotations.values())
    names = tuple(f"A{number + 1:03d}" for number in range(classes))
    unseen = UNSEEN.get(found.partition("_")[0], "subjects")
    return ClipSet(NAME, LAYOUTS[clips[0].joints.shape[2]], names, tuple(clips), tuple(dropped), unseen)


def _content(
    path: Path,
) -> tuple[Mapping[str, Sequence[str]], dict[str, Mapping[str, object]]]:
    """The split lists, and the annotations by frame_dir in the file's order."""
    content = safe_pickle.read(path)
    if not (
        isinstance(content, dict)
        and isinstance(content.get("split"), dict)
        and isinstance(content.get("annotations"), list)
    ):
        raise DataError.of(
            path,
            found=f"a {type(content).__name__} of another form",
            expected='{"split": {...}, "annotations": [...]}',
            do="pass a PYSKL pickle",
        )
    annotations: dict[str, Mapping[str, object]] = {}
    for number, item in enumerate(content["annotations"]):
        name = item.get("frame_dir") if isinstance(item, dict) else None
        if not isinstance(name, str) or not {"label", "keypoint"} <= item.keys():
            raise DataError.of(
                f"{path}: annotation {number}",
                found="an entry without its keys",
                expected="frame_dir, label, keypoint",
                do=_REMAKE,
            )
        label = item["label"]
        if isinstance(label, bool) or not isinstance(label, int | np.integer) or label < 0:
            raise DataError.of(
                f"{path}: {name}", found=f"label {label!r}", expected="an integer from 0", do=_REMAKE
            )
        if name in annotations:
            raise DataError.of(
                path, found=f"frame_dir {name} twice", expected="each once", do="remove the copy"
            )
        annotations[name] = item
    return content["split"], annotations


def _chosen(
    path: Path,
    splits: Mapping[str, Sequence[str]],
    annotations: Mapping[str, Mapping[str, object]],
    split: str,
    protocol: str | None,
) -> tuple[str, Sequence[str]]:
    """The name of a split in the file, and its frame_dirs, each of them with an annotation."""
    if split == "all":
        return split, tuple(annotations)
    if split in splits:
        matching = [split]
    else:
        prefixes = {name.rpartition("_")[0] for name in splits} if protocol is None else {protocol}
        names = [f"{p}_{end}".lstrip("_") for p in sorted(prefixes) for end in ROLES.get(split, ())]
        matching = [name for name in names if name in splits]
    if len(matching) != 1:
        raise DataError.of(
            path,
            found=f"{len(matching)} splits for {split!r} with protocol {protocol!r}",
            expected=f"one of {', '.join(map(str, splits)) or 'none'}",
            do="name the split, or pass protocol",
        )
    wanted = list(splits[matching[0]])
    absent = [name for name in wanted if name not in annotations]
    if absent:
        raise DataError.of(
            f"{path}: split {matching[0]}",
            found=f"{absent[0]} without an annotation",
            expected="an annotation for each name",
            do=_REMAKE,
        )
    return matching[0], wanted


def _keypoints(path: Path, name: str, item: Mapping[str, object]) -> NDArray[np.float32]:
    """float32 [M, T, V, 3] of one annotation."""
    array = item["keypoint"]
    where = f"{path}: {name}"
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise DataError.of(
            where, found="keypoint that is no array of numbers", expected="[M, T, V, 3]", do=_REMAKE
        )
    if array.ndim != 4 or 0 in array.shape or array.shape[2] not in LAYOUTS or array.shape[3] != 3:
        raise DataError.of(
            where,
            found=f"keypoint of shape {array.shape}",
            expected="[M, T, V = 25 or 20, C = 3]",
            do="2-D and other skeletons are not supported: pass a 3-D skeleton file",
        )
    if item.get("total_frames", array.shape[1]) != array.shape[1]:
        raise DataError.of(
            where,
            found=f"total_frames {item['total_frames']} and {array.shape[1]} frames of keypoints",
            expected="the same",
            do=_REMAKE,
        )
    if not np.isfinite(array).all():
        raise DataError.of(
            where, found="NaN or infinity", expected="finite coordinates", do="repair the sequence"
        )
    return array.astype(np.float32)
