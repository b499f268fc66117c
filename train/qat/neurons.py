"""The integer neurons as layers: exact spikes forward, a surrogate scaled to their integers backward."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from train.qat import kernels
from train.qat.kernels import STATE_SHIFT
from train.qat.rounding import master, rounded
from train.qat.site import Site
from train.surrogate import surrogate

BIAS_LOW, BIAS_HIGH = -4096, 4095  # 13 bits
LIMIT = (1 << 23) - 1  # of a membrane


class _Constants(NamedTuple):
    """Of a population, flat [P] int64: 4096 less the decays; threshold in counts of v, value of a count."""

    keep_u: np.ndarray
    keep_v: np.ndarray
    threshold: int
    unit: float
    gradient: str


class _Sequence(torch.autograd.Function):
    """a [T, N, P], bias [P] -> spikes [T, N, P], v after the last step [N, P] (float64: it is an integer)."""

    @staticmethod
    def forward(ctx: FunctionCtx, a: Tensor, bias: Tensor, c: _Constants) -> tuple[Tensor, Tensor]:
        whole = bias.detach().numpy().astype(np.int64)
        threads = torch.get_num_threads()
        found = kernels.forward(a.detach().numpy(), c.keep_u, c.keep_v, whole, c.threshold, c.unit, threads)
        s, x, v = (torch.from_numpy(y) for y in found)
        ctx.save_for_backward(s, x)
        ctx.constants, ctx.dtype = c, a.dtype
        return s, v

    @staticmethod
    def backward(ctx: FunctionCtx, gs: Tensor, gv: Tensor) -> tuple[Tensor, Tensor, None]:
        s, x = ctx.saved_tensors
        c = ctx.constants
        gs_h = surrogate(c.gradient)(x).mul_(gs).mul_(c.unit)
        ga, gb = kernels.backward(
            gs_h.contiguous().numpy(), s.numpy(), gv.to(torch.float32).contiguous().numpy(),
            c.keep_u, c.keep_v, torch.get_num_threads(),
        )  # fmt: skip
        return torch.from_numpy(ga).to(ctx.dtype), torch.from_numpy(gb).sum(0), None


class _Population(nn.Module):
    """What both neurons are: decays and threshold fixed, the bias a float that is rounded."""

    def __init__(self, site: Site, default_unit: float) -> None:
        super().__init__()
        f = site.fields
        self.shape = site.shape
        keep_u, keep_v = (4096 - _flat(d, site.shape) for d in (np.asarray(f["du"]) + 1, f["dv"]))
        unit, threshold = float(site.unit or default_unit), int(f["vth"]) << STATE_SHIFT
        self.constants = _Constants(keep_u, keep_v, threshold, unit, site.gradient)
        self.exp, self.step = int(f["bias_exp"]), 1.0
        self.bias = None
        if f["bias_mant"] is not None:
            value, self.step, mantissa = site.master("bias_mant")
            limits = (self.step, BIAS_LOW, BIAS_HIGH)
            self.bias = nn.Parameter(master(value, mantissa, *limits))
            self.kind = f["bias_mant"].dtype

    def integers(self) -> dict[str, np.ndarray]:
        """The trained fields of the node."""
        if self.bias is None:
            return {}
        return {"bias_mant": self._mantissa().detach().numpy().astype(self.kind)}

    def _mantissa(self) -> Tensor:
        return rounded(self.bias, self.step, BIAS_LOW, BIAS_HIGH)

    def run(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """a [T, N, *shape] -> spikes [T, N, *shape], v after the last step [N, *shape]."""
        bias = a.new_zeros(self.shape) if self.bias is None else self._mantissa() * 2.0**self.exp
        flat = bias.expand(self.shape).reshape(-1)
        s, v = _Sequence.apply(a.reshape(*a.shape[:2], -1).contiguous(), flat, self.constants)
        return s.view(a.shape), v.view(a.shape[1:])


def _flat(x: object, shape: tuple[int, ...]) -> np.ndarray:
    return np.ascontiguousarray(np.broadcast_to(np.asarray(x, np.int64), shape)).reshape(-1)


class IntegerLIF(_Population):
    """LoihiLIF: spikes [T, N, *shape] of {0, 1}, from rest."""

    peak = 1

    def __init__(self, site: Site) -> None:
        # Without a float model behind it the threshold is 1.
        super().__init__(site, 1.0 / max(int(site.fields["vth"]) << STATE_SHIFT, 1))

    def forward(self, a: Tensor) -> Tensor:
        """a [T, N, *shape] of integers."""
        return self.run(a)[0]


class IntegerReadout(_Population):
    """LoihiIntegrator: v after the last step, float64 [N, *shape], an integer."""

    peak = LIMIT

    def __init__(self, site: Site) -> None:
        super().__init__(site, float(site.fields["unit"]))

    def forward(self, a: Tensor) -> Tensor:
        """a [T, N, *shape] of integers."""
        return self.run(a)[1]
