"""Whole images from a data set's people: everybody in them, and where nobody may be called wrong.

A `PoseSet` lists people with joints. An image also shows people without, and regions where they were not told
apart: both are in the annotations it keeps (`truth`), and both must not be taught as background.

    people    as the set lists them
    others    boxes of annotated people whom the set does not list: no keypoints, or left out (train_limit)
    crowds    boxes of crowd regions, and of PoseTrack18's ignore regions: not looked at

Images without anybody whom the set lists are no scenes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.pose.data.images import Image
from train.pose.data.person import Person, PoseSet, clean_box
from train.pose.data.values import array

FAR = (np.inf, np.inf)  # of an image whose size the file does not say
Boxes = NDArray[np.float64]
"""[n, 4]: x, y, w, h in pixels of the image."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One image and who is in it."""

    image: Image
    image_id: int | str
    group: str
    people: tuple[Person, ...]
    others: Boxes
    crowds: Boxes


def scenes(found: PoseSet) -> tuple[Scene, ...]:
    """The images of a set, in the order of their first person."""
    by_image: dict[Any, list[Person]] = {}
    for person in found.people:
        by_image.setdefault(person.image_id, []).append(person)
    others, crowds = _without_joints(found.truth, found.people) if found.truth else ({}, {})
    return tuple(
        Scene(
            people[0].image, image, people[0].group, tuple(people),
            _stacked(others.get(image, ())), _stacked(crowds.get(image, ())),
        )
        for image, people in by_image.items()
    )  # fmt: skip


def spread(found: Sequence[Scene], n: int | None) -> tuple[Scene, ...]:
    """n scenes at evenly spaced places; all, where there are fewer or n is None."""
    if n is None or n >= len(found):
        return tuple(found)
    return tuple(found[i] for i in np.arange(n) * len(found) // n)


def _without_joints(
    truth: Mapping[str, Any], people: Iterable[Person]
) -> tuple[dict[Any, list[Boxes]], dict[Any, list[Boxes]]]:
    """Boxes by image id: of people whom the set does not list, and of regions to be ignored."""
    listed = {person.id for person in people}
    sizes = {i["id"]: (i.get("width") or np.inf, i.get("height") or np.inf) for i in truth["images"]
             if isinstance(i, dict) and "id" in i}  # fmt: skip
    others: dict[Any, list[Boxes]] = {}
    crowds: dict[Any, list[Boxes]] = {}
    for annotation in truth["annotations"]:
        if not isinstance(annotation, dict) or annotation.get("id") in listed:
            continue
        image = annotation.get("image_id")
        given = array(annotation.get("bbox"))
        box = clean_box(given if given is not None and given.shape == (4,) else None, *sizes.get(image, FAR))
        if box is not None:
            (crowds if annotation.get("iscrowd") else others).setdefault(image, []).append(box)
    for image in truth["images"]:
        if isinstance(image, dict) and image.get("ignore_regions_x"):
            crowds.setdefault(image.get("id"), []).extend(_regions(image))
    return others, crowds


def _regions(image: Mapping[str, Any]) -> list[Boxes]:
    """The boxes of an image's ignore regions; polygons that are none are passed over."""
    found = []
    for xs, ys in zip(image["ignore_regions_x"], image.get("ignore_regions_y") or (), strict=False):
        x, y = array(xs), array(ys)
        if x is not None and y is not None and x.size and y.size:
            low, high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()])
            found.append(np.concatenate([low, high - low]))
    return found


def _stacked(boxes: Iterable[Boxes]) -> Boxes:
    return np.array([*boxes], np.float64).reshape(-1, 4)
