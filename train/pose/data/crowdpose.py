"""CrowdPose: COCO's form with 14 joints and no areas; json/crowdpose_{train,val,test}.json beside images/.

An area is 0.53 of the box's, the share that the metric uses (datasets without `area`). The categories of the
published files copy COCO's skeleton, which names joints that are not there: limbs are ours.
"""

from __future__ import annotations

from pathlib import Path

from train.data.errors import DataError
from train.pose.data.coco import load_form
from train.pose.data.coco_json import Entry, Form, box, fill_areas
from train.pose.data.keypoints import CROWDPOSE
from train.pose.data.person import PoseSet

NAME = "crowdpose"
AREA = 0.53  # of the box


def _area(annotation: Entry, where: str) -> float:
    found = box(annotation, "bbox", where)
    return 0.0 if found is None else AREA * float(found[2]) * float(found[3])


FORM = Form(CROWDPOSE, area=_area)


def load(
    root: Path | None, split: str, *, annotations: str = "", images: str = "", check: bool = False
) -> PoseSet:
    """The people of split train or test; options as COCO's (train.pose.data.coco.load)."""
    if split not in ("train", "test"):
        raise DataError(f"{NAME}: split {split!r}; expected train or test")
    given = annotations or _found(root, f"crowdpose_{split}.json")
    found = load_form(NAME, FORM, root, split, (given, (images,) if images else ("images", "")), check)
    if found.truth is not None and root is not None:
        fill_areas(found.truth, FORM, root / given)
    return found


def _found(root: Path | None, name: str) -> str:
    """Where the publishers put it, or where it is usually put."""
    places = (f"json/{name}", f"annotations/{name}", name)
    return next((p for p in places if root is not None and (root / p).is_file()), places[0])
