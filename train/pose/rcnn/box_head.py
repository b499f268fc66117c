"""The second look at a proposal: a person or background, and the person's box relative to it.

logits [R, 2]    background, person
deltas [R, 4]    by `deltas.REFINED`

L = mean over sampled proposals of cross entropy  +  [a person's] Huber(deltas, truth)

Both hidden layers are normed.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from train.pose.rcnn.deltas import REFINED, encoded

HUBER = 1.0  # in spreads


class BoxHead(nn.Module):
    """RoIs [R, channels, cells, cells], as RoIAlign gives them -> logits and deltas."""

    def __init__(self, channels: int, cells: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(channels * cells * cells, hidden), nn.LayerNorm(hidden))
        self.second = nn.Sequential(nn.Linear(hidden, hidden), nn.LayerNorm(hidden))
        self.person = nn.Linear(hidden, 2)
        self.box = nn.Linear(hidden, 4)
        for layer, spread in ((self.person, 0.01), (self.box, 0.001)):
            nn.init.normal_(layer.weight, std=spread)
            nn.init.zeros_(layer.bias)

    def forward(self, rois: Tensor) -> tuple[Tensor, Tensor]:
        """[R, C, h, w] -> [R, 2], [R, 4]."""
        y = F.relu(self.second(F.relu(self.first(rois.flatten(1)))))
        return self.person(y).float(), self.box(y).float()


def box_losses(
    logits: Tensor, deltas: Tensor, rois: Tensor, person: Tensor, wanted: Tensor
) -> tuple[Tensor, Tensor]:
    """(class, box), 0-d each. rois [R, 4]; person bool [R]; wanted [R, 4]: the person's box, anything where
    there is none."""
    of_class = F.cross_entropy(logits, person.long(), reduction="sum") / max(len(logits), 1)
    truth = encoded(wanted[person], rois[person], REFINED)
    away = F.smooth_l1_loss(deltas[person], truth, beta=HUBER, reduction="sum")
    return of_class, away / max(len(logits), 1)
