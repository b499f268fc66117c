"""Polygons of an image within which nothing is judged: PoseTrack18's ignore regions."""

from __future__ import annotations

import numpy as np


def inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """bool [K]: which points [K, 2] lie within the polygon [n, 2], by the even-odd rule.

    A ray to the right crosses the outline an odd number of times. A point exactly on the outline may fall
    either way: annotators' polygons have no exact outline.
    """
    if len(polygon) < 3:
        return np.zeros(len(points), bool)
    x, y = points[:, None, 0], points[:, None, 1]
    x0, y0 = polygon[:, 0], polygon[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    spans = (y0 > y) != (y1 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    return (np.where(spans, x < crossing, False).sum(axis=1) % 2).astype(bool)
