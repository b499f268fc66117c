"""PoseTrack18: annotations/{train,val}/*.json, one file a sequence, and the images their names point at.

val is the test split: the people of the test set are not published. Only labelled frames count. The ears are
never annotated. A sequence is held out whole: its frames are alike. Image ids stay as they are; track ids are
unique within a sequence alone. Head size is 0.6 of the head box's diagonal, as PCKh has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from train.data.errors import DataError
from train.pose.data.coco_json import Entry, Form, area, box, fill_areas, people, read_json
from train.pose.data.keypoints import POSETRACK18
from train.pose.data.person import Dropped, PoseSet
from train.pose.pck import head

NAME = "posetrack18"
FOLDERS = {"train": "train", "test": "val"}


def head_size(annotation: Entry, where: str) -> float:
    """0.6 of the diagonal of bbox_head, nan where there is none."""
    found = box(annotation, "bbox_head", where)
    size = float("nan") if found is None else float(head(found[None])[0])
    return size if np.isfinite(size) and size > 0 else float("nan")


def _sequence(image: Entry) -> str:
    return str(image.get("vid_id") or Path(image["file_name"]).parent)


def _area(annotation: Entry, where: str) -> float:
    """The file's, else the box's."""
    if annotation.get("area"):
        return area(annotation, where)
    found = box(annotation, "bbox", where)
    return 0.0 if found is None else float(found[2] * found[3])


FORM = Form(
    POSETRACK18, head=head_size, group=_sequence, area=_area, labelled=lambda i: i.get("is_labeled", True)
)


def load(root: Path | None, split: str, *, annotations: str = "", check: bool = False) -> PoseSet:
    """The people of a split's labelled frames, sequence by sequence.

    annotations: a folder of sequences, or one merged file, under root, in place of the split's own. check:
    leave out images that do not decode instead of failing at the first.
    """
    if split not in FOLDERS:
        raise DataError(f"{NAME}: split {split!r}; expected {' or '.join(FOLDERS)}")
    if root is None:
        raise DataError(f"{NAME}: found no --data; expected the folder that holds annotations/ and images/")
    where = root / (annotations or f"annotations/{FOLDERS[split]}")
    files = sorted(where.glob("*.json")) if where.is_dir() else [where]
    if not files:
        raise DataError.of(where, found="no .json", expected="one file a sequence", do="correct --data")
    dropped, found = Dropped(), []
    owners: dict[tuple[str, int | str], Path] = {}
    truth: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    for path in files:
        sequence = read_json(path)
        found += people(sequence, path, (root,), FORM, check, dropped)
        _refuse_shared(sequence, path, owners)
        fill_areas(sequence, FORM, path)
        for key in ("images", "annotations"):
            truth[key] += sequence[key]
        truth["categories"] = sequence["categories"]
    if not found:
        raise DataError.of(
            where, found=f"no person with keypoints in a labelled frame ({'; '.join(dropped.lines())})",
            expected=f"annotations whose images lie under {root}", do="correct --data",
        )  # fmt: skip
    return PoseSet(NAME, split, POSETRACK18, tuple(found), dropped.lines(), truth)


def _refuse_shared(
    sequence: Mapping[str, Any], path: Path, owners: dict[tuple[str, int | str], Path]
) -> None:
    """A DataError where an image or an annotation has an id that one of another file has; owners: of those so
    far. Two frames, or two people, would become one."""
    for kind in ("images", "annotations"):
        for entry in sequence[kind]:
            known = entry.get("id")
            if not isinstance(known, int | str) or (other := owners.setdefault((kind, known), path)) is path:
                continue
            raise DataError.of(
                path, found=f"{kind} with id {known}, which {other.name} has too",
                expected="ids that differ between files", do="correct the annotations",
            )  # fmt: skip
