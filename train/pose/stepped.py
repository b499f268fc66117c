"""A pose network in the form that graphs are traced from: time-major, [T, N, 3, H, W].

An image network has no time; a graph is per step. Here every image is a step of its own, so that the network
of frames is the network of a video whose steps are frames.
"""

from __future__ import annotations

import copy

from torch import nn

from train.pose.backbones.small import Cells
from train.stepwise import Stepwise

_IMAGE = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.AvgPool2d, nn.MaxPool2d, nn.Upsample)


def time_major(model: nn.Module) -> nn.Module:
    """A copy of a network of images [N, C, H, W] that takes and gives [T, N, C, H, W]; eval mode."""
    made = copy.deepcopy(model).eval()
    for parent in list(made.modules()):
        if isinstance(parent, Cells):
            parent.lead = 2
        for name, child in list(parent.named_children()):
            if type(child) in _IMAGE:
                setattr(parent, name, Stepwise(child))
    return made
