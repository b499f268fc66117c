"""Samples on demand are the prepared ones, to the bit, whatever the parts; nothing of them is kept."""

import gc
import weakref

import numpy as np
import pytest

from train.data import registry
from train.data.clip import Clip
from train.data.recipe import Recipe
from train.data.supply import Supply
from train.data.transform import prepare
from train.skeletons import layout

KINECT = layout("kinect20")
RECIPES = (
    Recipe(frames=8, mean=(0.1,) * 120, spread=(0.7,) * 120),
    Recipe(frames=8, stream="joint", normalise="minmax", framewise=True, repeat=3),
)


@pytest.mark.parametrize("recipe", RECIPES)
def test_parts_are_those_of_the_whole(recipe):
    clips = registry.load("synthetic", None, "test", test_per_class=3).clips
    whole = prepare(clips, recipe, KINECT)
    assert np.ptp(whole.x) > 0.5, "vacuous"
    late = Supply(registry.listed("synthetic", None, "test", test_per_class=3).clips, recipe, KINECT)
    assert (late.ids, late.labels.tolist(), len(late)) == (whole.ids, whole.labels.tolist(), 36)
    for size in (1, 5, 36, 100):
        parts = [late.part(start, size) for start in range(0, 36, size)]
        assert b"".join(p.x.tobytes() for p in parts) == whole.x.tobytes()
        assert np.array_equal(np.concatenate([p.present for p in parts]), whole.present)
        assert sum((p.ids for p in parts), ()) == whole.ids and parts[0].repeat == recipe.repeat
        for start, part in zip(range(0, 36, size), parts, strict=True):
            assert part.x.tobytes() == whole.part(start, size).x.tobytes()
    some, few = whole.spread(7), late.spread(7)
    assert few.ids == some.ids and few.prepared().x.tobytes() == some.x.tobytes()


def test_nothing_of_a_part_is_kept(walker):
    made = []

    def read():
        joints = walker(6)[None]
        made.append(weakref.ref(joints))
        return joints

    clips = [Clip(f"c{n}", read, 0, 1) for n in range(4)]
    supply = Supply(clips, Recipe(frames=4, stream="joint"), KINECT)
    assert made == []
    part = supply.part(2, 2)
    gc.collect()
    assert len(made) == 2 and part.ids == ("c2", "c3") and all(joints() is None for joints in made)


def test_no_sample_is_an_error(refused):
    refused(lambda: Supply((), RECIPES[0], KINECT).part(0, 4), "no clips to prepare")
