"""A trained keypoint R-CNN, opened: what it is, its scenes, and what finds people in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convert.ir import BadInput, Unsupported
from deploy.pose.coco_file import Boxes
from verbs.options import cores
from verbs.pose_run import load_people, task_at

if TYPE_CHECKING:
    from train.pose.data.person import PoseSet
    from train.pose.rcnn.detector import PeopleDetector

LEAST, OVERLAP, MOST = 0.01, 0.9, 100  # as found: who chooses among them has a rule of his own


@dataclass(frozen=True, eq=False)
class PeopleRun:
    """about: the checkpoint's description."""

    path: Path
    about: Mapping[str, Any]
    detector: PeopleDetector

    def people(self, dataset: str | None, data: Path | None, split: str) -> PoseSet:
        """Everybody of a split, of the data set that the network was trained on by default."""
        return load_people(self.about, dataset, data, split, None)


def is_people(path: Path) -> bool:
    """Whether a run folder or a checkpoint is of a network of whole images; what is unreadable is not."""
    return task_at(path) == "people"


def open_people(path: Path, threads: int | None) -> PeopleRun:
    """A run folder or checkpoint, run by torch on the CPU."""
    import torch

    from train.checkpoint import load_model
    from train.pose.rcnn.detector import PeopleDetector
    from train.pose.rcnn.recipe import SceneRecipe

    if not is_people(path):
        raise BadInput(
            f"{path}: is no run that finds people in whole images; make one with "
            "`cli.py train --model keypoint-rcnn`"
        )
    torch.set_num_threads(threads or cores())
    model, checkpoint = load_model(path)
    about = checkpoint.about
    detector = PeopleDetector(
        model.to(memory_format=torch.channels_last), SceneRecipe.from_dict(about["recipe"])
    )
    return PeopleRun(path, about, detector)


def refuse_conversion(path: Path) -> None:
    """Unsupported where the path is of a keypoint R-CNN: it is trained and asked for boxes, not converted."""
    if is_people(path):
        raise Unsupported(
            f"{path}: keypoint-rcnn",
            "which regions it reads depends on the image (proposals, suppression, RoIAlign), and no node of "
            "a graph does that",
            "convert a run of --model ogn, and give it this one's boxes: `cli.py boxes --detector RUN`",
        )


class RunDetector:
    """Boxes of a keypoint R-CNN for the interface of detectors (`deploy.pose.boxes.Detector`).

    looked: told the image's id and how many proposals the box head looked at, of every image.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        from train.pose.rcnn.detector import Choice

        self.name = f"keypoint-rcnn {path}"
        self.notes: Counter[str] = Counter()
        self.network = open_people(path, threads).detector
        self.looked: Callable[[int, int], None] = lambda image_id, proposals: None
        self._choice = Choice(LEAST, OVERLAP, MOST)

    def find(self, image_id: int, image: np.ndarray | None) -> Boxes:
        """Candidates, best first. image: uint8 [H, W, 3], BGR."""
        if image is None:
            raise BadInput(f"image {image_id}: keypoint-rcnn needs the image itself; give --images DIR")
        found = self.network.find(np.ascontiguousarray(image[..., ::-1]), self._choice, joints=False)
        self.looked(image_id, found.proposals)
        return Boxes(found.boxes, found.box_scores)
