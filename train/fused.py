"""The house neuron over a whole sequence at once, with its own backward.

Same arithmetic, in the same order, as the loop of `train.step.spike_step`, so that the spikes are
equal bit for bit in float32. On a CPU in float32 the loops run in compiled kernels: blocks of
neurons in parallel, time inside, the state of a block stays in cache. Elsewhere plain torch does
the same. Backward, with v_t before the reset, x_t = v_t - threshold, h the surrogate:

    gv_t = gs_t h(x_t) + (1-s_t) (1-dv) gv_{t+1} ;   gu_t = gv_t + (1-du) gu_{t+1} ;   ga_t = gu_t

and, summed over steps and neurons, with v', u' the state a step started from:
g_dv = -gv v' ;  g_du = -gu u' ;  g_threshold = -gs h ;  g_b = gv.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from train import kernels
from train.step import Params, State, rest
from train.surrogate import surrogate


class _Scalars(NamedTuple):
    """The layer's scalars as numbers: 1 - du, 1 - dv, threshold, b."""

    keep_u: float
    keep_v: float
    threshold: float
    bias: float


def _scalars(p: Params) -> _Scalars:
    # 1 - dv is taken where dv lives (a float32 parameter or a Python float), as the step takes it.
    return _Scalars(float(1.0 - p.du), float(1.0 - p.dv), float(p.threshold), float(p.bias))


def _compiled(a: Tensor) -> bool:
    return a.device.type == "cpu" and a.dtype == torch.float32


def _forward(a: Tensor, state: State, c: _Scalars) -> tuple[Tensor, Tensor, State]:
    """a [T, P] -> spikes [T, P], v before the reset [T, P], last state [P]."""
    s, v_pre = torch.empty_like(a), torch.empty_like(a)
    if _compiled(a):
        u, v = state.u.clone(), state.v.clone()
        f32 = np.float32
        kernels.forward(
            a.numpy(), u.numpy(), v.numpy(), s.numpy(), v_pre.numpy(),
            f32(c.keep_u), f32(c.keep_v), f32(c.threshold), f32(c.bias), torch.get_num_threads(),
        )  # fmt: skip
        return s, v_pre, State(u, v)
    u, v = state
    for t in range(len(a)):
        u = c.keep_u * u + a[t] if c.keep_u != 0.0 else a[t]
        v = c.keep_v * v + u
        v = v + c.bias if c.bias != 0.0 else v
        v_pre[t] = v
        s[t] = v > c.threshold
        v = v * (1.0 - s[t])
    return s, v_pre, State(u.clone(), v)


def _backward(gs_h: Tensor, s: Tensor, gu: Tensor, gv: Tensor, c: _Scalars) -> tuple[Tensor, Tensor, Tensor]:
    """gs_h = gs h(x), s [T, P]; gu, gv [P] of the last state -> ga [T, P], gu, gv of the first."""
    ga = torch.empty_like(gs_h)
    if _compiled(gs_h):
        gu, gv = gu.clone(), gv.clone()
        kernels.backward(
            gs_h.numpy(), s.numpy(), gu.numpy(), gv.numpy(), ga.numpy(),
            np.float32(c.keep_u), np.float32(c.keep_v), torch.get_num_threads(),
        )  # fmt: skip
        return ga, gu, gv
    for t in reversed(range(len(s))):
        g = gs_h[t] + (1.0 - s[t]) * gv
        ga[t] = g + gu
        gu, gv = c.keep_u * ga[t], c.keep_v * g
    return ga, gu, gv


class _SpikeSequence(torch.autograd.Function):
    """[T, P] -> spikes [T, P], last u [P], last v [P]."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, a: Tensor, u0: Tensor, v0: Tensor,
        du: object, dv: object, threshold: object, bias: object, gradient: str,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        p = Params(du, dv, threshold, bias)
        s, v_pre, last = _forward(a, State(u0, v0), _scalars(p))
        ctx.save_for_backward(v_pre, s, u0, v0)
        ctx.params, ctx.gradient = p, gradient
        return s, last.u, last.v

    @staticmethod
    def backward(ctx: FunctionCtx, gs: Tensor, gu: Tensor, gv: Tensor) -> tuple[Tensor | None, ...]:
        v_pre, s, u0, v0 = ctx.saved_tensors
        c = _scalars(ctx.params)
        gs_h = surrogate(ctx.gradient)(v_pre - c.threshold).mul_(gs)
        ga, gu0, gv0 = _backward(gs_h, s, gu.contiguous(), gv.contiguous(), c)
        of_scalars = [None] * 4
        if any(ctx.needs_input_grad[3:7]):
            found = _scalar_gradients(ga, gs_h, s, v_pre, State(gu, gv), State(u0, v0), c)
            like = zip(found, ctx.params, ctx.needs_input_grad[3:7], strict=True)
            of_scalars = [g.to(p.dtype) if needed else None for g, p, needed in like]
        return ga, gu0, gv0, *of_scalars, None


def _scalar_gradients(
    ga: Tensor, gs_h: Tensor, s: Tensor, v_pre: Tensor, g_last: State, start: State, c: _Scalars
) -> tuple[Tensor, ...]:
    """Gradients of du, dv, threshold, b (0-d each); shapes as in `_backward`."""
    later = torch.cat([c.keep_u * ga[1:], g_last.u[None]])
    gv = ga - later
    v_before = torch.cat([start.v[None], (v_pre * (1.0 - s))[:-1]])
    u = v_pre - c.bias - c.keep_v * v_before
    u_before = torch.cat([start.u[None], u[:-1]])
    return -(ga * u_before).sum(), -(gv * v_before).sum(), -gs_h.sum(), gv.sum()


def _memory_order(a: Tensor) -> list[int]:
    """Time first, then the dimensions by falling stride: in this order a flattens without a copy."""
    return [0, *sorted(range(1, a.dim()), key=lambda d: -a.stride(d))]


def spike_sequence(a: Tensor, state: State | None, p: Params, gradient: str) -> tuple[Tensor, State]:
    """a [T, N, *shape] -> spikes [T, N, *shape] and the state after the last step [N, *shape].

    Any memory order of a dense tensor is kept: neurons are independent, so their order is free.
    """
    order = _memory_order(a)
    back = [order.index(d) for d in range(a.dim())]
    inner = [d - 1 for d in order[1:]]
    dense = a.permute(order).contiguous()
    start = rest(a[0]) if state is None else state
    u0, v0 = (x.permute(inner).reshape(-1) for x in start)
    s, u, v = _SpikeSequence.apply(dense.flatten(1), u0, v0, *p, gradient)
    shape = dense.shape[1:]
    inner_back = [d - 1 for d in back[1:]]
    last = State(u.view(shape).permute(inner_back), v.view(shape).permute(inner_back))
    return s.view(dense.shape).permute(back), last
