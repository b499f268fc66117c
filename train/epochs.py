"""Epochs: train, validate, keep the best; the same for whatever is trained (`train.course`).

A run folder holds run.json (what the run is), log.jsonl and events/ (what happened), last.safetensors (all
that a resume needs) and best.safetensors (the weights to use), each checkpoint with its JSON copy. The best
epoch is the one with the highest accuracy on what was held out of *training*, the lower validation loss on a
tie, and the last one where nothing was held out; the test split is not an argument of this file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from train import checkpoint
from train.ahead import ahead
from train.checkpoint import BEST
from train.course import Course, Learning, Model, Settings
from train.journal import Journal
from train.processes import Processes
from train.rates import firing_rates
from train.run_folder import LAST, opened, refuse_unlike
from train.trainer import Trainer, TrainingError

Beside = Callable[[nn.Module], Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True)
class Best:
    """The best epoch so far, counted from 1 (0: the model as it began); accuracy a share, loss in nats.

    Accuracy and loss are None where no epoch was measured, nothing being held out.
    """

    epoch: int = 0
    accuracy: float | None = None
    loss: float | None = None

    def beaten_by(self, accuracy: float, loss: float) -> bool:
        """Higher accuracy, or the same at a lower loss."""
        return self.accuracy is None or (accuracy, -loss) > (self.accuracy, -self.loss)

    def after(self, entry: Mapping[str, Any]) -> Best:
        """The best epoch once this one, as logged, is over: the last one where nothing is held out."""
        measured = entry.get("accuracy_val"), entry.get("loss_val")
        if measured[0] is None or self.beaten_by(*measured):
            return Best(entry["epoch"], *measured)
        return self


@dataclass(frozen=True, slots=True)
class Result:
    """What `fit` leaves: the folder, and the epoch its best.safetensors is of."""

    run: Path
    best: Best
    wall_s: float


def prepare_torch(config: Settings, group: Processes) -> None:
    """Threads and the seed that parameters are drawn with."""
    torch.set_num_threads(group.threads(config.threads))
    torch.manual_seed(config.seed)


def run_epochs(
    objective: Learning[Model],
    config: Settings,
    about: dict[str, Any],
    course: Course[Model],
    run: Path,
    *,
    group: Processes,
    resume: bool,
    progress: bool,
    on_epoch: Callable[[dict[str, Any]], None] | None,
    beside: Beside | None = None,
    from_start: bool = False,
    until: int = 0,
) -> Best:
    """Train, validate and keep, epoch by epoch; the best one.

    beside: tensors that best.safetensors holds beside the weights of a model. from_start: the model as it is
    given is a candidate too, as epoch 0. until: the last epoch, 0 for the schedule's.
    """
    refuse_unlike(group, about, course)
    iterations = -(-course.size // config.batch) * config.epochs
    trainer = Trainer(objective, config, iterations, group)
    last = opened(run, about, course, resume, group)  # after all that may refuse: no folder is left
    first, best = (1, Best()) if last is None else _resumed(trainer, last)
    keeper = _Keeper(run, about, trainer, beside)
    hidden = not (progress and group.first)
    end = until or config.epochs
    total = trainer.iterations // config.epochs * end
    with (
        Journal(run, -1 if last is None else first - 1) if group.first else nullcontext() as journal,
        tqdm(total=total, initial=trainer.done, disable=hidden, unit="it") as bar,
    ):
        for epoch in range(0 if from_start and last is None else first, end + 1):
            entry: dict[str, Any] = {"epoch": epoch}
            if epoch:
                entry |= _train_epoch(trainer, course, epoch, bar)
            entry |= _validated(trainer.best_model, course, epoch, group)
            if journal:  # first: a resume drops a line beyond its checkpoint, but cannot write a missing one
                journal.write(entry)
            best = keeper.keep(best, entry)
            if on_epoch and group.first:
                on_epoch(entry)
    return best


def _resumed(trainer: Trainer, last: checkpoint.Checkpoint) -> tuple[int, Best]:
    """The trainer as it was after the checkpoint's epoch; the next epoch, and the best so far."""
    trainer.restore(last)
    epoch, per_epoch = last.about["epoch"], trainer.iterations // trainer.config.epochs
    if trainer.done != per_epoch * epoch:
        raise TrainingError(
            f"{last.path.parent}: found {trainer.done} iterations in {epoch} epochs, expected "
            f"{per_epoch} an epoch; the data is not what the run began with: restore it"
        )
    return epoch + 1, Best(**last.about["best"])


def _train_epoch(trainer: Trainer[Model], course: Course[Model], epoch: int, bar: tqdm) -> dict[str, Any]:
    """One pass over the training samples; the epoch's loss, accuracy, rates, as a log entry."""
    trainer.objective.train()
    group = trainer.group
    # Dropout: a function of the epoch, drawn for the whole batch by every process (train.whole_batch).
    torch.manual_seed(trainer.config.seed * 1_000_003 + epoch)
    loss = right = seen = 0
    parts: dict[str, float] = {}
    started = time.monotonic()
    coming = course.batches(epoch, group)
    with firing_rates(trainer.model) as rates, ahead(coming) as made:
        for x, labels, whole in made:
            lr = trainer.lr
            value, scores, of_terms = trainer.update(x, labels, whole)
            seen += len(labels)
            loss += value * len(labels)
            parts = {k: parts.get(k, 0.0) + v * len(labels) for k, v in of_terms.items()}
            right += course.right(scores, labels)
            told = f"epoch {epoch} loss {loss / seen:.3f} acc {right / seen:.3f}"
            told += f" rate {rates.mean():.3f}" if rates.spikes else ""
            bar.set_postfix_str(told, refresh=False)
            bar.update()
    rates.gather(group)
    sums = torch.tensor([loss, right, seen, *parts.values()], dtype=torch.float64)
    loss, right, seen, *totals = group.total(sums).tolist()
    parts = dict(zip(parts, totals, strict=True))
    return {
        "lr": lr,
        "loss_train": loss / seen,
        **{f"loss_{name}": total / seen for name, total in parts.items()},
        "accuracy_train": right / seen,
        "rate": rates.mean(),
        "rates": rates.per_layer(),
        "epoch_s": time.monotonic() - started,
    }


def _validated(model: Model, course: Course[Model], epoch: int, group: Processes) -> dict[str, float]:
    # A neuron whose membrane is NaN stays silent, so that a broken layer need not show in the loss.
    wrong = [name for name, x in model.state_dict().items() if not torch.isfinite(x).all()]
    if wrong:
        raise TrainingError(
            f"epoch {epoch}: NaN or infinity in {wrong[0]}; lower lr or set clip_norm; "
            "the last checkpoint is untouched"
        )
    return course.validate(model, group)


@dataclass(frozen=True, slots=True, eq=False)
class _Keeper:
    """Writes the checkpoints of a run."""

    run: Path
    about: dict[str, Any]
    trainer: Trainer
    beside: Beside | None

    def keep(self, best: Best, entry: dict[str, Any]) -> Best:
        """Write last, and best where this epoch is it (the first process does); the best so far."""
        # Times stay in the log: the same run twice gives the same checkpoint, byte for byte.
        metrics = {k: v for k, v in entry.items() if isinstance(v, float) and k != "epoch_s"}
        of_epoch = {**self.about, "epoch": entry["epoch"], "metrics": metrics}
        if (now := best.after(entry)) is not best:
            best = now
            if self.trainer.group.first:
                checkpoint.save(self.run / BEST, self._weights(), of_epoch)
        state = {
            "iterations_done": self.trainer.done,
            "best": {"epoch": best.epoch, "accuracy": best.accuracy, "loss": best.loss},
        }
        # Best first: an interruption in between repeats this epoch, and writes the same best again.
        if self.trainer.group.first:
            checkpoint.save(self.run / LAST, self.trainer.tensors(), {**of_epoch, **state})
        return best

    def _weights(self) -> dict[str, Tensor]:
        model = self.trainer.best_model
        weights = {f"model.{k}": x for k, x in model.state_dict().items()}
        return weights | dict(self.beside(model) if self.beside else {})
