"""PoseTrack's figures stated together: mAP, MOTA and HOTA of the same predictions, joint by joint and in
all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from deploy.pose.evaluation import poseval
from deploy.pose.evaluation.hota import Hota, Seen, hota, nothing
from deploy.pose.evaluation.mota import Clear, Step, clear
from deploy.pose.evaluation.pairing import Pair, Paired
from deploy.pose.evaluation.precision import THRESHOLD, Precision, precision


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """precision over all frames; clear and hota one a joint, None where a person has no track id."""

    joints: tuple[str, ...]
    precision: Precision
    clear: tuple[Clear, ...] | None
    hota: tuple[Hota, ...] | None
    n_frames: int
    compat: bool

    @property
    def total_clear(self) -> Clear:
        """Counts summed over the joints."""
        return reduce(lambda a, b: a + b, self.clear or (), Clear())

    @property
    def total_hota(self) -> Hota:
        """Sums over the joints."""
        return reduce(lambda a, b: a + b, self.hota or (), nothing())

    @property
    def mota(self) -> float:
        """The total: of the summed counts; with poseval_compat the mean over the joints."""
        return mean([c.mota for c in self.clear or ()]) if self.compat else self.total_clear.mota


def figures(data: Paired, threshold: float = THRESHOLD, poseval_compat: bool = False) -> Figures:
    """All figures of paired frames. threshold: head sizes within which a joint is right (PCKh's 0.5)."""
    joints = len(data.joints)
    pairs = poseval.annotated(data.pairs) if poseval_compat else data.pairs
    found = precision(pairs, joints, threshold)
    if not data.tracked:
        return Figures(data.joints, found, None, None, len(pairs), poseval_compat)
    clears, hotas = [Clear()] * joints, [nothing()] * joints
    for sequence in data.sequences:
        judged = poseval.annotated(sequence.pairs) if poseval_compat else sequence.pairs
        followed = judged[:-1] if poseval_compat else judged
        for k in range(joints):
            clears[k] += clear([_step(pair, k, threshold, poseval_compat) for pair in followed])
            hotas[k] += hota([_seen(pair, k, threshold) for pair in judged])
    return Figures(data.joints, found, tuple(clears), tuple(hotas), len(pairs), poseval_compat)


def _step(pair: Pair, k: int, threshold: float, compat: bool) -> Step:
    """One joint of a frame as CLEAR MOT takes it."""
    if compat and poseval.empty(pair):
        return poseval.placeholder()
    truth, found, away = _joint(pair, k)
    return Step(truth, found, np.where(away <= threshold, away, np.nan))


def _seen(pair: Pair, k: int, threshold: float) -> Seen:
    """One joint of a frame as HOTA takes it."""
    truth, found, away = _joint(pair, k)
    return Seen(truth, found, np.maximum(0.0, 1 - away / threshold))


def _joint(pair: Pair, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(ids [G], ids [P], distance [G, P]) of the persons who have joint k."""
    mine, theirs = pair.truth_there[:, k], pair.found_there[:, k]
    return pair.truth_ids[mine], pair.found_ids[theirs], pair.distance[np.ix_(theirs, mine, [k])][..., 0].T


def mean(values: Sequence[float]) -> float:
    """Of those that are numbers; NaN without any."""
    known = [v for v in values if not np.isnan(v)]
    return sum(known) / len(known) if known else float("nan")


def body(of: Figures) -> dict[str, Any]:
    """The figures as JSON: percent, null where there is none; counts as they are."""
    total = of.total_clear
    made: dict[str, Any] = {
        "n_frames": of.n_frames,
        "poseval_compat": of.compat,
        "mAP": plain(of.precision.mean),
        "MOTA": plain(of.mota) if of.clear else None,
        "MOTP": plain(total.motp) if of.clear else None,
        "HOTA": plain(of.total_hota.hota) if of.hota else None,
        "joints": {name: _row(of, k) for k, name in enumerate(of.joints)},
    }
    if of.clear and of.hota:
        made["counts"] = _counts(total)
        made["mean over joints"] = {
            "MOTA": plain(mean([c.mota for c in of.clear])),
            "HOTA": plain(mean([h.hota for h in of.hota])),
        }
        made |= {"DetA": plain(of.total_hota.det_a), "AssA": plain(of.total_hota.ass_a)}
    return made


def _row(of: Figures, k: int) -> dict[str, Any]:
    made: dict[str, Any] = {"AP": plain(of.precision.ap[k]), "annotated": int(of.precision.n_truth[k])}
    if of.clear and of.hota:
        c, h = of.clear[k], of.hota[k]
        made |= {"MOTA": plain(c.mota), "MOTP": plain(c.motp), **_counts(c), "HOTA": plain(h.hota)}
        made |= {"DetA": plain(h.det_a), "AssA": plain(h.ass_a), "LocA": plain(h.loc_a)}
    return made


def _counts(c: Clear) -> dict[str, int]:
    names = ("misses", "false_positives", "switches", "matches", "objects")
    return {name: int(getattr(c, name)) for name in names}


def plain(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else float(value)
