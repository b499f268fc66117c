"""One synaptic line: the operand of a batch against a fan-out map."""

from __future__ import annotations

import numpy as np

from convert.ir import Shape
from energy.fanout import Fanout
from energy.line import Line, Options
from energy.operand import INTEGER, REAL, Tensor


def synaptic_line(
    where: tuple[str, str, Shape, Shape],
    fan: Fanout,
    x: Tensor,
    run: tuple[int, int],
    options: Options,
    spike_input: bool,
    bias_adds: int = 0,
) -> Line:
    """where: (name, type, in_shape, out_shape); run: (T, N); x: what flows into the node.

        sop = sum_t <1[x_t != 0], F_t>          per sample, int64
    Binary and ternary operands make ACs, all others MACs; an inner tensor (`fan.lanes`) is real.
    """
    name, kind, in_shape, out_shape = where
    steps, samples = run
    sop, sop_nonzero, nnz = _operations(fan, x, steps, samples)
    adjacency = fan.item == "adjacency"
    skip = options.skip_zero_adjacency if adjacency else not options.zero_weights
    done = sop_nonzero if skip else sop
    classes = np.full(samples, REAL, np.int8) if fan.lanes else x.classes
    multiplied = classes >= INTEGER
    counts = {
        "nnz_in": nnz,
        "dense_mac": np.full(samples, fan.dense, np.int64),
        "dense_mac_inbounds": np.full(samples, fan.inbounds(steps), np.int64),
        "sop_exact": sop,
        "sop_nonzero": sop_nonzero,
        "mac": np.where(multiplied, done, 0),
        "ac": np.where(multiplied, 0, done),
        "bias_adds": np.full(samples, bias_adds, np.int64),
    }
    measures = _measures(fan, x, run, nnz, spike_input)
    known, folded = x.values is not None, x.route is not None
    return Line(
        name, kind, in_shape, out_shape, counts, fan.item, classes, measures, spike_input, not known, folded
    )


def _operations(fan: Fanout, x: Tensor, steps: int, samples: int) -> tuple[np.ndarray, ...]:
    """(sop, sop over non-zero weights, non-zero operand values), int64 [N] each."""
    if x.values is None:
        repeat = steps if len(fan.synapses) == 1 else 1
        values = steps * fan.synapses.shape[1] * (fan.lanes or 1)
        totals = (fan.inbounds(steps), int(fan.nonzero.sum()) * repeat, values)
        return tuple(np.full(samples, n, np.int64) for n in totals)
    if fan.lanes:
        columns = x.events.reshape(steps, samples, -1, fan.synapses.shape[1]).any(axis=2)
        active = columns.sum(axis=0, dtype=np.int64)
        return active @ fan.synapses[0], active @ fan.nonzero[0], active.sum(axis=1) * fan.lanes
    maps = [fan.synapses, fan.nonzero, np.ones((1, fan.synapses.shape[1]), np.int64)]
    if x.route is not None:
        maps = [np.where(x.route < 0, 0, m[:, x.route]) for m in maps]
    return tuple(_dot(x, m) for m in maps)


def _dot(x: Tensor, weights: np.ndarray) -> np.ndarray:
    """sum over t, p of events[t, n, p] weights[t, p]: int64 [N]."""
    if len(weights) == 1:
        return x.events_by_position @ weights[0]
    out = np.zeros(x.events.shape[1], np.int64)
    for now, map_ in zip(x.events, weights, strict=True):
        out += now.astype(np.int64) @ map_
    return out


def _measures(
    fan: Fanout, x: Tensor, run: tuple[int, int], nnz: np.ndarray, spike_input: bool
) -> dict[str, np.ndarray]:
    """Rates of the operand; the papers' rate is the mean size of the node's input, whatever the stage, and 1
    where the input is not spikes."""
    steps, samples = run
    if x.values is None:
        one = np.ones(samples)
        return {"firing_rate": one, "mean_value": one * np.nan, "sop_paper": one * fan.dense}
    rows = np.ascontiguousarray(np.moveaxis(x.kept, 1, 0)).reshape(samples, -1)  # same sum in every batch
    exact = np.int64 if rows.dtype.kind in "iub" else np.float64
    size = np.abs(rows).sum(axis=1, dtype=exact) / rows.shape[1]
    values = steps * fan.synapses.shape[1] * fan.lanes if fan.lanes else rows.shape[1]
    return {
        "firing_rate": nnz / values,
        "mean_value": rows.sum(axis=1, dtype=exact) / rows.shape[1],
        "sop_paper": (size if spike_input else np.ones(samples)) * fan.dense,
    }
