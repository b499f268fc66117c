"""A box relative to another: the four numbers that a network gives.

    d = ((x - x_a) / w_a, (y - y_a) / h_a, log(w / w_a), log(h / h_a)) / spread

x, y the middles; the same four for a box twice as large twice as far. spread is about what d varies by, so
that losses of all four weigh alike (Faster R-CNN, Ren et al. 2015).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

PROPOSAL = (1.0, 1.0, 1.0, 1.0)  # anchors to proposals
REFINED = (0.1, 0.1, 0.2, 0.2)  # proposals to people: they are near already
FACTOR = math.log(
    64.0
)  # the most that a box grows or shrinks by: exp of an untrained output must stay finite
LEAST = 1e-3  # pixels: below it a side is taken to be that long


def encoded(boxes: Tensor, anchors: Tensor, spread: tuple[float, ...]) -> Tensor:
    """Boxes [..., 4] relative to anchors [..., 4] -> [..., 4]."""
    middle, size = _middle(boxes)
    from_middle, from_size = _middle(anchors)
    d = torch.cat([(middle - from_middle) / from_size, torch.log(size / from_size)], dim=-1)
    return d / d.new_tensor(spread)


def decoded(deltas: Tensor, anchors: Tensor, spread: tuple[float, ...]) -> Tensor:
    """The boxes that `encoded` gave these for, as long as none grew by more than e^FACTOR."""
    d = deltas * deltas.new_tensor(spread)
    from_middle, from_size = _middle(anchors)
    middle = from_middle + d[..., :2] * from_size
    half = from_size * torch.exp(d[..., 2:].clamp(-FACTOR, FACTOR)) / 2
    return torch.cat([middle - half, middle + half], dim=-1)


def _middle(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Middles and sizes [..., 2]."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, (high - low).clamp(min=LEAST)
