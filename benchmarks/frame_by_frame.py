"""A trained model run as torch users run spiking networks: one frame at a time, state carried between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from train.layers import StepConv
from train.neurons import IF, LIF, CubaLIF, LeakyIntegrator
from train.step import Params, integrate_step, rest


class _Neuron:
    def __init__(self, module: Any) -> None:
        self.module, self.state = module, None

    def __call__(self, a: Tensor) -> Tensor:
        spikes, self.state = self.module.run(a, self.state)
        return spikes


class _Past:
    """A convolution over steps with its own memory of the last K - 1 frames."""

    def __init__(self, module: StepConv) -> None:
        self.forward, self.keep, self.past = module.forward, module.weight.shape[2] - 1, None

    def __call__(self, x: Tensor) -> Tensor:
        if self.past is None:
            self.past = x.new_zeros((self.keep, *x.shape[1:]))
        window = torch.cat([self.past, x])
        self.past = window[1:]
        return self.forward(window)[-1:]


class _Readout:
    def __init__(self, module: LeakyIntegrator) -> None:
        self.params, self.state = Params(1.0, module.dv, float("inf")), None

    def __call__(self, a: Tensor) -> Tensor:
        self.state = integrate_step(a[0], rest(a[0]) if self.state is None else self.state, self.params)
        return self.state.v


@contextmanager
def streaming(model: nn.Module) -> Iterator[nn.Module]:
    """Inside, the model takes frames [1, N, C, V] and remembers; its output is the readout's v so far."""
    wrapped = []
    for module in model.modules():
        kind = next((k for t, k in _KINDS if isinstance(module, t)), None)
        if kind is not None:
            module.forward = kind(module)
            wrapped.append(module)
    try:
        yield model
    finally:
        for module in wrapped:
            del module.forward


_KINDS = (((LIF, CubaLIF, IF), _Neuron), (StepConv, _Past), (LeakyIntegrator, _Readout))


def scores(model: nn.Module, x: Tensor) -> Tensor:
    """x [T, N, C, V] -> class scores [N, K], frame by frame, from rest."""
    with streaming(model) as stream:
        for t in range(len(x)):
            v = stream(x[t : t + 1])
    return v / len(x)
