"""CLEAR MOT of one kind of object: misses, false positives, switches, and MOTA and MOTP of them.

    MOTA = 100 (1 - (misses + false positives + switches) / objects)
    MOTP = 100 (1 - mean distance of the matches), distances in the unit of the gate (head sizes)

Matching of a frame (Bernardin and Stiefelhagen; the order motmetrics keeps, which poseval uses): an object
keeps the track it had, where both are there and near; the rest are matched by the Hungarian method, as many
as possible, then as near as possible. A match to another track than the object's last is a switch, however
long ago that was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment


@dataclass(frozen=True, slots=True)
class Clear:
    """Counts, and the summed distance of the matches. They add up over joints and sequences."""

    misses: int = 0
    false_positives: int = 0
    switches: int = 0
    matches: int = 0
    objects: int = 0
    distance: float = 0.0

    def __add__(self, other: Clear) -> Clear:
        return Clear(*(getattr(self, n) + getattr(other, n) for n in Clear.__slots__))

    @property
    def mota(self) -> float:
        """In percent; NaN without objects."""
        wrong = self.misses + self.false_positives + self.switches
        return 100 * (1 - wrong / self.objects) if self.objects else float("nan")

    @property
    def motp(self) -> float:
        """In percent; NaN without matches."""
        return 100 * (1 - self.distance / self.matches) if self.matches else float("nan")

    @property
    def precision(self) -> float:
        """Matches among predictions, in percent; NaN without predictions."""
        found = self.matches + self.false_positives
        return 100 * self.matches / found if found else float("nan")

    @property
    def recall(self) -> float:
        """Matches among objects, in percent; NaN without objects."""
        return 100 * self.matches / self.objects if self.objects else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One frame of one joint: ids int64 [G] and [P], distance float64 [G, P], NaN or inf where too far."""

    truth: np.ndarray
    found: np.ndarray
    distance: np.ndarray


def clear(steps: Iterable[Step]) -> Clear:
    """Counts over the frames of one sequence, in order."""
    total, track = Clear(), {}
    for step in steps:
        matches, switches = _matched(step, track)
        total += Clear(
            misses=len(step.truth) - len(matches),
            false_positives=len(step.found) - len(matches),
            switches=switches,
            matches=len(matches),
            objects=len(step.truth),
            distance=float(sum(step.distance[g, p] for g, p in matches)),
        )
        track.update({int(step.truth[g]): int(step.found[p]) for g, p in matches})
    return total


def _matched(step: Step, track: dict[int, int]) -> tuple[list[tuple[int, int]], int]:
    """Pairs (row, column) of a frame, and how many of them are switches. `track`: object -> its last
    track.
    """
    near = np.isfinite(step.distance)
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    where = {int(track_id): p for p, track_id in enumerate(step.found)}
    for g, object_id in enumerate(step.truth):
        p = where.get(track.get(int(object_id), -1))
        if p is not None and near[g, p] and p not in taken:
            pairs.append((g, p))
            taken.add(p)
    rows = [g for g in range(len(step.truth)) if g not in {pair[0] for pair in pairs}]
    columns = [p for p in range(len(step.found)) if p not in taken]
    fresh = nearest(step.distance[np.ix_(rows, columns)])
    switches = 0
    for row, column in fresh:
        g, p = rows[row], columns[column]
        before = track.get(int(step.truth[g]))
        switches += before is not None and before != int(step.found[p])
        pairs.append((g, p))
    return pairs, switches


def nearest(distance: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of rows and columns: as many finite ones as there can be, and among those the least sum."""
    finite = np.isfinite(distance)
    if not finite.any():
        return []
    worst = float(distance[finite].max()) + 1.0
    costs = np.where(finite, distance, worst * (min(distance.shape) + 1))
    rows, columns = linear_sum_assignment(costs)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if finite[r, c]]
