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
    by_step, sop_nonzero = _operations(fan, x, steps, samples)
    sop, nnz = (by_step[f].sum(axis=1) for f in ("sop_exact", "nnz_in"))
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
        name, kind, in_shape, out_shape, counts, fan.item, classes, measures, spike_input, not known, folded,
        by_step=by_step,
    )  # fmt: skip


def _operations(fan: Fanout, x: Tensor, steps: int, samples: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """(sop_exact and nnz_in int64 [N, T], sop over non-zero weights int64 [N])."""
    if x.values is None:
        values = np.full(1, fan.synapses.shape[1] * (fan.lanes or 1), np.int64)
        rows = (fan.synapses.sum(axis=1), values, fan.nonzero.sum(axis=1))
        sop, nnz, nonzero = (np.tile(np.broadcast_to(row, steps), (samples, 1)) for row in rows)
    elif fan.lanes:
        columns = x.events.reshape(steps, samples, -1, fan.synapses.shape[1]).any(axis=2)
        sop, nonzero = (_dot(columns, m) for m in (fan.synapses, fan.nonzero))
        nnz = columns.sum(axis=2, dtype=np.int64).T * fan.lanes
    elif x.route is None:
        sop, nonzero = (_dot(x.events, m) for m in (fan.synapses, fan.nonzero))
        nnz = x.events_by_step
    else:
        maps = (fan.synapses, fan.nonzero, np.ones((1, fan.synapses.shape[1]), np.int64))
        sop, nonzero, nnz = (_dot(x.events, np.where(x.route < 0, 0, m[:, x.route])) for m in maps)
    return {"nnz_in": nnz, "sop_exact": sop}, nonzero.sum(axis=1)


def _dot(events: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """sum over p of events[t, n, p] weights[t, p]: int64 [N, T]; events [T, N, P], weights [1 or T, P]."""
    rows = np.broadcast_to(weights, (len(events), weights.shape[1]))
    # Sums stay below 2^53, a layer has fewer synapses: the float product, which is the fast one, is exact.
    out = [now.astype(np.float64) @ row for now, row in zip(events, rows.astype(np.float64), strict=True)]
    return np.stack(out, axis=1).astype(np.int64)


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
