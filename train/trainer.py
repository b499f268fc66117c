"""One training run in memory: model, optimiser, average, and the state that a resume needs.

Every draw is a function of (seed, epoch) or (seed, epoch, sample), and the learning rate one of the
iteration, so that an epoch repeated after an interruption is the same epoch, bit for bit.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Generic

import numpy as np
import torch
from torch import Tensor, nn

from train.checkpoint import Checkpoint
from train.config import TrainConfig
from train.course import Learning, Model, Settings
from train.data.clip import Clip
from train.data.transform import Recipe, augmented_batch
from train.ema import Average
from train.layers import ChannelNorm
from train.neurons import LIF, CubaLIF
from train.optimizer import optimizer, restore_state, state_tensors
from train.precision import Precision
from train.processes import ALONE, Processes
from train.schedule import schedule
from train.skeletons import Layout
from train.synchronised import GlobalImageNorm, GlobalNorm, synchronise
from train.whole_batch import share_dropout


class TrainingError(ValueError):
    """A run that cannot go on or cannot be continued."""

    exit_code = 3


class SettingsError(TrainingError):
    """Settings that no model can have: the fault of the command line, not of a file."""

    exit_code = 2


class Trainer(Generic[Model]):
    """Updates a model batch by batch; `tensors` and `restore` are the two ends of a resume."""

    def __init__(
        self, objective: Learning[Model], config: Settings, iterations: int, group: Processes = ALONE
    ) -> None:
        if group.size > 1:
            synchronise(objective.terms)
            share_dropout(objective)
            _refuse_own_statistics(objective)
        self.objective = objective.to(group.device)
        self.model = model = objective.model
        self.config = config
        self.group = group
        self.iterations = iterations  # of the whole run
        self.done = 0  # iterations so far
        self.average = Average(model, config.average) if config.average else None
        self.optimizer = optimizer(objective, config)
        self.precision = Precision(config.amp, group.device)
        self._parallel = group.wrap(objective)

    @property
    def best_model(self) -> Model:
        """What is validated and kept: the averaged weights where there are any."""
        return self.average.model if self.average else self.model

    @property
    def lr(self) -> float:
        """The learning rate of the next iteration."""
        factor = schedule(self.config.schedule)(self.done / self.iterations, self.config.warm_up)
        return self.config.lr * factor

    def update(
        self, x: Tensor, labels: Tensor, whole: int | None = None
    ) -> tuple[float, Tensor, dict[str, float]]:
        """One iteration on x [T, B*M, ...], labels [B] -> its loss, the scores [B, K], the terms' parts.

        x and labels are this process's part of a batch of `whole` clips, and so is what is returned.
        """
        x, labels = (a.to(self.group.device, non_blocking=True) for a in (x, labels))
        with self.precision.forward():
            loss, scores, parts = self._parallel(x, labels)
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(
                f"iteration {self.done + 1}: the loss is {value}; lower lr (now {self.lr:.3g}) or "
                "set clip_norm; the last checkpoint is untouched"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr
        if whole is not None and len(labels) * self.group.size != whole:
            # The gradients' mean over processes counts each alike: a clip shall count alike.
            loss = loss * (len(labels) * self.group.size / whole)
        self.precision.step(loss, self.optimizer, self.objective, self.config.clip_norm)
        _hold_decays(self.model)
        if self.average:
            self.average.update(self.model, self.done)
        self.done += 1
        return value, scores.detach().cpu(), {name: part.item() for name, part in parts.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Everything of the state that is a tensor, by name."""
        out = dict(self.objective.state_dict())  # model.*, and terms.* where there are any
        if self.average:
            out |= {f"average.{k}": x for k, x in self.average.model.state_dict().items()}
        out |= state_tensors(self.optimizer, self.config.optimizer, self._parameters())
        return out | self.precision.tensors() | {"rng.torch": torch.get_rng_state()}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue where `tensors` was taken."""
        checkpoint.load_into(self.model)
        checkpoint.load_into(self.objective.terms, "terms")
        if self.average:
            checkpoint.load_into(self.average.model, "average")
        self.done = int(checkpoint.about["iterations_done"])
        restore_state(self.optimizer, self.config.optimizer, self._parameters(), checkpoint, self.done)
        self.precision.restore(checkpoint.under("scaler"))
        torch.set_rng_state(checkpoint.tensors["rng.torch"])

    def _parameters(self) -> dict[str, nn.Parameter]:
        """Those of the model by their names in it, those of the terms as terms.*"""
        return {k.removeprefix("model."): p for k, p in self.objective.named_parameters()}


def _hold_decays(model: nn.Module) -> None:
    """Keep learned decays in [0.02, 1]: outside, a neuron grows without bound or alternates."""
    for module in model.modules():
        if isinstance(module, LIF | CubaLIF) and isinstance(module.dv, nn.Parameter):
            module.dv.data.clamp_(0.02, 1.0)


def _refuse_own_statistics(objective: Learning[Model]) -> None:
    """Every batch norm must know the whole batch: one of a process's part would train another network."""
    for name, module in objective.named_modules():
        known = isinstance(module, ChannelNorm | GlobalNorm | GlobalImageNorm)
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and not known:
            raise SettingsError(
                f"{name}: a {type(module).__name__} would take its statistics from one process's part of the "
                "batch; use train.layers.ChannelNorm, or train in one process"
            )


def check_batches(clips: int, config: Settings, group: Processes) -> None:
    """Refuse a batch that the processes cannot share: equal parts, and a clip for each in an epoch's last."""
    if config.batch % group.size:
        near = max(1, round(config.batch / group.size)) * group.size
        raise SettingsError(
            f"batch {config.batch} does not divide by {group.size} processes, and it counts the clips of all "
            f"of them; take a multiple of {group.size}, such as {near}"
        )
    if 0 < clips % config.batch < group.size:
        raise SettingsError(
            f"{clips} clips in batches of {config.batch} leave {clips % config.batch} for {group.size} "
            "processes in the last one of an epoch; take another batch or fewer processes"
        )


def batches(
    clips: Sequence[Clip],
    recipe: Recipe,
    layout: Layout,
    config: TrainConfig,
    epoch: int,
    group: Processes = ALONE,
) -> Iterator[tuple[Tensor, Tensor, int]]:
    """One epoch: this process's x [T, B*M, *shape] and labels [B], and the clips of the whole batch.

    The order is a function of (seed, epoch), a clip's draws of (seed, epoch, its index): processes share the
    batches that one alone would train on.
    """
    order = np.random.default_rng([config.seed, epoch]).permutation(len(clips))
    for start in range(0, len(order), config.batch):
        at = order[start : start + config.batch]
        x, labels = augmented_batch(clips, group.part(at), recipe, layout, config.seed, epoch)
        made = torch.from_numpy(x), torch.from_numpy(labels)
        if group.device.type == "cuda":  # so that the copy to the GPU need not be waited for
            made = tuple(a.pin_memory() for a in made)
        yield *made, len(at)
