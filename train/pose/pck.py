"""PCK and PCKh: the share of joints that lie within a part of the person's size from where they should be.

    PCK@t of joint k = persons whose joint k is within t x size / persons whose joint k counts

size is the torso (LSPET: right hip to left shoulder), the head (PCKh: 0.6 x the diagonal of the head box,
which MPII publishes as `normalize`) or the longer side of the person's box. A joint on the very edge is
right (<=). numpy alone; results are counts first, so that batches add up without error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

HEAD = 0.6  # of the diagonal of the head box


@dataclass(frozen=True, slots=True, eq=False)
class Pck:
    """Counts per joint, int64 [K]; they add up over batches. `unsized`: persons left out, as their size is
    unknown."""

    right: np.ndarray
    counted: np.ndarray
    unsized: int = 0

    def __add__(self, other: Pck) -> Pck:
        return Pck(self.right + other.right, self.counted + other.counted, self.unsized + other.unsized)

    @property
    def joints(self) -> np.ndarray:
        """float64 [K] in 0..1; NaN where a joint counts nowhere."""
        shares = np.full(len(self.right), np.nan)
        return np.divide(self.right, self.counted, out=shares, where=self.counted > 0)

    @property
    def pooled(self) -> float:
        """Share of all counted joints together: MPII's and LSP's total; NaN without any."""
        return float(self.right.sum() / self.counted.sum()) if self.counted.any() else float("nan")

    @property
    def mean(self) -> float:
        """Mean over the joints that count somewhere; NaN without any."""
        known = self.joints[self.counted > 0]
        return float(known.mean()) if len(known) else float("nan")

    def among(self, index: Sequence[int]) -> Pck:
        """Of some joints only: MPII's total leaves pelvis and thorax out."""
        return Pck(self.right[list(index)], self.counted[list(index)], self.unsized)


def pck(found: np.ndarray, truth: np.ndarray, counts: np.ndarray, size: np.ndarray, threshold: float) -> Pck:
    """PCK@threshold of N persons.

    found, truth  float [N, K, 2], pixels; a joint that was not found is NaN and counts as wrong
    counts        bool (or weights, above 0 counts) [N, K]: which joints are annotated
    size          float [N], pixels; a person whose size is 0, negative or NaN is left out
    """
    counts, size = np.asarray(counts) > 0, np.asarray(size, np.float64)
    sized = size > 0  # NaN is not
    away = np.linalg.norm(np.asarray(found, np.float64) - np.asarray(truth, np.float64), axis=-1)
    counts = counts & sized[:, None]
    with np.errstate(invalid="ignore"):
        right = counts & (away <= threshold * size[:, None])
    return Pck(right.sum(axis=0, dtype=np.int64), counts.sum(axis=0, dtype=np.int64), int((~sized).sum()))


def torso(truth: np.ndarray, counts: np.ndarray, ends: tuple[int, int]) -> np.ndarray:
    """float64 [N]: distance between two joints (right hip and left shoulder); NaN where one is not
    annotated.
    """
    first, second = ends
    length = np.linalg.norm(np.asarray(truth)[:, first] - np.asarray(truth)[:, second], axis=-1)
    known = (np.asarray(counts)[:, first] > 0) & (np.asarray(counts)[:, second] > 0)
    return np.where(known, length, np.nan)


def head(boxes: np.ndarray) -> np.ndarray:
    """float64 [N]: head sizes of head boxes [N, 4], x, y, w, h: 0.6 x the diagonal."""
    return HEAD * np.hypot(*np.asarray(boxes, np.float64)[:, 2:].T)


def longer_side(boxes: np.ndarray) -> np.ndarray:
    """float64 [N]: the longer side of person boxes [N, 4], x, y, w, h."""
    return np.asarray(boxes, np.float64)[:, 2:].max(axis=1)
