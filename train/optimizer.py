"""The optimisers, and their state by name for a resume.

    sgd     Nesterov momentum; weight decay in the gradient
    adamw   Adam with decoupled weight decay (Loshchilov and Hutter 2019), betas (momentum, 0.999): a step
            does not depend on the size of the gradient, which surrogates shrink layer by layer

Learned decays of neurons are scalars and take no weight decay: it would pull a physical quantity to 0.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from train.checkpoint import Checkpoint, CheckpointError
from train.course import Settings

STATE = {"sgd": {"momentum": "momentum_buffer"}, "adamw": {"momentum": "exp_avg", "square": "exp_avg_sq"}}
"""Optimiser -> name of a tensor in a checkpoint -> name in torch's state of a parameter."""


def optimizer(module: nn.Module, config: Settings) -> torch.optim.Optimizer:
    """The optimiser of all parameters of a module."""
    matrices = [p for p in module.parameters() if p.dim() > 0]
    scalars = [p for p in module.parameters() if p.dim() == 0]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}]
    groups += [{"params": scalars, "weight_decay": 0.0}] if scalars else []
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr, betas=(config.momentum, 0.999))
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=True)


def state_tensors(
    made: torch.optim.Optimizer, kind: str, parameters: Mapping[str, nn.Parameter]
) -> dict[str, Tensor]:
    """The state of each parameter that has been updated: `momentum.NAME`, and for adamw `square.NAME`."""
    return {
        f"{ours}.{name}": made.state[p][theirs]
        for ours, theirs in STATE[kind].items()
        for name, p in parameters.items()
        if theirs in made.state[p]
    }


def restore_state(
    made: torch.optim.Optimizer, kind: str, parameters: Mapping[str, nn.Parameter],
    saved: Checkpoint, done: int,
) -> None:  # fmt: skip
    """Take the state back as it was after `done` iterations; CheckpointError if a parameter's is missing."""
    for ours, theirs in STATE[kind].items():
        found = saved.under(ours)
        if odd := set(found) ^ (set(parameters) if done else set()):  # none before the first update
            raise CheckpointError(saved.path, f"{ours} of {sorted(odd)}", "one a parameter")
        for name, tensor in found.items():
            p = parameters[name]
            made.state[p][theirs] = tensor.to(p.device, copy=True)
            if kind == "adamw":
                made.state[p]["step"] = torch.tensor(float(done))
