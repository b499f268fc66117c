"""A picture while it is painted, back to front: colours, and who was painted last at every pixel."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
_SHIFT = 4
"""Sixteenths of a pixel: OpenCV's polygons take whole numbers."""
_CIRCLE = np.stack([f(np.arange(16) * np.pi / 8) for f in (np.cos, np.sin)], axis=-1)


class Cloth(NamedTuple):
    """tile: float32 [h, w, 3], repeated over the picture from an anchor; gloss: how round it looks, 0..1."""

    tile: NDArray[np.float32]
    gloss: float = 0.5


class Canvas:
    """pixels: float32 [H, W, 3], 0..255; owner: int32 [H, W], 0 nobody."""

    def __init__(self, background: NDArray[np.float32]) -> None:
        self.pixels = background.astype(np.float32)
        self.owner = np.zeros(background.shape[:2], np.int32)

    def paint(self, outline: Floats, cloth: Cloth, owner: int, light: Floats, anchor: Floats) -> None:
        """Fill an outline [P, 2] (pixel indices, convex). light: [2] where it comes from, in the picture."""
        height, width = self.owner.shape
        low = np.maximum(np.floor(outline.min(axis=0)).astype(int) - 1, 0)
        high = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + 2, (width, height))
        if (high <= low).any():
            return
        shape = (int(high[1] - low[1]), int(high[0] - low[0]))
        # Far off the picture nothing can be seen of a coordinate, and OpenCV's integers must hold it.
        near = np.clip(outline - low, -4000, 4000)
        points = np.rint(near * 2**_SHIFT).astype(np.int32)
        mask = np.zeros(shape, np.uint8)
        cv2.fillConvexPoly(mask, points, 255, cv2.LINE_AA, _SHIFT)
        window = np.s_[low[1] : high[1], low[0] : high[0]]
        share = (mask.astype(np.float32) / 255.0)[..., None]
        colours = _tiled(cloth.tile, shape, low - np.rint(anchor).astype(int))
        colours = colours * _shade(mask, near, light, cloth.gloss)[..., None]
        self.pixels[window] += share * (colours - self.pixels[window])
        self.owner[window][mask > 127] = owner


def hull(centres: Floats, radii: Floats) -> NDArray[np.float64]:
    """[P, 2]: outline of circles [n, 2], [n] and of all between them."""
    points = (centres[:, None] + radii[:, None, None] * _CIRCLE).reshape(-1, 2)
    return cv2.convexHull(points.astype(np.float32))[:, 0].astype(np.float64)


def _tiled(tile: NDArray[np.float32], shape: tuple[int, int], start: NDArray[Any]) -> NDArray[np.float32]:
    if tile.shape[:2] == (1, 1):
        return tile
    rows = (np.arange(shape[0]) + start[1]) % tile.shape[0]
    columns = (np.arange(shape[1]) + start[0]) % tile.shape[1]
    return tile[rows[:, None], columns]


def _shade(mask: NDArray[np.uint8], outline: Floats, light: Floats, gloss: float) -> NDArray[np.float32]:
    """[h, w] about 1: brighter on the side the light comes from, across the outline's short side."""
    middle = outline.mean(axis=0)
    spread = outline - middle
    _, vectors = np.linalg.eigh(spread.T @ spread)
    across = vectors[:, 0] if vectors[:, 0] @ light >= 0 else -vectors[:, 0]
    half = max(float(np.abs(spread @ across).max()), 1.0)
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    place = ((x - middle[0]) * across[0] + (y - middle[1]) * across[1]) / half
    strength = 0.35 + 0.65 * abs(float(across @ light))
    round_ = np.sqrt(np.clip(1.0 - np.square(np.clip(place - 0.35, -1.35, 1.0)) / 1.9, 0.05, 1.0))
    return (1.0 - gloss * strength + 1.12 * gloss * strength * round_).astype(np.float32)
