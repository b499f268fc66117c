"""Non-maximum suppression: boxes by IoU, poses by OKS; and scores of poses from box and joints.

All are greedy and deterministic: candidates go by falling score, equal scores in the order given.
"""

from __future__ import annotations

import numpy as np

from deploy.pose.oks import pairwise

ALIKE = 0.7  # OKS above which two poses are one person's, where nothing else is said


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """float64 [N, M]: intersection over union of boxes [N, 4] with others [M, 4], x, y, w, h; 0 where
    empty.
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum((boxes[:, :2] + boxes[:, 2:])[:, None], (others[:, :2] + others[:, 2:])[None])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    union = boxes[:, None, 2:].prod(axis=-1) + others[None, :, 2:].prod(axis=-1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def box_nms(boxes: np.ndarray, scores: np.ndarray, most: float) -> np.ndarray:
    """int64 [n]: indices of the boxes kept, best first: those that overlap no better one by IoU above
    `most`.
    """
    return _hard(iou(boxes, boxes), scores, most)


def oks_nms(
    poses: tuple[np.ndarray, np.ndarray, np.ndarray], scores: np.ndarray, sigmas: np.ndarray, most: float
) -> np.ndarray:
    """int64 [n]: indices of the poses kept, best first: those whose OKS with no better one is above `most`.

    poses: points [N, K, 2], there bool [N, K] and areas [N], as `deploy.pose.oks.stacked` gives them.
    """
    return _hard(pairwise(*poses, poses, sigmas), scores, most)


def _hard(alike: np.ndarray, scores: np.ndarray, most: float) -> np.ndarray:
    order = np.argsort(-scores, kind="stable")
    alive, kept = np.ones(len(order), bool), []
    for candidate in order:
        if alive[candidate]:
            kept.append(candidate)
            alive &= alike[candidate] <= most
    return np.array(kept, np.int64)


def rescored(box_scores: np.ndarray, joint_scores: np.ndarray, least: float = 0.2) -> np.ndarray:
    """float64 [N]: score of a pose = its box's score x the mean score of its joints above `least`.

    box_scores [N], joint_scores [N, K], both in [0, 1]. A pose without a joint above `least` scores 0. The
    usual rescoring of two-stage estimators: a good box with a vague pose falls behind.
    """
    counted = joint_scores > least
    mean = (joint_scores * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    return box_scores * mean
