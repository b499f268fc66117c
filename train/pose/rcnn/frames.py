"""A scene as the network sees it: the frame, its people as labels, and the way back to the image.

The image is scaled alike along both axes until it fits the frame, and lies in its middle; outside there is
black. Labels are float32 [M, 5 + 3K], a row a person or region, as `truth` takes them apart:

    left, upper, right, lower   the box in the frame, cut off at its edges
    kind                        1 a person, -1 a region to be ignored, 0 nothing
    x, y, weight                of each joint, in pixels of the frame; all 0 for people without joints
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from train.pose import affine
from train.pose.convention import AREAS
from train.pose.crops import coloured, normalised
from train.pose.data import images
from train.pose.data.keypoints import KeypointSet
from train.pose.rcnn.recipe import SceneRecipe
from train.pose.rcnn.scenes import Scene

PERSON, NOTHING, IGNORED = 1.0, 0.0, -1.0
SEEN = 0.3  # of a box's area: who shows less of it within the frame is ignored, not taught


class Truth(NamedTuple):
    """boxes [N, M, 4] corners; kind [N, M]; joints [N, M, K, 3]: x, y, weight. Pixels of the frame."""

    boxes: Tensor
    kind: Tensor
    joints: Tensor


def truth(labels: Tensor) -> Truth:
    """Labels [N, M, 5 + 3K], taken apart."""
    return Truth(labels[..., :4], labels[..., 4], labels[..., 5:].unflatten(-1, (-1, 3)))


class View(NamedTuple):
    """How a frame shows an image: matrix [2, 3] from its coordinates to the frame's, its (width, height)."""

    matrix: NDArray[np.float64]
    size: tuple[int, int]


def seen(pixels: NDArray[np.uint8], recipe: SceneRecipe) -> tuple[NDArray[np.uint8], View]:
    """The frame of an image as it is [H, W, 3], and how it shows it."""
    view = _placed(pixels, recipe)
    return affine.warp(pixels, view.matrix, recipe.size, AREAS), view


def plain(
    found: Sequence[Scene], recipe: SceneRecipe
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[View]]:
    """x [N, 3, H, W], labels [N, M, 5 + 3K] and views of scenes as they are."""
    frames = [seen(images.read(scene.image), recipe) for scene in found]
    labels = [_labels(scene, view.matrix, recipe) for scene, (_, view) in zip(found, frames, strict=True)]
    return normalised([picture for picture, _ in frames]), _padded(labels), [view for _, view in frames]


def _placed(pixels: NDArray[np.uint8], recipe: SceneRecipe) -> View:
    height, width = pixels.shape[:2]
    whole = affine.region(np.array([0.0, 0.0, width, height]), recipe.size, 1.0)
    return View(affine.to_input(whole, recipe.size, AREAS), (width, height))


def augmented(
    found: Sequence[Scene],
    at: Sequence[int],
    recipe: SceneRecipe,
    keypoints: KeypointSet,
    seed: int,
    epoch: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x [N, 3, H, W] and labels [N, M, 5 + 3K] of the scenes at these indices; each draw is a function of
    (seed, epoch, index)."""
    pairs = [_varied(found[i], recipe, keypoints, np.random.default_rng([seed, epoch, i])) for i in at]
    return normalised([picture for picture, _ in pairs]), _padded([labels for _, labels in pairs])


def _varied(
    scene: Scene, recipe: SceneRecipe, keypoints: KeypointSet, draw: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """One draw of scale, shift, mirror and colour; every draw is taken, used or not."""
    mirrored = draw.random()
    scale, *shift = draw.uniform(-1.0, 1.0, 3)
    pixels = images.read(scene.image)
    size = np.array(recipe.size)
    factor = 1.0 + recipe.scale * scale
    moved = size / 2 * (1.0 - factor) + recipe.shift * np.array(shift) * size
    about_middle = np.array([[factor, 0.0, moved[0]], [0.0, factor, moved[1]]])
    matrix = affine.compose(about_middle, _placed(pixels, recipe).matrix)
    flips = mirrored < recipe.mirror
    if flips:
        matrix = affine.compose(affine.mirror(recipe.width, AREAS), matrix)
    picture = affine.warp(pixels, matrix, recipe.size, AREAS)
    labels = _labels(scene, matrix, recipe, keypoints.flipped if flips else None)
    return coloured(picture, recipe.colour, draw), labels


def _labels(
    scene: Scene, matrix: NDArray[np.float64], recipe: SceneRecipe, flipped: Sequence[int] | None = None
) -> NDArray[np.float32]:
    """[M, 5 + 3K]. flipped: the joint that each joint becomes, where the matrix mirrors."""
    joints = len(scene.people[0].xy)
    rows = []
    for person in scene.people:
        weights = np.where(person.visibility > 0, person.weights, 0.0)
        xy = np.where(weights[:, None] > 0, affine.apply(matrix, person.xy + AREAS.c), 0.0)
        triples = np.concatenate([xy, weights[:, None]], axis=1)
        rows.append((person.box, PERSON, triples if flipped is None else triples[list(flipped)]))
    blank = np.zeros((joints, 3))
    rows += [(box, PERSON, blank) for box in scene.others] + [(box, IGNORED, blank) for box in scene.crowds]
    found = [_row(box, kind, triples, matrix, recipe.size) for box, kind, triples in rows]
    return np.stack(found).astype(np.float32)


def _row(
    box: NDArray[np.float64], kind: float, joints: NDArray[np.float64], matrix: NDArray[np.float64],
    size: tuple[int, int],
) -> NDArray[np.float64]:  # fmt: skip
    """One label; who is out of the frame is nothing, who is nearly out is ignored."""
    # A box's edges are places of the plane, and `areas` has the plane's own coordinates.
    ends = affine.apply(matrix, np.stack([box[:2], box[:2] + box[2:]]))
    low, high = ends.min(axis=0), ends.max(axis=0)
    inner_low, inner_high = np.maximum(low, 0.0), np.minimum(high, size)
    inside = np.maximum(inner_high - inner_low, 0.0).prod() / (high - low).prod()
    if (inner_high - inner_low < 1.0).any():
        return np.zeros(5 + joints.size)
    kind = IGNORED if inside < SEEN else kind
    return np.concatenate([inner_low, inner_high, [kind], joints.reshape(-1)])


def _padded(labels: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """[N, M, ...] with rows of nothing behind; M at least 1."""
    most = max(1, *(len(rows) for rows in labels))
    found = np.zeros((len(labels), most, labels[0].shape[1]), np.float32)
    for n, rows in enumerate(labels):
        found[n, : len(rows)] = rows
    return found
