"""Which pose of a frame continues which track: likeness of poses, gated, and the Hungarian method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from deploy.pose.motion import middle
from deploy.pose.nms import iou
from deploy.pose.oks import pairwise, stacked
from deploy.pose.people import Person, extent

KINDS = ("oks", "iou", "both")
FEW = 3  # joints in common below which OKS says little, and the boxes decide


def likeness(
    expected: Sequence[Person], found: Sequence[Person], kind: str, sigmas: np.ndarray
) -> np.ndarray:
    """float64 [T, N] in 0..1: OKS of poses, IoU of boxes, or the mean of both.

    OKS is between the joints both have; below three of them IoU stands in its place.
    """
    boxes = iou(_boxes(expected), _boxes(found))
    if kind == "iou":
        return boxes
    mine, theirs = stacked(expected, len(sigmas)), stacked(found, len(sigmas))
    common = (mine[1][:, None] & theirs[1][None]).sum(axis=-1)
    poses = np.where(common >= FEW, pairwise(*mine, theirs, sigmas), boxes)
    return poses if kind == "oks" else (poses + boxes) / 2


def within_reach(expected: Sequence[Person], found: Sequence[Person], gate: float) -> np.ndarray:
    """bool [T, N]: whether the middle is within `gate` diagonals of the larger box: one shrinks as joints
    hide.
    """
    diagonals = [np.hypot(*_boxes(people)[:, 2:].T) for people in (expected, found)]
    reach = gate * np.maximum(diagonals[0][:, None], diagonals[1][None])
    away = np.linalg.norm(_middles(expected)[:, None] - _middles(found)[None], axis=-1)
    return away <= reach


def matched(alike: np.ndarray, allowed: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (track, pose) of the greatest sum of likeness among those allowed, by track."""
    if not alike.size:
        return []
    rows, columns = linear_sum_assignment(-np.where(allowed, alike, 0.0))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if allowed[r, c]]


def close_calls(
    alike: np.ndarray, allowed: np.ndarray, pairs: Sequence[tuple[int, int]], margin: float
) -> list[tuple[int, int, float]]:
    """(track, track, by how much) of pairs of matches that would have been nearly as good exchanged.

    These are the frames where identities may have been swapped: a person can look at them.
    """
    found = []
    for first, (t, n) in enumerate(pairs):
        for u, m in pairs[first + 1 :]:
            gain = alike[t, n] + alike[u, m] - alike[t, m] - alike[u, n]
            if allowed[t, m] and allowed[u, n] and gain < margin:
                found.append((t, u, float(gain)))
    return found


def _boxes(people: Sequence[Person]) -> np.ndarray:
    """float64 [N, 4]; a person without joints or box has an empty one."""
    none = np.zeros(4)
    return np.array([none if (box := extent(p)) is None else box for p in people]).reshape(-1, 4)


def _middles(people: Sequence[Person]) -> np.ndarray:
    far = np.full(2, np.inf)
    return np.array([far if (at := middle(p)) is None else at for p in people]).reshape(-1, 2)
