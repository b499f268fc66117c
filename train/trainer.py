"""One training run in memory: model, optimiser, average, and the state that a resume needs.

Every draw is a function of (seed, epoch) or (seed, epoch, sample), and the learning rate one of the
iteration, so that an epoch repeated after an interruption is the same epoch, bit for bit.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from train.checkpoint import Checkpoint, CheckpointError
from train.config import TrainConfig
from train.data.clip import Clip
from train.data.transform import Recipe, augmented_batch
from train.ema import Average
from train.neurons import LIF, CubaLIF
from train.objective import Objective
from train.schedule import schedule
from train.skeletons import Layout


class TrainingError(ValueError):
    """A run that cannot go on or cannot be continued."""

    exit_code = 3


class SettingsError(TrainingError):
    """Settings that no model can have: the fault of the command line, not of a file."""

    exit_code = 2


class Trainer:
    """Updates a model batch by batch; `tensors` and `restore` are the two ends of a resume."""

    def __init__(self, objective: Objective, config: TrainConfig, iterations: int) -> None:
        self.objective = objective
        self.model = model = objective.model
        self.config = config
        self.iterations = iterations  # of the whole run
        self.done = 0  # iterations so far
        self.average = Average(model, config.average) if config.average else None
        matrices = [p for p in objective.parameters() if p.dim() > 0]
        # A learned decay is a physical quantity of the layer: weight decay would pull it to 0.
        scalars = [p for p in objective.parameters() if p.dim() == 0]
        groups = [{"params": matrices, "weight_decay": config.weight_decay}]
        groups += [{"params": scalars, "weight_decay": 0.0}] if scalars else []
        self.optimizer = torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=True)

    @property
    def best_model(self) -> nn.Module:
        """What is validated and kept: the averaged weights where there are any."""
        return self.average.model if self.average else self.model

    @property
    def lr(self) -> float:
        """The learning rate of the next iteration."""
        factor = schedule(self.config.schedule)(self.done / self.iterations, self.config.warm_up)
        return self.config.lr * factor

    def update(self, x: Tensor, labels: Tensor) -> tuple[float, Tensor, dict[str, float]]:
        """One iteration on x [T, B*M, ...], labels [B] -> its loss, the scores [B, K], the terms' parts."""
        loss, scores, parts = self.objective(x, labels)
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(
                f"iteration {self.done + 1}: the loss is {value}; lower lr (now {self.lr:.3g}) or "
                "set clip_norm; the last checkpoint is untouched"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr
        self.optimizer.zero_grad()
        loss.backward()
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self.objective.parameters(), self.config.clip_norm)
        self.optimizer.step()
        _hold_decays(self.model)
        if self.average:
            self.average.update(self.model, self.done)
        self.done += 1
        return value, scores.detach(), {name: part.item() for name, part in parts.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Everything of the state that is a tensor, by name."""
        out = dict(self.objective.state_dict())  # model.*, and terms.* where there are any
        if self.average:
            out |= {f"average.{k}": x for k, x in self.average.model.state_dict().items()}
        for name, p in self._parameters().items():
            if (momentum := self.optimizer.state[p].get("momentum_buffer")) is not None:
                out[f"momentum.{name}"] = momentum
        return out | {"rng.torch": torch.get_rng_state()}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue where `tensors` was taken."""
        checkpoint.load_into(self.model)
        checkpoint.load_into(self.objective.terms, "terms")
        if self.average:
            checkpoint.load_into(self.average.model, "average")
        momenta = checkpoint.under("momentum")
        parameters = self._parameters()
        self.done = int(checkpoint.about["iterations_done"])
        if odd := set(momenta) ^ (set(parameters) if self.done else set()):  # none before the first update
            raise CheckpointError(checkpoint.path, f"momentum of {sorted(odd)}", "one a parameter")
        for name, momentum in momenta.items():
            self.optimizer.state[parameters[name]]["momentum_buffer"] = momentum.clone()
        torch.set_rng_state(checkpoint.tensors["rng.torch"])

    def _parameters(self) -> dict[str, nn.Parameter]:
        """Those of the model by their names in it, those of the terms as terms.*"""
        return {k.removeprefix("model."): p for k, p in self.objective.named_parameters()}


def _hold_decays(model: nn.Module) -> None:
    """Keep learned decays in [0.02, 1]: outside, a neuron grows without bound or alternates."""
    for module in model.modules():
        if isinstance(module, LIF | CubaLIF) and isinstance(module.dv, nn.Parameter):
            module.dv.data.clamp_(0.02, 1.0)


def batches(
    clips: Sequence[Clip], recipe: Recipe, layout: Layout, config: TrainConfig, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch, x [T, B*M, C, V] and labels [B]; the order is a function of (seed, epoch)."""
    order = np.random.default_rng([config.seed, epoch]).permutation(len(clips))
    for start in range(0, len(order), config.batch):
        at = order[start : start + config.batch]
        x, labels = augmented_batch(clips, at, recipe, layout, config.seed, epoch)
        yield torch.from_numpy(x), torch.from_numpy(labels)
