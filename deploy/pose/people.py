"""People of images and videos: what readers give, trackers follow and metrics compare.

Keypoints are pixels of the image; x to the right, y down. Visibility is COCO's: 0 absent, 1 hidden, 2 seen.
A joint is there where its visibility is above 0; an absent one has coordinates 0, whatever a file said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """One person of one image.

    keypoints   float64 [K, 2], pixels          visibility  int8 [K], 0 | 1 | 2
    scores      float64 [K] of the joints, or None            score   of the person, or None
    box         float64 [4], x, y, w, h, or None              area    of the person in pixels, or None
    head_box    float64 [4] of the head alone, or None        crowd   a region of many people (COCO's iscrowd)
    track_id    whose pose this is, or None                   id      of the annotation
    """

    keypoints: Array
    visibility: Array
    scores: Array | None = None
    score: float | None = None
    box: Array | None = None
    head_box: Array | None = None
    area: float | None = None
    track_id: int | None = None
    id: int | None = None
    crowd: bool = False

    @property
    def there(self) -> Array:
        """bool [K]: which joints are."""
        return self.visibility > 0

    @property
    def confidence(self) -> float | None:
        """The person's score, else the mean score of the joints that are there; None where nothing is
        scored.
        """
        if self.score is not None:
            return self.score
        if self.scores is None:
            return None
        return float(self.scores[self.there].mean()) if self.there.any() else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image and its people. `ignore` holds polygons, float64 [n, 2], within which nothing is judged;
    `fields` the entry of the file as it was, so that a writer keeps what it does not know."""

    image_id: int
    people: tuple[Person, ...] = ()
    file_name: str = ""
    width: int | None = None
    height: int | None = None
    labelled: bool = True
    ignore: tuple[Array, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """Frames in order. A collection of single images is one too, with a name of ''."""

    name: str
    joints: tuple[str, ...]
    frames: tuple[Frame, ...]


def extent(person: Person) -> Array | None:
    """float64 [4]: the person's box, else the smallest box around its joints; None without either."""
    if person.box is not None:
        return person.box
    points = person.keypoints[person.there]
    if not len(points):
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    return np.concatenate([low, high - low])
