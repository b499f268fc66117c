"""COCO keypoints: annotations/person_keypoints_{train,val}2017.json beside train2017/ and val2017/.

train2017 is the training split (every tenth image held out to choose the epoch), val2017 the test split: the
people of COCO's own test set are not published.
"""

from __future__ import annotations

from pathlib import Path

from train.data.errors import DataError
from train.pose.data.coco_json import Form, people, read_json
from train.pose.data.keypoints import COCO
from train.pose.data.person import Dropped, PoseSet

NAME = "coco"
FOLDERS = {"train": "train2017", "test": "val2017"}


def load(
    root: Path | None, split: str, *, annotations: str = "", images: str = "", check: bool = False
) -> PoseSet:
    """The people of a split, in the order of the annotations.

    annotations, images: file and folder under root that take the place of the split's own, for any file in
    COCO's form. check: leave out images that do not decode instead of failing at the first.
    """
    return load_form(NAME, Form(COCO), root, split, _places(split, annotations, images), check)


def _places(split: str, annotations: str, images: str) -> tuple[str, tuple[str, ...]]:
    if split not in FOLDERS:
        raise DataError(f"{NAME}: split {split!r}; expected {' or '.join(FOLDERS)}")
    folder = FOLDERS[split]
    given = annotations or f"annotations/person_keypoints_{folder}.json"
    return given, (images,) if images else (folder, f"images/{folder}", "images", "")


def load_form(
    name: str, form: Form, root: Path | None, split: str, places: tuple[str, tuple[str, ...]], check: bool
) -> PoseSet:
    """One annotation file of COCO's form under root; places: the file, and the folders of its images."""
    if root is None:
        raise DataError(f"{name}: found no --data; expected the folder that holds {places[0]}")
    where, dropped = root / places[0], Dropped()
    truth = read_json(where)
    folders = tuple(root / folder for folder in places[1])
    found = people(truth, where, folders, form, check, dropped)
    if not found:
        raise DataError.of(
            where, found=f"no person with keypoints and an image ({'; '.join(dropped.lines()) or 'empty'})",
            expected=f"{form.keypoints.size} joints a person, images in {' or '.join(map(str, folders))}",
            do="correct --data, or name them with --data-option annotations=FILE --data-option images=DIR",
        )  # fmt: skip
    return PoseSet(name, split, form.keypoints, tuple(found), dropped.lines(), truth)
