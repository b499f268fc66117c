"""One synaptic line: the operand of a batch against a fan-out map."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convert.ir import Shape
from energy import tally
from energy.fanout import Fanout
from energy.line import Line, Options, Role
from energy.recounts import synaptic_recounts
from energy.tensor import INTEGER, REAL, Tensor


def synaptic_line(
    where: tuple[str, str, Shape, Shape],
    fan: Fanout,
    x: Tensor,
    run: tuple[int, int],
    options: Options,
    role: Role,
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
    asked = role.sums and not fan.lanes
    sized = _sized(fan.nonzero if skip else fan.synapses, x) if asked else np.zeros(samples, np.int64)
    return Line(
        name, kind, in_shape, out_shape, counts, fan.item, classes,
        _measures(fan, x, run, nnz, role.spike_input), assumed_dense=not x.known,
        folded=x.route is not None, by_step=by_step, steps=steps,
        recounts=synaptic_recounts(fan, x, run, nnz, counts["mac"], sized), **vars(role),
    )  # fmt: skip


def _sized(synapses: np.ndarray, x: Tensor) -> np.ndarray:
    """int64 [N]: operations with the size of each value, where a sample holds sums; 0 where none does."""
    if not x.known or not (x.classes == INTEGER).any():
        return np.zeros(len(x.classes), np.int64)
    if x.route is None and (synapses == synapses[0, 0]).all():
        return x.sums[0].astype(np.int64) * synapses[0, 0]
    # Sums of spikes are small and layers have fewer than 2^53 synapses: the float product is exact.
    map_, values = x.placed(synapses).astype(np.float64), x.laid(x.values)
    weights = np.broadcast_to(map_, (len(values), map_.shape[1]))
    found = [np.abs(now.astype(np.float64)) @ row for now, row in zip(values, weights, strict=True)]
    return np.sum(found, axis=0).astype(np.int64)


def _operations(fan: Fanout, x: Tensor, steps: int, samples: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """(sop_exact and nnz_in int64 [N, T], sop over non-zero weights int64 [N])."""
    if not x.known:
        values = np.full(1, fan.synapses.shape[1] * (fan.lanes or 1), np.int64)
        rows = (fan.synapses.sum(axis=1), values, fan.nonzero.sum(axis=1))
        sop, nnz, nonzero = (np.tile(np.broadcast_to(row, steps), (samples, 1)) for row in rows)
    elif fan.lanes:
        columns = tally.joined(x.events)
        flat = columns.reshape(*columns.shape[:2], -1)
        active = tally.nonzero(flat)
        sop, nonzero = _of_both(fan, lambda map_: tally.through(flat, map_, active))
        nnz = active * fan.lanes
    else:
        sop, nonzero = _of_both(fan, x.through)
        nnz = x.events_by_step
        if x.route is not None:  # a folded pool may drop some
            nnz = x.through(np.ones((1, fan.synapses.shape[1]), np.int64))
    return {"nnz_in": nnz, "sop_exact": sop}, nonzero.sum(axis=1)


def _of_both(fan: Fanout, passed: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What `passed` gives for the map of synapses, and for that of weights that are not zero."""
    sop = passed(fan.synapses)
    return sop, sop if fan.alike else passed(fan.nonzero)


def _measures(
    fan: Fanout, x: Tensor, run: tuple[int, int], nnz: np.ndarray, spike_input: bool
) -> dict[str, np.ndarray]:
    """Rates of the operand; the papers' rate is the mean size of the node's input, whatever the stage, and 1
    where the input is not spikes."""
    steps, samples = run
    if not x.known:
        one = np.ones(samples)
        return {"firing_rate": one, "mean_value": one * np.nan, "sop_paper": one * fan.dense}
    kept = steps * x.width
    size, total = (s / kept for s in x.sums)
    values = steps * fan.synapses.shape[1] * fan.lanes if fan.lanes else kept
    return {
        "firing_rate": nnz / values,
        "mean_value": total,
        "sop_paper": (size if spike_input else np.ones(samples)) * fan.dense,
    }
