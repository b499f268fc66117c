"""PoseTrack's mAP: average precision of each joint over all frames, after poses are assigned to persons.

    1. pckh[p, g] = joints of prediction p within the threshold of person g / annotated joints of g
    2. a prediction goes to the person it is best for; a person keeps the best of those that came
    3. a joint of an assigned pose is right within the threshold; all joints of others are wrong
    4. AP of a joint = area under its precision-recall curve, precision made monotone (VOC)

As poseval does it. Predictions go by falling score; equal scores keep the order of the files (poseval's sort
leaves it open). A joint nobody annotated has no AP and is left out of the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deploy.pose.evaluation.pairing import Pair

THRESHOLD = 0.5  # head sizes


@dataclass(frozen=True, slots=True, eq=False)
class Precision:
    """All [K], in percent, NaN where a joint is annotated nowhere; n_truth int64 [K] annotated joints."""

    ap: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    n_truth: np.ndarray

    @property
    def mean(self) -> float:
        """mAP: the mean over the joints that have an AP; NaN without any."""
        known = self.ap[~np.isnan(self.ap)]
        return float(known.mean()) if len(known) else float("nan")


def precision(pairs: Sequence[Pair], joints: int, threshold: float = THRESHOLD) -> Precision:
    """AP, and precision and recall of all predictions together, of frames in any order."""
    scores: list[np.ndarray] = [np.zeros((0, joints))]
    right: list[np.ndarray] = [np.zeros((0, joints), bool)]
    there: list[np.ndarray] = [np.zeros((0, joints), bool)]
    n_truth = np.zeros(joints, np.int64)
    for pair in pairs:
        scores.append(pair.scores)
        there.append(pair.found_there)
        right.append(_right(pair, threshold))
        n_truth += pair.truth_there.sum(axis=0)
    every = np.concatenate(scores), np.concatenate(right), np.concatenate(there)
    made = np.full((3, joints), np.nan)
    for k in np.flatnonzero(n_truth):
        counted = every[2][:, k]
        made[:, k] = _area(every[0][counted, k], every[1][counted, k], int(n_truth[k]))
    return Precision(*(100 * made), n_truth)


def _right(pair: Pair, threshold: float) -> np.ndarray:
    """bool [P, K]: which predicted joints are right."""
    near = pair.distance <= threshold
    right = np.zeros(pair.found_there.shape, bool)
    for p, g in assigned(pair, threshold).items():
        right[p] = near[p, g]
    return right


def assigned(pair: Pair, threshold: float = THRESHOLD) -> dict[int, int]:
    """Prediction -> person, greedily by PCKh; ties go to the first in the file."""
    if not pair.distance.size:
        return {}
    pckh = (pair.distance <= threshold).sum(axis=2) / np.maximum(pair.truth_there.sum(axis=1), 1)
    best = pckh.argmax(axis=1)
    own = np.where(np.arange(pckh.shape[1]) == best[:, None], pckh, 0.0)
    return {int(own[:, g].argmax()): g for g in range(own.shape[1]) if own[:, g].max() > 0}


def _area(scores: np.ndarray, right: np.ndarray, n_truth: int) -> tuple[float, float, float]:
    """(AP, precision, recall) of one joint, as shares."""
    if not len(scores):
        return 0.0, 0.0, 0.0
    hits = right[np.argsort(-scores, kind="stable")].cumsum()
    recall = np.concatenate([[0.0], hits / n_truth, [1.0]])
    curve = np.concatenate([[0.0], hits / np.arange(1, len(hits) + 1), [0.0]])
    monotone = np.maximum.accumulate(curve[::-1])[::-1]
    area = (np.diff(recall) * monotone[1:]).sum()
    return float(area), float(hits[-1] / len(hits)), float(hits[-1] / n_truth)
