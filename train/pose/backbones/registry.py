"""The backbones by name. Each takes [N, 3, H, W] and gives [N, channels, H/4, W/4]."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from train.pose.backbones.hrnet import HRNet
from train.pose.backbones.resnet import ResNet
from train.pose.backbones.small import Small

BACKBONES: dict[str, Callable[[], nn.Module]] = {
    "small": lambda: Small(32),
    "tiny": lambda: Small(16, (1, 1, 1, 1)),
    "resnet18": lambda: ResNet(18),
    "resnet50": lambda: ResNet(50),
    "hrnet-w32": lambda: HRNet(32),
}
LEVELLED = ("small", "tiny", "resnet18", "resnet50")
"""Those that `trunk` gives."""


def backbone(name: str) -> nn.Module:
    """A new backbone with `channels` and `stride`; a ValueError that lists the known ones otherwise."""
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone {name!r}; known: {', '.join(BACKBONES)}")
    return BACKBONES[name]()


def trunk(name: str) -> nn.Module:
    """A new backbone without its way up: its `levels(x)` are maps of strides 4, 8, 16, 32 with `widths`
    channels. A ValueError for one that has no such levels."""
    if name in BACKBONES and name not in LEVELLED:
        known = ", ".join(LEVELLED)
        raise ValueError(f"backbone {name!r}: gives the map of stride 4 alone, no pyramid; expected {known}")
    made = backbone(name)
    for part in made.way_up:
        delattr(made, part)
    return made
