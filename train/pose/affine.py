"""Boxes -> crops: the affine map from the image to the network's input, and back.

A box [x, y, w, h] is a rectangle of the image's plane, 0 its left and upper edge (COCO's); keypoints are
coordinates of the convention. The region of a box is grown to the input's aspect ratio (never shrunk), then
by `padding`. Its centre comes to the input's centre; with scale "ends" its edges come to the centres of the
outermost pixels, with "size" to the edges of the input.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from train.pose.convention import AREAS, PixelConvention
from train.pose.errors import PoseError

PADDING = 1.25
Floats = NDArray[np.floating[Any]]


def region(boxes: Floats, size: tuple[int, int], padding: float = PADDING) -> NDArray[np.float64]:
    """[..., 4] boxes -> [..., 4] regions (centre x, y, width, height) of the aspect ratio of `size`."""
    boxes = np.asarray(boxes, np.float64)
    if boxes.shape[-1:] != (4,) or not np.isfinite(boxes).all() or (boxes[..., 2:] <= 0).any():
        raise PoseError(f"boxes {boxes.tolist()}: expected [..., 4], finite, width and height above 0"[:300])
    x, y, w, h = np.moveaxis(boxes, -1, 0)
    width = np.maximum(w, h * size[0] / size[1])
    height = width * size[1] / size[0]
    return np.stack([x + w / 2, y + h / 2, width * padding, height * padding], axis=-1)


def to_input(
    regions: Floats,
    size: tuple[int, int],
    convention: PixelConvention = AREAS,
    rotation: Floats | float = 0.0,
) -> NDArray[np.float64]:
    """Regions [..., 4] -> matrices [..., 2, 3]: image coordinates to those of an input of `size`.

    rotation: [...] in radians; positive turns the picture from x towards y, clockwise as one looks at it.
    """
    regions = np.asarray(regions, np.float64)
    half = convention.c - 0.5
    centre, extent = regions[..., :2] + half, regions[..., 2:]
    pixels = np.array(size, np.float64)
    scale = (pixels if convention.scale == "size" else pixels - 1) / extent
    cos, sin = np.cos(rotation), np.sin(rotation)
    turn = np.stack([np.stack([cos, -sin], axis=-1), np.stack([sin, cos], axis=-1)], axis=-2)
    # The region turns; its axes are scaled afterwards, one by one: they differ in "ends" alone.
    linear = scale[..., :, None] * turn
    shift = pixels / 2 + half - np.einsum("...ij,...j->...i", linear, centre)
    return np.concatenate([linear, shift[..., None]], axis=-1)


def apply(matrix: Floats, xy: Floats) -> NDArray[np.float64]:
    """Matrices [..., 2, 3] on points [..., K, 2]."""
    matrix = np.asarray(matrix, np.float64)
    return np.einsum("...ij,...kj->...ki", matrix[..., :2], xy) + matrix[..., None, :, 2]


def inverse(matrix: Floats) -> NDArray[np.float64]:
    """Matrices [..., 2, 3] -> those of the way back."""
    matrix = np.asarray(matrix, np.float64)
    linear = np.linalg.inv(matrix[..., :2])
    shift = -np.einsum("...ij,...j->...i", linear, matrix[..., 2])
    return np.concatenate([linear, shift[..., None]], axis=-1)


def mirror(width: int, convention: PixelConvention = AREAS) -> NDArray[np.float64]:
    """[2, 3]: an image of that width seen in a mirror; compose with `compose`."""
    return np.array([[-1.0, 0.0, convention.mirror(0.0, width)], [0.0, 1.0, 0.0]])


def compose(after: Floats, before: Floats) -> NDArray[np.float64]:
    """The matrix [..., 2, 3] of `before`, then `after`."""
    after, before = np.asarray(after, np.float64), np.asarray(before, np.float64)
    linear = after[..., :2] @ before[..., :2]
    shift = np.einsum("...ij,...j->...i", after[..., :2], before[..., 2]) + after[..., 2]
    return np.concatenate([linear, shift[..., None]], axis=-1)


def warp(
    image: NDArray[np.uint8], matrix: Floats, size: tuple[int, int], convention: PixelConvention = AREAS
) -> NDArray[np.uint8]:
    """The picture seen through one matrix [2, 3]: uint8 [height, width, C], linear, black outside."""
    c = convention.c
    # OpenCV counts in indices: coordinates are indices + c on both sides.
    indices = compose([[1, 0, -c], [0, 1, -c]], compose(matrix, [[1, 0, c], [0, 1, c]]))
    found = cv2.warpAffine(image, indices, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return found.reshape(size[1], size[0], -1).astype(np.uint8, copy=False)
