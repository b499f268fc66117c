"""Detectors by their names on the command line, and people who are seen in the boxes they give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convert.ir import BadInput
from deploy.pose.boxes import Detector, FileDetector, HogDetector, WholeFrame
from deploy.pose.coco_file import PERSON, Boxes
from verbs.people_run import RunDetector

if TYPE_CHECKING:
    from train.pose.data.person import Person

OUTSIDE = "boxes wholly outside their image: left out"


def names_run(boxes: str) -> bool:
    """Whether --boxes names a run, and neither a detector of OpenCV's nor a file of boxes."""
    path = Path(boxes)
    return boxes not in ("hog", "whole") and (path.is_dir() or path.suffix == ".safetensors")


def detector(boxes: str, threads: int | None, category: int = PERSON) -> Detector:
    """hog, whole, a run of a keypoint R-CNN, or a file of boxes; category: of people, in a file that only
    lists."""
    if boxes == "hog":
        return HogDetector()
    if boxes == "whole":
        return WholeFrame()
    if names_run(boxes):
        return RunDetector(Path(boxes), threads)
    return FileDetector(Path(boxes), category=category)


def held_to(found: FileDetector, images: Container[int], where: str, expected: str) -> None:
    """Note how many boxes of a file are of other images than these, which nobody will ask for.

    where: which these images are, for the note; expected: the same and what to do, for the error. BadInput
    where the file has boxes, and all are of other images.
    """
    strange = [image for image in found.boxes if image not in images]
    if not strange:
        return
    if len(strange) == len(found.boxes):
        raise BadInput(f"{found.path}: its boxes are of image {min(strange)} and others, {expected}")
    found.notes[f"boxes of other images than {where}: passed over"] += sum(
        len(found.boxes[image]) for image in strange
    )


def inside(boxes: Boxes, size: tuple[int, int], notes: Counter[str]) -> Boxes:
    """Without boxes that show nothing of the image, [width, height]; how many is noted."""
    low, high = boxes.boxes[:, :2], boxes.boxes[:, :2] + boxes.boxes[:, 2:]
    good = ((low < np.array(size)) & (high > 0) & (boxes.boxes[:, 2:] > 0)).all(axis=1)
    if not good.all():
        notes[OUTSIDE] += int((~good).sum())
    return boxes.taken(np.flatnonzero(good))


def boxed(box: np.ndarray, pixels: np.ndarray, joints: int, image_id: int | str) -> Person:
    """Somebody in a box [4] of an image, uint8 [H, W, 3] RGB, of whom nothing else is known."""
    from train.pose.data.person import Person

    return Person(
        image=pixels, box=box, xy=np.zeros((joints, 2)), visibility=np.zeros(joints, np.int8),
        weights=np.zeros(joints, np.float32), id=0, image_id=image_id, group="",
    )  # fmt: skip
