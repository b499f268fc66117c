"""Anchors: the boxes that proposals are told relative to, some in each cell of each map of the pyramid.

An anchor of size s and ratio r is s / sqrt(r) wide and s sqrt(r) high (r = height / width), so that all of
one size cover s^2 pixels; its middle is that of the cell: the cell i of a map of stride t covers
[t i, t (i + 1)], its middle is t (i + 1/2).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def shapes(size: float, ratios: Sequence[float]) -> Tensor:
    """[len(ratios), 4]: corners of the anchors about 0."""
    ratio = torch.tensor(ratios, dtype=torch.float32)
    half = torch.stack([size / ratio.sqrt(), size * ratio.sqrt()], dim=1) / 2
    return torch.cat([-half, half], dim=1)


def anchors(cells: tuple[int, int], stride: int, size: float, ratios: Sequence[float]) -> Tensor:
    """[H W len(ratios), 4] of a map of (H, W) cells: row by row, cell by cell, ratio by ratio."""
    y, x = ((torch.arange(n, dtype=torch.float32) + 0.5) * stride for n in cells)
    row, column = torch.meshgrid(y, x, indexing="ij")
    middles = torch.stack([column, row, column, row], dim=-1)
    return (middles[:, :, None] + shapes(size, ratios)).reshape(-1, 4)
