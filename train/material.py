"""What a run is made of: its clips, parted, and the recipe that makes samples of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.config import TrainConfig
from train.data import streams
from train.data.clip import ClipSet
from train.data.samples import Samples
from train.data.split import Split, hold_out, record
from train.data.transform import Recipe, prepare, standardised
from train.evaluate import accuracy, evaluate
from train.processes import Processes
from train.skeletons import Layout, layout
from train.teacher import Teacher
from train.trainer import batches, check_batches


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """The clips of a run, parted, the recipe that makes samples of them, the held-out ones made, and which
    these are, as JSON: a `train.course.Course`.

    beside: the recipe of training batches where a teacher is shown more streams than the model, else None.
    """

    config: TrainConfig
    split: Split
    recipe: Recipe
    layout: Layout
    held: Samples | None
    record: dict[str, Any]
    beside: Recipe | None = None

    @property
    def shown(self) -> Recipe:
        """The recipe of training batches."""
        return self.beside or self.recipe

    @property
    def places(self) -> tuple[int, ...]:
        """Channels of a training batch that the model is shown; none: all."""
        return streams.places(self.recipe.stream, self.beside.stream) if self.beside else ()

    @property
    def example(self) -> Samples:
        """One clip as training batches hold it."""
        clips = (*self.split.validation, *self.split.train)[:1]
        return prepare(clips, self.shown, self.layout)

    @property
    def size(self) -> int:
        """Clips that are trained on."""
        return len(self.split.train)

    def ids(self) -> Iterator[str]:
        """Of all clips, the held-out ones last."""
        return (clip.id for clip in (*self.split.train, *self.split.validation))

    def facts(self) -> dict[str, Any]:
        """How the clips were parted."""
        counts = {"train": len(self.split.train), "validation": len(self.split.validation)}
        return {"split": self.split.note, "clips": counts}

    def batches(self, epoch: int, group: Processes) -> Iterator[tuple[Tensor, Tensor, int]]:
        """`train.trainer.batches` of the training clips."""
        return batches(self.split.train, self.shown, self.layout, self.config, epoch, group)

    def right(self, scores: Tensor, labels: Tensor) -> int:
        """Clips whose highest score is the label's."""
        return int((scores.argmax(1) == labels).sum())

    def validate(self, model: nn.Module, group: Processes) -> dict[str, float]:
        """Cross-entropy and accuracy of the held-out clips; nothing where there are none."""
        if self.held is None:
            return {}
        scores = evaluate(model, self.held, group=group)
        loss = F.cross_entropy(torch.from_numpy(scores), torch.from_numpy(self.held.labels))
        return {"loss_val": float(loss), "accuracy_val": accuracy(scores, self.held.labels)}


def gather(
    config: TrainConfig, recipe: Recipe, data: ClipSet, group: Processes, teacher: Teacher | None = None
) -> Material:
    """What the config trains on and chooses the epoch by; the recipe with mean and spread of the clips."""
    asked = (config.validation, config.validation_subjects, config.validation_fraction)
    split = hold_out(data.clips, *asked, data.unseen)
    check_batches(len(split.train), config, group)
    here = layout(data.layout)
    recipe = standardised(split.train, recipe, here, config.seed)
    held = prepare(split.validation, recipe, here) if split.validation else None
    beside = None if teacher is None or teacher.recipe.stream == recipe.stream else teacher.beside(recipe)
    return Material(config, split, recipe, here, held, record(split, *asked), beside)
