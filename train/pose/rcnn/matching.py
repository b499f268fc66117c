"""Which candidate box is whose, which is background, and which of them a loss looks at.

person       overlaps somebody by IoU >= high; or is the best candidate that somebody has ("forced")
background   overlaps nobody by IoU >= low, and lies no more than half in an ignored region
neither      between low and high, or in an ignored region: no loss looks at it
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from train.pose.rcnn.boxes import covered, iou

IGNORED = 0.5  # of a candidate that an ignored region covers, from which on it is not background


class Match(NamedTuple):
    """whose: int64 [N, A], the person it overlaps most; person, background: bool [N, A]."""

    whose: Tensor
    person: Tensor
    background: Tensor


def match(
    candidates: Tensor, boxes: Tensor, kind: Tensor, low: float, high: float, forced: bool = False
) -> Match:
    """Candidates [N, A, 4] (or [A, 4], the same for all) against boxes [N, M, 4] of N images.

    kind: [N, M], 1 a person, -1 a region to be ignored, 0 nothing.
    """
    if candidates.dim() == 2:
        candidates = candidates.expand(len(boxes), -1, -1)
    there = (kind > 0)[:, None]
    overlap = torch.where(there, iou(candidates, boxes), -1.0)
    best, whose = overlap.max(dim=2)
    person = best >= high
    if forced:
        most = overlap.amax(dim=1, keepdim=True)
        its_best = (overlap == most) & (most > 0) & there
        person = person | its_best.any(dim=2)
        # Somebody's only candidate is his, though it may overlap another one more.
        whose = torch.where(its_best.any(dim=2), its_best.float().argmax(dim=2), whose)
    background = (best < low) & ~person
    if (kind < 0).any():
        background &= ~((covered(candidates, boxes) * (kind < 0)[:, None]) > IGNORED).any(dim=2)
    return Match(whose, person, background)


def sampled(among: Tensor, most: Tensor | int) -> Tensor:
    """bool [N, A] -> bool [N, A]: of each row `most` (an int, or int64 [N]) of those that are true, drawn
    from torch's generator; all of them where there are fewer."""
    keys = torch.where(among, torch.rand(among.shape, device=among.device), 2.0)
    rank = keys.argsort(dim=1).argsort(dim=1)
    limit = most[:, None] if isinstance(most, Tensor) else most
    return among & (rank < limit)


def balanced(found: Match, count: int, share: float) -> tuple[Tensor, Tensor]:
    """(people, background), bool [N, A] each: at most `count` of a row, at most `share` of them people."""
    people = sampled(found.person, int(count * share))
    return people, sampled(found.background, count - people.sum(dim=1))
