"""A pinhole camera that looks along -z from above the origin.

World: x to the right, y up from the ground, z towards the viewer; metres. Pictures: pixel indices, x to the
right, y down, (0, 0) the centre of the first pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEAREST = 0.3
"""Metres: what is nearer, or behind the camera, is taken to be here."""


@dataclass(frozen=True, slots=True)
class Camera:
    """size: (width, height); focal: pixels; height above the ground: metres; tilt down, roll: radians."""

    size: tuple[int, int]
    focal: float
    height: float
    tilt: float = 0.0
    roll: float = 0.0

    def depth(self, points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """[..., 3] -> [...]: metres ahead of the camera."""
        return np.maximum(self._seen(points)[..., 2], NEAREST)

    def project(self, points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """[..., 3] world -> [..., 2] pixel indices."""
        return self.look(points)[0]

    def look(self, points: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """[..., 3] world -> [..., 2] pixel indices, and [...] metres ahead."""
        seen = self._seen(points)
        ahead = np.maximum(seen[..., 2], NEAREST)
        flat = self.focal * seen[..., :2] / ahead[..., None]
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        turned = np.stack(
            [cos * flat[..., 0] - sin * flat[..., 1], sin * flat[..., 0] + cos * flat[..., 1]], -1
        )
        return turned + (np.array(self.size) - 1) / 2, ahead

    def pixels(self, metres: float, depth: float) -> float:
        """How long a length is in the picture at a depth."""
        return self.focal * metres / max(depth, NEAREST)

    def _seen(self, points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """[..., 3]: right, down, ahead."""
        x, y, z = np.moveaxis(np.asarray(points, np.float64), -1, 0)
        down, ahead = self.height - y, -z
        cos, sin = np.cos(self.tilt), np.sin(self.tilt)
        return np.stack([x, cos * down - sin * ahead, sin * down + cos * ahead], axis=-1)
