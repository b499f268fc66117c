"""Interpolation between grids: a fixed linear map of each axis; its entries that are not zero are synapses.

    y[i, j] = sum over p, q of A[i, p] B[j, q] x[p, q]
    fan-out of x[p, q]    (entries of A's column p) (entries of B's column q)
    dense                 2 taps (linear) or 4 (cubic) an axis, for each output

What lies beyond the border is its nearest value again: taps that meet there are one. The nearest value alone
is a move (`moves`).
"""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from energy.torch_counts.note import carried
from energy.torch_counts.operand import Synapses
from energy.torch_counts.products import weigh
from energy.torch_counts.rules import Rules
from energy.torch_counts.trace import Call

RULES = Rules()

_TAPS = {"upsample_linear1d": 2, "upsample_bilinear2d": 2, "upsample_trilinear3d": 2, "upsample_bicubic2d": 4}


@RULES.operation(*_TAPS)
def _resample(call: Call) -> None:
    x, taps = call.args[0], _TAPS[call.name]
    axes = x.dim() - 2
    counts = [_entries(call, axis) for axis in range(axes)]
    each = reduce(lambda a, b: a.unsqueeze(-1) * b, counts)
    inbounds = int(each.sum()) * math.prod(x.shape[:2])
    fan = Synapses(call.out.numel() * taps**axes, inbounds, each, each)
    time = carried(call.note(x).time, call.name, (), x.shape, call.out.shape)
    weigh(call, x, fan, time, None, absorbs=False)


def _entries(call: Call, axis: int) -> Tensor:
    """float64 [n]: outputs that each of n places of an axis reaches, found by resampling each place alone."""
    n, corners = call.args[0].shape[2 + axis], bool(call.args[2])
    size, scale = call.out.shape[2 + axis], _scale(call, axis)
    alone = torch.eye(n, dtype=torch.float64)[:, None]
    if call.name == "upsample_bicubic2d":
        made = torch.ops.aten.upsample_bicubic2d(alone[..., None], [size, 1], corners, scale, None)
    else:
        made = torch.ops.aten.upsample_linear1d(alone, [size], corners, scale)
    return torch.count_nonzero(made.reshape(n, size), dim=1).to(torch.float64)


def _scale(call: Call, axis: int) -> float | None:
    """The factor that was asked for, where one was: it decides which values lie side by side."""
    given: tuple[Any, ...] = call.args[3:]
    found = given[0] if len(given) == 1 and isinstance(given[0], list | tuple) else given
    return found[axis] if found else None
