"""The losses of maps, in units in which a blank map costs about 1, so that heads can be weighed by a number.

    heatmap   sum over joints of w sum over cells of (h - h*)^2 / mass, over the sum of w
              mass: the sum of squares of a target (`Codec.mass`; of a Gaussian with peak 1 pi sigma^2)
    offset    mean over the disc of 4 Huber(o - o*, 1/4) with the disc's weights; o* in radii
              |o*|^2 is 1/2 on the mean of a disc: o = 0 costs about 1. Nothing is asked of cells outside

w [N, K] are the joints' weights after encoding: 0 for absent joints and those off the input.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.pose.codecs.codec import Codec
from train.pose.ogn import OGN, named

HUBER = 0.25  # radii; beyond it the loss grows linearly


def heatmap_loss(found: Tensor, wanted: Tensor, weight: Tensor, mass: float) -> Tensor:
    """found, wanted [N, K, H, W], weight [N, K] -> 0-d; mass: sum of a target's squares."""
    squares = (found - wanted).square().sum((2, 3)) * weight
    return squares.sum() / (weight.sum().clamp(min=1e-6) * mass)


def offset_loss(found: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    """found, wanted [N, K, 2, H, W] in radii, weight [N, K, H, W] -> 0-d; 0 where no disc is."""
    away = F.smooth_l1_loss(found, wanted, beta=HUBER, reduction="none").sum(2) * weight
    return 4.0 * HUBER * away.sum() / weight.sum().clamp(min=1e-6)


class PoseObjective(nn.Module):
    """The network, the codec and the loss of a batch: what `train.course.Learning` asks for."""

    def __init__(self, model: OGN, codec: Codec, offset_weight: float) -> None:
        super().__init__()
        self.model = model
        self.terms = nn.ModuleList()
        self.codec = codec
        self.offset_weight = offset_weight

    def forward(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """x [N, 3, H, W], labels [N, K, 3] (x, y, weight) -> loss, heatmaps [N, K, H', W'], parts by name."""
        maps = named(self.model.config, self.model(x))
        loss, parts = self.of_maps(maps, encoded(self.codec, labels))
        return loss, maps["heatmap"], parts

    def of_maps(
        self, maps: Mapping[str, Tensor], targets: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of maps by name, and its weighted parts, detached."""
        parts = of_maps(self.codec, maps, targets, self.offset_weight)
        return sum(parts.values()), {name: part.detach() for name, part in parts.items()}


def of_maps(
    codec: Codec, maps: Mapping[str, Tensor], targets: Mapping[str, Tensor], offset_weight: float
) -> dict[str, Tensor]:
    """The weighted parts of the loss, by head, of maps by head and what `encoded` gave; 0-d each."""
    parts = {}
    for name, kind in codec.heads.items():
        found = maps[name].float()
        if kind == "scalar":
            parts[name] = heatmap_loss(found, targets[name], targets["weight"], codec.mass)
        else:
            parts[name] = offset_weight * offset_loss(found, targets[name], targets[f"{name}_weight"])
    return parts


def encoded(codec: Codec, labels: Tensor) -> dict[str, Tensor]:
    """Targets of labels [N, K, 3], on the labels' device."""
    joints = labels.cpu().numpy()
    targets = codec.encode(joints[..., :2], joints[..., 2])
    return {k: torch.from_numpy(np.ascontiguousarray(v)).to(labels.device) for k, v in targets.items()}
