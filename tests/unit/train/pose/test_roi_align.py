"""RoIAlign against a loop over samples and cells, by numerical gradients, in the one pixel convention."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from train.pose.convention import AREAS
from train.pose.rcnn.roi_align import SAMPLES, levels, roi_align

STRIDES = (4, 8)


def bilinear(field, u, v):
    """sum F[i, j] (1 - |u - j|)+ (1 - |v - i|)+, over all cells; 0 off the map."""
    total = 0.0
    for i in range(field.shape[0]):
        for j in range(field.shape[1]):
            total += field[i, j] * max(0.0, 1 - abs(u - j)) * max(0.0, 1 - abs(v - i))
    return total


def by_loop(field, stride, roi, cells):
    """[h, w] of one channel [H, W]."""
    x1, y1, x2, y2 = roi
    h, w = cells
    found = np.zeros(cells)
    for i, j in np.ndindex(h, w):
        for a, b in np.ndindex(SAMPLES, SAMPLES):
            x = x1 + (x2 - x1) * (j + (b + 0.5) / SAMPLES) / w
            y = y1 + (y2 - y1) * (i + (a + 0.5) / SAMPLES) / h
            u, v = AREAS.resize(np.array([x, y]), stride, 1) - AREAS.c
            found[i, j] += bilinear(field, u, v) / SAMPLES**2
    return found


@pytest.fixture
def maps():
    draw = torch.Generator().manual_seed(1)
    return [torch.randn(2, 3, n, n + 2, generator=draw, dtype=torch.float64) for n in (8, 4)]


ROIS = torch.tensor(
    [
        [3.0, 5.0, 21.5, 30.25],  # inside
        [-6.0, -3.0, 9.0, 7.0],  # out at the upper left
        [30.0, 20.0, 60.0, 50.0],  # out at the lower right
        [-8.0, -8.0, 56.0, 48.0],  # all, and more
        [7.1, 7.1, 7.2, 7.3],  # hardly anything
        [-90.0, -90.0, -50.0, -50.0],  # nothing
    ],
    dtype=torch.float64,
)


@pytest.mark.parametrize("cells", [(3, 2), (1, 4)])
def test_it_is_the_loop(maps, cells):
    image = torch.tensor([0, 1, 1, 0, 0, 1])
    found = roi_align(maps, STRIDES, ROIS, image, cells)
    assert found.shape == (6, 3, *cells)
    at = levels(ROIS, STRIDES, cells)
    assert len(set(at.tolist())) == 2  # both maps are read
    for r, roi in enumerate(ROIS.tolist()):
        for c in range(3):
            field = maps[at[r]][image[r], c].numpy()
            np.testing.assert_allclose(found[r, c], by_loop(field, STRIDES[at[r]], roi, cells), atol=1e-12)
    assert not found[5].any() and found[4].any()


def test_gradients_are_those_of_the_sums(maps):
    image = torch.tensor([0, 1, 1, 0, 0, 1])
    given = [m[:, :1].clone().requires_grad_() for m in maps]
    assert torch.autograd.gradcheck(lambda *m: roi_align(m, STRIDES, ROIS, image, (2, 2)), given)


def test_a_ramp_is_read_where_it_is():
    """F = the coordinate itself, at the centres of cells: a bin's mean is the coordinate of its middle."""
    x, y = torch.meshgrid(torch.arange(10) * 4 + 2.0, torch.arange(8) * 4 + 2.0, indexing="xy")
    found = roi_align(
        [torch.stack([x, y])[None]], (4,), torch.tensor([[6.0, 9, 30, 25]]), torch.zeros(1).long(), (4, 6)
    )
    torch.testing.assert_close(found[0, 0, 0], 6 + 24 * (torch.arange(6) + 0.5) / 6)
    torch.testing.assert_close(found[0, 1, :, 0], 9 + 16 * (torch.arange(4) + 0.5) / 4)


def test_no_roi_is_no_rows(maps):
    found = roi_align(maps, STRIDES, ROIS[:0], torch.zeros(0).long(), (3, 2))
    assert found.shape == (0, 3, 3, 2)


def test_the_map_is_the_coarsest_whose_cells_tell_the_samples_of_a_bin_apart():
    sides = torch.tensor([3.0, 31.9, 32.0, 63.9, 64.0, 5000.0])
    rois = torch.stack([torch.zeros(6), torch.zeros(6), sides, sides], dim=1)
    assert levels(rois, (4, 8), (4, 4)).tolist() == [0, 0, 0, 0, 1, 1]
