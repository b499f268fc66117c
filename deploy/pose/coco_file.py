"""COCO's result files: keypoints and boxes as lists of {image_id, category_id, keypoints | bbox, score}."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convert.ir import BadInput
from convert.ir.files import whole
from deploy.pose.annotations import person
from deploy.pose.json_file import load, number, numbers, part
from deploy.pose.people import Frame, Person

PERSON = 1  # COCO's category of people, where no file says another


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Candidate boxes of one image: float64 [n, 4] x, y, w, h and float64 [n] scores."""

    boxes: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def taken(self, index: np.ndarray) -> Boxes:
        """Those of an index, in its order."""
        return Boxes(self.boxes[index], self.scores[index])


def no_boxes() -> Boxes:
    """None at all."""
    return Boxes(np.zeros((0, 4)), np.zeros(0))


def read_results(path: Path, joints: int) -> tuple[dict[int, tuple[Person, ...]], dict[str, int]]:
    """Keypoint results by image id, in the file's order within an image, and what was mended.

    A person of a result needs `keypoints` (3 numbers a joint) and `score`. The third number is a visibility
    where all are 0, 1 or 2, else the joint's score, and a joint is there where it is above 0. BadInput for
    anything else.
    """
    notes: Counter[str] = Counter()
    found: dict[int, list[Person]] = {}
    for place, entry in enumerate(_list(path)):
        at = f"{path}: result number {place}"
        image = part(entry, "image_id", int, at)
        part(entry, "keypoints", list, at)
        number(entry.get("score"), f"{at}: score")
        found.setdefault(image, []).append(
            _scored(person(entry, joints, at, notes), entry["keypoints"][2::3])
        )
    return {image: tuple(people) for image, people in found.items()}, dict(notes)


def _scored(one: Person, third: list[float]) -> Person:
    if one.scores is not None or set(third) <= {0, 1, 2}:
        return one
    return replace(
        one, scores=np.array(third, np.float64), visibility=np.where(one.there, 2, 0).astype(np.int8)
    )


def results(frames: Iterable[Frame], category: int = PERSON) -> list[dict[str, Any]]:
    """People of frames as COCO's evaluation takes them, those without a joint left out.

    Every joint is written; the scores stand in the place of visibility, as in COCO's own result files; a
    person without a score is one of score 1. category: of people, in the file they are judged by.
    """
    return [
        {
            "image_id": frame.image_id,
            "category_id": category,
            "keypoints": np.concatenate([p.keypoints, _marks(p)[:, None]], axis=1).reshape(-1).tolist(),
            "score": 1.0 if p.score is None else p.score,
        }
        for frame in frames
        for p in frame.people
        if p.there.any()
    ]


def _marks(one: Person) -> np.ndarray:
    return one.visibility.astype(np.float64) if one.scores is None else np.where(one.there, one.scores, 0.0)


def write_results(path: Path, entries: list[dict[str, Any]]) -> None:
    """A result file, whole or not at all."""
    text = json.dumps(entries, allow_nan=False)
    with whole(path) as draft:
        draft.write_text(text + "\n", encoding="utf-8")


def _list(path: Path) -> list[Any]:
    body = load(path)
    if not isinstance(body, list):
        raise BadInput(f"{path}: is {type(body).__name__}; COCO results are a list of one entry a person")
    return body


def read_boxes(
    path: Path, sizes: Mapping[int, tuple[int, int]] | None = None, category: int = PERSON
) -> tuple[dict[int, Boxes], dict[str, int]]:
    """Boxes of persons by image id, best first, from a detection file, or from an annotation file (score 1).

    sizes: image id -> (width, height) where known; a box wholly outside its image is left out and counted,
    one that sticks out stays as it is: a joint may lie outside too. Empty boxes are left out and counted;
    boxes of other categories are not people and are passed over, counted where all are. An annotation file
    says itself which category people are; in a detection file it is `category`. BadInput: no numbers, NaN,
    no score.
    """
    body = load(path)
    truth = isinstance(body, dict)
    notes: Counter[str] = Counter()
    found: dict[int, list[tuple[np.ndarray, float]]] = {}
    others = 0
    entries = part(body, "annotations", list, str(path)) if truth else _list(path)
    wanted = _people(body, str(path)) if truth else category
    for place, entry in enumerate(entries):
        at = f"{path}: box number {place}"
        image = part(entry, "image_id", int, at)
        other = entry.get("category_id", wanted) != wanted
        others += other
        if other or entry.get("iscrowd"):
            continue
        box = numbers(part(entry, "bbox", list, at), 4, f"{at}: bbox")
        score = 1.0 if truth else number(entry.get("score"), f"{at}: score")
        if (why := _useless(box, (sizes or {}).get(image))) is not None:
            notes[why] += 1
            continue
        found.setdefault(image, []).append((box, score))
    if others and others == len(entries):
        notes[f"boxes, none of them of the category of people, {wanted}: passed over"] = others
    return {image: _sorted(pairs) for image, pairs in found.items()}, dict(notes)


def _people(body: Mapping[str, Any], where: str) -> int:
    """The category of people: that with keypoints, else that named person; COCO's where there is neither."""
    listed = part(body, "categories", list, where) if body.get("categories") else []
    listed = [c for c in listed if isinstance(c, Mapping)]
    named = [c for c in listed if c.get("keypoints")] or [c for c in listed if c.get("name") == "person"]
    return part(named[0], "id", int, f"{where}: category") if len(named) == 1 else PERSON


def _useless(box: np.ndarray, size: tuple[int, int] | None) -> str | None:
    x, y, w, h = box
    if w <= 0 or h <= 0:
        return "boxes without width or height: left out"
    if size is not None and (x >= size[0] or y >= size[1] or x + w <= 0 or y + h <= 0):
        return "boxes wholly outside their image: left out"
    return None


def _sorted(pairs: list[tuple[np.ndarray, float]]) -> Boxes:
    """Best first; equal scores in the file's order."""
    boxes, scores = np.stack([box for box, _ in pairs]), np.array([score for _, score in pairs])
    return Boxes(boxes, scores).taken(np.argsort(-scores, kind="stable"))


def box_results(found: Mapping[int, Boxes], category: int = PERSON) -> list[dict[str, Any]]:
    """Boxes as a detection file holds them."""
    return [
        {"image_id": image, "category_id": category, "bbox": box.tolist(), "score": float(score)}
        for image, some in found.items()
        for box, score in zip(some.boxes, some.scores, strict=True)
    ]
