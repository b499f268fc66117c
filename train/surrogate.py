"""The spike and the stand-in gradients of it.

Forward is always the strict Heaviside step of the house: s = 1 where v > threshold. Backward uses
ds/dx ~ h(x) with x = v - threshold, where h is one of the named functions below. Every h is written
out as the derivative itself, elementwise, and keeps shape and dtype.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

Surrogate = Callable[[Tensor], Tensor]


def sigmoid(x: Tensor) -> Tensor:
    """h = k p (1 - p), p = 1 / (1 + exp(-k x)), slope k = 4 (SpikingJelly's default). Peak 1."""
    p = torch.sigmoid(4.0 * x)
    return 4.0 * p * (1.0 - p)


def wide_sigmoid(x: Tensor) -> Tensor:
    """h = 4 p (1 - p), p = 1 / (1 + exp(-k x)), slope k = 2.5. Peak 1. For deep residual networks: through
    Signal-SGN's blocks the gradient keeps its size within a factor of 3, with k = 4 it shrinks fortyfold
    (benchmarks/surrogate_depth.py)."""
    p = torch.sigmoid(2.5 * x)
    return 4.0 * p * (1.0 - p)


def atan(x: Tensor) -> Tensor:
    """h = (k / 2) / (1 + (pi k x / 2)^2), k = 2 (Fang et al. 2021). Peak 1."""
    return 1.0 / (1.0 + (math.pi * x).square())


def triangle(x: Tensor) -> Tensor:
    """h = max(0, 1 - |x|) (Esser et al. 2016, Bellec et al. 2018 without their 0.3). Peak 1."""
    return (1.0 - x.abs()).clamp_min(0.0)


def fast_sigmoid(x: Tensor) -> Tensor:
    """h = 1 / (1 + k |x|)^2, k = 10 (SuperSpike, Zenke and Ganguli 2018, of a unit threshold)."""
    return (1.0 + 10.0 * x.abs()).square().reciprocal()


def rectangular(x: Tensor) -> Tensor:
    """h = 1 where |x| < 1/2, else 0 (Wu et al. 2018, width 1)."""
    return (x.abs() < 0.5).to(x.dtype)


SURROGATES: dict[str, Surrogate] = {
    "sigmoid": sigmoid,
    "wide-sigmoid": wide_sigmoid,
    "atan": atan,
    "triangle": triangle,
    "fast-sigmoid": fast_sigmoid,
    "rectangular": rectangular,
}


def surrogate(name: str) -> Surrogate:
    """The gradient called `name`; a ValueError that lists the known ones otherwise."""
    if name not in SURROGATES:
        raise ValueError(f"unknown surrogate {name!r}; known: {', '.join(sorted(SURROGATES))}")
    return SURROGATES[name]


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, gradient: Surrogate) -> Tensor:
        ctx.save_for_backward(x)
        ctx.gradient = gradient
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, g: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return g * ctx.gradient(x), None


def spike(x: Tensor, name: str) -> Tensor:
    """s = 1 where x > 0, else 0, with x = v - threshold; same shape and dtype as x.

    In IEEE arithmetic with gradual underflow v - threshold > 0 exactly when v > threshold.
    """
    return _Spike.apply(x, surrogate(name))
