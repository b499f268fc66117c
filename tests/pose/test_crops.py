"""Crops: a joint stays on its pixel through box, turn, mirror and back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from train.data.errors import DataError
from train.pose import affine
from train.pose.convention import CONVENTIONS
from train.pose.crops import augmented, back, crop, normalised, plain, region
from train.pose.data import images
from train.pose.data.keypoints import COCO
from train.pose.data.person import Person
from train.pose.recipe import MEAN, SPREAD, PoseRecipe


@pytest.fixture
def marked() -> Person:
    """Joints on a grid of noise; joint 3 is absent."""
    xy = np.stack([40.0 + 30 * (np.arange(17) % 5), 30.0 + 35 * (np.arange(17) // 5)], axis=1)
    pixels = np.random.default_rng(0).integers(0, 256, (180, 240, 3), np.uint8)
    seen = np.full(17, 2, np.int8)
    seen[3], xy[3] = 0, 0
    weights = (seen > 0).astype(np.float32)
    return Person(pixels, np.array([20.0, 10, 180, 140]), xy, seen, weights, 1, 1, "1")


@pytest.mark.parametrize("convention", sorted(CONVENTIONS))
@pytest.mark.parametrize("degrees", [0, 25])
@pytest.mark.parametrize("mirrored", [False, True])
def test_joints_stay_on_their_pixels(marked, convention, degrees, mirrored):
    recipe = PoseRecipe(convention=convention)
    matrix = affine.to_input(region(marked, recipe), recipe.size, recipe.pixels, np.deg2rad(degrees))
    if mirrored:
        matrix = affine.compose(affine.mirror(recipe.width, recipe.pixels), matrix)
    for k in (6, 7, 11):
        dot = np.zeros((180, 240, 3), np.uint8)  # a square round joint k: its centre of mass is the joint
        x, y = marked.xy[k].astype(int)
        dot[y - 4 : y + 5, x - 4 : x + 5] = 255
        picture, joints = crop(marked, matrix, recipe, dot)
        mass = picture[..., 0].astype(float)
        rows, columns = np.mgrid[:256, :192]
        found = np.array([(mass * columns).sum(), (mass * rows).sum()]) / mass.sum() + recipe.pixels.c
        # OpenCV samples at 1/32 of a pixel; a convention that is half a pixel off is 0.4 here.
        np.testing.assert_allclose(joints[k, :2], found, atol=0.1)
    assert joints[3].tolist() == [0, 0, 0]


@pytest.mark.parametrize("convention", sorted(CONVENTIONS))
def test_there_and_back_is_the_identity(marked, convention):
    recipe = PoseRecipe(convention=convention)
    x, joints, matrices = plain([marked, marked], recipe)
    assert x.shape == (2, 3, 256, 192) and x.dtype == np.float32
    there = marked.visibility > 0
    again = back(joints[..., :2].astype(np.float64), matrices, recipe)
    # float32 joints of an input of 256 pixels: 1e-5 each, and the crop shrinks nothing tenfold.
    np.testing.assert_allclose(again[0, there], marked.xy[there], atol=1e-4)


def test_pixels_are_normalised():
    picture = np.zeros((1, 2, 3), np.uint8)
    picture[0, 1] = 255
    x = normalised([picture])
    want = np.stack([-np.array(MEAN), 1 - np.array(MEAN)], axis=1) / np.array(SPREAD)[:, None]
    np.testing.assert_allclose(x[0, :, 0], want, atol=1e-5)  # float32 of values below 3


def test_augmentation_is_a_function_of_seed_epoch_and_index(marked):
    people = [marked] * 4
    recipe = PoseRecipe()
    one, joints = augmented(people, [0, 1, 2, 3], recipe, COCO, seed=7, epoch=2)
    two, _ = augmented(people, [3, 1], recipe, COCO, seed=7, epoch=2)
    np.testing.assert_array_equal(one[[3, 1]], two)
    other, _ = augmented(people, [3], recipe, COCO, seed=7, epoch=3)
    assert not np.array_equal(other[0], two[0]) and not np.array_equal(one[0], one[1])
    assert joints.shape == (4, 17, 3)


def test_a_mirror_exchanges_the_joints_weights_too(marked):
    """Left eye (1) absent: in a mirrored sample the right eye (2) is."""
    seen = marked.visibility.copy()
    seen[1] = 0
    person = dataclasses.replace(marked, visibility=seen, weights=(seen > 0).astype(np.float32))
    still = PoseRecipe(scale=0, rotate_deg=0, shift=0, half_body=0, colour=0, mirror=1.0)
    x, joints = augmented([person], [0], still, COCO, 0, 1)
    plain_x, plain_joints, _ = plain([person], still)
    assert joints[0, 2, 2] == 0 and joints[0, 1, 2] == 1
    width = still.width
    np.testing.assert_allclose(joints[0, 5, 0], width - plain_joints[0, 6, 0], atol=1e-4)
    # Sampling at mirrored places, of noise of spread 1: interpolation weights in OpenCV have 5 bits.
    assert np.abs(x[0, :, :, ::-1] - plain_x[0]).mean() < 0.05


def test_half_bodies_are_looked_at(marked):
    recipe = PoseRecipe(scale=0, rotate_deg=0, shift=0, half_body=1.0, colour=0, mirror=0)
    seen = set()
    for epoch in range(12):
        _, joints = augmented([marked], [0], recipe, COCO, 0, epoch)
        seen.add(round(float(joints[0, 0, 1])))
    assert len(seen) == 2  # the upper half, or the lower one


def test_bad_images_and_recipes_are_refused():
    with pytest.raises(DataError, match="expected uint8"):
        images.read(np.zeros((4, 4, 3), np.float32))
    for values in ({"width": 100}, {"offset": "most"}, {"convention": "x"}, {"mirror": 2.0}, {"size": 3}):
        with pytest.raises(DataError, match="recipe"):
            PoseRecipe.from_dict(values)
