"""One picture and the people annotated in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ABSENT, HIDDEN, VISIBLE = 0, 1, 2
LEAST_SHARE, LEAST_PIXELS = 0.08, 40
"""Who shows less of his silhouette, or fewer pixels, is not annotated."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A person as annotated. Positions are pixel indices; boxes are COCO's, 0 the edge of the first pixel.

    xy: float64 [17, 2], true wherever the joint is, in the picture or not; visibility: int8 [17], 0 outside
    the picture, 1 behind something, 2 visible; box: of the whole silhouette within the picture, what is
    hidden included; head_box: of the head, as drawn; neck, top: [3] ends of the head, (x, y, visibility);
    area: visible pixels; track: who it is; action: what it does.
    """

    xy: NDArray[np.float64]
    visibility: NDArray[np.int8]
    box: NDArray[np.float64]
    head_box: NDArray[np.float64]
    neck: NDArray[np.float64]
    top: NDArray[np.float64]
    area: float
    track: int
    action: str


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """pixels: uint8 [H, W, 3], RGB; people: from the nearest to the farthest."""

    pixels: NDArray[np.uint8]
    people: tuple[Seen, ...]
