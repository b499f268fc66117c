"""People of a data set: one frozen record a person, whatever file it came from.

Coordinates are pixel indices of the image, as the files annotate them: (0, 0) is the centre of the first
pixel.
A crop adds its convention's c (train.pose.crops).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.data.errors import DataError
from train.pose.data.images import Image
from train.pose.data.keypoints import KeypointSet

ABSENT, HIDDEN, VISIBLE = 0, 1, 2
HELD_OUT = 10  # every tenth group of a training split is held out
FAR = 1e6  # pixels; no image is as large, and what is farther, or not finite, is no coordinate


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """One annotated person.

    image           a file, or pixels (train.pose.data.images)
    box             float64 [4]: x, y, w, h in pixels of the image, w and h above 0
    xy              float64 [K, 2] pixel indices; 0 where the joint is absent
    visibility      int8 [K]: 0 absent, 1 hidden, 2 visible
    weights         float32 [K]: what a joint counts in the loss; 0 where it is absent or outside the image
    id, image_id    of the annotation and of the image, as in the files
    group           what is held out whole: the image, or the sequence
    area            of the person in square pixels, nan where the set has none
    head            head size in pixels, nan where the set has none
    track           identity within the group, or None
    """

    image: Image
    box: NDArray[np.float64]
    xy: NDArray[np.float64]
    visibility: NDArray[np.int8]
    weights: NDArray[np.float32]
    id: int | str
    image_id: int | str
    group: str
    area: float = float("nan")
    head: float = float("nan")
    track: int | None = None

    def length(self, keypoints: KeypointSet) -> float:
        """What PCK divides by, in pixels; nan where the person does not have it."""
        if keypoints.measure == "head":
            return self.head
        if keypoints.measure == "box":
            return float(self.box[2:].max())
        ends = [keypoints.index("right hip"), keypoints.index("left shoulder")]
        if not self.visibility[ends].all():
            return float("nan")
        return float(np.linalg.norm(self.xy[ends[0]] - self.xy[ends[1]])) or float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class PoseSet:
    """A split of a data set. dropped: what was left out, a line each. truth: the annotations as COCO's dict,
    where the set is one of that family (OKS AP is computed on it)."""

    name: str
    split: str
    keypoints: KeypointSet
    people: tuple[Person, ...]
    dropped: tuple[str, ...] = ()
    truth: dict[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.people)

    @property
    def category(self) -> int:
        """Id of the category of people in `truth`; COCO's, 1, where there is no truth."""
        known = self.truth["categories"] if self.truth else ()
        return next((int(c["id"]) for c in known if c.get("keypoints")), 1)

    def spread(self, n: int) -> PoseSet:
        """n people at evenly spaced places; all, where there are fewer."""
        if n >= len(self):
            return self
        people = tuple(self.people[i] for i in np.arange(n) * len(self) // n)
        return replace(self, people=people)


def hold_out(found: PoseSet) -> tuple[PoseSet, PoseSet]:
    """A training split parted into what is trained on and what the epoch is chosen by.

    Groups (images, or sequences) in the order of the files: every tenth is held out whole, the last one where
    there are fewer than ten.
    """
    groups = list(dict.fromkeys(person.group for person in found.people))
    if len(groups) < 2:
        raise DataError.of(
            found.name, found=f"{len(groups)} images (or sequences) with people in its training split",
            expected="at least 2, one of them to choose the epoch by", do="give more data",
        )  # fmt: skip
    held = set(groups[HELD_OUT - 1 :: HELD_OUT] or groups[-1:])
    parts = [tuple(p for p in found.people if (p.group in held) is inside) for inside in (False, True)]
    return replace(found, people=parts[0]), replace(found, split="validation", people=parts[1])


class Dropped:
    """Collects what a reader leaves out: one line a reason, with a count and the first name."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, Any] = {}

    def add(self, reason: str, name: Any) -> None:
        """One thing left out."""
        self._counts[reason] += 1
        self._first.setdefault(reason, name)

    def lines(self) -> tuple[str, ...]:
        """Like 3 annotations without keypoints (first: 17); most frequent first."""
        counts = self._counts.most_common()
        return tuple(f"{n} {reason} (first: {self._first[reason]})" for reason, n in counts)


def joint_box(
    xy: NDArray[np.floating[Any]], visibility: NDArray[np.int8], margin: float = 0.1
) -> NDArray[np.float64] | None:
    """The box of the joints that are there, grown by `margin` of its longer side on every side; or None."""
    there = xy[visibility > ABSENT]
    if not len(there):
        return None
    low, high = there.min(axis=0), there.max(axis=0)
    grow = max(margin * float((high - low).max()), 1.0)
    return np.concatenate([low - grow, high - low + 2 * grow]).astype(np.float64)


def clean_box(box: NDArray[np.float64] | None, width: float, height: float) -> NDArray[np.float64] | None:
    """The part of a box [4] that lies in the image, or None: none, no coordinates, empty or outside."""
    if box is None or not (np.abs(box) < FAR).all() or (box[2:] <= 0).any():
        return None
    low = np.maximum(box[:2], 0.0)
    high = np.minimum(box[:2] + box[2:], (width, height))
    return None if (high - low < 1.0).any() else np.concatenate([low, high - low])


def clean_joints(
    xy: NDArray[np.floating[Any]], visibility: NDArray[Any], width: float, height: float
) -> tuple[NDArray[np.float64], NDArray[np.int8], NDArray[np.float32]]:
    """xy [K, 2], visibility [K] of a file -> those of a Person.

    Absent joints hold junk in some sets: they become 0. What is no coordinate is absent. A joint outside the
    image stays, with weight 0.
    """
    xy, seen = np.array(xy, np.float64), np.array(visibility, np.float64)
    there = (np.abs(xy) < FAR).all(axis=1) & (seen > 0)
    xy[~there] = 0.0
    clean = np.where(there, np.clip(seen, 0, VISIBLE), ABSENT).astype(np.int8)
    inside = ((xy >= -0.5) & (xy < np.array([width, height]) - 0.5)).all(axis=1)
    return xy, clean, (there & inside).astype(np.float32)
