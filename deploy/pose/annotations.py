"""COCO's annotation files, and PoseTrack18's, which are of the same kind: images, annotations, categories.

What a reader meets and what it does:
    an image listed again, the same        listed once, counted in the notes (COCO subsets have them)
    an image listed again, differently     BadInput
    an annotation of an image not listed   BadInput
    an annotation id used twice            BadInput
    another number of joints, no numbers   BadInput
    NaN or Infinity                        BadInput
    no keypoints                           a person without joints, counted in the notes
    coordinates of joints of visibility 0  junk; read as 0
    a box without width or height          no box, counted in the notes
    iscrowd 1                              a Person with crowd set; metrics do not ask for it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.ir import BadInput
from deploy.pose.json_file import load, number, numbers, part
from deploy.pose.people import Frame, Person


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """A file: its category of people, the names of their joints, its images with their people, what was
    mended (text -> how often)."""

    category: int
    joints: tuple[str, ...]
    frames: tuple[Frame, ...]
    notes: Mapping[str, int]


def read(path: Path) -> Annotations:
    """An annotation file; of several categories the one with keypoints (persons) counts."""
    return parse(load(path), str(path))


def parse(body: Any, where: str) -> Annotations:
    """`read` of what `json.load` gave; `where` begins every message."""
    notes: Counter[str] = Counter()
    if isinstance(body, Mapping) and "annolist" in body:
        raise BadInput(f"{where}: is in PoseTrack17's form (annolist); convert it to PoseTrack18's first")
    category, joints = person_category(body, where)
    entries = images(part(body, "images", list, where), where, notes)
    people: dict[int, list[Person]] = {image: [] for image in entries}
    seen: set[int] = set()
    for place, entry in enumerate(part(body, "annotations", list, where)):
        at = f"{where}: annotation {_name(entry, place)}"
        if isinstance(entry, Mapping) and entry.get("category_id", category) != category:
            continue
        image = part(entry, "image_id", int, at)
        if image not in people:
            raise BadInput(f"{at}: belongs to image {image}, which 'images' does not list")
        found = person(entry, len(joints), at, notes)
        if found.id is not None and found.id in seen:
            raise BadInput(f"{at}: its id is used twice; annotation ids must differ")
        seen.update(() if found.id is None else (found.id,))
        people[image].append(found)
    frames = tuple(frame(entry, image, people[image], where) for image, entry in entries.items())
    return Annotations(category, joints, frames, dict(notes))


def _name(entry: Any, place: int) -> str:
    return str(entry.get("id", f"number {place}")) if isinstance(entry, Mapping) else f"number {place}"


def person_category(body: Any, where: str) -> tuple[int, tuple[str, ...]]:
    """Id and joint names of the one category of a file that has keypoints."""
    categories = part(body, "categories", list, where)
    with_names = [c for c in categories if isinstance(c, Mapping) and c.get("keypoints")]
    if len(with_names) != 1:
        raise BadInput(
            f"{where}: {len(with_names)} categories name keypoints, expected one; is it a file of poses?"
        )
    names = part(with_names[0], "keypoints", list, f"{where}: category")
    if not all(isinstance(n, str) for n in names) or len(set(names)) < len(names):
        raise BadInput(f"{where}: the category's keypoints must be names, each once")
    return part(with_names[0], "id", int, f"{where}: category"), tuple(names)


def images(entries: Sequence[Any], where: str, notes: Counter[str]) -> dict[int, Mapping[str, Any]]:
    """Image entries by id, in the file's order, those listed again left out."""
    found: dict[int, Mapping[str, Any]] = {}
    for place, entry in enumerate(entries):
        image = part(entry, "id", int, f"{where}: image number {place}")
        if image not in found:
            found[image] = entry
        elif found[image] == entry:
            notes["image entries listed again: read once"] += 1
        else:
            raise BadInput(f"{where}: image {image} is listed twice, with different fields")
    return found


def frame(entry: Mapping[str, Any], image: int, people: Sequence[Person], where: str) -> Frame:
    """A Frame of its entry; ignore regions as PoseTrack18 writes them, x and y apart."""
    at = f"{where}: image {image}"
    xs, ys = entry.get("ignore_regions_x") or [], entry.get("ignore_regions_y") or []
    if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
        raise BadInput(f"{at}: ignore_regions_x and ignore_regions_y must be lists of as many polygons")
    polygons = []
    for x, y in zip(xs, ys, strict=True):
        across = numbers(x, None, f"{at}: ignore_regions_x")
        polygons.append(np.stack([across, numbers(y, len(across), f"{at}: ignore_regions_y")], axis=1))
    sizes = {k: entry[k] if isinstance(entry.get(k), int) else None for k in ("width", "height")}
    return Frame(
        image_id=image,
        people=tuple(people),
        file_name=str(entry.get("file_name", "")),
        labelled=bool(entry.get("is_labeled", True)),
        ignore=tuple(polygons),
        fields=entry,
        **sizes,
    )


def person(entry: Mapping[str, Any], joints: int, where: str, notes: Counter[str]) -> Person:
    """A Person of an annotation or of a result."""
    points, seen = _keypoints(entry, joints, where, notes)
    area = entry.get("area")
    return Person(
        keypoints=points,
        visibility=seen,
        scores=_scores(entry, joints, where),
        score=None if entry.get("score") is None else number(entry["score"], f"{where}: score"),
        box=box(entry, "bbox", where, notes),
        head_box=box(entry, "bbox_head", where, notes),
        area=None if area is None else number(area, f"{where}: area"),
        track_id=part(entry, "track_id", int, where) if entry.get("track_id") is not None else None,
        id=part(entry, "id", int, where) if "id" in entry else None,
        crowd=bool(entry.get("iscrowd", 0)),
    )


def _keypoints(
    entry: Mapping[str, Any], joints: int, where: str, notes: Counter[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates and visibility. Results may write a score where visibility belongs: above 0 is there."""
    if not entry.get("keypoints"):
        if not entry.get("iscrowd"):
            notes["annotations without keypoints: persons without joints"] += 1
        return np.zeros((joints, 2)), np.zeros(joints, np.int8)
    flat = numbers(entry["keypoints"], None, f"{where}: keypoints")
    if len(flat) != 3 * joints:
        raise BadInput(
            f"{where}: keypoints has {len(flat)} numbers, expected {3 * joints} (x, y, v of {joints} joints)"
        )
    table = flat.reshape(joints, 3)
    seen = np.where(table[:, 2] > 1, 2, np.where(table[:, 2] > 0, 1, 0)).astype(np.int8)
    return np.where(seen[:, None] > 0, table[:, :2], 0.0), seen


def _scores(entry: Mapping[str, Any], joints: int, where: str) -> np.ndarray | None:
    """Scores of the joints where the file gives any: ground truth has an empty list."""
    if not entry.get("scores"):
        return None
    return numbers(entry["scores"], joints, f"{where}: scores")


def box(entry: Mapping[str, Any], key: str, where: str, notes: Counter[str]) -> np.ndarray | None:
    """float64 [4] x, y, w, h; None where there is none or it is empty."""
    if not entry.get(key):
        return None
    found = numbers(entry[key], 4, f"{where}: {key}")
    if (found[2:] <= 0).any():
        notes[f"{key} without width or height: left out"] += 1
        return None
    return found
