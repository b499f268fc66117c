"""COCO's JSON of keypoints and its relatives: what COCO, CrowdPose and PoseTrack18 have in common.

What is dropped, each with its count: crowd regions, annotations without a labelled keypoint, boxes that are
empty or outside the image while no joint can stand in for them, annotations whose image the file does not
list, second entries of one id. An image listed again in the same words is the same image; one listed again
with other words is an error. Where a box is useless and joints are there, the joints' box takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from train.data.errors import DataError
from train.pose.data import images
from train.pose.data.keypoints import KeypointSet
from train.pose.data.person import Dropped, Person, clean_box, clean_joints, joint_box

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Form:
    """How a relative of COCO differs.

    head: the head's size of an annotation in pixels. group: what of an image is held out whole. area: an
    annotation's area, nan where there is none. labelled: whether an image counts at all.
    """

    keypoints: KeypointSet
    head: Callable[[Entry], float] = field(default=lambda _: float("nan"))
    group: Callable[[Entry], str] = field(default=lambda image: str(image["id"]))
    area: Callable[[Entry], float] = field(default=lambda a: float(a.get("area", "nan")))
    labelled: Callable[[Entry], bool] = field(default=lambda _: True)


def read_json(path: Path) -> dict[str, Any]:
    """The file's object with its three lists; a DataError that says what is wrong otherwise."""
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError.of(
            path, found=f"no readable file ({error.strerror})", expected="annotations in COCO's form",
            do="correct --data or --data-option annotations=FILE",
        ) from error  # fmt: skip
    except ValueError as error:
        raise DataError.of(
            path, found=f"no JSON ({error})", expected="annotations in COCO's form", do="restore the file"
        ) from error
    lists = ("images", "annotations", "categories")
    if not isinstance(found, dict) or not all(isinstance(found.get(key), list) for key in lists):
        raise DataError.of(
            path, found="no object with images, annotations and categories", expected="COCO's form",
            do="use a file of annotations, not of results",
        )  # fmt: skip
    return found


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
        name = annotation.get("id", f"annotation {number}") if isinstance(annotation, dict) else number
        image = known.get(annotation.get("image_id")) if isinstance(annotation, dict) else None
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
            person = path and _person(annotation, name, image, path, where, form, dropped)
            found += [person] if person else []
    return found


def _images(entries: list[Any], where: Path, dropped: Dropped) -> dict[Any, Entry]:
    """The images by id."""
    known: dict[Any, Entry] = {}
    for entry in entries:
        if not isinstance(entry, dict) or "id" not in entry or not isinstance(entry.get("file_name"), str):
            dropped.add("images without an id or a file_name", str(entry)[:60])
            continue
        before = known.setdefault(entry["id"], entry)
        if before is not entry:
            if before["file_name"] != entry["file_name"]:
                raise DataError.of(
                    where, found=f"image id {entry['id']} of {before['file_name']} and {entry['file_name']}",
                    expected="one file an id", do="correct the annotations",
                )  # fmt: skip
            dropped.add("repeated entries of images", entry["file_name"])
    return known


def _file(image: Entry, folders: tuple[Path, ...], check: bool, dropped: Dropped) -> Path | None:
    """The image's file, in the first folder that has it; inside it, whatever the name says."""
    name = image["file_name"]
    if Path(name).is_absolute() or ".." in Path(name).parts:
        dropped.add("images whose name leaves the folder", name)
        return None
    path = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if path is None:
        dropped.add("images that are not there", name)
    elif check and not images.decodes(path):
        dropped.add("images that do not decode", name)
        return None
    return path


def _person(
    annotation: Entry, name: Any, image: Entry, path: Path, where: Path, form: Form, dropped: Dropped
) -> Person | None:
    triples = _triples(annotation, name, where, form)
    if triples is None or not (triples[:, 2] > 0).any():
        dropped.add("annotations without keypoints", name)
        return None
    width, height = (float(image.get(key) or np.inf) for key in ("width", "height"))
    xy, visibility, weights = clean_joints(triples[:, :2], triples[:, 2], width, height)
    box = clean_box(annotation.get("bbox", ()) or (), width, height)
    if box is None:
        dropped.add("boxes that are empty or outside, replaced by the joints'", name)
        joints = joint_box(xy, visibility)
        box = None if joints is None else clean_box(joints, width, height)
    if box is None:
        dropped.add("annotations without a box or a joint in the image", name)
        return None
    track = annotation.get("track_id")
    return Person(
        path, box, xy, visibility, weights, name, image["id"], form.group(image), form.area(annotation),
        form.head(annotation), track if isinstance(track, int) else None,
    )  # fmt: skip


def _triples(annotation: Entry, name: Any, where: Path, form: Form) -> np.ndarray | None:
    """float64 [K, 3], or None where the annotation has no keypoints."""
    values = annotation.get("keypoints")
    if not values:
        return None
    try:
        found = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.shape != (3 * form.keypoints.size,):
        raise DataError.of(
            where, found=f"annotation {name} with {found.size} numbers of keypoints",
            expected=f"{3 * form.keypoints.size} ({form.keypoints.name}: {form.keypoints.size} joints)",
            do="choose the data set that the file is of",
        )  # fmt: skip
    return found.reshape(-1, 3)
