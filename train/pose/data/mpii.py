"""MPII Human Pose, in the JSON that HRNet-style code reads: a list of people, MATLAB's pixels from 1.

    {"image": file, "center": [x, y], "scale": height / 200, "joints": 16 x [x, y], "joints_vis": 16 x 0 or 1}

annotations/{train,valid}.json beside images/; valid is the test split. There are no boxes: one is the square
of side 200 scale round the centre. Head size, which PCKh needs, is no part of this form: it is the distance
of head top and neck, and nan where one of them is absent. Annotators' head boxes are a little larger than
that, so that PCKh here is a little stricter than the publishers'.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from train.data.errors import DataError
from train.pose.data import images as pictures
from train.pose.data import values
from train.pose.data.keypoints import MPII
from train.pose.data.person import FAR, VISIBLE, Dropped, Person, PoseSet, clean_joints, joint_box

NAME = "mpii"
FILES = {"train": "annotations/train.json", "test": "annotations/valid.json"}
PERSON = 200.0  # pixels of height for a scale of 1


def load(
    root: Path | None, split: str, *, annotations: str = "", images: str = "", check: bool = False
) -> PoseSet:
    """The people of a split, in the order of the file; options as COCO's (train.pose.data.coco.load)."""
    if split not in FILES:
        raise DataError(f"{NAME}: split {split!r}; expected {' or '.join(FILES)}")
    if root is None:
        raise DataError(f"{NAME}: found no --data; expected the folder with {FILES[split]} and images/")
    where = root / (annotations or FILES[split])
    folders = [root / images] if images else [root / "images", root]
    dropped, people = Dropped(), []
    usable: dict[Path, bool] = {}
    for number, entry in enumerate(_entries(where)):
        name = entry["image"]
        path = pictures.located(name, folders)
        if path is None or pictures.leaves(name):
            dropped.add("people whose image is not there", name)
        elif check and not usable.setdefault(path, usable.get(path) or pictures.decodes(path)):
            dropped.add("people whose image does not decode", name)
        elif person := _person(entry, number, path, f"{where}: person {number}", dropped):
            people.append(person)
    if not people:
        raise DataError.of(
            where, found=f"no person with an image ({'; '.join(dropped.lines()) or 'empty list'})",
            expected=f"images in {' or '.join(map(str, folders))}",
            do="correct --data, or name the folder with --data-option images=DIR",
        )  # fmt: skip
    return PoseSet(NAME, split, MPII, tuple(people), dropped.lines())


def _entries(where: Path) -> list[Mapping[str, Any]]:
    found = values.load(where, "a list of people")
    fields = ("image", "center", "scale", "joints", "joints_vis")
    if not isinstance(found, list) or not all(isinstance(e, dict) and set(fields) <= set(e) for e in found):
        raise DataError.of(
            where, found="no list of people", expected=f"objects with {', '.join(fields)}",
            do="use the JSON form of MPII",
        )  # fmt: skip
    if odd := [n for n, entry in enumerate(found) if not isinstance(entry["image"], str)]:
        raise DataError.of(
            f"{where}: person {odd[0]}", found=f"image {found[odd[0]]['image']!r:.40}",
            expected="the name of a file", do="correct the annotations",
        )  # fmt: skip
    return found


def _person(entry: Mapping[str, Any], number: int, path: Path, at: str, dropped: Dropped) -> Person | None:
    joints = values.array(entry["joints"])
    seen = values.numbers(entry["joints_vis"], MPII.size, "joints_vis", at)
    if joints is None or joints.shape != (MPII.size, 2):
        raise DataError.of(
            at, found=f"joints {'that are no numbers' if joints is None else joints.shape}",
            expected=f"({MPII.size}, 2)", do="use a file of MPII's 16 joints",
        )  # fmt: skip
    xy, visibility, weights = clean_joints(joints - 1.0, VISIBLE * (seen > 0), np.inf, np.inf)
    if not visibility.any():
        dropped.add("people without a joint", number)
        return None
    box = _box(entry, at)
    if box is None:
        dropped.add("boxes that are empty, replaced by the joints'", number)
        box = joint_box(xy, visibility)
    top, neck = MPII.index("head top"), MPII.index("neck")
    head = float(np.linalg.norm(xy[top] - xy[neck])) if visibility[[top, neck]].all() else float("nan")
    return Person(path, box, xy, visibility, weights, number, path.name, path.name, head=head or float("nan"))


def _box(entry: Mapping[str, Any], at: str) -> np.ndarray | None:
    centre = values.numbers(entry["center"], 2, "center", at) - 1.0
    side = PERSON * values.number(entry["scale"], "scale", at)
    if not (np.abs([*centre, side]) < FAR).all() or side <= 0:
        return None
    return np.array([*(centre - side / 2), side, side])
