"""Random draws of the augmentation: a function of (seed, epoch, sample) and of nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.data.recipe import Recipe

_UNIFORMS = 12  # yaw, pitch, scale, six of shear, mirror, crop length, crop place


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Draws for B samples.

    linear: float64 [B, 3, 3], shear, mirror and rotation; scale: float64 [B]; mirrored: bool [B];
    window: float64 [B, 2], start and length as shares of the clip; place: float64 [B, T] in [0, 1),
    where in its segment a frame is taken; noise: float32 [B, M, T, V, 3] or None.
    """

    linear: NDArray[np.float64]
    scale: NDArray[np.float64]
    mirrored: NDArray[np.bool_]
    window: NDArray[np.float64]
    place: NDArray[np.float64]
    noise: NDArray[np.float32] | None


def draw(recipe: Recipe, seed: int, epoch: int, indices: Sequence[int], persons: int, joints: int) -> Draws:
    """Each sample has a generator of its own, so that neither workers nor the batch change a draw."""
    count, frames = len(indices), recipe.frames
    uniform = np.empty((count, _UNIFORMS + frames))
    noise = np.empty((count, persons, frames, joints, 3), np.float32) if recipe.noise else None
    for row, index in enumerate(indices):
        generator = np.random.default_rng([seed, epoch, int(index)])
        generator.random(out=uniform[row])
        if noise is not None:
            generator.standard_normal(dtype=np.float32, out=noise[row])
    if noise is not None:
        noise *= np.float32(recipe.noise)
    signed = 2.0 * uniform - 1.0
    mirrored = uniform[:, 9] < recipe.mirror
    length = 1.0 - (1.0 - recipe.crop) * uniform[:, 10]
    window = np.stack([(1.0 - length) * uniform[:, 11], length], axis=1)
    place = uniform[:, _UNIFORMS:] if recipe.jitter else np.full((count, frames), 0.5)
    return Draws(
        linear=_linear(recipe, signed, mirrored),
        scale=1.0 + recipe.scale * signed[:, 2],
        mirrored=mirrored,
        window=window,
        place=place,
        noise=noise,
    )


def still(recipe: Recipe, count: int) -> Draws:
    """No augmentation: the identity, the whole clip, the centre of each segment."""
    return Draws(
        linear=np.broadcast_to(np.eye(3), (count, 3, 3)),
        scale=np.ones(count),
        mirrored=np.zeros(count, bool),
        window=np.broadcast_to([0.0, 1.0], (count, 2)),
        place=np.full((count, recipe.frames), 0.5),
        noise=None,
    )


def _linear(recipe: Recipe, signed: NDArray[np.float64], mirrored: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[B, 3, 3]: pitch about x after yaw about y after shear after mirror (x -> -x)."""
    count = len(signed)
    angles = np.deg2rad([recipe.rotate_y_deg, recipe.rotate_x_deg]) * signed[:, :2]
    (cos_y, cos_x), (sin_y, sin_x) = np.cos(angles).T, np.sin(angles).T
    yaw = np.zeros((count, 3, 3))
    yaw[:, 0, 0], yaw[:, 0, 2], yaw[:, 1, 1] = cos_y, sin_y, 1.0
    yaw[:, 2, 0], yaw[:, 2, 2] = -sin_y, cos_y
    pitch = np.zeros((count, 3, 3))
    pitch[:, 0, 0], pitch[:, 1, 1], pitch[:, 1, 2] = 1.0, cos_x, -sin_x
    pitch[:, 2, 1], pitch[:, 2, 2] = sin_x, cos_x
    shear = np.zeros((count, 3, 3))
    shear[:, *np.nonzero(~np.eye(3, dtype=bool))] = recipe.shear * signed[:, 3:9]
    shear += np.eye(3)
    shear[:, :, 0] *= np.where(mirrored, -1.0, 1.0)[:, None]
    return pitch @ yaw @ shear
