"""Recall against the number of candidates: what a pose network can find at most, and what that costs.

A candidate takes the person it overlaps most among those nobody took, if IoU is at least the threshold;
candidates go by falling score. So each person has the rank of the candidate that found it, and

    recall(n) = persons found at rank <= n / persons

over all images. One candidate finds one person: two people in one box are one pose. Crowd regions are nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from convert.ir import BadInput
from deploy.pose.coco_file import Boxes, no_boxes
from deploy.pose.nms import iou
from deploy.pose.people import Frame

THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))  # COCO's


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """recall float64 [len(thresholds), N] at rank 1..N; candidates float64 [N], mean per image up to that
    rank.
    """

    name: str
    thresholds: tuple[float, ...]
    recall: np.ndarray
    candidates: np.ndarray
    n_people: int
    n_images: int

    def at(self, threshold: float, rank: int) -> float:
        """Recall at a threshold with the best `rank` candidates of every image."""
        row = self.recall[self.thresholds.index(threshold)]
        return float(row[min(rank, len(row)) - 1])


def curve(
    name: str,
    frames: Sequence[Frame],
    found: Mapping[int, Boxes],
    thresholds: tuple[float, ...] = THRESHOLDS,
) -> Curve:
    """The curve of candidates by image id against the people of frames. BadInput without a person with a
    box.
    """
    longest = max([len(found.get(f.image_id, no_boxes())) for f in frames], default=0) or 1
    ranks = np.zeros((len(thresholds), longest), np.int64)
    lengths, people = np.zeros(longest, np.int64), 0
    for frame in frames:
        truth = [p.box for p in frame.people if not p.crowd and p.box is not None]
        some = found.get(frame.image_id, no_boxes())
        people += len(truth)
        lengths[: len(some)] += 1
        if not truth or not len(some):
            continue
        overlap = iou(some.boxes, np.stack(truth))
        for row, threshold in enumerate(thresholds):
            np.add.at(ranks[row], _ranks(overlap, threshold), 1)
    if not people:
        raise BadInput("no image has a person with a box; there is no recall to speak of")
    return Curve(
        name, thresholds, ranks.cumsum(axis=1) / people, lengths.cumsum() / len(frames), people, len(frames)
    )


def _ranks(overlap: np.ndarray, threshold: float) -> list[int]:
    """Ranks, from 0, of the candidates (rows, best first) that found a person (columns)."""
    free, ranks = np.ones(overlap.shape[1], bool), []
    for rank, row in enumerate(overlap):
        near = np.where(free, row, -1.0)
        best = int(near.argmax())
        if near[best] >= threshold:
            free[best] = False
            ranks.append(rank)
    return ranks


def csv(curves: Sequence[Curve]) -> str:
    """One line a curve and rank: name, rank, mean candidates, recall at each threshold, mean recall."""
    head = [f"recall@{t}" for t in curves[0].thresholds]
    lines = [",".join(["boxes", "rank", "candidates", *head, "mean_recall"])]
    for one in curves:
        for rank in range(one.recall.shape[1]):
            at = one.recall[:, rank]
            numbers = [f"{one.candidates[rank]:.4f}", *(f"{v:.6f}" for v in at), f"{at.mean():.6f}"]
            lines.append(",".join([one.name, str(rank + 1), *numbers]))
    return "\n".join(lines) + "\n"
