"""RoIAlign: what the maps of a pyramid hold within boxes, each as a grid of so many cells.

A RoI of h x w cells is cut into h x w bins. A bin's value is the mean of the map at SAMPLES x SAMPLES places,
at the middles of its equal parts, by bilinear interpolation between the centres of the map's cells:

    f(u, v) = sum_ij F[i, j] (1 - |u - j|)+ (1 - |v - i|)+,      u = x / t - 1/2,  v = y / t - 1/2

t the stride: the cell j covers [t j, t (j + 1)] as everywhere here (convention `areas`; elsewhere called
aligned = True). Off the map there is 0. Nothing is rounded, and nothing clamped to the border: a RoI that
sticks out of the frame sees nothing there.

Each RoI is read from one map: that of the largest stride at which the samples of a bin (its side: the
geometric mean) are at least a cell apart, within the strides there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SAMPLES = 2


def roi_align(
    maps: Sequence[Tensor], strides: Sequence[int], rois: Tensor, image: Tensor, cells: tuple[int, int]
) -> Tensor:
    """Maps [N, C, H, W] of ascending strides, RoIs [R, 4] (corners), image int64 [R] -> [R, C, h, w].

    cells: (h, w).
    """
    level = levels(rois, strides, cells)
    parts, order = [], []
    for number, (features, stride) in enumerate(zip(maps, strides, strict=True)):
        for n in range(len(features)):
            at = ((level == number) & (image == n)).nonzero()[:, 0]
            if len(at):
                parts.append(_read(features[n : n + 1], stride, rois[at], cells))
                order.append(at)
    if not parts:
        return maps[0].new_zeros((0, maps[0].shape[1], *cells))
    return torch.cat(parts)[torch.cat(order).argsort()]


def levels(rois: Tensor, strides: Sequence[int], cells: tuple[int, int]) -> Tensor:
    """int64 [R]: which of the strides each RoI is read from."""
    sides = (rois[:, 2:] - rois[:, :2]).clamp(min=1e-6)
    apart = (sides.prod(dim=1) / (cells[0] * cells[1])).sqrt() / SAMPLES
    ascending = torch.tensor(strides, dtype=apart.dtype, device=apart.device)
    # Exactly a cell apart must not become less by rounding.
    return (torch.bucketize(apart * (1 + 1e-6), ascending, right=True) - 1).clamp(min=0)


def _read(features: Tensor, stride: int, rois: Tensor, cells: tuple[int, int]) -> Tensor:
    """One map [1, C, H, W] within RoIs [R, 4] -> [R, C, h, w]."""
    h, w = cells
    height, width = features.shape[2] * stride, features.shape[3] * stride
    x = _places(rois[:, 0], rois[:, 2], w * SAMPLES) * (2 / width) - 1
    y = _places(rois[:, 1], rois[:, 3], h * SAMPLES) * (2 / height) - 1
    rows, columns = y.shape[1], x.shape[1]
    grid = torch.stack(
        [x[:, None].expand(-1, rows, -1), y[:, :, None].expand(-1, -1, columns)], dim=-1
    ).reshape(1, -1, columns, 2)
    found = F.grid_sample(features, grid.to(features.dtype), padding_mode="zeros", align_corners=False)
    found = F.avg_pool2d(found, SAMPLES)  # [1, C, R h, w]
    return found[0].unflatten(1, (len(rois), h)).transpose(0, 1)


def _places(low: Tensor, high: Tensor, count: int) -> Tensor:
    """[R, count]: middles of equal parts of [low, high]."""
    share = (torch.arange(count, dtype=low.dtype, device=low.device) + 0.5) / count
    return low[:, None] + (high - low)[:, None] * share
