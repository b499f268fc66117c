"""The region proposal network (Ren et al. 2015): in each cell, for each anchor, somebody or not, and where.

    logits [N, A]        log odds that an anchor holds a person
    deltas [N, A, 4]     the person's box relative to it (`train.pose.rcnn.deltas`)

    L = mean over sampled anchors of BCE(logit, person)  +  mean over the people's of Huber(deltas, truth)

A runs over the levels that have anchors, then over cells and ratios, as `anchors` gives them. One 3x3
convolution and two of 1x1, the same on all levels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.pose.rcnn.anchors import anchors
from train.pose.rcnn.deltas import PROPOSAL, encoded
from train.pose.rcnn.matching import balanced, match

LOW, HIGH = 0.3, 0.7  # IoU: background below, a person from
SAMPLED, SHARE = 128, 0.5  # anchors of an image that the loss looks at; at most so many of them people
HUBER = 1 / 9


class RPN(nn.Module):
    """channels: of the maps; sizes: of the anchors of each, 0 for none; strides: of the maps."""

    def __init__(
        self, channels: int, strides: Sequence[int], sizes: Sequence[float], ratios: Sequence[float]
    ) -> None:
        super().__init__()
        self.strides, self.sizes, self.ratios = tuple(strides), tuple(sizes), tuple(ratios)
        self.mix = nn.Conv2d(channels, channels, 3, padding=1)
        self.person = nn.Conv2d(channels, len(self.ratios), 1)
        self.box = nn.Conv2d(channels, 4 * len(self.ratios), 1)
        for layer, spread in ((self.person, 0.01), (self.box, 0.001)):
            nn.init.normal_(layer.weight, std=spread)
            nn.init.zeros_(layer.bias)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor, list[int]]:
        """Logits [N, A], deltas [N, A, 4], anchors [A, 4], and how many anchors each level has."""
        logits, deltas, boxes = [], [], []
        used = [(stride, size) for stride, size in zip(self.strides, self.sizes, strict=True) if size]
        for (person, box), (stride, size) in zip(self.maps(maps), used, strict=True):
            logits.append(person.permute(0, 2, 3, 1).flatten(1))
            deltas.append(box.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 4)))
            boxes.append(anchors(person.shape[2:], stride, size, self.ratios).to(person.device))
        counts = [len(a) for a in boxes]
        return torch.cat(logits, dim=1).float(), torch.cat(deltas, dim=1).float(), torch.cat(boxes), counts

    def maps(self, maps: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """(log odds [N, ratios, H, W], deltas [N, 4 ratios, H, W]) of each level that has anchors."""
        found = []
        for x, size in zip(maps, self.sizes, strict=True):
            if size:
                y = F.relu(self.mix(x))
                found.append((self.person(y), self.box(y)))
        return found


def rpn_losses(
    logits: Tensor, deltas: Tensor, boxes: Tensor, people: Tensor, kind: Tensor
) -> tuple[Tensor, Tensor]:
    """(objectness, boxes), 0-d each. boxes: anchors [A, 4]; people [N, M, 4], kind [N, M]: the truth."""
    found = match(boxes, people, kind, LOW, HIGH, forced=True)
    somebody, nobody = balanced(found, SAMPLED, SHARE)
    looked = (somebody | nobody).float()
    bce = F.binary_cross_entropy_with_logits(logits, somebody.float(), reduction="none")
    wanted = torch.gather(people, 1, found.whose[..., None].expand(-1, -1, 4))[somebody]
    from_anchors = boxes.expand(len(people), -1, -1)[somebody]
    away = F.smooth_l1_loss(
        deltas[somebody], encoded(wanted, from_anchors, PROPOSAL), beta=HUBER, reduction="sum"
    )
    return (bce * looked).sum() / looked.sum().clamp(min=1), away / somebody.sum().clamp(min=1)
