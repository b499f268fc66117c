"""The pure step of the house neuron, and what a layer's neurons share.

    u = (1 - du) u + a ;   v = (1 - dv) v + u + b ;   s = v > threshold (strict) ;   v = 0 where s

Lava's order and reset (DESIGN, section 3): the new current acts in the same step, the spike is read
before the reset, the reset sets v to zero and leaves u alone. du = 1 means no current state, u = a.
The reset takes no gradient. No input gain: dv does not scale a; weights carry the gain.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from train.surrogate import spike

Scalar = float | Tensor


class Params(NamedTuple):
    """What a layer's neurons share."""

    du: Scalar  # current decay per step, in [0, 1]
    dv: Scalar  # membrane decay per step, in [0, 1]
    threshold: Scalar
    bias: Scalar = 0.0


class State(NamedTuple):
    """u: current, v: membrane potential after reset; both [N, *shape]."""

    u: Tensor
    v: Tensor


def rest(a: Tensor) -> State:
    """The state before the first step, zero, for one step's input a [N, *shape]."""
    return State(torch.zeros_like(a), torch.zeros_like(a))


def integrate_step(a: Tensor, state: State, p: Params) -> State:
    """u = (1-du) u + a; v = (1-dv) v + u + b. a [N, *shape]; no spike, no reset."""
    # du = 1 is by far the common case; without it the product 0 * u is one pass over memory more.
    u = a if isinstance(p.du, float) and p.du == 1.0 else (1.0 - p.du) * state.u + a
    v = (1.0 - p.dv) * state.v + u
    if isinstance(p.bias, Tensor) or p.bias != 0.0:
        v = v + p.bias
    return State(u, v)


def spike_step(a: Tensor, state: State, p: Params, gradient: str) -> tuple[Tensor, State]:
    """One step of the house neuron: a [N, *shape] -> spikes of {0, 1}, same shape, and state."""
    u, v = integrate_step(a, state, p)
    s = spike(v - p.threshold, gradient)
    # Multiplying by the detached 1 - s is the reset to zero; no gradient runs through the choice.
    return s, State(u, v * (1.0 - s.detach()))
