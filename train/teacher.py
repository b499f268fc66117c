"""A trained model that another learns from: loaded from its checkpoint, frozen, shown the same clips.

Teacher and student may take a clip in different forms: frames as steps, [F, N, C, V], or the whole clip at
each of n steps, [n, N, C, F, V]. What each gives at a depth is brought to one form, [N, C, F, V]: the mean
over the steps that showed the clip (a firing rate, of spikes), or, where a step is a frame, what that
frame's one step gave.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from train.begun import identity, shared
from train.checkpoint import load_model
from train.data.clip import ClipSet
from train.data.recipe import Recipe
from train.objective import tapped


class TeacherError(ValueError):
    """A teacher that does not fit the run: what it has, what the run has, what to do."""

    exit_code: ClassVar[int] = 3


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """A model in evaluation without gradients; about: the description in its checkpoint."""

    path: Path
    model: nn.Module
    about: dict[str, Any]

    @classmethod
    def load(cls, path: Path) -> Teacher:
        """From a run folder (its best epoch) or a checkpoint; CheckpointError if it is none."""
        model, checkpoint = load_model(path)
        return cls(path, model.requires_grad_(False), checkpoint.about)

    @property
    def recipe(self) -> Recipe:
        """What it was trained on."""
        return Recipe.from_dict(self.about["recipe"])

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of its depths; none of a model that names none."""
        return tuple(getattr(self.model, "stages", ()))

    @property
    def identity(self) -> dict[str, Any]:
        """What a run keeps of its teacher: the same weights, wherever they lie."""
        return identity(self.about)

    def shared(self, recipe: Recipe, data: ClipSet) -> Recipe:
        """The student's recipe, with the teacher's mean and spread; UnlikeRun for what does not fit."""
        return shared("teacher", self.path, self.about, recipe, data, wider=True)

    def beside(self, recipe: Recipe) -> Recipe:
        """The recipe of batches that both learn from: the student's, with all the teacher's streams."""
        theirs = self.recipe
        return replace(recipe, stream=theirs.stream, mean=theirs.mean, spread=theirs.spread)

    @torch.no_grad()
    def look(self, clip: Tensor, stages: tuple[str, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        """clip [N, C, F, V] -> scores [N, K], and what these stages give, [N, C', F', V] by name."""
        self.model.to(clip.device)  # where the student is
        with tapped(self.model, stages) as taps:
            scores = self.model(shown(clip, self.recipe.repeat))
        return scores, {name: per_clip(y) for name, y in taps.items()}


def told(identity: dict[str, Any] | None) -> str:
    """A teacher's identity in words."""
    if identity is None:
        return "no teacher"
    return f"teacher {identity['model']}, epoch {identity['epoch']}, sha256 {identity['sha256'][:16]}"


def clip_of(x: Tensor) -> Tensor:
    """x as a model takes it, [T, N, C, V] or [T, N, C, F, V] -> the clip [N, C, F, V]."""
    return x[0] if x.dim() == 5 else x.permute(1, 2, 0, 3)


def shown(clip: Tensor, repeat: int) -> Tensor:
    """The clip [N, C, F, V] as a model of this recipe takes it: frames as steps, or itself at each of n."""
    return clip.expand(repeat, *clip.shape) if repeat else clip.permute(2, 0, 1, 3)


def per_clip(y: Tensor) -> Tensor:
    """What a stage gives, [T, N, C, V] or [T, N, C, F, V] -> [N, C, F, V]; see above."""
    return y.mean(0) if y.dim() == 5 else y.permute(1, 2, 0, 3)
