"""What maps should look like: Gaussians and discs round the joints' cells."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def positions(shape: tuple[int, int]) -> NDArray[np.float64]:
    """[2, H, W]: x and y index of every cell."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.stack([x, y]).astype(np.float64)


def towards(cells: Floats, shape: tuple[int, int]) -> NDArray[np.float64]:
    """cells [N, K, 2] -> [N, K, 2, H, W]: the way (x, y) from every cell to the joint."""
    return np.asarray(cells, np.float64)[..., None, None] - positions(shape)


def gaussian(cells: Floats, shape: tuple[int, int], sigma: float) -> NDArray[np.float32]:
    """[N, K, H, W]: exp(-|x - joint|^2 / (2 sigma^2)), sigma in cells, peak 1 where the joint is."""
    squared = np.square(towards(cells, shape)).sum(axis=2)
    return np.exp(-0.5 * squared / sigma**2).astype(np.float32)


def disc(cells: Floats, shape: tuple[int, int], radius: float) -> NDArray[np.bool_]:
    """[N, K, H, W]: cells within `radius` cells of the joint, borders included."""
    return np.square(towards(cells, shape)).sum(axis=2) <= radius**2
