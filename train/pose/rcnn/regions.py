"""Ratio-consistent RoIs: a person's box widened to the codec's aspect ratio, never stretched to it.

Mask R-CNN reads every box as a square grid, so that tall people come out wide and lying ones high. Here the
box grows on its shorter side until it has the ratio of the codec's input, then by `padding` on all sides, as
the crops of the two-stage estimator do (`train.pose.affine.region`): a pixel of the frame is as wide as high
in the RoI too, and OGN's abstract's "ratio-consistent" is read as this.
"""

from __future__ import annotations

import torch
from torch import Tensor


def ratio_consistent(boxes: Tensor, size: tuple[int, int], padding: float) -> Tensor:
    """Corners [..., 4] -> corners [..., 4] about the same middles, of the aspect ratio of size (w, h)."""
    middle, sides = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    width = torch.maximum(sides[..., 0], sides[..., 1] * (size[0] / size[1]))
    half = torch.stack([width, width * (size[1] / size[0])], dim=-1) * (padding / 2)
    return torch.cat([middle - half, middle + half], dim=-1)


def to_region(xy: Tensor, regions: Tensor, size: tuple[int, int]) -> Tensor:
    """Places of the frame [R, K, 2] -> of an input of `size` that shows each region [R, 4]."""
    low, sides = regions[:, None, :2], (regions[:, 2:] - regions[:, :2])[:, None]
    return (xy - low) / sides * sides.new_tensor(size)


def from_region(xy: Tensor, regions: Tensor, size: tuple[int, int]) -> Tensor:
    """The way back."""
    low, sides = regions[:, None, :2], (regions[:, 2:] - regions[:, :2])[:, None]
    return low + xy / sides.new_tensor(size) * sides
