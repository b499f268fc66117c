"""Where person boxes come from: the interface of a detector, boxes of a file, OpenCV's HOG.

A detector is asked image by image. `FileDetector` needs no image, `HogDetector` needs nothing but one: it
is weak (upright people of some size, embedded in OpenCV 4.x, gone in 5), but there is nothing to download.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from convert.ir import BadInput, Unsupported
from deploy.pose.coco_file import PERSON, Boxes, no_boxes, read_boxes

# The detector's window has a margin round the person. What a box, x, y, w, h, is beyond its window, as shares
# of the window's width and height; OpenCV's own example cuts the same.
WINDOW = np.array([0.1, 0.07, -0.2, -0.2])


class Detector(Protocol):
    """Finds people. `name` stands in reports; `notes`: what was left out so far (text -> how often)."""

    name: str
    notes: Counter[str]

    def find(self, image_id: int, image: np.ndarray | None) -> Boxes:
        """Candidates of an image, best first. image: uint8 [H, W, 3], BGR; None where the detector needs
        none.
        """
        ...


class FileDetector:
    """Boxes that another program found, in COCO's form; category: of people, in a file that only lists."""

    def __init__(
        self, path: Path, sizes: Mapping[int, tuple[int, int]] | None = None, category: int = PERSON
    ) -> None:
        self.path, self.name = path, path.name
        self.boxes, notes = read_boxes(path, sizes, category)
        self.notes = Counter(notes)

    def find(self, image_id: int, image: np.ndarray | None = None) -> Boxes:
        return self.boxes.get(image_id, no_boxes())


class HogDetector:
    """OpenCV's histogram of oriented gradients with its linear SVM for people, both embedded in OpenCV 4.x.

    stride  pixels between windows (8: OpenCV's; 4 finds more, four times slower)
    scale   between sizes looked at
    least   of the SVM's margin; scores are margins brought to (0, 1) by 1 / (1 + exp(-2 margin)), so that
            OpenCV's own threshold, margin 0, is score 0.5, and what is below is there for the greedy rule

    An image smaller than the detector's window, 64x128, has no boxes, and is counted in the notes.
    """

    name = "hog"

    def __init__(self, stride: int = 8, scale: float = 1.05, least: float = -0.5) -> None:
        import cv2

        if not hasattr(cv2, "HOGDescriptor_getDefaultPeopleDetector"):
            raise Unsupported("opencv", f"{cv2.__version__} has no people detector", "install OpenCV 4.x")
        self.hog: Any = cv2.HOGDescriptor()
        self.hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())
        self.stride, self.scale, self.least = stride, scale, least
        self.notes: Counter[str] = Counter()

    def find(self, image_id: int, image: np.ndarray | None) -> Boxes:
        if image is None:
            raise BadInput(f"image {image_id}: the HOG detector needs the image itself; give --images DIR")
        wide, high = self.hog.winSize
        if image.shape[0] < high or image.shape[1] < wide:  # OpenCV aborts on less
            self.notes[f"images smaller than HOG's window, {wide}x{high}, in which it finds nobody"] += 1
            return no_boxes()
        steps = (self.stride, self.stride)
        found, margins = self.hog.detectMultiScale(
            image, hitThreshold=self.least, winStride=steps, padding=(8, 8), scale=self.scale,
            groupThreshold=0,
        )  # fmt: skip
        if not len(found):
            return no_boxes()
        margins = np.asarray(margins, np.float64).reshape(-1)
        windows = np.asarray(found, np.float64)
        order = np.lexsort((*windows.T, -margins))
        size = np.tile(windows[:, 2:], 2)
        made = Boxes(windows + size * WINDOW, 1 / (1 + np.exp(-2 * margins)))
        return made.taken(order)  # its threads give boxes in any order: margin, then place


def read_image(path: Path) -> np.ndarray:
    """uint8 [H, W, 3], BGR, as the file has them: the orientation tag of a photograph is ignored, as in
    training (`train.pose.data.images`). BadInput where there is no image or it does not decode.
    """
    import cv2

    if not path.is_file():
        raise BadInput(f"{path}: there is no such image")
    content = np.frombuffer(path.read_bytes(), np.uint8)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    made = cv2.imdecode(content, flags) if len(content) else None  # it raises on nothing
    if made is None:
        raise BadInput(f"{path}: does not decode as an image")
    return made


class WholeFrame:
    """The frame itself as the one box: for a video of one person who fills it."""

    name = "whole frame"

    def __init__(self) -> None:
        self.notes: Counter[str] = Counter()

    def find(self, image_id: int, image: np.ndarray | None) -> Boxes:
        if image is None:
            raise BadInput(f"image {image_id}: its size is not known without it; give the image")
        height, width = image.shape[:2]
        return Boxes(np.array([[0.0, 0.0, width, height]]), np.ones(1))
