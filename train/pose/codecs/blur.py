"""A Gaussian blur as two matrices: b = B_y h B_x^T. The same numbers in numpy, torch and ONNX."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TAPS = 11
"""Cells of the kernel along an axis: what DARK and UDP are used with."""


def blur_matrix(n: int, sigma: float, taps: int = TAPS) -> NDArray[np.float64]:
    """[n, n]: row i averages round cell i with weights exp(-d^2 / (2 sigma^2)); nothing lies off the map."""
    distance = np.arange(n)[:, None] - np.arange(n)
    reach = taps // 2
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1)) / sigma**2)
    return np.where(np.abs(distance) <= reach, np.exp(-0.5 * distance**2 / sigma**2), 0.0) / kernel.sum()
