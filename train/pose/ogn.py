"""The two-stage estimator's network: a backbone and one head a kind of map.

Offset-guided, after OGN's abstract.

    heatmap [N, K, H, W]       where joint k is
    offset  [N, K, 2, H, W]    from a cell to joint k, in radii of the codec; there where the codec reads
    offsets

Which heads there are is the codec's to say (train.pose.codecs). The network gives each head's maps as
[N, C, H, W], so that its graph has images alone; `maps` gives them the codec's shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from train.pose.backbones.registry import backbone
from train.pose.backbones.small import ConvNorm
from train.pose.codecs.codec import CHANNELS


class Headed(Protocol):
    """What configs of networks with a codec's heads say of them."""

    @property
    def joints(self) -> int:
        """K."""

    @property
    def heads(self) -> tuple[str, ...]:
        """The codec's maps by name."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each is of, "scalar" or "vector"."""


@dataclass(frozen=True, slots=True)
class OGNConfig:
    """joints: K. heads: the codec's maps by name; kinds: what each is of, "scalar" or "vector".

    hidden: channels of a 3x3 convolution between backbone and maps, which all heads share; 0: none, as in
    SimpleBaseline and HRNet.
    """

    joints: int = 17
    heads: tuple[str, ...] = ("heatmap", "offset")
    kinds: tuple[str, ...] = ("scalar", "vector")
    backbone: str = "small"
    hidden: int = 32

    def __post_init__(self) -> None:
        if not set(self.kinds) <= set(CHANNELS) or len(self.kinds) != len(self.heads):
            raise ValueError(
                f"ogn: heads {self.heads} of kinds {self.kinds}; expected {' or '.join(CHANNELS)} of each"
            )
        if self.joints < 1 or self.hidden < 0:
            raise ValueError(f"ogn: joints {self.joints}, hidden {self.hidden}; expected 1 and 0 or more")


class OGN(nn.Module):
    """[N, 3, H, W] -> one [N, K or 2K, H/4, W/4] a head."""

    def __init__(self, config: OGNConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone(config.backbone)
        channels, hidden = self.backbone.channels, config.hidden
        self.neck = ConvNorm(channels, hidden, 3) if hidden else None
        self.heads = heads(hidden or channels, config)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """[N, 3, H, W] -> maps, in the order of config.heads."""
        features = self.backbone(x)
        if self.neck is not None:
            features = F.relu(self.neck(features))
        return tuple(self.heads[name](features) for name in self.config.heads)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """The same by name, in the codec's shapes."""
        return named(self.config, self(x))


def heads(channels: int, config: Headed) -> nn.ModuleDict:
    """A 1x1 convolution a head, by name: its maps of every joint, which begin blank."""
    made = nn.ModuleDict()
    for name, kind in zip(config.heads, config.kinds, strict=True):
        made[name] = head = nn.Conv2d(channels, config.joints * CHANNELS[kind], 1)
        nn.init.normal_(head.weight, std=0.001)
        nn.init.zeros_(head.bias)
    return made


def named(config: Headed, maps: Sequence[Tensor]) -> dict[str, Tensor]:
    """Maps [N, C, H, W] in the order of the heads -> by name, [N, K, H, W] or [N, K, 2, H, W]."""
    out = {}
    for name, kind, x in zip(config.heads, config.kinds, maps, strict=True):
        out[name] = x if kind == "scalar" else x.unflatten(1, (config.joints, CHANNELS[kind]))
    return out
