"""The cells round the highest one, for all maps of a batch at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Peak(NamedTuple):
    """index: int64 [N, K] into the flattened map; cell: [N, K, 2], (x, y); value: [N, K]."""

    index: Tensor
    cell: Tensor
    value: Tensor


class Window(NamedTuple):
    """cell: [N, K, S, 2] indices, off the map too; index: int64 [N, K, S] of the nearest cell that is on it;
    inside: [N, K, S], 1 on the map, 0 off it."""

    cell: Tensor
    index: Tensor
    inside: Tensor

    def of(self, field: Tensor) -> Tensor:
        """[N, K, H, W] -> [N, K, S]: the map's values at the window's cells."""
        return torch.gather(field.flatten(2), 2, self.index)


def peak(heatmap: Tensor) -> Peak:
    """The highest cell of each map [N, K, H, W]; the first where several are."""
    flat = heatmap.flatten(2)
    index = flat.argmax(dim=2)
    width = heatmap.shape[3]
    cell = torch.stack([index % width, index // width], dim=2).to(heatmap.dtype)
    return Peak(index, cell, torch.gather(flat, 2, index[..., None])[..., 0])


def window(centre: Tensor, shape: tuple[int, int], reach: int) -> Window:
    """The square of cells up to `reach` from the centres [N, K, 2] along either axis; they are whole."""
    steps = torch.arange(-reach, reach + 1, dtype=centre.dtype, device=centre.device)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    cell = centre[:, :, None] + torch.stack([x, y], dim=-1).reshape(1, 1, -1, 2)
    most = torch.tensor([shape[1] - 1, shape[0] - 1], dtype=cell.dtype, device=cell.device)
    near = torch.minimum(cell.clamp(min=0), most)
    inside = (near == cell).all(dim=-1).to(cell.dtype)
    index = (near[..., 1] * shape[1] + near[..., 0]).long()
    return Window(cell, index, inside)
