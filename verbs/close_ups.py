"""Samples that a report's page shows closely: which, their spikes, and their skeletons moving."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from deploy.record import Record
from energy.shown import evenly, rasters, skeleton
from train.data.clip import ClipSet
from train.data.recipe import Recipe
from train.data.transform import prepare
from train.skeletons import layout
from verbs.feed import Feed
from verbs.pose_feed import PoseFeed


def chosen(feed: Feed | PoseFeed, count: int) -> list[str]:
    """Ids of `count` samples, evenly spaced: where a set is sorted by class, of all classes."""
    return evenly(feed.samples.ids, count)


def spikes(
    record: Record, owners: np.ndarray, ids: Sequence[str], close: Collection[str]
) -> list[dict[str, Any]]:
    """Rasters of those samples of a batch that are chosen; of several persons, of the first one there."""
    found = []
    for sample, row in zip(*np.unique(owners, return_index=True), strict=True):
        if ids[sample] in close:
            fired = {n: r[:, row] for n, r in record.rasters.items() if n in record.counts}
            found.append(rasters(ids[sample], fired))
    return found


def skeletons(clips: ClipSet, recipe: Mapping[str, Any], close: Collection[str]) -> dict[str, dict[str, Any]]:
    """id -> the frames that the model saw, as joints in space, whatever stream of them it was given."""
    mine = [clip for clip in clips.clips if clip.id in close]
    if not mine:
        return {}
    plain = replace(
        Recipe.from_dict(recipe), stream="joint", mean=(), spread=(), framewise=False, limit=float("inf")
    )
    known = layout(clips.layout)
    seen = prepare(mine, plain, known)
    there = seen.present.argmax(axis=1)  # the first person of each, as in the rasters
    moving = seen.x[np.arange(len(seen)), there].swapaxes(-1, -2)  # [n, F, V, 3]
    return {
        name: {**skeleton(joints, known.edges, known.joints), "repeat": plain.repeat}
        for name, joints in zip(seen.ids, moving, strict=True)
    }
