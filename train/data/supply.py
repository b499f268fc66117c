"""Samples on demand: what a clip becomes is made when it is asked for, a part of the set at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from train.data.clip import Clip
from train.data.recipe import Recipe
from train.data.samples import Samples, spaced
from train.data.transform import prepare
from train.skeletons import Layout


class Supply:
    """The samples of clips by a recipe; ids and labels (int64 [n]) are known, no sample is kept.

    A sample depends on its own clip alone: whatever the parts are, they are those of `prepare` to the bit.
    """

    def __init__(self, clips: Sequence[Clip], recipe: Recipe, layout: Layout) -> None:
        self._clips, self._recipe, self._layout = clips, recipe, layout
        self.ids = tuple(clip.id for clip in clips)
        self.labels = np.array([clip.label for clip in clips], np.int64)

    def __len__(self) -> int:
        return len(self._clips)

    def part(self, start: int, size: int) -> Samples:
        """The samples from `start` on, `size` of them or those that are left: read and prepared now."""
        return prepare(self._clips[start : start + size], self._recipe, self._layout)

    def prepared(self) -> Samples:
        """All of them, in memory."""
        return self.part(0, len(self))

    def spread(self, n: int) -> Supply:
        """n samples at evenly spaced indices, as `Samples.spread` takes them."""
        chosen = [self._clips[i] for i in spaced(n, len(self))]
        return Supply(chosen, self._recipe, self._layout)
