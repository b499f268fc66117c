"""HOTA of one kind of object (Luiten et al., 2020): detection and association, weighed alike.

For each threshold a of 0.05, 0.10, ... 0.95 on the similarity s of 0 to 1:
    DetA = TP / (TP + FN + FP)
    AssA = mean over the true positives c of TPA(c) / (TPA(c) + FNA(c) + FPA(c)), over the whole sequence
    HOTA = sqrt(DetA AssA);   the figure is the mean over a
Frames are matched once, by the Hungarian method on s times how well two tracks go together over the sequence
(their soft Jaccard index); a match counts at a where s >= a.

Of keypoints s = max(0, 1 - distance / gate), distance in head sizes and gate 0.5, so that HOTA looks no
further than PCKh does. A false positive counts in the frame where it is, never for the whole video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

ALPHAS = np.arange(1, 20) * 0.05
EPSILON = float(np.finfo(np.float64).eps)  # a similarity of exactly a counts, rounding aside


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One frame of one kind of object: ids int64 [G] and [P], similarity float64 [G, P] in 0..1."""

    truth: np.ndarray
    found: np.ndarray
    similarity: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Hota:
    """Sums over frames, all [19], one a threshold; they add up over joints and sequences.

    association  sum over the true positives of their association score
    localisation sum of their similarities
    """

    tp: np.ndarray
    fn: np.ndarray
    fp: np.ndarray
    association: np.ndarray
    localisation: np.ndarray

    def __add__(self, other: Hota) -> Hota:
        return Hota(*(getattr(self, n) + getattr(other, n) for n in Hota.__slots__))

    @property
    def det_a(self) -> float:
        """In percent; NaN where there is neither truth nor prediction."""
        return self._mean(self._det())

    @property
    def ass_a(self) -> float:
        """In percent; 0 without a match."""
        return self._mean(self._ass())

    @property
    def loc_a(self) -> float:
        """Mean similarity of the matches, in percent; thresholds without a match count as 100, as in
        TrackEval.
        """
        return self._mean(np.where(self.tp > 0, self.localisation / np.maximum(self.tp, 1), 1.0))

    @property
    def hota(self) -> float:
        """In percent; NaN where there is neither truth nor prediction."""
        return self._mean(np.sqrt(self._det() * self._ass()))

    def _det(self) -> np.ndarray:
        return self.tp / np.maximum(1, self.tp + self.fn + self.fp)

    def _ass(self) -> np.ndarray:
        return self.association / np.maximum(1, self.tp)

    def _mean(self, values: np.ndarray) -> float:
        return 100 * float(values.mean()) if (self.tp + self.fn + self.fp).any() else float("nan")


def nothing() -> Hota:
    """Zero of the sum."""
    counts = [np.zeros(len(ALPHAS), np.int64) for _ in range(3)]
    return Hota(*counts, np.zeros(len(ALPHAS)), np.zeros(len(ALPHAS)))


def hota(frames: Sequence[Seen]) -> Hota:
    """Sums of one sequence. Ids are any integers; within a frame each is used once."""
    rows, columns = _numbered([f.truth for f in frames]), _numbered([f.found for f in frames])
    lengths = np.zeros(len(rows)), np.zeros(len(columns))
    together = np.zeros((len(rows), len(columns)))
    placed = []
    for frame in frames:
        g, p = [rows[int(i)] for i in frame.truth], [columns[int(i)] for i in frame.found]
        placed.append((g, p))
        lengths[0][g] += 1
        lengths[1][p] += 1
        together[np.ix_(g, p)] += _shares(frame.similarity)
    union = lengths[0][:, None] + lengths[1][None] - together
    alignment = np.divide(together, union, out=np.zeros_like(together), where=union > 0)
    return _counted(frames, placed, alignment, lengths)


def _numbered(ids: Sequence[np.ndarray]) -> dict[int, int]:
    return {track: place for place, track in enumerate(sorted({int(i) for some in ids for i in some}))}


def _shares(similarity: np.ndarray) -> np.ndarray:
    """Soft Jaccard of each pair of a frame: its similarity against all that either has."""
    every = similarity.sum(axis=0)[None] + similarity.sum(axis=1)[:, None] - similarity
    return np.divide(similarity, every, out=np.zeros_like(similarity), where=every > EPSILON)


def _counted(
    frames: Sequence[Seen],
    placed: Sequence[tuple[list[int], list[int]]],
    alignment: np.ndarray,
    lengths: tuple[np.ndarray, np.ndarray],
) -> Hota:
    """Matches of every frame at every threshold, and what they add up to."""
    matches = np.zeros((len(ALPHAS), *alignment.shape))
    localisation = np.zeros(len(ALPHAS))
    for frame, (g, p) in zip(frames, placed, strict=True):
        gains = alignment[np.ix_(g, p)] * frame.similarity
        for row, column in zip(*linear_sum_assignment(-gains), strict=True):
            alike = frame.similarity[row, column]
            hit = alike >= ALPHAS - EPSILON
            matches[hit, g[row], p[column]] += 1
            localisation[hit] += alike
    tp = matches.sum(axis=(1, 2)).astype(np.int64)
    either = np.maximum(1, lengths[0][:, None] + lengths[1][None] - matches)
    association = (matches * matches / either).sum(axis=(1, 2))
    truths, found = int(lengths[0].sum()), int(lengths[1].sum())
    return Hota(tp, truths - tp, found - tp, association, localisation)
