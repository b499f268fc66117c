"""Boxes as corners [..., 4]: left, upper, right, lower edge in pixels of the frame (convention `areas`).

A pixel is an area and 0 the frame's edge, so that a box's width is right - left, with no pixel added, and a
box of COCO [x, y, w, h] is [x, y, x + w, y + h].
"""

from __future__ import annotations

import torch
from torch import Tensor


def area(boxes: Tensor) -> Tensor:
    """[..., 4] -> [...]: square pixels; 0 for boxes that are turned inside out."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)


def shared(boxes: Tensor, others: Tensor) -> Tensor:
    """[..., A, 4], [..., B, 4] -> [..., A, B]: the area that both cover."""
    low = torch.maximum(boxes[..., :, None, :2], others[..., None, :, :2])
    high = torch.minimum(boxes[..., :, None, 2:], others[..., None, :, 2:])
    return (high - low).clamp(min=0).prod(dim=-1)


def iou(boxes: Tensor, others: Tensor) -> Tensor:
    """[..., A, 4], [..., B, 4] -> [..., A, B] in [0, 1]: intersection over union; 0 where both are empty."""
    both = shared(boxes, others)
    union = area(boxes)[..., :, None] + area(others)[..., None, :] - both
    return both / union.clamp(min=1e-6)


def covered(boxes: Tensor, others: Tensor) -> Tensor:
    """[..., A, 4], [..., B, 4] -> [..., A, B] in [0, 1]: the share of each box that another covers."""
    return shared(boxes, others) / area(boxes)[..., :, None].clamp(min=1e-6)


def clipped(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """[..., 4] within a frame of (width, height)."""
    width, height = size
    return torch.minimum(boxes.clamp(min=0), boxes.new_tensor([width, height, width, height]))
