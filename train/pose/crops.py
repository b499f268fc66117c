"""A person as a network sees them: the crop, its joints, and the way back to the image.

Annotations are pixel indices; a crop's joints are coordinates of its convention, which has the centre of the
first pixel at c: c is added on the way in and taken off on the way back. The region of a box, its matrix and
the sampling of pixels are `train.pose.affine`'s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from train.pose import affine
from train.pose.data import images
from train.pose.data.keypoints import KeypointSet
from train.pose.data.person import Person
from train.pose.recipe import MEAN, SPREAD, PoseRecipe

HALF_FROM = 4  # joints that a half must have to be looked at alone
HALF_MARGIN = 0.25  # of the half's box, on every side
STILL = 0.4  # share of people who are not turned


def region(person: Person, recipe: PoseRecipe) -> NDArray[np.float64]:
    """[4]: centre x, centre y, width, height of what is seen, before augmentation."""
    return affine.region(person.box, recipe.size, recipe.padding)


def crop(
    person: Person, matrix: NDArray[np.float64], recipe: PoseRecipe, pixels: NDArray[np.uint8] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """uint8 [H, W, 3] and joints float32 [K, 3]: x, y of the input, weight. pixels: the image, if read."""
    seen = images.read(person.image) if pixels is None else pixels
    picture = affine.warp(seen, matrix, recipe.size, recipe.pixels)
    xy = affine.apply(matrix, person.xy + recipe.pixels.c)
    weights = np.where(person.visibility > 0, person.weights, 0.0)
    xy = np.where(weights[:, None] > 0, xy, 0.0)
    return picture, np.concatenate([xy, weights[:, None]], axis=1).astype(np.float32)


def back(xy: NDArray[np.floating], matrices: NDArray[np.float64], recipe: PoseRecipe) -> NDArray[np.float64]:
    """Joints of inputs [N, K, 2] -> pixel indices of the images, by the matrices [N, 2, 3] of the crops."""
    return affine.apply(affine.inverse(matrices), xy) - recipe.pixels.c


def normalised(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """uint8 [N, H, W, 3] -> float32 [N, 3, H, W], channels last in memory: (x / 255 - mean) / spread."""
    scale = (1.0 / (255.0 * np.array(SPREAD))).astype(np.float32)
    shift = (np.array(MEAN) / np.array(SPREAD)).astype(np.float32)
    return (np.stack(pictures).astype(np.float32) * scale - shift).transpose(0, 3, 1, 2)


def plain(
    people: Sequence[Person], recipe: PoseRecipe
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """x [N, 3, H, W], joints [N, K, 3] and matrices [N, 2, 3] of people as they are. An image is read once
    for people who follow one another in it."""
    pictures, joints, matrices, last, pixels = [], [], [], None, None
    for person in people:
        if pixels is None or not images.same(person.image, last):
            last, pixels = person.image, images.read(person.image)
        matrices.append(affine.to_input(region(person, recipe), recipe.size, recipe.pixels))
        picture, found = crop(person, matrices[-1], recipe, pixels)
        pictures.append(picture)
        joints.append(found)
    return normalised(pictures), np.stack(joints), np.stack(matrices)


def augmented(
    people: Sequence[Person],
    at: Sequence[int],
    recipe: PoseRecipe,
    keypoints: KeypointSet,
    seed: int,
    epoch: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x [N, 3, H, W] and joints [N, K, 3] of the people at these indices; each draw is a function of
    (seed, epoch, index)."""
    pairs = [_varied(people[i], recipe, keypoints, np.random.default_rng([seed, epoch, i])) for i in at]
    return normalised([picture for picture, _ in pairs]), np.stack([joints for _, joints in pairs])


def _varied(
    person: Person, recipe: PoseRecipe, keypoints: KeypointSet, draw: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """One draw of half body, scale, shift, turn, mirror and colour; every draw is taken, used or not."""
    half, turned, mirrored, upper = draw.random(4)
    scale, angle, *shift = draw.uniform(-1.0, 1.0, 4)
    seen = _half(person, recipe, keypoints, upper < 0.5) if half < recipe.half_body else None
    seen = region(person, recipe) if seen is None else seen
    seen[:2] += recipe.shift * np.array(shift) * seen[2:]
    seen[2:] *= 1.0 + recipe.scale * scale
    turn = np.deg2rad(recipe.rotate_deg) * angle * (turned >= STILL)
    matrix = affine.to_input(seen, recipe.size, recipe.pixels, turn)
    flips = mirrored < recipe.mirror
    if flips:
        matrix = affine.compose(affine.mirror(recipe.width, recipe.pixels), matrix)
    picture, joints = crop(person, matrix, recipe)
    return coloured(picture, recipe.colour, draw), joints[list(keypoints.flipped)] if flips else joints


def _half(
    person: Person, recipe: PoseRecipe, keypoints: KeypointSet, upper: bool
) -> NDArray[np.float64] | None:
    """The region of one half of the body; None where too few of its joints are there."""
    part = np.isin(np.arange(keypoints.size), keypoints.upper) == upper
    there = person.xy[part & (person.weights > 0)]
    if len(there) < HALF_FROM:
        return None
    low, high = there.min(axis=0), there.max(axis=0)
    grow = np.maximum(HALF_MARGIN * (high - low), 2.0)
    return affine.region(np.concatenate([low - grow, high - low + 2 * grow]), recipe.size, recipe.padding)


def coloured(picture: NDArray[np.uint8], colour: float, draw: np.random.Generator) -> NDArray[np.uint8]:
    """Each channel v -> gain v + bias: contrast and a channel's gain, and brightness."""
    contrast, brightness, *gains = draw.uniform(-colour, colour, 5)
    gain = (1.0 + contrast) * (1.0 + np.array(gains) / 2)
    values = np.arange(256.0)[:, None]  # a table of 256 values a channel costs less than floats of all pixels
    table = np.clip(np.rint(128.0 + gain * (values - 128.0) + 128.0 * brightness), 0, 255).astype(np.uint8)
    return np.stack([table[picture[..., c], c] for c in range(3)], axis=-1)
