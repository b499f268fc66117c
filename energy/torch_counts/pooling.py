"""Pools, means and other sums over positions.

    average of k values      k - 1 adds an output; the division belongs to the weights behind
    maximum of k values      k - 1 compares an output, or nothing (`max_compares`)
    sum of k values          k - 1 adds an output, of complex ones twice that
    variance, deviation      3 k - 1 adds, k + 1 multiplies, 1 more for the root
    logsumexp                max + log(sum(exp(x - max))): k - 1 compares, 2 k adds, k + 1 multiplies

What lies in a border of padding is no value. A median is not counted: it is no maximum.

An average over windows that do not overlap, of spikes or their sums, may be folded into weights behind it, as
on the graph side; its operand then is what lay before it. Else its values are real.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from energy.operand import INTEGER, REAL
from energy.torch_counts.elementwise import steady
from energy.torch_counts.note import Axis, Cell, Note, Pooled, carried
from energy.torch_counts.operand import peak
from energy.torch_counts.record import Pool
from energy.torch_counts.rules import NotCounted, Rules
from energy.torch_counts.trace import Call

RULES = Rules()


def pool(
    call: Call,
    x: Tensor,
    window: int,
    overlaps: bool,
    summed: Callable[[Tensor], Tensor],
    time: Axis | None,
    adds: int | None = None,
) -> None:
    """Record an average. summed: a function of values like x that adds up each window exactly; adds: where
    not all windows are whole."""
    note = call.note(x)
    before = note.pooled
    known = note.cell.discrete or before is not None
    inner = before.pool if before else None
    adds = (window - 1) * call.out.numel() if adds is None else adds
    record = Pool(
        call.where(x), {"pool_adds": adds}, overlaps=overlaps,
        foldable=call.settings.fold_pool and known and not overlaps, inner=inner,
    )  # fmt: skip
    call.trace.read(note, record)
    call.record(record)
    pooled = None
    if record.foldable and window > 0 and not x.is_meta:
        known_values = (x.double(), x.abs().double())
        base = before or Pooled((x != 0).to(torch.int64), known_values, 1, note.cell, record, peak(x))
        if base.events is not None and base.sums is not None:
            events, *sums = (summed(v) for v in (base.events, *base.sums))
            pooled = Pooled(events, (sums[0], sums[1]), base.window * window, base.cell, record, base.peak)
    elif record.foldable:
        pooled = Pooled(None, None, window, note.cell, record)
    cell = Cell(REAL, spikes=note.cell.spikes)
    call.give(Note(cell, (record.users,), (), time, None, pooled))


def mean_of(call: Call, x: Tensor, dims: Sequence[int], keep: bool = False) -> None:
    """A mean over whole axes."""
    window = math.prod(x.shape[d] for d in dims)
    note = call.note(x)
    time = _left(note.time, dims, x.dim(), keep)
    pool(call, x, window, False, lambda v: v.sum(dim=tuple(dims), keepdim=keep), time)


def _left(axis: Axis | None, dims: Sequence[int], rank: int, keep: bool) -> Axis | None:
    """An axis behind a reduction of others."""
    if axis is None or axis.at in dims:
        return None
    return axis if keep else Axis(axis.at - sum(d < axis.at for d in dims), axis.length, axis.inner)


def _dims(call: Call, place: int = 1) -> tuple[tuple[int, ...], bool]:
    x, given = call.args[0], call.arg(place, "dim")
    given = range(x.dim()) if given is None or given == [] else given
    dims = tuple(d % max(1, x.dim()) for d in ([given] if isinstance(given, int) else given))
    return dims, bool(call.arg(place + 1, "keepdim", False))


@RULES.operation("mean")
def _mean(call: Call) -> None:
    dims, keep = _dims(call)
    mean_of(call, call.args[0], dims, keep)


@RULES.operation("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _average(call: Call) -> None:
    x, rank = call.args[0], int(call.name[-2])
    kernel = _sides(call.args[1], rank)
    stride = _sides(call.arg(2, "stride") or kernel, rank)
    padding = _sides(call.arg(3, "padding", 0), rank)
    plain = not any(padding) and not call.arg(4, "ceil_mode", False) and not call.arg(6, "divisor_override")
    overlaps = not plain or any(s < k for s, k in zip(stride, kernel, strict=True))
    note, window = call.note(x), math.prod(kernel)

    def summed(values: Tensor) -> Tensor:
        fn = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[rank - 1]
        total = fn(values.double(), kernel, stride) * window  # whole numbers, as the input is discrete
        return total.round().to(values.dtype)

    time = carried(note.time, call.name, (), x.shape, call.out.shape)
    pool(call, x, window, overlaps, summed, time, _joins(x, call.out, kernel, stride, padding, (1,) * rank))


def _joins(
    x: Tensor,
    out: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> int:
    """Values under all windows, less one for each: a border holds none."""
    rank, under = len(kernel), 1
    for d in range(rank):
        size, outs = x.shape[d - rank], out.shape[d - rank]
        taps = [o * stride[d] - padding[d] + k * dilation[d] for o in range(outs) for k in range(kernel[d])]
        under *= sum(0 <= tap < size for tap in taps)
    return math.prod(x.shape[:-rank]) * under - out.numel()


@RULES.operation(
    "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool1d", "_adaptive_avg_pool1d"
)
def _adaptive(call: Call) -> None:
    """Windows may overlap; their sizes differ: counted exactly, never folded."""
    x = call.args[0]
    rank = int(call.name[-2])
    adds = (
        math.prod(x.shape[:-rank])
        * (math.prod(sum(_adaptive_sizes(x.shape[d - rank], call.out.shape[d - rank])) for d in range(rank)))
        - call.out.numel()
    )
    note = call.note(x)
    record = Pool(call.where(x), {"pool_adds": adds}, overlaps=True)
    call.trace.read(note, record)
    call.record(record)
    time = carried(note.time, call.name, (), x.shape, call.out.shape)
    call.give(Note(Cell(REAL, spikes=note.cell.spikes), (record.users,), (), time))


def _adaptive_sizes(size: int, outs: int) -> list[int]:
    """Values under each output of one side: from floor(i n / m) to ceil((i + 1) n / m)."""
    return [-(-(i + 1) * size // outs) - i * size // outs for i in range(outs)]


@RULES.operation(
    "max_pool1d", "max_pool2d", "max_pool3d", "max_pool1d_with_indices", "max_pool2d_with_indices",
    "max_pool3d_with_indices", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
)  # fmt: skip
def _maximum(call: Call) -> None:
    """Keeps the class: the largest of spikes is a spike."""
    x, rank = call.args[0], int(call.name.split("pool")[1][0])
    out = call.out[0] if isinstance(call.out, tuple) else call.out
    if call.name.startswith("adaptive"):
        sides = (sum(_adaptive_sizes(x.shape[d - rank], out.shape[d - rank])) for d in range(rank))
        compares = math.prod(x.shape[:-rank]) * math.prod(sides) - out.numel()
    else:
        kernel = _sides(call.args[1], rank)
        stride = _sides(call.arg(2, "stride") or kernel, rank)
        padding, dilation = (
            _sides(call.arg(at, n, d), rank) for at, n, d in ((3, "padding", 0), (4, "dilation", 1))
        )
        compares = _joins(x, out, kernel, stride, padding, dilation)
    _reduced(call, x, out, compares)


def _reduced(call: Call, x: Tensor, out: Tensor, compares: int) -> None:
    steady(call, x, compares=compares if call.settings.max_compares else 0)
    note = call.note(x)
    call.trace.read(note, None)
    cell = Cell(note.cell.cls, spikes=note.cell.spikes, discrete=note.cell.discrete, sums=note.cell.sums)
    time = carried(note.time, call.name, (), x.shape, out.shape) if out.dim() == x.dim() else None
    for other in call.out if isinstance(call.out, tuple) else ():
        call.give(Note(Cell(INTEGER, discrete=True)), other)
    call.give(Note(cell, time=time), out)


@RULES.operation("amax", "amin", "max", "min", "any", "all")
def _extreme(call: Call) -> None:
    x = call.args[0]
    out = call.out[0] if isinstance(call.out, tuple) else call.out
    _reduced(call, x, out, x.numel() - out.numel())


@RULES.operation("sum", "nansum", "cumsum", "prod", "cumprod", "trace", "count_nonzero", complex_values=True)
def _sum(call: Call) -> None:
    """A sum of discrete values is a whole number."""
    x, note = call.args[0], call.note(call.args[0])
    if x.is_complex() and call.name not in ("sum", "cumsum", "trace"):
        raise NotCounted
    lines = call.out.numel()
    if call.name.startswith("cum"):  # each value but the first of its line
        lines = x.numel() // max(1, x.shape[call.arg(1, "dim")] if x.dim() else 1)
    ops = x.numel() - lines
    product = call.name.endswith("prod")
    ops *= 1 + x.is_complex()
    steady(call, x, **({"multiplies": ops} if product else {"pool_adds": ops}))
    call.trace.read(note, None)
    plain = note.pooled is None
    cls = INTEGER if note.cell.cls != REAL and plain else REAL
    dims, keep = _dims(call) if call.name in ("sum", "nansum") else ((), True)
    time = _left(note.time, dims, x.dim(), keep) if call.name != "trace" else None
    call.give(
        Note(
            Cell(cls, spikes=note.cell.spikes, discrete=note.cell.discrete and plain, sums=note.cell.spikes),
            time=time,
        )
    )


@RULES.operation("logsumexp")
def _log_sum(call: Call) -> None:
    x = call.args[0]
    n, m = x.numel(), call.out.numel()
    steady(call, x, multiplies=n + m, adds=2 * n, compares=n - m)
    call.trace.read(call.note(x), None)
    call.give(Note(Cell()))


@RULES.operation("var", "std", "var_mean", "std_mean", "linalg_vector_norm", "norm")
def _spread(call: Call) -> None:
    x = call.args[0]
    outs = call.out if isinstance(call.out, tuple) else (call.out,)
    n, m = x.numel(), outs[0].numel()
    root = m if call.name.startswith(("std", "linalg", "norm")) else 0
    adds = n - m if "norm" in call.name else 3 * n - m
    steady(call, x, multiplies=n + m + root, adds=adds)
    call.trace.read(call.note(x), None)
    for out in outs:
        call.give(Note(Cell()), out)


def _sides(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * rank
    sides = tuple(value)
    return sides * rank if len(sides) == 1 else sides
