"""A network grown from a smaller one of its kind: branches that the smaller one lacks begin silent.

A module with residual branches names them in `branches`: what ends a branch -> all its children that come
with it. With zeros in the parameters of the end the branch adds nothing, so that the grown network computes
what the smaller one computed, as long as its neurons pass a lone spike (threshold < 1), and learns on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor, nn

from train.neurons import LIF

Branches = Mapping[str, tuple[str, ...]]
"""Child that ends a residual branch -> children that come with the branch, the end among them."""


def grown(model: nn.Module, known: Collection[str]) -> dict[str, Tensor]:
    """State of the branches of `model` of which none of the names `known` is a part, their ends at zero.

    Anything else that is not known is not in it: it cannot begin silent.
    """
    state = model.state_dict()
    new: dict[str, Tensor] = {}
    for end, members in _branches(model):
        names = [name for name in state if name.startswith(members)]
        if names and not set(names) & set(known):
            ends = {name for name, _ in model.named_parameters() if name.startswith(end)}
            new |= {name: torch.zeros_like(state[name]) if name in ends else state[name] for name in names}
    return new


def highest_threshold(model: nn.Module, new: Collection[str]) -> float:
    """Of the neurons behind the parameters called `new`; 0 where there are none."""
    places = {name.rpartition(".")[0].rpartition(".")[0] for name in new}
    owners = [module for place, module in model.named_modules() if place in places]
    found = [neuron.threshold for owner in owners for neuron in owner.children() if isinstance(neuron, LIF)]
    return max(found, default=0.0)


def _branches(model: nn.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Prefix of the end and of all children, branch by branch."""
    for place, module in model.named_modules():
        prefix = f"{place}." if place else ""
        for end, members in getattr(module, "branches", {}).items():
            yield f"{prefix}{end}.", tuple(f"{prefix}{member}." for member in members)
