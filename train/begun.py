"""A run that builds on another one: its teacher, or the run whose weights it begins with.

Both must have been shown the same: what a joint's number means is part of the weights. A teacher may have
been shown other streams of the same clips beside it; a run may begin with the weights of another stream,
whose numbers it learns anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from train.checkpoint import Checkpoint, CheckpointError
from train.data import streams
from train.data.clip import ClipSet
from train.data.recipe import Recipe
from train.data.standard import narrowed
from train.growth import grown, highest_threshold

# What both runs must be shown alike; mean and spread are taken over.
ALIKE = ("stream", "frames", "normalise", "bone_gain", "motion_gain", "standardise", "limit")
ACROSS = ALIKE[1:]


class UnlikeRun(ValueError):
    """Another run that does not fit this one: what it has, what this one has, what to do."""

    exit_code: ClassVar[int] = 3


def shared(
    role: str, path: Path, about: Mapping[str, Any], recipe: Recipe, data: ClipSet, *, wider: bool = False
) -> Recipe:
    """This run's recipe, with the mean and spread of the run at `path`; UnlikeRun for what does not fit.

    wider: whether that run may have been shown more streams than those of this one.
    """
    other = Recipe.from_dict(about["recipe"])
    if wider and streams.places(recipe.stream, other.stream):
        other = narrowed(other, recipe.stream)
    odd = _differences(ALIKE, other, recipe)
    if recipe.mean and (recipe.mean, recipe.spread) != (other.mean, other.spread):
        odd.append("another mean and spread than those of the run's teacher")
    _refuse(odd + _foreign(about, data), role, path)
    return replace(recipe, mean=other.mean, spread=other.spread)


def continued(path: Path, about: Mapping[str, Any], recipe: Recipe, data: ClipSet) -> Recipe:
    """The recipe of a run that begins with the weights of the run at `path`; UnlikeRun for what does not fit.

    Of the same stream it has that run's mean and spread. Of another one it has its own, or its teacher's.
    """
    other = Recipe.from_dict(about["recipe"])
    if other.stream == recipe.stream:
        return shared("init", path, about, recipe, data)
    odd = _differences(ACROSS, other, recipe)
    theirs, ours = (streams.channels(x.stream) for x in (other, recipe))
    if theirs != ours:
        odd.append(f"stream {other.stream!r} of {theirs} channels, the run has {recipe.stream!r} of {ours}")
    _refuse(odd + _foreign(about, data), "init", path)
    return recipe


def _differences(fields: tuple[str, ...], other: Recipe, recipe: Recipe) -> list[str]:
    """What these fields are in each."""
    return [f"{key} {getattr(other, key)!r}, the run has {getattr(recipe, key)!r}" for key in fields
            if getattr(other, key) != getattr(recipe, key)]  # fmt: skip


def _foreign(about: Mapping[str, Any], data: ClipSet) -> list[str]:
    """Joints and classes of another data set."""
    odd = []
    if (here := about["dataset"]["layout"]) != data.layout:
        odd.append(f"joints of {here}, the run's data have {data.layout}")
    if (classes := list(about["classes"])) != list(data.class_names):
        odd.append(f"{len(classes)} classes that are not the run's {len(data.class_names)}")
    return odd


def _refuse(odd: list[str], role: str, path: Path) -> None:
    if odd:
        raise UnlikeRun(
            f"{role} {path}: found {'; '.join(odd)}; train it on what this run sees, or set this run's "
            "recipe to it"
        )


def identity(about: Mapping[str, Any]) -> dict[str, Any]:
    """What a run keeps of another one: the same weights, wherever they lie."""
    return {key: about[key] for key in ("model", "epoch", "sha256")}


def origin(about: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    """The identity of what a run of `recipe` began with; of another stream, that stream beside it."""
    stream = about["recipe"]["stream"]
    return identity(about) | ({} if stream == recipe.stream else {"stream": stream})


def begin(model: nn.Module, name: str, start: Checkpoint) -> None:
    """The weights of `start` into the model called `name`; CheckpointError if it is another one.

    Settings without weights (dropout, surrogate, ...) may differ, and the model may hold residual
    branches that the other one lacks: they begin silent (train.growth).
    """
    theirs, tuned = start.about["model"], "qat" in start.about
    if theirs != name or tuned:
        found = "a fine-tuned run" if tuned else f"a checkpoint of model {theirs}"
        raise CheckpointError(start.path, found, f"model {name} in floating point")
    new = grown(model, start.under("model"))
    if new and (threshold := highest_threshold(model, new)) >= 1.0:
        found = (
            f"a smaller network, which neurons of threshold {threshold:g} would not carry round new branches"
        )
        raise CheckpointError(start.path, found, "a threshold below 1, or all branches there")
    start.load_into(model, beyond=new)
