"""`evaluate --boxes` of a pose network: people in the boxes of a detector, nobody's being given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convert.ir import BadInput
from deploy.pose.boxes import Detector, FileDetector
from deploy.pose.greedy import Rule, chosen
from verbs.detectors import boxed, detector, held_to, inside
from verbs.people_evaluation import Asked, Judged, search, tell
from verbs.pose_options import show_notes
from verbs.pose_run import PoseRun, open_pose

if TYPE_CHECKING:
    from train.pose.data.person import PoseSet
    from train.pose.rcnn.detector import Found
    from train.pose.rcnn.scenes import Scene


NOBODYS = -1  # an id that is no number is in no file of boxes


@dataclass(frozen=True, slots=True)
class InBoxes:
    """--boxes, the rule by which candidates are chosen of them, and the OKS above which the better of two
    poses stays."""

    boxes: str
    rule: Rule
    oks: float


def evaluate_in_boxes(run: Path, given: InBoxes, asked: Asked, flip: bool) -> None:
    """Print the figures of a split, each image of which is searched."""
    opened = open_pose(run, asked.threads, flip)
    people = opened.people(asked.dataset, asked.data, asked.split, None)
    finder = _Finder(opened, _detector(given.boxes, people, asked.threads), given.rule)
    searched = search(people, asked.limit, given.oks, finder.find)
    show_notes(finder.detector.notes)
    rule = given.rule
    rules = {"score": rule.score_threshold, "iou": rule.nms_iou, "cap": rule.cap, "oks": given.oks}
    by = Judged(str(run), opened.by, opened.form, opened.digest, finder.detector.name, rules)
    tell(searched, by, asked, {"flip_test": flip})


def _detector(boxes: str, people: PoseSet, threads: int | None) -> Detector:
    found = detector(boxes, threads, people.category)
    if isinstance(found, FileDetector):
        of = f"images of {people.name} ({people.split})"
        expected = f"expected boxes of the {of}; name a file whose image ids are those of its annotations"
        if not found.boxes:
            raise BadInput(f"{boxes}: it holds no boxes, {expected}")
        held_to(found, {p.image_id for p in people.people}, f"the {of} with people", expected)
    return found


@dataclass(frozen=True, eq=False)
class _Finder:
    """A pose network behind a detector."""

    opened: PoseRun
    detector: Detector
    rule: Rule

    def find(self, scene: Scene) -> Found:
        """Candidates of an image, best first, and the joints seen in each."""
        from train.pose.data import images
        from train.pose.predict import predict
        from train.pose.rcnn.detector import Found

        pixels = images.read(scene.image)
        height, width = pixels.shape[:2]
        image_id = scene.image_id if isinstance(scene.image_id, int) else NOBODYS
        every = self.detector.find(image_id, np.ascontiguousarray(pixels[..., ::-1]))
        here = chosen(inside(every, (width, height), self.detector.notes), self.rule)
        joints = len(self.opened.about["joints"])
        if not len(here):
            nothing = np.zeros((0, joints, 2))
            return Found(here.boxes, here.scores, nothing, nothing[..., 0], 0)
        people = [boxed(box, pixels, joints, scene.image_id) for box in here.boxes]
        poses = predict(self.opened.infer, people, self.opened.recipe)
        return Found(here.boxes, here.scores, poses.xy, poses.score, 0)
