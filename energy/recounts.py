"""Recounts of a line: what conventions other than `exact` ask for. They add up over samples, as counts do.

    sop_share    share of the layer's non-zero input values . T . FL
    sop_bits     the same . bits,   bits = ceil(log2(max |x| + 1)) of the sample, whole numbers; 1 for spikes
    sop_padded   nnz . FL / values: each value charged the mean fan-out of a padded map, border or not
    sop_sized    sum_t <|x_t|, F_t> of integer operands: a sum of spikes as the spikes it is made of
    mac_integer  of `mac`, operations of known integer operands;   ac_bits = bits . mac_integer

An integer is added bit by bit: one addition for each bit that the sample's largest value needs, be the bits
of a smaller one zero or not, for the hardware's word is as long. Values that were not computed have no bits
known: they stay MACs in every convention.
"""

from __future__ import annotations

import numpy as np

from energy.fanout import Fanout
from energy.tensor import INTEGER, Tensor


def bits(x: Tensor) -> np.ndarray:
    """int64 [N]: bits of the largest magnitude in each sample of whole numbers; 1 for spikes."""
    one = np.ones(len(x.classes), np.int64)
    graded = x.classes == INTEGER
    if not graded.any():
        return one
    values = x.origin.kept
    if values.dtype.kind not in "iub":
        return one
    peak = values.max(axis=2, initial=1).max(axis=0).astype(np.int64)  # rows first: they are contiguous
    if values.dtype.kind == "i":
        peak = np.maximum(peak, -values.min(axis=2, initial=0).min(axis=0).astype(np.int64))
    return np.where(graded, np.frexp(peak.astype(np.float64))[1], one).astype(np.int64)


def synaptic_recounts(
    fan: Fanout, x: Tensor, run: tuple[int, int], nnz: np.ndarray, mac: np.ndarray, sized: np.ndarray
) -> dict[str, np.ndarray]:
    """nnz, mac: the line's counts [N]; sized: sop with the size of each value [N], 0 where nobody asks."""
    steps, samples = run
    if not x.known:
        dense = np.full(samples, float(fan.dense))
        return {"sop_share": dense, "sop_padded": dense}
    size = steps * x.width
    active = nnz if not fan.lanes else x.events_by_step.sum(axis=1)
    share = active / size * fan.dense
    wide = bits(x)
    whole = np.where((x.classes == INTEGER) & (not fan.lanes), mac, 0)
    return {
        "sop_share": share,
        "sop_bits": wide * share,
        "sop_padded": nnz * (fan.dense / (steps * fan.synapses.shape[1] * (fan.lanes or 1))),
        "mac_integer": whole,
        "ac_bits": wide * whole,
        "sop_sized": np.where(x.classes == INTEGER, sized, 0),
    }


def product_recounts(
    a: Tensor, b: Tensor, dense: int, met: np.ndarray, sized: np.ndarray, classes: np.ndarray
) -> dict[str, np.ndarray]:
    """The same of a product: share of the left operand, bits of the wider one; met, sized: pairs [N]."""
    if not (a.known and b.known):
        full = np.full(len(classes), float(dense))
        return {"sop_share": full, "sop_padded": full}
    share = a.events_by_step.sum(axis=1) / (a.events_by_step.shape[1] * a.width) * dense
    wide = np.maximum(bits(a), bits(b))
    whole = np.where(classes == INTEGER, met, 0)
    return {
        "sop_share": share, "sop_bits": wide * share, "sop_padded": met.astype(np.float64),
        "mac_integer": whole, "ac_bits": wide * whole, "sop_sized": np.where(classes == INTEGER, sized, 0),
    }  # fmt: skip
