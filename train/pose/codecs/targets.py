"""What maps should look like: Gaussians, discs and ways round the joints' cells, axis by axis.

A Gaussian is the product of one along x and one along y, and the x of a way depends on x alone: training
makes these for every crop, so no field of distances is made for them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def positions(shape: tuple[int, int]) -> NDArray[np.float64]:
    """[2, H, W]: x and y index of every cell."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.stack([x, y]).astype(np.float64)


def gaussian(cells: Floats, shape: tuple[int, int], sigma: float) -> NDArray[np.float32]:
    """[N, K, H, W]: exp(-|x - joint|^2 / (2 sigma^2)), sigma in cells, peak 1 where the joint is."""
    x, y = (np.exp(-0.5 * np.square(way) / sigma**2).astype(np.float32) for way in _ways(cells, shape))
    return y[..., :, None] * x[..., None, :]


def gaussian_mass(sigma: float) -> float:
    """Sum of squares of a `gaussian` over all cells: pi sigma^2."""
    return math.pi * sigma**2


def disc(cells: Floats, shape: tuple[int, int], radius: float) -> NDArray[np.bool_]:
    """[N, K, H, W]: cells within `radius` cells of the joint, borders included."""
    x, y = (np.square(way) for way in _ways(cells, shape))
    return y[..., :, None] + x[..., None, :] <= radius**2


def offsets(cells: Floats, held: NDArray[np.bool_], radius: float) -> NDArray[np.float32]:
    """[N, K, 2, H, W]: the way (x, y) from each cell to the joint in radii, 0 where not held [N, K, H, W]."""
    x, y = ((way / radius).astype(np.float32) for way in _ways(cells, held.shape[2:]))
    found = np.empty((*held.shape[:2], 2, *held.shape[2:]), np.float32)
    np.multiply(x[..., None, :], held, out=found[:, :, 0])
    np.multiply(y[..., :, None], held, out=found[:, :, 1])
    return found


def _ways(cells: Floats, shape: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[N, K, W] and [N, K, H]: from every column and every row to the joint."""
    cells = np.asarray(cells, np.float64)
    return cells[..., :1] - np.arange(shape[1]), cells[..., 1:] - np.arange(shape[0])
