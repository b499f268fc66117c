"""Greedy box generation: keep more candidates than a detector alone would, and let poses decide later.

After the idea in the abstract of the offset-guided network (2019); the paper's own procedure was not
available, this is our reading. Candidates of an image go by falling score:

    1. those below `score_threshold` are left out (low: a hidden person scores low)
    2. those that overlap a kept one by IoU above `nms_iou` are left out (high: people overlap)
    3. the best `cap` remain; then each box is enlarged by `enlarge` about its middle

The pose network scores every candidate (`nms.rescored`) and OKS-NMS takes doubles away: two boxes on one
person give one pose, two people in boxes that overlap give two. The usual choice is PLAIN; GREEDY keeps more;
FILM is between the two: in a video the network runs for every candidate of every frame. FOUND is FILM's of a
detector whose scores are probabilities of a person, and which gives a person several times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deploy.pose.coco_file import Boxes
from deploy.pose.nms import box_nms


@dataclass(frozen=True, slots=True)
class Rule:
    """How candidates are chosen. cap None: no limit."""

    score_threshold: float
    nms_iou: float
    cap: int | None = None
    enlarge: float = 1.0


PLAIN = Rule(score_threshold=0.5, nms_iou=0.5)
GREEDY = Rule(score_threshold=0.05, nms_iou=0.8, cap=50)
FILM = Rule(score_threshold=0.3, nms_iou=0.7, cap=20)
FOUND = Rule(score_threshold=0.5, nms_iou=0.5, cap=20)


def chosen(candidates: Boxes, rule: Rule) -> Boxes:
    """The candidates that a rule keeps, best first."""
    likely = candidates.taken(np.flatnonzero(candidates.scores >= rule.score_threshold))
    kept = likely.taken(box_nms(likely.boxes, likely.scores, rule.nms_iou)[: rule.cap])
    middle = kept.boxes[:, :2] + kept.boxes[:, 2:] / 2
    size = kept.boxes[:, 2:] * rule.enlarge
    return Boxes(np.concatenate([middle - size / 2, size], axis=1), kept.scores)
