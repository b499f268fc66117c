"""A tensor as the operand of weights: which of its values are not zero, and how many synapses they pass."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from energy.operand import BINARY, INTEGER
from energy.torch_counts.note import Axis, Cell, Note
from energy.torch_counts.record import Numbers


@dataclass(frozen=True, eq=False)
class Synapses:
    """How many synapses leave each value of an operand.

    each, nonzero: a number where all values are alike, else float64 that broadcasts to the operand's shape.
    dense: MACs with padding; inbounds: without.  skip: zero weights cost nothing.  fixed: a part of
    the weights is not trained (an adjacency).
    """

    dense: int
    inbounds: int
    each: int | Tensor
    nonzero: int | Tensor
    skip: bool = False
    fixed: bool = False


def numbers(x: Tensor, note: Note, fan: Synapses, steps: int | None) -> Numbers:
    """The operand as it ran. Values of a `meta` tensor are not known: each counts as not zero."""
    if x.is_meta:
        return assumed(x, note.cell, fan)
    found = _counted(x != 0, sums(x, note.cell), x.numel(), note.cell, fan, _time(note, steps))
    if note.cell.cls == INTEGER:
        found.peak = peak(x)
        found.sized = int(per_step(x.abs().double(), fan.each, None)[0]) if note.cell.sums else 0
    return found


def peak(x: Tensor) -> int:
    """The largest size among whole numbers, at least 1."""
    return max(1, int(x.abs().max())) if x.numel() else 1


def sums(x: Tensor, cell: Cell) -> tuple[float, float]:
    """Sum of values, and of sizes: these for spikes alone, where the papers' rate needs them."""
    signed = math.nan if x.is_complex() else summed(x)
    if not cell.spikes:
        return signed, math.nan
    return signed, signed if cell.cls == BINARY and not x.is_complex() else summed(x.abs())


def behind_pool(x: Tensor, note: Note, fan: Synapses, steps: int | None) -> Numbers | None:
    """The same with the pool in front folded into the weights; None where there is none."""
    pooled = note.pooled
    if pooled is None:
        return None
    if pooled.events is None or pooled.sums is None:
        return assumed(x, pooled.cell, fan, pooled.window)
    values = pooled.events.numel() * pooled.window
    found = _counted(
        pooled.events, tuple(map(summed, pooled.sums)), values, pooled.cell, fan, _time(note, steps)
    )
    found.folded, found.window = True, pooled.window
    if pooled.cell.cls == INTEGER:
        found.peak = pooled.peak
        found.sized = int(per_step(pooled.sums[1].double(), fan.each, None)[0]) if pooled.cell.sums else 0
    return found


def _time(note: Note, steps: int | None) -> Axis | None:
    return note.time if steps is not None else None


def assumed(x: Tensor, cell: Cell, fan: Synapses, window: int = 1) -> Numbers:
    sop, values = fan.inbounds * window, x.numel() * window
    nonzero = fan.nonzero * values if isinstance(fan.nonzero, int) else sop
    return Numbers(
        cell.cls, cell.spikes, False, fan.dense, fan.inbounds, sop, nonzero, nonzero if fan.skip else sop,
        values,
        values, values, math.nan, math.nan, folded=window > 1, sums=cell.sums,
    )  # fmt: skip


def _counted(
    events: Tensor, sums: tuple[float, float], values: int, cell: Cell, fan: Synapses, time: Axis | None
) -> Numbers:
    nnz = per_step(events, 1, time)
    sop = nnz * fan.each if isinstance(fan.each, int) else per_step(events, fan.each, time)
    same = fan.nonzero is fan.each or (isinstance(fan.nonzero, int) and fan.nonzero == fan.each)
    nonzero = sop if same else per_step(events, fan.nonzero, time)
    totals = [int(n.sum()) for n in (sop, nonzero, nnz)]
    done = totals[1] if fan.skip else totals[0]
    by_step = {"nnz_in": nnz, "sop_exact": sop} if time is not None else None
    return Numbers(
        cell.cls, cell.spikes, True, fan.dense, fan.inbounds, totals[0], totals[1], done, totals[2], values,
        values,
        *sums, by_step, sums=cell.sums, active=totals[2], input_cls=cell.cls,
    )  # fmt: skip


def per_step(events: Tensor, each: int | Tensor, time: Axis | None) -> np.ndarray:
    """int64 [T] (or [1] where steps are not followed): events times synapses.

    Float64 holds every whole number below 2^53 exactly.
    """
    if isinstance(each, int):
        return _by_place(events, time) * each
    return _by_place(events * each, time)


def _by_place(values: Tensor, time: Axis | None) -> np.ndarray:
    kind = torch.float64 if values.is_floating_point() else torch.int64
    if time is None:
        whole = values.count_nonzero() if values.dtype == torch.bool else values.sum(dtype=kind)
        return whole.reshape(-1).to(torch.int64).numpy()
    axes = [d for d in range(values.dim()) if d != time.at]
    out = values.sum(dim=axes, dtype=kind) if axes else values.to(kind)
    return out.reshape(time.length, time.inner).sum(1).to(torch.int64).numpy()


def summed(values: Tensor) -> float:
    """The sum in float64, in memory order of the logical shape: the graph side adds in the same order."""
    return float(np.ascontiguousarray(values.numpy(force=True)).reshape(-1).sum(dtype=np.float64))
