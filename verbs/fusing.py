"""The members of a fusion over a split: their scores, the fit, and what of it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from train.fusion import Fusion, cross_validated, fit
from verbs.classes import judged
from verbs.feed import load_clips
from verbs.members import Member, common_validation


@dataclass(frozen=True, eq=False)
class Rated:
    """Scores [n, K] of every member on the same samples; of each its label, id, and whose view it is."""

    scores: list[np.ndarray]
    labels: np.ndarray
    ids: tuple[str, ...]
    performances: tuple[str, ...]

    def judged(self, fusion: Fusion) -> dict[str, Any]:
        """What members, equal weights and fitted weights get right of these samples."""
        return {
            "n_samples": len(self.ids),
            "sample_ids": list(self.ids),
            "labels": self.labels.tolist(),
            "members": [self._of(s) for s in self.scores],
            "equal": self._of(fusion.equal().fused(self.scores)),
            "fitted": self._of(fusion.fused(self.scores)),
        }

    def _of(self, scores: np.ndarray) -> dict[str, Any]:
        predictions = scores.argmax(axis=1)
        return {**judged(self.labels, predictions, scores.shape[1]), "predictions": predictions.tolist()}


def fitted(members: Sequence[Member], data: Path | None, limit: int | None) -> tuple[Fusion, dict[str, Any]]:
    """The fusion fitted on validation, and what it gives there. Nothing of a test split is loaded here.

    `cross_validated` is the accuracy on validation of weights fitted without the clip they judge; None where
    there is a single performance.
    """
    rated = rate(members, "validation", data, limit)
    names = [str(member.path) for member in members]
    fusion = fit(rated.scores, rated.labels, names)
    apart = cross_validated(rated.scores, rated.labels, rated.performances, names)
    share = None if apart is None else float((apart.argmax(axis=1) == rated.labels).mean())
    return fusion, {**rated.judged(fusion), "cross_validated": share}


def rate(members: Sequence[Member], split: str, data: Path | None, limit: int | None) -> Rated:
    """Every member's scores of a split; of validation, once it is known to be the same for all."""
    loaded = "train" if split == "validation" else split
    clips = load_clips(members[0].about, None, data, loaded)
    if split == "validation":
        clips = common_validation(members, clips)
    scores = []
    for member in members:
        feed, found = member.rate(clips, limit)
        scores.append(found)
    performances = {clip.id: clip.performance for clip in clips.clips}
    samples = feed.samples
    return Rated(scores, samples.labels, samples.ids, tuple(performances[name] for name in samples.ids))
