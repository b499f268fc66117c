"""Synthetic people (train.pose.people): drawn pictures with true joints, the data set that needs no files.

A picture is a function of (seed, number): numbers from 0 are the training split, those from TEST the test
split, so that another size of one changes nothing in the other. All are drawn once, now, and kept as PNG in
memory (about 100 kB each): reading one is faster than drawing it again. The annotations are COCO's 17 joints
with visibility, box, area and head box, and the truth is a COCO file in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from train.data.errors import DataError
from train.pose.data.keypoints import COCO
from train.pose.data.person import Person, PoseSet, clean_joints
from train.pose.pck import HEAD
from train.pose.people.frame import Seen
from train.pose.people.still import SIZE, still

NAME = "synthetic-people"
TEST = 1_000_000  # number of the first test picture


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A picture as PNG; the name says which."""

    name: str
    content: NDArray[np.uint8]

    def pixels(self) -> NDArray[np.uint8]:
        """[H, W, 3] RGB, as it was drawn."""
        return cv2.cvtColor(cv2.imdecode(self.content, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def load(split: str, *, seed: int = 0, train: int = 600, test: int = 150) -> PoseSet:
    """The people of `train` or `test` pictures of 320x240 pixels, one to four in each."""
    if split not in ("train", "test"):
        raise DataError(f"{NAME}: split {split!r}; expected train or test")
    count, first = (train, 0) if split == "train" else (test, TEST)
    if not 1 <= count < TEST:
        raise DataError(f"{NAME}: {split} is {count} pictures; expected 1 or more, below {TEST}")
    people: list[Person] = []
    truth: dict[str, Any] = {"images": [], "annotations": [], "categories": [_category()]}
    for number in range(first, first + count):
        drawn = still(seed, number)
        _, content = cv2.imencode(".png", cv2.cvtColor(drawn.pixels, cv2.COLOR_RGB2BGR))
        picture = Packed(f"{seed}/{number}", content)
        truth["images"].append(
            {"id": number, "file_name": f"{number:07d}.png", "width": SIZE[0], "height": SIZE[1]}
        )
        for seen in drawn.people:
            person = _person(seen, picture, number, len(people) + 1)
            people.append(person)
            truth["annotations"].append(_annotation(person))
    return PoseSet(NAME, split, COCO, tuple(people), (), truth)


def _person(seen: Seen, picture: Packed, number: int, identity: int) -> Person:
    xy, visibility, weights = clean_joints(seen.xy, seen.visibility, *SIZE)
    head = HEAD * float(np.hypot(*seen.head_box[2:]))
    return Person(
        picture, np.asarray(seen.box, np.float64), xy, visibility, weights, identity, number, picture.name,
        float(seen.area), head if head > 0 else float("nan"),
    )  # fmt: skip


def _annotation(person: Person) -> dict[str, Any]:
    """As COCO writes it."""
    triples = np.column_stack([person.xy, person.visibility])
    return {
        "id": person.id, "image_id": person.image_id, "category_id": 1, "iscrowd": 0, "area": person.area,
        "bbox": person.box.tolist(), "keypoints": triples.reshape(-1).tolist(),
        "num_keypoints": int((person.visibility > 0).sum()),
    }  # fmt: skip


def _category() -> dict[str, Any]:
    names = [name.replace(" ", "_") for name in COCO.joints]
    limbs = [[a + 1, b + 1] for a, b in COCO.skeleton]
    return {"id": 1, "name": "person", "supercategory": "person", "keypoints": names, "skeleton": limbs}
