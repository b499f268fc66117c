"""Synthetic people as files: COCO's keypoints and PoseTrack18, images beside their annotations.

Pictures are drawn and written one at a time; annotations stay in memory, their file comes last and whole: a
folder without it is unfinished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from train.data.errors import DataError
from train.files import json_bytes, write_whole
from train.pose.people.body import COCO
from train.pose.people.frame import ABSENT, VISIBLE, Frame, Seen
from train.pose.people.video import Video

Progress = Callable[[], None]
QUALITY = 95
"""Of the JPEG files."""
POSETRACK18 = ("nose", "head_bottom", "head_top", *(name.replace(" ", "_") for name in COCO[3:]))
_LIMBS = ((16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10),
          (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5))  # fmt: skip


def write_coco(
    root: Path, folder: str, frames: Iterable[Frame], seed: int, done: Progress = lambda: None
) -> Path:
    """ROOT/FOLDER/000000000001.jpg ..., ROOT/annotations/person_keypoints_FOLDER.json; the latter's path.

    Hidden joints are labelled (1), joints outside the picture are not (0). area: visible pixels.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    target = _fresh(root / "annotations" / f"person_keypoints_{folder}.json")
    for number, frame in enumerate(frames, 1):
        name = f"{number:012d}.jpg"
        _write_image(root / folder / name, frame.pixels)
        images.append({"id": number, "file_name": name, **_size(frame)})
        for person in frame.people:
            triples = _triples(person.xy, person.visibility)
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0,
                "keypoints": triples, "num_keypoints": int((person.visibility > ABSENT).sum()),
                "bbox": _rounded(person.box), "area": person.area, "segmentation": [],
            })  # fmt: skip
        done()
    category = _category([name.replace(" ", "_") for name in COCO], [list(limb) for limb in _LIMBS])
    about = {"description": f"synthetic people, seed {seed}"}
    write_whole(target, json_bytes(
        {"info": about, "images": images, "annotations": annotations, "categories": [category]}
    ))  # fmt: skip
    return target


def write_posetrack18(
    root: Path, split: str, number: int, video: Video, done: Progress = lambda: None
) -> Path:
    """ROOT/images/SPLIT/NUMBER_synthetic/000000.jpg ..., ROOT/annotations/SPLIT/NUMBER_synthetic.json.

    Joints that are hidden are not labelled, nor are ears, as there. `action` is ours.
    """
    if not 0 <= number < 10**6 or video.frames > 10**4:
        raise DataError(
            f"PoseTrack18: found video {number} of {video.frames} frames; expected 6 and 4 digits"
        )
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    name = f"{number:06d}_synthetic"
    target = _fresh(root / "annotations" / split / f"{name}.json")
    for t in range(video.frames):
        frame, identity = video.frame(t), int(f"1{number:06d}{t:04d}")
        file_name = f"images/{split}/{name}/{t:06d}.jpg"
        _write_image(root / file_name, frame.pixels)
        images.append({
            "id": identity, "frame_id": identity, "file_name": file_name, "vid_id": f"{number:06d}",
            "nframes": video.frames, "is_labeled": True, "has_no_densepose": True, "ignore_regions_x": [],
            "ignore_regions_y": [], **_size(frame),
        })  # fmt: skip
        people = sorted(frame.people, key=lambda person: person.track)
        annotations += [_posetrack(person, identity) for person in people]
        done()
    category = _category(list(POSETRACK18), [])
    write_whole(target, json_bytes({"images": images, "annotations": annotations, "categories": [category]}))
    return target


def _posetrack(person: Seen, image: int) -> dict[str, Any]:
    xy = np.concatenate([person.xy[:1], person.neck[None, :2], person.top[None, :2], person.xy[3:]])
    seen = np.array([person.visibility[0], person.neck[2], person.top[2], 0, 0, *person.visibility[5:]])
    labelled = (seen == VISIBLE).astype(np.int64)
    return {
        "id": 100 * image + person.track, "image_id": image, "track_id": person.track, "category_id": 1,
        "keypoints": _triples(xy, labelled), "num_keypoints": int(labelled.sum()), "scores": [],
        "bbox": _rounded(person.box), "bbox_head": _rounded(person.head_box), "iscrowd": 0,
        "action": person.action,
    }  # fmt: skip


def _triples(xy: NDArray[np.float64], visibility: NDArray[Any]) -> list[float]:
    """x, y, v of every joint; 0, 0, 0 where there is none."""
    there = visibility > ABSENT
    table = np.column_stack([np.where(there[:, None], xy, 0.0), visibility])
    return _rounded(table.ravel())


def _rounded(values: NDArray[np.float64]) -> list[float]:
    """Hundredths of a pixel; whole numbers as such."""
    found = [round(float(value), 2) for value in values]
    return [int(value) if value == int(value) else value for value in found]


def _size(frame: Frame) -> dict[str, int]:
    return {"width": frame.pixels.shape[1], "height": frame.pixels.shape[0]}


def _category(keypoints: list[str], skeleton: list[list[int]]) -> dict[str, Any]:
    return {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": keypoints,
        "skeleton": skeleton,
    }


def _fresh(target: Path) -> Path:
    if target.exists():
        raise DataError.of(target, found="a file", expected="none", do="choose another folder")
    return target


def _write_image(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    good, content = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not good:
        raise DataError(
            f"{path}: OpenCV could not encode the picture; expected one of at most 65535 pixels a side"
        )
    path.write_bytes(content.tobytes())
