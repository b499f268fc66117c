"""Boxes as corners [..., 4]: left, upper, right, lower edge in pixels of the frame (convention `areas`).

A pixel is an area and 0 the frame's edge, so that a box's width is right - left, with no pixel added, and a
box of COCO [x, y, w, h] is [x, y, x + w, y + h].
"""

from __future__ import annotations

import torch
from torch import Tensor


def area(boxes: Tensor) -> Tensor:
    """[..., 4] -> [...]: square pixels; 0 for boxes that are turned inside out."""
    width, height = (boxes[..., axis + 2] - boxes[..., axis] for axis in (0, 1))
    return width.clamp(min=0) * height.clamp(min=0)


def shared(boxes: Tensor, others: Tensor) -> Tensor:
    """[..., A, 4], [..., B, 4] -> [..., A, B]: the area that both cover."""
    mine, theirs = boxes[..., :, None, :].unbind(-1), others[..., None, :, :].unbind(-1)
    # Axis by axis: a last dimension of two is several times slower.
    width, height = (
        (torch.minimum(mine[axis + 2], theirs[axis + 2]) - torch.maximum(mine[axis], theirs[axis])).clamp(
            min=0
        )
        for axis in (0, 1)
    )
    return width * height


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
