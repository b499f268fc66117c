"""From clips to samples: the one chain of transforms, for test (prepare) and training (augmented_batch).

1. Frames that hold nobody are left out; T frames are taken from the rest, one of each of T equal
   segments: its centre for test, a random one for training. Short clips repeat frames.
2. Normalise and augment, together one affine map a clip. Rotation, shear and mirror come before min-max
   (whose box they change) and after body and body-yaw (whose yaw would undo them); scale is last.
3. Streams (motion is taken here, after resampling), standardised where the recipe says so, each frame
   brought to [0, 1] where it says so, then cut to [-limit, limit].

Absent persons are zero throughout. The first body of the first valid frame is the reference of all
persons of a clip, so that their distance is kept; it need not be person 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from train.data import streams
from train.data.augment import Draws, draw, still
from train.data.clip import Clip
from train.data.errors import DataError
from train.data.normalise import minmax
from train.data.recipe import Recipe
from train.data.samples import Samples, fold
from train.data.standard import standardise, with_statistics
from train.data.survey import Survey, bodies, measure, survey
from train.skeletons import Layout

__all__ = ["Recipe", "augmented_batch", "prepare", "standardised"]

_CHUNK = 256
"""Clips prepared at a time: bounds the memory of the intermediate arrays."""

MOST_MEASURED = 4096
"""Clips that mean and spread are taken from: of more, that many, evenly spaced. NTU would fill 6 GB."""


def prepare(clips: Sequence[Clip], recipe: Recipe, layout: Layout) -> Samples:
    """Samples of all clips without any chance: the test form, used for validation and deployment too."""
    if not clips:
        raise DataError("no clips to prepare: the split is empty; check --split and --data")
    xs, seen = [], []
    for start in range(0, len(clips), _CHUNK):
        chunk = [clip.read() for clip in clips[start : start + _CHUNK]]
        known = [measure(clip, recipe.normalise, layout) for clip in chunk]
        x, there = _apply(chunk, known, recipe, layout, still(recipe, len(chunk)))
        xs.append(x)
        seen.append(there)
    return Samples(
        x=np.concatenate(xs),
        present=np.concatenate(seen),
        labels=np.array([clip.label for clip in clips], np.int64),
        ids=tuple(clip.id for clip in clips),
        repeat=recipe.repeat,
    )


def augmented_batch(
    clips: Sequence[Clip],
    indices: Sequence[int] | NDArray[np.int64],
    recipe: Recipe,
    layout: Layout,
    seed: int,
    epoch: int,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """x: float32 [T, B*M, *shape] (persons of sample b at b*M ..), labels: int64 [B], for clips[indices].

    A sample's draws depend on (seed, epoch, its index) alone: they differ from epoch to epoch and are
    the same whatever the batch size, the order and the number of workers.
    """
    batch = [clips[i] for i in indices]
    if not batch:
        raise DataError("no clips in the batch: the training split is empty")
    persons, _, joints, _ = batch[0].joints.shape
    known = [survey(clip, recipe.normalise, layout) for clip in batch]
    x, _ = _apply(batch, known, recipe, layout, draw(recipe, seed, epoch, indices, persons, joints))
    return fold(x, recipe.repeat), np.array([clip.label for clip in batch], np.int64)


def standardised(clips: Sequence[Clip], recipe: Recipe, layout: Layout, seed: int) -> Recipe:
    """The recipe with mean and spread of these training clips, under epoch 0 of its augmentation.

    A recipe that has them, or wants none, comes back as it is. Of more than MOST_MEASURED clips, that many.
    """
    if recipe.mean or not recipe.standardise:
        return recipe
    raw = dataclasses.replace(recipe, framewise=False, limit=float("inf"), repeat=0)
    parts = []
    count = min(len(clips), MOST_MEASURED)
    chosen = np.arange(count) * len(clips) // count
    for start in range(0, count, _CHUNK):
        indices = chosen[start : start + _CHUNK]
        parts.append(augmented_batch(clips, indices, raw, layout, seed, 0)[0])
    return with_statistics(recipe, np.concatenate(parts, axis=1))


def _apply(
    clips: Sequence[Clip], surveys: Sequence[Survey], recipe: Recipe, layout: Layout, draws: Draws
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """x: float32 [B, M, T, C, V] and present: bool [B, M] of clips under their draws."""
    persons, _, joints, _ = clips[0].joints.shape
    picked = np.empty((len(clips), persons, recipe.frames, joints, 3), np.float32)
    seen = np.empty((len(clips), persons, recipe.frames), bool)
    present = np.empty((len(clips), persons), bool)
    matrix = np.empty((len(clips), 3, 3), np.float32)
    shift = np.empty((len(clips), 3), np.float32)
    for row, (clip, known) in enumerate(zip(clips, surveys, strict=True)):
        frames = _frames(known.frames, draws.window[row], draws.place[row])
        picked[row] = clip.joints[:, frames]
        seen[row] = known.there[:, frames]
        present[row] = known.present
        matrix[row], shift[row] = _map(clip, known, layout, draws.linear[row], draws.scale[row])
    flat = picked.reshape(len(clips), -1, 3)
    moved = (flat @ matrix.swapaxes(1, 2) + shift[:, None]).reshape(picked.shape)
    moved[draws.mirrored] = moved[draws.mirrored][..., _exchange(layout), :]
    if draws.noise is not None:
        moved += draws.noise
    moved *= seen[..., None, None]
    x = streams.compose(
        moved.swapaxes(-1, -2),
        recipe.stream,
        layout.parents,
        seen=seen,
        bone_gain=recipe.bone_gain,
        motion_gain=recipe.motion_gain,
    )
    if recipe.mean:
        x = standardise(x, seen, recipe)
    if recipe.framewise:
        x = _framewise(x)
    return np.clip(x, -recipe.limit, recipe.limit), present


def _framewise(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """x [..., C, V]: each frame and axis from its least joint, 0, to its largest, 1; constant ones are 0."""
    low = x.min(-1, keepdims=True)
    size = x.max(-1, keepdims=True) - low
    return (x - low) / np.where(size > 0, size, np.float32(1.0))


def _frames(
    valid: NDArray[np.int64], window: NDArray[np.float64], place: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Frame numbers [T]: one from each segment of the window over the valid frames.

    A clip in which nobody ever is gives its first frame T times.
    """
    if valid.size == 0:
        return np.zeros(len(place), np.int64)
    start, length = window * valid.size
    positions = start + (np.arange(len(place)) + place) * (length / len(place))
    # rounding may carry a position onto the end of the clip
    return valid[np.minimum(positions.astype(np.int64), valid.size - 1)]


def _map(
    clip: Clip, known: Survey, layout: Layout, linear: NDArray[np.float64], scale: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """matrix [3, 3] and shift [3] of normalisation and augmentation in the order of the module's text."""
    if known.body is not None:
        matrix, shift = known.body
        return scale * (linear @ matrix), scale * (linear @ shift)
    points = bodies(clip, known.there).reshape(-1, 3).T
    if points.size == 0:
        return np.eye(3), np.zeros(3)
    matrix, shift = minmax(linear.astype(np.float32) @ points)
    return scale * (matrix @ linear), scale * shift


def _exchange(layout: Layout) -> list[int]:
    """Joint order with left and right exchanged."""
    order = list(range(len(layout.joints)))
    for left, right in layout.pairs:
        order[left], order[right] = right, left
    return order
