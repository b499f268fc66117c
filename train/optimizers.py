"""Optimisers by name, and their state as tensors by name: the two ends of a resume.

sgd      Nesterov momentum; `momentum` is its factor
adamw    Adam with decoupled weight decay; `momentum` is beta 1, beta 2 is 0.999
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from train.checkpoint import Checkpoint, CheckpointError

# name of the optimiser -> prefix in a checkpoint -> key of its state
KEPT: dict[str, dict[str, str]] = {
    "sgd": {"momentum": "momentum_buffer"},
    "adamw": {"first": "exp_avg", "second": "exp_avg_sq", "updates": "step"},
}


def build(name: str, groups: list[dict[str, Any]], lr: float, momentum: float) -> Optimizer:
    """The optimiser of these groups of parameters; a ValueError that lists the known ones otherwise."""
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=True)
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=lr, betas=(momentum, 0.999))
    raise ValueError(f"unknown optimizer {name!r}; known: {', '.join(KEPT)}")


def tensors(name: str, optimizer: Optimizer, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The state of every parameter that has one, as "prefix.parameter"."""
    out = {}
    for parameter, p in parameters.items():
        for prefix, key in KEPT[name].items():
            if (state := optimizer.state[p].get(key)) is not None:
                out[f"{prefix}.{parameter}"] = state
    return out


def restore(
    name: str, optimizer: Optimizer, parameters: Mapping[str, nn.Parameter], source: Checkpoint, begun: bool
) -> None:
    """Continue where `tensors` was taken. begun: whether there was an update, without which there is none."""
    for prefix, key in KEPT[name].items():
        found = source.under(prefix)
        if odd := set(found) ^ (set(parameters) if begun else set()):
            raise CheckpointError(source.path, f"{prefix} of {sorted(odd)}", "one a parameter")
        for parameter, state in found.items():
            p = parameters[parameter]
            # Adam keeps its count of updates on the CPU, whatever the device.
            optimizer.state[p][key] = state.to("cpu" if state.dim() == 0 else p.device, copy=True)
