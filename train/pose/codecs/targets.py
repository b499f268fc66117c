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
    cells = np.asarray(cells, np.float64)
    # A product of one Gaussian along each axis: H + W exponentials a joint instead of H W.
    x, y = (
        np.exp(-0.5 * np.square(np.arange(n) - cells[..., axis, None]) / sigma**2).astype(np.float32)
        for axis, n in ((0, shape[1]), (1, shape[0]))
    )
    return y[..., :, None] * x[..., None, :]


def disc(cells: Floats, shape: tuple[int, int], radius: float) -> NDArray[np.bool_]:
    """[N, K, H, W]: cells within `radius` cells of the joint, borders included."""
    return np.square(towards(cells, shape)).sum(axis=2) <= radius**2
