"""Prove that targets give the same spikes, or say where they part.

The integer reference is the meaning. Every population of every target is compared with it at every step.
A target that promises exactness and differs fails the verification; the float graph is compared too, and
where it parts from the integers is reported, not hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from convert.ir import Graph
from convert.ir.loihi import STATE_SHIFT
from deploy.record import Record
from deploy.reference import membrane, values
from deploy.split import HOST_TOLERANCE


@dataclass(frozen=True)
class Divergence:
    """The first place where two runs differ: earliest layer in the graph's order, then step, then neuron."""

    layer: str
    step: int
    sample: int
    neuron: tuple[int, ...]
    expected: int
    got: int
    cause: str

    def __str__(self) -> str:
        where = f"layer {self.layer}, step {self.step}, sample {self.sample}, neuron {self.neuron}"
        return f"{where}: expected {self.expected}, got {self.got}; {self.cause}"


@dataclass(frozen=True)
class Comparison:
    """One target against the integer reference.

    spikes: spikes of the reference that were compared; mismatching: (step, sample, neuron) places that
    differ, over all populations; values: readout values compared; values_off: those that differ.
    silent: populations of which the reference has no spike, so that little is proven of them.
    """

    target: str
    exact: bool
    populations: int
    spikes: int
    places: int
    mismatching: int
    values: int
    values_off: int
    first: Divergence | None
    silent: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """False only where a promise of exactness was broken."""
        return not self.exact or (self.mismatching == 0 and self.values_off == 0)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "passed": self.passed}


def compare(target: str, exact: bool, order: Sequence[str], want: Record, got: Record) -> Comparison:
    """Compare rasters of every population in `order` (the graph's order) and the readouts' values."""
    missing = [n for n in order if n not in got.rasters]
    missing += [n for n in want.outputs if exact and n not in got.outputs]
    if missing:
        raise KeyError(f"target {target} gave no raster or output of {', '.join(missing)}")
    spikes = places = mismatching = 0
    first = None
    for name in order:
        a, b = want.rasters[name], got.rasters[name]
        if a.shape != b.shape:
            raise ValueError(f"target {target}, {name}: raster of shape {b.shape}, expected {a.shape}")
        spikes += int(np.count_nonzero(a))
        places += a.size
        differ = a != b
        mismatching += int(differ.sum(dtype=np.int64))
        if first is None and differ.any():
            first = _divergence(name, a, b, differ)
    readouts = [n for n in want.outputs if n not in want.counts and n in got.outputs]
    total = sum(want.outputs[n].size for n in readouts)
    off = sum(_values_off(want.outputs[n], got.outputs[n]) for n in readouts)
    silent = tuple(n for n in order if not want.rasters[n].any())
    return Comparison(target, exact, len(order), spikes, places, mismatching, total, off, first, silent)


def together(parts: Sequence[Comparison], order: Sequence[str]) -> Comparison:
    """One target's comparisons on some samples after others, as one of them all; order: of the layers."""
    found = [p.first for p in parts if p.first is not None]
    first = min(found, key=lambda d: (order.index(d.layer), d.step, d.sample), default=None)
    silent = tuple(n for n in parts[0].silent if all(n in p.silent for p in parts))
    sums = ("spikes", "places", "mismatching", "values", "values_off")
    return replace(
        parts[0], first=first, silent=silent, **{name: sum(getattr(p, name) for p in parts) for name in sums}
    )


def _values_off(want: np.ndarray, got: np.ndarray) -> int:
    """Values that differ: integers by ==; floats, of a host part, by more than its tolerance, NaN always."""
    if want.shape != got.shape:
        return want.size
    if want.dtype.kind != "f":
        return int((want != got).sum())
    near = np.abs(want - got) <= HOST_TOLERANCE * np.abs(want).max(initial=0.0)
    return int((~near).sum())


def compare_counts(target: str, want: Record, got: Record) -> Comparison:
    """Spike counts per neuron and the readouts, for a run that gives no rasters; `first` stays unknown."""
    differ = {n: want.counts[n] != got.counts[n] for n in want.counts}
    readouts = [n for n in want.outputs if n not in want.counts]
    return Comparison(
        target,
        True,
        populations=len(differ),
        spikes=sum(int(c.sum()) for c in want.counts.values()),
        places=sum(d.size for d in differ.values()),
        mismatching=sum(int(d.sum()) for d in differ.values()),
        values=sum(want.outputs[n].size for n in readouts),
        values_off=sum(_values_off(want.outputs[n], got.outputs[n]) for n in readouts),
        first=None,
    )


def _divergence(name: str, want: np.ndarray, got: np.ndarray, differ: np.ndarray) -> Divergence:
    step, sample, *neuron = (int(i) for i in np.argwhere(differ)[0])
    at = (step, sample, *neuron)
    return Divergence(name, step, sample, tuple(neuron), int(want[at]), int(got[at]), _cause(want, got))


def _cause(want: np.ndarray, got: np.ndarray) -> str:
    """The likely cause, from the pattern; all layers before this one agree."""
    if len(want) > 1 and np.array_equal(want[:-1], got[1:]):
        return "the layer runs one step late: latency or reading is misaligned"
    if len(want) > 1 and np.array_equal(want[1:], got[:-1]):
        return "the layer runs one step early: its bias or reading is misaligned"
    if not got.any():
        return "the layer is silent: its input, threshold or state is lost"
    return "the layers before agree, so its weights, exponent, bias or decay differ here"


def float_divergence(
    integer: Graph, floating: Graph, x: np.ndarray, want: Record
) -> tuple[Comparison, dict[str, Any]]:
    """Integers against the float graph: a comparison that promises nothing, and both membranes there.

    The membranes are given before the reset, in units of the float threshold.
    """
    got = values(floating, x)
    order = tuple(n for n in integer.spiking() if n in floating.spiking())  # a relay spikes in integers alone
    record = Record({}, want.counts, want.steps, {n: got[n] for n in order})
    result = compare("float", False, order, want, record)
    if result.first is None:
        return result, {}
    first = replace(result.first, cause="rounding of weights, bias and threshold moved this membrane")
    return replace(result, first=first), _membranes(integer, floating, x, first)


def _membranes(integer: Graph, floating: Graph, x: np.ndarray, first: Divergence) -> dict[str, Any]:
    at = (first.step, first.sample, *first.neuron)
    node = integer.nodes[first.layer]
    # v counts 2^6 finer than vth: one float threshold is vth << 6.
    unit = floating.nodes[first.layer].threshold / (node.vth << STATE_SHIFT)  # type: ignore[attr-defined]
    return {
        "float_membrane": float(_before_reset(floating, x, first.layer)[at]),
        "integer_membrane": float(_before_reset(integer, x, first.layer)[at]) * unit,
        "threshold": float(floating.nodes[first.layer].threshold),  # type: ignore[attr-defined]
    }


def _before_reset(graph: Graph, x: np.ndarray, name: str) -> np.ndarray:
    got = values(graph, x)
    source = graph.inputs_of(name)[0]
    wide = np.int64 if graph.stage == "integer" else np.float64
    return membrane(graph.nodes[name], got[source].astype(wide))[1]  # type: ignore[arg-type]
