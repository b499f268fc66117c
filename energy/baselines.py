"""What the same network would cost without spikes, and whether its spikes are few enough. Compute alone.

    ANN         MACs of the same architecture, one pass for each different input (not one a step), times
                E_MAC: `ann_same_arch_dense_pj` with zero padding, as papers count, `ann_same_arch_pj` inside
                the borders
    QNN         the same MACs; activations of ceil(log2(T' + 1)) bits, what T' = steps a pass can say;
                ASSUMED  E_MAC(b_w, b_a) = E_mul b_w b_a / 32^2 + E_add max(b_w, b_a) / 32,  horowitz45-int32
                `qnn_ratio`: the spiking network in that arithmetic, E_add b_w / 32 a synapse, over it.
                Of a network without spikes: its own MACs, weights and activations of `quantised` bits; the
                ratio says what it costs beside them
    break-even  the rate of spikes at which both cost the same, all else as it is:
                r* = (ann_same_arch_pj - E_MAC mac) / (E_AC D),   D = operations if every spiking operand were
                non-zero; `firing_rate` = ac / D is the rate that happened
    spikes per synapse per inference   ac / (D / steps a pass), against 0.15 ... 1.38: the rates between which
                published comparisons with efficient ANN hardware turn (Dampfhoffer 2022, IEEE TETCI 7(3):731)

A pass: all steps show one input (a repeated clip), passes = 1; each step is a frame of its own, passes = T.
The QNN's form and ratio follow Yan 2024, arXiv:2409.08290; its own table of MACs could not be retrieved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from convert.ir import BadInput, Graph, Product, SpikeMatMul, steps
from energy.bit_budget import Bits
from energy.costs import CostTable, cost_table
from energy.fanout import fanout, weighted
from energy.line import Counts
from energy.operand import INTEGER

BAND = (0.15, 1.38)
VERDICTS = (
    "below the band: fewer spikes than every published break-even with efficient ANN hardware",
    "within the band: which of the two needs less depends on the ANN hardware",
    "above the band: more spikes than any published break-even with efficient ANN hardware",
)
SCALED = "horowitz45-int32"  # what bits are scaled from
ASSUMED = f"E_MAC(b_w, b_a) = E_mul b_w b_a / 32^2 + E_add max(b_w, b_a) / 32 of {SCALED}"
NO_SPIKES = "no layer of them reads spikes"
UNDEFINED = {  # field -> why samples have no such figure
    "qnn_ratio": "no layer of them multiplies", "break_even_rate": NO_SPIKES, "firing_rate": NO_SPIKES,
    "spikes_per_synapse": NO_SPIKES,
}  # fmt: skip
MEANS = (
    "ann_same_arch_pj", "ann_same_arch_dense_pj", "qnn_pj", "qnn_ratio", "break_even_rate", "firing_rate",
    "spikes_per_synapse",
)  # fmt: skip


@dataclass(frozen=True)
class Twin:
    """The same architecture without spikes. dense, inbounds: MACs of one input's whole run (a person of a
    sample), padding included and left out.  passes: dense passes; steps: of the spiking run.  quantised: bits
    of weights and activations of the quantised twin of a network that has no spikes to say so many."""

    dense: int
    inbounds: int
    passes: int
    steps: int
    quantised: int | None = None

    @property
    def bits(self) -> int:
        """Activation bits of the quantised twin: ceil(log2(steps a pass + 1)), or as it was stated."""
        return self.quantised or math.ceil(math.log2(self.steps // self.passes + 1))


def twin(graph: Graph, run: int, passes: int, quantised: int | None = None) -> Twin:
    """The twin of a graph of `run` steps; passes = 1 if all steps show the same input, run if none does."""
    if passes < 1 or run % passes:
        raise BadInput(f"{passes} passes of {run} steps; expected a divisor of {run}, such as 1 or {run}")
    dense = inbounds = 0
    lengths = steps(graph, run)
    for name, node, inputs in graph:
        if weighted(node):
            fans = fanout(node, graph.shapes[inputs[0]], lengths[inputs[0]])
            found = [(fan.dense, fan.inbounds(lengths[inputs[0]])) for fan in fans]
        elif isinstance(node, Product):
            inner = graph.shapes[inputs[0]][-1] if isinstance(node, SpikeMatMul) else 1
            found = [(lengths[name] * math.prod(graph.shapes[name]) * inner,) * 2]
        else:
            continue
        repeated = run // passes if lengths[inputs[0]] == run else 1
        dense += sum(d for d, _ in found) // repeated
        inbounds += sum(i for _, i in found) // repeated
    return Twin(dense, inbounds, passes, run, quantised)


@dataclass(frozen=True, eq=False)
class Baselines:
    """Per sample, float64 [N]; None where `reasons` (field -> why) has it, NaN where it is UNDEFINED.

    verdict: index into VERDICTS, -1 where undefined.  qnn_bits: of the quantised twin's activations."""

    ann_same_arch_dense_pj: np.ndarray | None
    ann_same_arch_pj: np.ndarray | None
    break_even_rate: np.ndarray | None
    qnn_pj: np.ndarray
    qnn_ratio: np.ndarray
    firing_rate: np.ndarray
    spikes_per_synapse: np.ndarray
    verdict: np.ndarray
    qnn_bits: int
    reasons: Mapping[str, str]

    def sample(self, n: int) -> dict[str, Any]:
        """One sample, as JSON takes it: MEANS, and qnn_bits and verdict."""
        verdict = VERDICTS[self.verdict[n]] if self.verdict[n] >= 0 else None
        figures = {name: _number(getattr(self, name), n) for name in MEANS}
        return {**figures, "qnn_bits": self.qnn_bits, "verdict": verdict}


def baselines(
    counts: Counts, table: CostTable, same: Twin, bits: Bits, persons: np.ndarray | None = None
) -> Baselines:
    """counts: of samples; persons: int64 [N], inputs that make up a sample (1 each if None); bits: of its
    weights, and of operands that are no spikes."""
    people = np.ones(counts.samples, np.int64) if persons is None else np.asarray(persons, np.int64)
    events, room = _events(counts)
    macs = counts.total("mac")
    scaled = _scaled()
    qnn = people * same.inbounds * _mac(scaled, same.quantised or bits.weight, same.bits)
    spiking = counts.total("ac") * scaled.price("add") * bits.weight / 32
    spiking = spiking + _valued(counts, bits, scaled)
    per_pass = room * same.passes / same.steps
    density = _ratio(events, per_pass)
    verdict = np.where(np.isnan(density), -1, (density >= BAND[0]) + 1 * (density > BAND[1]))
    priced, reasons = _priced(table, people, same, macs, room)
    return Baselines(
        **priced, qnn_pj=qnn, qnn_ratio=_ratio(spiking, qnn), firing_rate=_ratio(events, room),
        spikes_per_synapse=density, verdict=verdict, qnn_bits=same.bits, reasons=reasons,
    )  # fmt: skip


@cache
def _scaled() -> CostTable:
    return cost_table(SCALED)


def _priced(
    table: CostTable, people: np.ndarray, same: Twin, macs: np.ndarray, room: np.ndarray
) -> tuple[dict[str, np.ndarray | None], dict[str, str]]:
    names = ("ann_same_arch_dense_pj", "ann_same_arch_pj", "break_even_rate")
    if not (table.prices("mac") and table.prices("ac")):
        return dict.fromkeys(names), dict.fromkeys(names, f"{table.name} prices no MAC")
    mac, ac = table.price("mac"), table.price("ac")
    ann = people * same.inbounds * mac
    even = np.maximum(_ratio(ann - macs * mac, room * ac), 0.0)
    return dict(zip(names, (people * same.dense * mac, ann, even), strict=True)), {}


def _events(counts: Counts) -> tuple[np.ndarray, np.ndarray]:
    """(operations on spikes, as many as there would be if every one of these operands were non-zero)."""
    events, room = np.zeros(counts.samples, np.int64), np.zeros(counts.samples, np.int64)
    for line in counts.lines:
        if line.classes is not None:
            spikes = line.classes < INTEGER
            events += np.where(spikes, counts.of(line, "ac"), 0)
            room += np.where(spikes, counts.of(line, "dense_mac_inbounds"), 0)
    return events, room


def _valued(counts: Counts, bits: Bits, scaled: CostTable) -> np.ndarray:
    """pJ of the MACs of operands that are no spikes, in scaled arithmetic."""
    each = np.array([_mac(scaled, bits.weight, int(b)) for b in bits.operand()])
    total = np.zeros(counts.samples)
    for line in counts.lines:
        if line.classes is not None:
            total += counts.of(line, "mac") * each[line.classes]
    return total


def _mac(scaled: CostTable, weight: int, operand: int) -> float:
    """ASSUMED: pJ of a MAC of so many bits, from 32-bit figures."""
    return (
        scaled.price("multiply") * weight * operand / 32**2 + scaled.price("add") * max(weight, operand) / 32
    )


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """float64 [N], NaN where there is nothing to divide by."""
    out = np.full(len(over), np.nan)
    return np.divide(over, under, out=out, where=np.asarray(under) != 0)


def _number(values: np.ndarray | None, n: int) -> float | None:
    return None if values is None or not math.isfinite(values[n]) else float(values[n])
