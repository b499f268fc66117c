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

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.pose.backbones.registry import backbone

CHANNELS = {"scalar": 1, "vector": 2}  # maps a joint, by the kind of the head


@dataclass(frozen=True, slots=True)
class OGNConfig:
    """joints: K. heads: the codec's maps by name; kinds: what each is of, "scalar" or "vector".

    hidden: channels of a 3x3 convolution between backbone and maps, one for each head; 0: none, as in
    SimpleBaseline and HRNet.
    """

    joints: int = 17
    heads: tuple[str, ...] = ("heatmap", "offset")
    kinds: tuple[str, ...] = ("scalar", "vector")
    backbone: str = "small"
    hidden: int = 32

    def __post_init__(self) -> None:
        if odd := sorted(set(self.kinds) - set(CHANNELS)) or len(self.kinds) != len(self.heads):
            raise ValueError(f"ogn: heads {self.heads} of kinds {self.kinds}; no map of kind {odd} is known")
        if self.joints < 1 or self.hidden < 0:
            raise ValueError(f"ogn: joints {self.joints}, hidden {self.hidden}; expected 1 and 0 or more")


class OGN(nn.Module):
    """[N, 3, H, W] -> one [N, K or 2K, H/4, W/4] a head."""

    def __init__(self, config: OGNConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone(config.backbone)
        channels = self.backbone.channels
        self.heads = nn.ModuleDict(
            {
                name: _head(channels, config.hidden, config.joints * CHANNELS[kind])
                for name, kind in zip(config.heads, config.kinds, strict=True)
            }
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """[N, 3, H, W] -> maps, in the order of config.heads."""
        features = self.backbone(x)
        return tuple(self.heads[name](features) for name in self.config.heads)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """The same by name, in the codec's shapes."""
        return named(self.config, self(x))


def _head(channels: int, hidden: int, maps: int) -> nn.Module:
    last = nn.Conv2d(hidden or channels, maps, 1)
    nn.init.normal_(last.weight, std=0.001)
    nn.init.zeros_(last.bias)
    if not hidden:
        return nn.Sequential(last)
    conv = nn.Conv2d(channels, hidden, 3, 1, 1, bias=False)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    return nn.Sequential(conv, nn.BatchNorm2d(hidden), nn.ReLU(), last)


def named(config: OGNConfig, maps: Sequence[Tensor]) -> dict[str, Tensor]:
    """Maps [N, C, H, W] in the order of the heads -> by name, [N, K, H, W] or [N, K, 2, H, W]."""
    out = {}
    for name, kind, x in zip(config.heads, config.kinds, maps, strict=True):
        out[name] = x if kind == "scalar" else x.unflatten(1, (config.joints, CHANNELS[kind]))
    return out


@torch.no_grad()
def flipped_maps(model: OGN, x: Tensor, flipped: Sequence[int], shift: float) -> dict[str, Tensor]:
    """The mean of the maps of x [N, 3, H, W] and of its mirror image, brought back: the flip test.

    flipped: train.pose.data.keypoints.KeypointSet.flipped. shift: cells that the mirrored maps move to the
    right (PixelConvention.flip_shift). The x of an offset changes its sign in a mirror.
    """
    plain, other = model.maps(x), model.maps(x.flip(-1))
    out = {}
    for name, maps in other.items():
        back = maps.flip(-1)[:, list(flipped)]
        if back.dim() == 5:
            back = torch.stack([-back[:, :, 0], back[:, :, 1]], dim=2)
        out[name] = (plain[name] + _moved(back, shift)) / 2
    return out


def _moved(maps: Tensor, shift: float) -> Tensor:
    """Maps moved to the right by a share of a cell, the left edge repeated; linear between cells."""
    if shift == 0:
        return maps
    before = F.pad(maps.flatten(0, -3), (1, 0), mode="replicate")[..., :-1].view_as(maps)
    return (1 - shift) * maps + shift * before
