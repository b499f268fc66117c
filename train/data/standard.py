"""Standardisation of the input: every channel of every joint to mean 0 and spread 1.

The layers of a skeleton model share their weights among the joints, so that where a joint usually is
outweighs how it moves, and a spiking embedding codes little else. Graph convolution networks start
with a batch norm over (channel, joint) for that reason; here it is a constant of the recipe, taken once
from the training clips, so that nothing is left to convert.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from train.data import streams
from train.data.errors import DataError
from train.data.recipe import Recipe

SMALLEST_SHARE = 0.05
"""No spread below this share of the largest: noise of a joint that hardly moves is not blown up."""

DIGITS = 6
"""Significant digits that are kept: the numbers are read by people too."""


def standardise(x: NDArray[np.float32], seen: NDArray[np.bool_], recipe: Recipe) -> NDArray[np.float32]:
    """(x - mean) / spread for x [B, M, T, C, V]; whoever is not seen [B, M, T] stays zero."""
    shape = x.shape[-2:]
    if len(recipe.mean) != shape[0] * shape[1]:
        raise DataError(
            f"recipe: mean has {len(recipe.mean)} numbers; expected {shape[0]} channels times "
            f"{shape[1]} joints; the recipe belongs to another stream or skeleton"
        )
    mean = np.array(recipe.mean, np.float32).reshape(shape)
    spread = np.array(recipe.spread, np.float32).reshape(shape)
    return (x - mean) / spread * seen[..., None, None]


def with_statistics(recipe: Recipe, x: NDArray[np.float32]) -> Recipe:
    """The recipe with mean and spread of x [T, N, C, V], bodies that are all zero left out."""
    bodies = x.reshape(-1, *x.shape[2:])
    bodies = bodies[bodies.any(axis=(1, 2))].astype(np.float64)
    if len(bodies) == 0:
        raise DataError("no body to take mean and spread from: every clip is empty")
    mean, spread = bodies.mean(axis=0), bodies.std(axis=0)
    floor = SMALLEST_SHARE * spread.max()
    spread = np.maximum(spread, floor) if floor > 0 else np.ones_like(spread)
    return dataclasses.replace(recipe, mean=_rounded(mean), spread=_rounded(spread))


def narrowed(recipe: Recipe, stream: str) -> Recipe:
    """The recipe of `stream`, whose parts are among the recipe's: with their rows of mean and spread."""
    rows = list(streams.places(stream, recipe.stream))
    channels = streams.channels(recipe.stream)
    kept = {
        name: tuple(np.reshape(values, (channels, -1))[rows].ravel().tolist())
        for name in ("mean", "spread")
        if (values := getattr(recipe, name))
    }
    return dataclasses.replace(recipe, stream=stream, **kept)


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values.ravel())
