"""Fast Fourier transforms: 5 N log2 N real operations of N complex numbers, half for real ones.

A butterfly takes N / 2 log2 N steps of one complex product and two complex sums: 4 multiplies and 6 adds. As
MACs and adds that is 2 N log2 N MACs and N log2 N adds, 5 N log2 N operations in all. Over several axes one
transform after the other. No value is skipped: a transform has no place where a zero is known to be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from energy.operand import REAL
from energy.torch_counts.elementwise import passed
from energy.torch_counts.note import Cell
from energy.torch_counts.operand import summed
from energy.torch_counts.record import Numbers, Stage, Steady, Synaptic
from energy.torch_counts.rules import Rules
from energy.torch_counts.trace import Call

RULES = Rules()


@RULES.operation("_fft_r2c", "_fft_c2c", "_fft_c2r", complex_values=True)
def _transform(call: Call) -> None:
    x, dims = call.args[0], call.args[1]
    macs, adds = fft_ops(x.shape, dims, call.out.shape, call.name != "_fft_c2c")
    known = not x.is_meta
    nnz = int(torch.count_nonzero(x)) if known else x.numel()
    cell = call.note(x).cell
    size = summed(x.abs()) if known else math.nan
    found = Numbers(
        REAL, cell.spikes, known, macs, macs, macs, macs, macs, nnz, x.numel(), x.numel(),
        math.nan if x.is_complex() or not known else summed(x), size,
    )  # fmt: skip
    where = call.where(x)
    call.record(Synaptic(where, (Stage("", found),), call.out.numel()))
    call.record(Steady(where, {"residual_adds": adds}))
    passed(call, Cell())


def fft_ops(shape: Sequence[int], dims: Sequence[int], out: Sequence[int], real: bool) -> tuple[int, int]:
    """(MACs, adds): 2 and 1 times N log2 N for each line of N, rounded up for N that is no power of two.

    real: values are real on one side, so that the last axis costs half, and the others see half of it.
    """
    macs = adds = 0
    sizes = [max(a, b) for a, b in zip(shape, out, strict=True)]
    for order, dim in enumerate(reversed([d % len(shape) for d in dims])):
        n = sizes[dim]
        halved = real and order == 0
        lines = math.prod(sizes) // max(1, n)
        if real and order > 0:
            last = dims[-1] % len(shape)
            lines = lines // sizes[last] * (sizes[last] // 2 + 1)
        steps = n * math.log2(n) if n > 1 else 0.0
        macs += math.ceil(2 * steps / (2 if halved else 1)) * lines
        adds += math.ceil(steps / (2 if halved else 1)) * lines
    return macs, adds


def real_operations(macs: int, adds: int) -> int:
    """Real operations as the literature counts them: a MAC is two."""
    return 2 * macs + adds
