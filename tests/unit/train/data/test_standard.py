"""Standardisation: mean 0 and spread 1 per channel and joint, zeros stay zeros, and it is kept."""

import json

import numpy as np
import pytest

from train.data import registry
from train.data.errors import DataError
from train.data.recipe import Recipe
from train.data.transform import augmented_batch, prepare, standardised
from train.skeletons import layout

HERE = layout("kinect20")


@pytest.fixture(scope="module")
def clips():
    return registry.load("synthetic", None, "train", train_per_class=3).clips


def test_the_training_draws_come_out_with_mean_0_and_spread_1(clips):
    recipe = standardised(clips, Recipe(frames=8, limit=1e6), HERE, seed=3)
    x, _ = augmented_batch(clips, np.arange(len(clips)), recipe, HERE, seed=3, epoch=0)
    mean, spread = x.mean((0, 1)), x.std((0, 1))
    # the numbers are kept to 6 digits, x is float32: 1e-4
    assert np.abs(mean).max() < 1e-4
    assert np.abs(spread[:3] - 1).max() < 1e-4, "joints move enough to stand above the floor"
    assert spread.max() < 1 + 1e-4
    assert not x[:, :, 3:, HERE.root].any(), "the root has no bone"


def test_the_recipe_survives_json_and_is_not_fitted_twice(clips):
    recipe = standardised(clips, Recipe(frames=8), HERE, seed=0)
    back = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert back == recipe
    assert standardised(clips[:2], recipe, HERE, seed=1) is recipe
    plain = Recipe(frames=8, standardise=False)
    assert standardised(clips, plain, HERE, seed=0) is plain


def test_prepare_applies_it(clips):
    recipe = standardised(clips, Recipe(frames=8, limit=1e6), HERE, seed=0)
    raw = prepare(clips, Recipe(frames=8, limit=1e6), HERE).x
    mean, spread = (np.array(v).reshape(6, 20) for v in (recipe.mean, recipe.spread))
    # float32 against float64, values up to some ten spreads
    assert np.abs(prepare(clips, recipe, HERE).x - (raw - mean) / spread).max() < 1e-4
    assert np.abs(raw).max() > 0.1, "vacuous case"


def test_a_recipe_of_another_stream_is_refused(clips):
    recipe = standardised(clips, Recipe(frames=8, stream="joint"), HERE, seed=0)
    wrong = Recipe(frames=8, stream="joint+bone", mean=recipe.mean, spread=recipe.spread)
    with pytest.raises(DataError, match=r"60 numbers; expected 6 channels times 20 joints"):
        prepare(clips, wrong, HERE)
    with pytest.raises(DataError, match="spread"):
        Recipe(mean=(0.0,), spread=(0.0,))
    with pytest.raises(DataError, match="mean"):
        Recipe(mean=(0.0,))


def test_of_many_clips_evenly_spaced_ones_are_measured(clip, monkeypatch):
    """NTU's forty thousand would fill the memory; without augmentation the chosen four give the same."""
    plain = Recipe(frames=4, rotate_y_deg=0, rotate_x_deg=0, scale=0, shear=0, noise=0, crop=1, jitter=False)
    clips = [clip(f"c{k}", seed=k) for k in range(9)]
    monkeypatch.setattr("train.data.transform.MOST_MEASURED", 4)
    few = standardised(clips, plain, HERE, 0)
    assert few == standardised([clips[k] for k in (0, 2, 4, 6)], plain, HERE, 0)
    monkeypatch.undo()
    assert standardised(clips, plain, HERE, 0) != few
