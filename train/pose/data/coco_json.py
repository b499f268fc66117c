"""COCO's JSON of keypoints and its relatives: what COCO, CrowdPose and PoseTrack18 have in common.

What is dropped, each with its count: crowd regions, annotations without a labelled keypoint, boxes that are
empty or outside the image while no joint can stand in for them, annotations whose image the file does not
list, second entries of one id. Where a box is useless and joints are there, the joints' box takes its place.

What is an error: a value of another type (a box of words, an id that is a list), another number of joints, an
image listed again with other fields. An image listed again as it is, is the same image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from train.data.errors import DataError
from train.pose.data import images, values
from train.pose.data.keypoints import KeypointSet
from train.pose.data.person import Dropped, Person, clean_box, clean_joints, joint_box

Entry = Mapping[str, Any]


def area(annotation: Entry, where: str) -> float:
    """The annotated area, nan where there is none."""
    found = annotation.get("area")
    return float("nan") if found is None else values.number(found, "area", where)


def box(annotation: Entry, name: str, where: str) -> np.ndarray | None:
    """float64 [4], finite or not; None where there is none."""
    found = annotation.get(name)
    return None if found in (None, []) else values.numbers(found, 4, name, where)


@dataclass(frozen=True, slots=True)
class Form:
    """How a relative of COCO differs; functions of an annotation are told where it is.

    head: the head's size of an annotation in pixels. group: what of an image is held out whole. area: an
    annotation's area, nan where there is none. labelled: whether an image counts at all.
    """

    keypoints: KeypointSet
    head: Callable[[Entry, str], float] = field(default=lambda *_: float("nan"))
    group: Callable[[Entry], str] = field(default=lambda image: str(image["id"]))
    area: Callable[[Entry, str], float] = field(default=area)
    labelled: Callable[[Entry], bool] = field(default=lambda _: True)


def read_json(path: Path) -> dict[str, Any]:
    """The file's object with its three lists of objects; a DataError that says what is wrong otherwise.

    An annotation without an id gets its place and file as one: whoever reads on knows it by the same name.
    """
    found = values.load(path, "annotations in COCO's form")
    lists = ("images", "annotations", "categories")
    if not isinstance(found, dict) or not all(isinstance(found.get(key), list) for key in lists):
        raise DataError.of(
            path, found="no object with images, annotations and categories", expected="COCO's form",
            do="use a file of annotations, not of results",
        )  # fmt: skip
    for name in lists:
        odd = next((n for n, entry in enumerate(found[name]) if not isinstance(entry, dict)), None)
        if odd is not None:
            raise DataError.of(
                path, found=f"{name}: {found[name][odd]!r:.40} at place {odd}", expected="objects",
                do="correct the annotations",
            )  # fmt: skip
    for number, annotation in enumerate(found["annotations"]):
        annotation.setdefault("id", f"number {number} of {path.name}")
    return found


def place(annotation: Entry, number: int, where: Path) -> tuple[int | str, str]:
    """What an annotation is known by, and what a message says of it."""
    name = values.key(annotation["id"], "id", f"{where}: annotation number {number}")
    return name, f"{where}: annotation {name}"


def fill_areas(truth: Mapping[str, Any], form: Form, where: Path) -> None:
    """The form's area for every annotation without one: OKS divides by it."""
    for number, annotation in enumerate(truth["annotations"]):
        if annotation.get("area") is None:
            annotation["area"] = form.area(annotation, place(annotation, number, where)[1])


def people(
    truth: Mapping[str, Any],
    where: Path,
    folders: tuple[Path, ...],
    form: Form,
    check: bool,
    dropped: Dropped,
) -> list[Person]:
    """The people of an annotation file, in its order. folders: where its file names may begin."""
    known = _images(truth["images"], where, dropped)
    files: dict[Any, Path | None] = {}
    found, seen = [], set()
    for number, annotation in enumerate(truth["annotations"]):
        name, at = place(annotation, number, where)
        image_id = annotation.get("image_id")
        image = None if image_id is None else known.get(values.key(image_id, "image_id", at))
        if image is None:
            dropped.add("annotations whose image is not listed", name)
        elif annotation.get("iscrowd"):
            dropped.add("crowd regions", name)
        elif name in seen:
            dropped.add("annotations with an id that was there", name)
        elif form.labelled(image):
            seen.add(name)
            if image["id"] not in files:
                files[image["id"]] = _file(image, folders, check, dropped)
            path = files[image["id"]]
            person = path and _person(annotation, name, image, path, at, form, dropped)
            found += [person] if person else []
    return found


def _images(entries: list[Any], where: Path, dropped: Dropped) -> dict[Any, Entry]:
    """The images by id."""
    known: dict[Any, Entry] = {}
    for entry in entries:
        if entry.get("id") is None or not isinstance(entry.get("file_name"), str):
            dropped.add("images without an id or a file_name", str(entry)[:60])
            continue
        before = known.setdefault(values.key(entry["id"], "image id", str(where)), entry)
        if before is not entry:
            if odd := sorted(k for k in {*before, *entry} if before.get(k) != entry.get(k)):
                raise DataError.of(
                    where,
                    found=f"image id {entry['id']} of {before['file_name']} again, with another {odd[0]}",
                    expected="one image an id", do="correct the annotations",
                )  # fmt: skip
            dropped.add("repeated entries of images", entry["file_name"])
    return known


def _file(image: Entry, folders: tuple[Path, ...], check: bool, dropped: Dropped) -> Path | None:
    """The image's file, in the first folder that has it; inside it, whatever the name says."""
    name = image["file_name"]
    if images.leaves(name):
        dropped.add("images whose name leaves the folder", name)
        return None
    path = images.located(name, folders)
    if path is None:
        dropped.add("images that are not there", name)
    elif check and not images.decodes(path):
        dropped.add("images that do not decode", name)
        return None
    return path


def _person(
    annotation: Entry, name: int | str, image: Entry, path: Path, at: str, form: Form, dropped: Dropped
) -> Person | None:
    triples = _triples(annotation, at, form)
    if triples is None or not (triples[:, 2] > 0).any():
        dropped.add("annotations without keypoints", name)
        return None
    width, height = (_side(image, key, at) for key in ("width", "height"))
    xy, visibility, weights = clean_joints(triples[:, :2], triples[:, 2], width, height)
    seen = clean_box(box(annotation, "bbox", at), width, height)
    if seen is None:
        dropped.add("boxes that are empty or outside, replaced by the joints'", name)
        seen = clean_box(joint_box(xy, visibility), width, height)
    if seen is None:
        dropped.add("annotations without a box or a joint in the image", name)
        return None
    track = annotation.get("track_id")
    return Person(
        path, seen, xy, visibility, weights, name, image["id"], form.group(image), form.area(annotation, at),
        form.head(annotation, at), track if isinstance(track, int) else None,
    )  # fmt: skip


def _side(image: Entry, name: str, at: str) -> float:
    """Pixels; without bound where the file does not say."""
    found = values.number(image.get(name) or 0, name, f"{at}: its image")
    return found if found > 0 else np.inf


def _triples(annotation: Entry, at: str, form: Form) -> np.ndarray | None:
    """float64 [K, 3], or None where the annotation has no keypoints."""
    if not annotation.get("keypoints"):
        return None
    found = values.array(annotation["keypoints"])
    if found is None or found.shape != (3 * form.keypoints.size,):
        raise DataError.of(
            at, found=f"{0 if found is None else found.size} numbers of keypoints",
            expected=f"{3 * form.keypoints.size} ({form.keypoints.name}: {form.keypoints.size} joints)",
            do="choose the data set that the file is of",
        )  # fmt: skip
    return found.reshape(-1, 3)
