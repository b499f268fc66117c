"""Firing rates of the spiking layers, read by forward hooks while a `with` block runs.

The model itself keeps nothing: without the block no hook exists.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from train.neurons import IF, LIF, CubaLIF
from train.processes import Processes
from train.qat.neurons import IntegerLIF

SPIKING = (LIF, CubaLIF, IF, IntegerLIF)


class Rates:
    """Spikes and neuron steps per layer, counted exactly."""

    def __init__(self, names: list[str]) -> None:
        self.spikes: dict[str, int] = dict.fromkeys(names, 0)
        self.chances: dict[str, int] = dict.fromkeys(names, 0)

    def add(self, name: str, s: Tensor) -> None:
        """s [T, N, *shape] of {0, 1}: one forward of layer `name`."""
        self.spikes[name] += int(torch.count_nonzero(s))
        self.chances[name] += s.numel()

    def gather(self, group: Processes) -> None:
        """Take in the counts of all processes."""
        for counts in (self.spikes, self.chances):
            counts |= zip(counts, group.total(torch.tensor(list(counts.values()))).tolist(), strict=True)

    def per_layer(self) -> dict[str, float]:
        """Spikes per neuron and step, per layer; layers that never ran are left out."""
        return {name: self.spikes[name] / n for name, n in self.chances.items() if n}

    def mean(self) -> float:
        """Spikes per neuron and step over all layers; 0 before the first forward."""
        return sum(self.spikes.values()) / max(sum(self.chances.values()), 1)


@contextmanager
def firing_rates(model: nn.Module) -> Iterator[Rates]:
    """Count the spikes of every spiking layer of `model` until the block ends."""
    layers = {name: m for name, m in model.named_modules() if isinstance(m, SPIKING)}
    rates = Rates(list(layers))
    hooks = [
        layer.register_forward_hook(lambda _m, _a, out, name=name: rates.add(name, out))
        for name, layer in layers.items()
    ]
    try:
        yield rates
    finally:
        for hook in hooks:
            hook.remove()
