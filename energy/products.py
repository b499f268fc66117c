"""Products of two tensors: one line, counted where two values that are not zero meet in the same step.

    sop = sum over steps of the pairs (a[i, k], b[k, j]), or (a[i], b[i]), of which neither is zero

Pairs of spikes are coincidences: one addition (AC) each, the sum of the product's own values. With a graded
or real operand a pair is a MAC. `dense_mac` is the number of all pairs, T m k n; the papers' convention
charges the mean size of the left operand times it. `nnz_in` counts the non-zero values of the left operand.
What the chip does for the same product (each spike to every partner, met or not) is counted on the program.
"""

from __future__ import annotations

import math

import numpy as np

from convert.ir import Product, Shape, SpikeAnd, SpikeMatMul
from energy import tally
from energy.line import Line, Role
from energy.recounts import product_recounts
from energy.tensor import INTEGER, Tensor


def product_line(
    where: tuple[str, Product], shapes: tuple[Shape, Shape, Shape],
    tensors: tuple[Tensor, Tensor, Tensor | None], run: tuple[int, int], role: Role,
) -> Line:  # fmt: skip
    """where: (name, node); shapes, tensors: of left, right and result, which is None if nobody needs it; run:
    (T, N)."""
    (name, node), (a, b, made) = where, tensors
    steps, samples = run
    dense = steps * math.prod(shapes[2]) * (shapes[0][-1] if isinstance(node, SpikeMatMul) else 1)
    classes = np.maximum(a.classes, b.classes)
    known = a.known and b.known
    met, nnz = (
        np.full((samples, steps), n // steps, np.int64) for n in (dense, steps * math.prod(shapes[0]))
    )
    rate, mean, sized = np.ones(samples), np.full(samples, np.nan), np.full(samples, dense, np.int64)
    if known:
        met, nnz = _met(node, a, b, made), a.events_by_step
        rate, mean = (s / (steps * math.prod(shapes[0])) for s in a.sums)
        asked = role.sums and (classes == INTEGER).any()
        sized = _sized(node, a, b) if asked else np.zeros(samples, np.int64)
    by_step = {"nnz_in": nnz, "sop_exact": met}
    nnz, met = nnz.sum(axis=1), met.sum(axis=1)
    counts = {
        "nnz_in": nnz,
        "dense_mac": np.full(samples, dense, np.int64),
        "dense_mac_inbounds": np.full(samples, dense, np.int64),
        "sop_exact": met,
        "sop_nonzero": met,
        "mac": np.where(classes >= INTEGER, met, 0),
        "ac": np.where(classes >= INTEGER, 0, met),
        "bias_adds": np.zeros(samples, np.int64),
    }
    measures = {
        "firing_rate": nnz / (steps * math.prod(shapes[0])),
        "mean_value": mean,
        "sop_paper": (rate if role.spike_input else np.ones(samples)) * dense,
    }
    return Line(
        name, type(node).__name__, shapes[0], shapes[2], counts, "", classes, measures,
        assumed_dense=not known, by_step=by_step, steps=steps,
        recounts=product_recounts(a, b, dense, met, sized, classes), **vars(role),
    )  # fmt: skip


def _met(node: Product, a: Tensor, b: Tensor, made: Tensor | None) -> np.ndarray:
    """Pairs of which neither is zero, int64 [N, T]: of spikes, the sum of the product's values."""
    if made is not None and a.spikes and b.spikes:
        return made.sums_by_step if isinstance(node, SpikeMatMul) else made.events_by_step
    if isinstance(node, SpikeMatMul):
        return tally.met(a.events, b.events)
    return Tensor(a.events & b.events, a.classes).events_by_step


def _sized(node: Product, a: Tensor, b: Tensor) -> np.ndarray:
    """Pairs, each counted with the product of its sizes, int64 [N]."""
    left, right = (tally.sizes(x.values) for x in (a, b))
    if isinstance(node, SpikeMatMul):
        return tally.met(left, right).sum(axis=1)
    pairs = left.astype(np.int64) * right
    return pairs.sum(axis=(0, *range(2, pairs.ndim)))


COUNTED: tuple[type[Product], ...] = (SpikeMatMul, SpikeAnd)
