"""Straight-through: integers forward, the gradient of the float they were rounded from backward."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, w: Tensor, step: float, low: int, high: int) -> Tensor:
        k = torch.round(w / step)
        held = k.clamp(low, high)
        ctx.step = step
        ctx.save_for_backward(None if torch.equal(k, held) else k - held)
        return held

    @staticmethod
    def backward(ctx: FunctionCtx, g: Tensor) -> tuple[Tensor, None, None, None]:
        (beyond,) = ctx.saved_tensors
        g = g / ctx.step
        if beyond is not None:  # a descent that leads further out of the range changes nothing: no gradient
            g = g.masked_fill(beyond * g < 0, 0.0)
        return g, None, None, None


def rounded(w: Tensor, step: float, low: int, high: int) -> Tensor:
    """clip(round_half_even(w / step), low, high); d/dw = 1 / step, 0 where a descent leads out of range."""
    return _Rounded.apply(w, step, low, high)


class _Floored(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        return torch.floor(x)

    @staticmethod
    def backward(ctx: FunctionCtx, g: Tensor) -> Tensor:
        return g


def shifted(x: Tensor, exp: int) -> Tensor:
    """x << exp, or the floor shift to the right where exp is negative; d/dx = 2^exp. x holds integers."""
    if exp == 0:
        return x
    moved = x * 2.0**exp
    return moved if exp > 0 else _Floored.apply(moved)


def master(value: Tensor, integers: Tensor, step: float, low: int, high: int) -> Tensor:
    """float32 of `value` that rounds to `integers`, bit for bit: where float32 moves a tie, the integer's own
    value takes its place. Shapes of all are equal."""
    w = value.to(torch.float32)
    exact = rounded(w, step, low, high) == integers
    return torch.where(exact, w, integers.to(torch.float32) * step)
