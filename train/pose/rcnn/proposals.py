"""From the region proposal network's answers to RoIs: the best of each level, without doubles.

Nothing here is differentiated: where a RoI lies is given to the heads, not learned through them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from train.pose.rcnn.boxes import clipped
from train.pose.rcnn.deltas import PROPOSAL, decoded
from train.pose.rcnn.suppression import kept

BEST = 200  # of a level that are looked at
OVERLAP = 0.7  # IoU above which of two proposals the better one stays
LEAST = 4.0  # pixels: a proposal with a shorter side is none


@torch.no_grad()
def proposals(
    logits: Tensor, deltas: Tensor, anchors: Tensor, counts: Sequence[int], size: tuple[int, int], most: int
) -> list[Tensor]:
    """Boxes [P, 4] of each image, best first, P <= most. size: (width, height) of the frame."""
    best = [
        start + score.topk(min(BEST, score.shape[1]), dim=1).indices
        for start, score in zip(_starts(counts), logits.split(list(counts), dim=1), strict=True)
    ]
    at = torch.cat(best, dim=1)
    scores = logits.gather(1, at)
    boxes = decoded(deltas.gather(1, at[..., None].expand(-1, -1, 4)), anchors[at], PROPOSAL)
    boxes = clipped(boxes, size)
    wide = ((boxes[..., 2:] - boxes[..., :2]) >= LEAST).all(dim=-1)
    return [b[ok][kept(b[ok], s[ok], OVERLAP, most)] for b, s, ok in zip(boxes, scores, wide, strict=True)]


def _starts(counts: Sequence[int]) -> list[int]:
    return [sum(counts[:i]) for i in range(len(counts))]
