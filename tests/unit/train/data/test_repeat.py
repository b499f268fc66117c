"""The recipe's `repeat`: a whole clip at every step."""

import dataclasses

import numpy as np
import pytest
import torch

from train.data import registry, transform
from train.data.errors import DataError
from train.data.recipe import Recipe
from train.data.samples import fold
from train.evaluate import present_persons
from train.models import registry as models
from train.skeletons import layout

FRAMES = Recipe(frames=6, standardise=False)
CLIP = dataclasses.replace(FRAMES, repeat=3)


@pytest.fixture(scope="module")
def clips():
    return registry.load("synthetic", None, "train", train_per_class=2, test_per_class=1)


def test_shape_and_steps():
    assert (FRAMES.shape(20), FRAMES.steps) == ((6, 20), 6)
    assert (CLIP.shape(20), CLIP.steps) == ((6, 6, 20), 3)
    assert Recipe.from_dict(CLIP.to_dict()) == CLIP
    with pytest.raises(DataError, match="repeat is -1"):
        Recipe(repeat=-1)


def test_every_step_shows_the_clip():
    x = np.random.default_rng(0).normal(size=(2, 2, 5, 3, 4)).astype(np.float32)  # [n, M, F, C, V]
    got = fold(x, 3)
    assert got.shape == (3, 4, 3, 5, 4) and got.flags.c_contiguous
    for t in range(3):
        for row in range(4):
            assert np.array_equal(got[t, row], x[row // 2, row % 2].swapaxes(0, 1))


def test_training_and_test_samples(clips):
    """Both forms hold the same numbers: frames are steps in one, an axis in the other."""
    here = layout(clips.layout)
    x, _ = transform.augmented_batch(clips.clips, [0, 1], FRAMES, here, seed=1, epoch=2)
    y, _ = transform.augmented_batch(clips.clips, [0, 1], CLIP, here, seed=1, epoch=2)
    assert np.array_equal(y, np.stack([x.transpose(1, 2, 0, 3)] * 3)) and x.any()
    x = transform.prepare(clips.clips, FRAMES, here)
    y = transform.prepare(clips.clips, CLIP, here)
    assert y.folded().shape == (3, *x.folded().transpose(1, 2, 0, 3).shape)
    assert np.array_equal(y.take([1]).folded()[2], x.take([1]).folded().transpose(1, 2, 0, 3))
    wanted = dataclasses.replace(CLIP, standardise=True)
    single = dataclasses.replace(FRAMES, standardise=True)
    mean = transform.standardised(clips.clips, wanted, here, 0)
    assert mean.repeat == 3 and mean.mean == transform.standardised(clips.clips, single, here, 0).mean


def test_present_persons_of_any_shape():
    x = torch.zeros(2, 4, 3, 5, 6)
    x[1, 2, 1, 4, 3] = -1.0
    assert present_persons(x, 2).tolist() == [[False, False], [True, False]]
    assert present_persons(x[:, :, :, 4], 2).tolist() == [[False, False], [True, False]]


def test_a_model_refuses_the_other_kind(monkeypatch):
    entry = models.entry("base-sgn")
    monkeypatch.setitem(models.MODELS, "whole", dataclasses.replace(entry, recipe={"repeat": 4}))
    models.check_repeat("base-sgn", 0)
    models.check_repeat("whole", 1)
    with pytest.raises(ValueError, match=r"base-sgn: takes one frame a step, .* repeat 2; set repeat=0"):
        models.check_repeat("base-sgn", 2)
    with pytest.raises(ValueError, match=r"whole: takes the whole clip .* set repeat=4"):
        models.check_repeat("whole", 0)
