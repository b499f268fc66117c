"""Normalisations of a clip: each is one affine map x -> matrix x + shift for all its joints and frames.

minmax     each axis to [-1, 1] over the whole clip; an axis without extent becomes 0. Distorts the body.
body       origin in the layout's centre joint of the first frame, unit = 5 mean bone lengths (about the
           height of a shoulder above the ground); isotropic, so that lengths and angles keep their ratio.
body-yaw   body, and turned about the vertical so that the line through shoulders and hips of the first
           frame runs along x (left positive): what remains is the action as the person sees it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from train.data.errors import DataError
from train.skeletons import Layout

BONES_PER_UNIT = 5.0
SMALLEST = 1e-6
"""[m] Extents below this are taken for none: nothing is divided by them."""


class Affine(NamedTuple):
    """x -> matrix @ x + shift; matrix: float64 [3, 3], shift: float64 [3]."""

    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]


def affine(name: str, bodies: NDArray[np.float32], layout: Layout) -> Affine:
    """bodies: [K, V, 3], all bodies that are there, frame by frame, persons in order; K may be 0."""
    if len(bodies) == 0:
        return Affine(np.eye(3), np.zeros(3))
    if name == "minmax":
        return minmax(bodies.reshape(-1, 3).T)
    if name in ("body", "body-yaw"):
        return body(bodies, layout, yaw=name == "body-yaw")
    raise DataError(f"unknown normalisation {name!r}; expected minmax, body or body-yaw")


def minmax(points: NDArray[np.float32]) -> Affine:
    """points: [3, N > 0]. Per axis (2 x - high - low) / (high - low); 0 where the axis has no extent."""
    low = points.min(axis=1).astype(np.float64)
    high = points.max(axis=1).astype(np.float64)
    extent = high - low
    gain = np.where(extent > SMALLEST, 2.0 / np.maximum(extent, SMALLEST), 0.0)
    return Affine(np.diag(gain), -gain * (high + low) / 2.0)


def body(bodies: NDArray[np.float32], layout: Layout, *, yaw: bool) -> Affine:
    """(x - centre) / size, turned by the yaw of the first body where asked."""
    turn = _yaw(bodies[0], layout) if yaw else np.eye(3)
    matrix = turn / _size(bodies, layout)
    return Affine(matrix, -matrix @ bodies[0, layout.centre].astype(np.float64))


def _size(bodies: NDArray[np.float32], layout: Layout) -> float:
    """[m] 5 mean bone lengths, the median over the bodies: one bad frame does not move it."""
    bones = bodies - bodies[:, list(layout.parents)]
    lengths = np.sqrt(np.einsum("kvc,kvc->kv", bones, bones))
    size = BONES_PER_UNIT * float(np.median(lengths.sum(axis=1))) / (len(layout.parents) - 1)
    return size if size > SMALLEST else 1.0


def _yaw(first: NDArray[np.float32], layout: Layout) -> NDArray[np.float64]:
    """Rotation about y that brings left minus right of shoulders and hips onto +x; identity if vertical."""
    line = np.zeros(3)
    for left, right in layout.pairs:
        if any(part in layout.joints[left] for part in ("shoulder", "hip")):
            line += first[left] - first[right]
    length = float(np.hypot(line[0], line[2]))
    if length <= SMALLEST:
        return np.eye(3)
    cosine, sine = line[0] / length, line[2] / length
    return np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])
