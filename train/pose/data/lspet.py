"""LSPET, the training extension of Leeds Sports Pose: joints.mat and one image a person.

It has no official split. Ours: images 1..2000 train, the last 500 of the 2500 that the project has,
2001..2500, test; every tenth training image is held out to choose the epoch (train.pose.data.person). The
file holds the annotations of 10,000 images: those without an image are no part of a split. Coordinates there
count from 1 and are junk where the flag says invisible. There are no boxes: a person's box is that of its
joints, grown by a tenth of the longer side (--data-option boxes=image: the whole image).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.io
from numpy.typing import NDArray

from train.data.errors import DataError
from train.pose.data import images
from train.pose.data.keypoints import LSPET
from train.pose.data.person import VISIBLE, Dropped, Person, PoseSet, clean_joints, joint_box

NAME = "lspet"
RANGES = {"train": (1, 2000), "test": (2001, 2500), "all": (1, 2500)}  # numbers of images, both ends in


def load(root: Path | None, split: str, *, boxes: str = "joints", check: bool = False) -> PoseSet:
    """The people of a split, in the order of the images.

    root: the folder that holds joints.mat and images/. boxes: "joints" or "image". check: leave out images
    that do not decode (each is decoded once, now) instead of failing at the first.
    """
    if split not in RANGES:
        raise DataError(f"{NAME}: split {split!r}; expected one of {', '.join(RANGES)}")
    if boxes not in ("joints", "image"):
        raise DataError(f"{NAME}: option boxes is {boxes!r}; expected joints or image")
    if root is None:
        raise DataError(f"{NAME}: found no --data; expected the folder with joints.mat and images/")
    joints, dropped = _joints(root / "joints.mat"), Dropped()
    first, last = RANGES[split]
    people = []
    for number in range(first, last + 1):
        path = root / "images" / f"im{number:05d}.jpg"
        if not path.is_file():
            dropped.add("annotations without an image", path.name)
        elif check and not images.decodes(path):
            dropped.add("images that do not decode", path.name)
        elif person := _person(path, number, joints[:, :, number - 1], boxes, dropped):
            people.append(person)
    if not people:
        raise DataError.of(
            root, found=f"no usable image of im{first:05d}..im{last:05d}",
            expected="images/im00001.jpg and on", do="point --data at the folder that holds joints.mat",
        )  # fmt: skip
    return PoseSet(NAME, split, LSPET, tuple(people), dropped.lines())


def _joints(path: Path) -> NDArray[np.float64]:
    """float64 [14, 3, images]."""
    if not path.is_file():
        raise DataError.of(path.parent, found="no joints.mat", expected="LSPET's folder", do="correct --data")
    try:
        found = scipy.io.loadmat(path, variable_names=["joints"]).get("joints")
    except Exception as error:  # scipy raises many kinds on a broken file
        reason = " ".join(str(error).split())[:200]
        raise DataError.of(
            path, found=f"no readable MATLAB file ({reason})", expected="LSPET's joints.mat", do="restore it"
        ) from error
    shape = getattr(found, "shape", ())
    if len(shape) != 3 or shape[:2] != (LSPET.size, 3) or found.dtype.kind != "f":
        raise DataError.of(
            path, found=f"joints of shape {shape}", expected="(14, 3, images)", do="use LSPET's own file"
        )
    if found.shape[2] < RANGES["all"][1]:
        raise DataError.of(
            path, found=f"{found.shape[2]} annotations", expected="2500 or more", do="use LSPET's own file"
        )
    return found


def _person(
    path: Path, number: int, joints: NDArray[np.float64], boxes: str, dropped: Dropped
) -> Person | None:
    """joints [14, 3]: x, y from 1, visible."""
    try:
        width, height = _frame(path)
    except DataError:
        width = height = np.inf  # reading the image will say what is wrong with it
    xy, visibility, weights = clean_joints(joints[:, :2] - 1.0, VISIBLE * joints[:, 2], width, height)
    box = joint_box(xy, visibility)
    if box is None:
        dropped.add("images without a visible joint", path.name)
        return None
    if boxes == "image" and np.isfinite(width):
        box = np.array([0.0, 0.0, width, height])
    return Person(path, box, xy, visibility, weights, number, number, path.stem)


def _frame(path: Path) -> tuple[float, float]:
    """(width, height) from the JPEG's header alone: 2500 images shall not be decoded to be listed."""
    with path.open("rb") as file:
        content = file.read(1 << 16)
    at = 2
    while at + 9 < len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header
            height = int.from_bytes(content[at + 5 : at + 7], "big")
            return float(int.from_bytes(content[at + 7 : at + 9], "big")), float(height)
        at += 2 + length
    width, height = images.size(path)
    return float(width), float(height)
