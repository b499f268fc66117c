"""Counts x convention -> how many operations of each kind, per line and sample.

Two ways to count a layer, by the switch `rate`:

    events          mac and ac as counted; each sample by its own operand class
    nonzero, mean   fr T FL; by the structure of the network (spikes, sums of spikes, graded, real)

`energy.conventions` says what every switch means. They are applied in this order: the operand of a layer,
zero weights, products of two tensors, layers that are always active, what enters first, the head.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from energy.conventions import Convention
from energy.sheet import Array, Sheet

Ops = dict[str, Array]  # operation of the cost table -> how many, [L, N]
COMPONENTS = ("compute", "bias", "pool", "residual", "scale", "neuron")


def operations(s: Sheet, c: Convention) -> dict[str, Ops]:
    """Component -> operations."""
    keep = ~s.head if c.head != "counted" else np.ones_like(s.head)
    adds, multiplies = s.field("neuron_adds") + s.field("neuron_compares"), s.field("neuron_multiplies")
    out = {
        "compute": _compute(s, c),
        "bias": {"add": s.field("bias_adds") * keep} if c.bias == "counted" else {},
        "pool": {"add": s.field("pool_adds")} if c.pooling == "counted" else {},
        "residual": {"add": s.field("residual_adds")} if c.residual_adds == "counted" else {},
        "scale": _norms(s.field("scale_macs"), c.norm),
        "neuron": {"multiply": multiplies, "add": adds} if c.neurons == "counted" else {},
    }
    return {name: out[name] for name in COMPONENTS}


def _norms(values: Array, norm: str) -> Ops:
    return {
        "mac": {"mac": values},
        "folded": {},
        "mac-ac": {"mac": values, "ac": values},
        "two-macs": {"mac": 2 * values},
    }[norm]


def _compute(s: Sheet, c: Convention) -> Ops:
    mac, ac = _multiplied(s, c, *_layers(s, c))
    if c.first_layer == "once":
        mac = np.where(s.first & ~s.spikes, mac / s.steps, mac)
    if c.head == "ignored":
        mac, ac = (np.where(s.head, 0, n) for n in (mac, ac))
    if c.head == "mac-once":
        once = (s.field("dense_mac") + s.field("bias_adds")) / s.steps
        mac, ac = np.where(s.head, once, mac), np.where(s.head, 0, ac)
    return {"mac": mac, "ac": ac}


def _layers(s: Sheet, c: Convention) -> tuple[Array, Array]:
    """(MACs, ACs) of every line by its operand."""
    dense = s.field("dense_mac" if c.padding == "dense" else "dense_mac_inbounds")
    mac, ac = _by_events(s, c, dense) if c.rate == "events" else _by_rate(s, c, dense)
    if c.rate == "events" and c.adjacency == "input" and s.adjacency.any():
        charged = _by_rate(s, c, dense)
        mac, ac = (np.where(s.adjacency, n, layer) for n, layer in zip(charged, (mac, ac), strict=True))
    if (left_out := _left_out(s, c)) is not None:
        mac, ac = (np.where(left_out, n * s.filled, n) for n in (mac, ac))
    if s.product.any():
        pairs = _pairs(s, c)
        mac, ac = (np.where(s.product, pair, layer) for pair, layer in zip(pairs, (mac, ac), strict=True))
    return mac, ac


def _multiplied(s: Sheet, c: Convention, mac: Array, ac: Array) -> tuple[Array, Array]:
    """The same, MACs alone where a layer always multiplies: one for each value, whatever its size or bits."""
    where = (s.first & (c.first_operand == "mac")) | (s.spikes & (s.rate == 1) & (c.full_rate == "mac"))
    if not where.any():
        return mac, ac
    if c.integers in ("bit-serial", "ac"):
        once = sum(_layers(s, replace(c, integers="mac")))
        mac = np.where(where & (s.sums | (c.integers == "bit-serial")), once - ac, mac)
    return mac + np.where(where, ac, 0), np.where(where, 0, ac)


def _left_out(s: Sheet, c: Convention) -> Array | None:
    """bool [L, 1]: lines whose zero weights are to be left out now; None: none. Counting may have done it."""
    options = s.counts.options
    entries = c.zero_adjacency == "skipped" and not options.skip_zero_adjacency
    weights = c.zero_weights == "skipped" and options.zero_weights
    return np.where(s.entries, entries, weights) if entries or weights else None


def _by_events(s: Sheet, c: Convention, dense: Array) -> tuple[Array, Array]:
    """(MACs, ACs) of what really happened; with padding, all in proportion to it."""
    mac, ac, whole = s.field("mac"), s.field("ac"), s.whole
    real, bits, sized = mac - whole, s.bit_adds, s.sized
    if c.padding == "dense":
        sop = s.field("sop_exact")
        wider = np.where(sop > 0, s.padded / np.maximum(sop, 1), 1.0)
        ac, real, whole, bits, sized = (n * wider for n in (ac, real, whole, bits, sized))
        real = np.where(s.assumed, dense, real)
    if c.zeros == "charged":
        real = np.where(s.real & s.synaptic, dense, real)
    if c.integers in ("bit-serial", "ac"):
        added = s.recounted & (s.sums if c.integers == "ac" else True)
        extra = sized if c.integers == "ac" else bits
        return real + np.where(added, 0, whole), ac + np.where(added, extra, 0)
    return real + (np.where(s.integer, dense, whole) if c.integers == "dense-mac" else whole), ac


def _by_rate(s: Sheet, c: Convention, dense: Array) -> tuple[Array, Array]:
    """(MACs, ACs) as rate . T . FL."""
    full = s.field("dense_mac")
    inside = np.where(full > 0, dense / np.maximum(full, 1), 1.0)
    share, wide, mean = s.share * inside, s.wide_share * inside, s.mean * inside
    own = s.adjacency & (c.adjacency == "real")  # real values: not the layer's input, which `share` is of
    spikes, (whole, _) = s.spikes & ~own, _kinds(s)
    real = dense if c.zeros == "charged" else np.where(own, s.rate * dense, share)
    mac = np.where(s.synaptic & ~spikes, real, 0)
    ac = np.where(spikes, share if c.rate == "nonzero" else mean, 0)
    whole = whole & ~own
    if c.integers == "ac":
        return mac, ac
    added = whole & s.recounted & (c.integers == "bit-serial")
    mac = np.where(whole, dense if c.integers == "dense-mac" else share, mac)
    return np.where(added, 0, mac), np.where(added, wide, np.where(whole, 0, ac))


def _pairs(s: Sheet, c: Convention) -> tuple[Array, Array]:
    """(MACs, ACs) of products of two tensors, by what counts as a pair of them."""
    dense, share = s.field("dense_mac"), s.share
    met = np.where(s.assumed, dense, s.field("sop_exact"))
    number = {"coincidences": met, "operand": share, "kv": np.where(s.paired, s.pairs, share)}[c.attention]
    sized = np.where(s.integer, s.sized, met) if c.attention == "coincidences" else s.mean
    whole, real = (s.integer, s.real) if c.rate == "events" else _kinds(s)
    if c.integers == "ac":  # sums are the spikes they are made of; graded values are real ones
        whole, real = whole & s.spikes, real | (whole & ~s.spikes)
    bits = np.where(share > 0, s.wide_share / np.where(share > 0, share, 1), 1.0)
    as_mac, as_ac = {
        "mac": (number, 0),
        "bit-serial": (np.where(s.recounted, 0, number), np.where(s.recounted, bits * number, 0)),
        "ac": (np.where(s.recounted, 0, number), np.where(s.recounted, sized, 0)),
        "dense-mac": (dense, 0),
    }[c.integers]
    mac = np.where(whole, as_mac, np.where(real, dense if c.zeros == "charged" else number, 0))
    ac = np.where(whole, as_ac, np.where(real, 0, sized if c.rate == "mean" else number))
    if c.attention == "kv":
        mac = np.where(s.paired, np.where(s.spikes, 0, s.pairs), mac)
        ac = np.where(s.paired, np.where(s.spikes, s.pairs, 0), ac)
    return mac, ac


def _kinds(s: Sheet) -> tuple[Array, Array]:
    """(whole numbers, real numbers), by the structure of the network."""
    whole = s.sums | (s.integer & ~s.spikes)
    return whole, s.synaptic & ~s.spikes & ~whole
