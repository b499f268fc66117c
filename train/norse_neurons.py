"""Norse's LIF and LIF box as back-ends of the house neuron. The one file that imports norse.

Norse (1.1.0, feed-forward steps), with k_m = dt tau_mem_inv, k_s = dt tau_syn_inv, leak and reset
at 0:

    LIF      j = i + x ;  v = v + k_m (j - v) ;  z = v > v_th ;  i = (1 - k_s) j ;  v = 0 where z
    LIF box               v = v + k_m (x - v) ;  z = v > v_th ;                     v = 0 where z

Norse adds the input before it integrates, so the new current acts in the same step, as in the
house, and no step is shifted. The mapping is exact in real numbers:

    k_m = dv ;  k_s = du ;  v_th = threshold ;  x = a / dv, as Norse scales its input by k_m ;
    u = dv j, and so Norse's stored i = (1 - du) u / dv.

In floats v + dv (a / dv - v) rounds otherwise than (1 - dv) v + a, by an ulp or so of the larger
term. dv = 0 has no counterpart. Gradients: Norse differentiates its reset, the house does not. The
one surrogate both know is triangle (alpha 1): Norse's "super" ignores its alpha and has slope 1,
ours has 10.
"""

import torch
from norse.torch.functional.lif import LIFFeedForwardState, LIFParameters, lif_feed_forward_step
from norse.torch.functional.lif_box import (
    LIFBoxFeedForwardState,
    LIFBoxParameters,
    lif_box_feed_forward_step,
)
from torch import Tensor

from train.step import Params, State, rest

METHODS = {"triangle": ("triangle", 1.0)}
DT_S = 0.001


def check(backend: str, p: Params, gradient: str, learn_dv: bool) -> None:
    """Refuse, with the reason, what Norse cannot hold."""
    if gradient not in METHODS:
        raise ValueError(f"{backend} has no surrogate {gradient!r}; it has {', '.join(sorted(METHODS))}")
    if float(p.dv) == 0.0:
        raise ValueError(f"{backend} cannot hold dv = 0: it scales its input by dv")
    if backend == "norse-lifbox" and float(p.du) != 1.0:
        raise ValueError(f"{backend} has no current state: du must be 1, got {float(p.du)}")
    if learn_dv or float(p.bias) != 0.0:
        raise ValueError(f"{backend} holds neither a learned dv nor a bias")


def run(backend: str, a: Tensor, state: State | None, p: Params, gradient: str) -> tuple[Tensor, State]:
    """a [T, N, *shape] -> spikes [T, N, *shape] and the house's state after the last step."""
    step = _box_step if backend == "norse-lifbox" else _lif_step
    state = rest(a[0]) if state is None else state
    out = []
    for a_t in a:
        s, state = step(a_t, state, p, gradient)
        out.append(s)
    return torch.stack(out), state


def _lif_step(a: Tensor, state: State, p: Params, gradient: str) -> tuple[Tensor, State]:
    """One step of Norse's LIF on the house's state; a [N, *shape]."""
    method, alpha = METHODS[gradient]
    norse = LIFParameters(
        tau_syn_inv=torch.as_tensor(float(p.du) / DT_S, dtype=a.dtype),
        tau_mem_inv=torch.as_tensor(float(p.dv) / DT_S, dtype=a.dtype),
        v_th=torch.as_tensor(p.threshold, dtype=a.dtype),
        method=method,
        alpha=torch.as_tensor(alpha, dtype=a.dtype),
    )
    carried = (1.0 - p.du) * state.u / p.dv
    s, after = lif_feed_forward_step(a / p.dv, LIFFeedForwardState(v=state.v, i=carried), norse, DT_S)
    # Norse stores the decayed current; the house's u is the undecayed j times dv.
    return s, State(carried * p.dv + a, after.v)


def _box_step(a: Tensor, state: State, p: Params, gradient: str) -> tuple[Tensor, State]:
    """One step of Norse's LIF box on the house's state; a [N, *shape]."""
    method, alpha = METHODS[gradient]
    norse = LIFBoxParameters(
        tau_mem_inv=torch.as_tensor(float(p.dv) / DT_S, dtype=a.dtype),
        v_th=torch.as_tensor(p.threshold, dtype=a.dtype),
        method=method,
        alpha=torch.as_tensor(alpha, dtype=a.dtype),
    )
    s, after = lif_box_feed_forward_step(a / p.dv, LIFBoxFeedForwardState(v=state.v), norse, DT_S)
    return s, State(a, after.v)
