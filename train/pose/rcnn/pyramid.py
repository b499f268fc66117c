"""A feature pyramid (Lin et al. 2017) on the way down of a backbone: maps of one width at four strides.

    T_32 = L_32(C_32),   T_s = L_s(C_s) + up(T_2s),   P_s = relu(norm(conv3x3(T_s)))

C the backbone's maps, L 1x1 convolutions, up the nearest cell: what is known from afar, at the places that
are known from near.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from train.pose.backbones.small import ConvNorm

STRIDES = (4, 8, 16, 32)


class Pyramid(nn.Module):
    """Maps [N, widths[i], H / s, W / s] for s in STRIDES -> as many of `channels`."""

    def __init__(self, widths: Sequence[int], channels: int) -> None:
        super().__init__()
        self.across = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in widths)
        self.smooth = nn.ModuleList(ConvNorm(channels, channels, 3) for _ in widths)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """The maps of ascending stride, as they came."""
        found: list[Tensor] = []
        above: Tensor | None = None
        for x, across, smooth in zip(levels[::-1], self.across[::-1], self.smooth[::-1], strict=True):
            here = across(x)
            above = here if above is None else here + F.interpolate(above, scale_factor=2.0, mode="nearest")
            found.append(F.relu(smooth(above)))
        return found[::-1]
