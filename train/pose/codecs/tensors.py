"""A grid's coordinates on tensors."""

from __future__ import annotations

import torch

from train.pose.convention import MapGrid


def to_input(grid: MapGrid, cells: torch.Tensor) -> torch.Tensor:
    """[..., 2] cell indices -> input coordinates, in the cells' type."""
    return cells * cells.new_tensor(grid.stride) + cells.new_tensor(grid.origin)
