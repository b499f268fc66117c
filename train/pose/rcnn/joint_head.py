"""The keypoint head: a RoI of the codec's aspect ratio -> the codec's maps, at twice the RoI's cells.

`depth` 3x3 convolutions, a 1x1 whose channels become 2x2 cells, then a 1x1 a map: heatmaps and offsets, as
the two-stage network has them (`train.pose.ogn`). Norms are by groups of channels within a RoI: how many RoIs
a batch has is chance, and may be none.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from train.pose.backbones.small import Cells
from train.pose.ogn import Headed, heads

GROUPS = 8


class JointHead(nn.Module):
    """[R, channels, h, w] -> one [R, K or 2K, 2h, 2w] a head, in the order of config.heads."""

    def __init__(self, channels: int, depth: int, config: Headed) -> None:
        super().__init__()
        self.order = config.heads
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(depth)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, channels) for _ in range(depth))
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.cells = Cells(channels // 2)
        for layer in (*self.convolutions, self.widen):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        self.heads = heads(channels // 2, config)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """[R, C, h, w] -> maps."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(norm(convolution(x)))
        x = F.relu(self.cells(self.widen(x)))
        return tuple(self.heads[name](x) for name in self.order)
