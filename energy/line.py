"""Counts: whole numbers of operations per line and sample. A line is a node, or one stage of a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from convert.ir import BadInput, Shape
from energy.operand import CLASSES

COUNTS = (
    "nnz_in",  # input values that are not zero, over all steps
    "spikes_out",  # spikes a neuron gave
    "dense_mac",  # MACs of the run if every input were non-zero, zero padding included
    "dense_mac_inbounds",  # the same, padding left out
    "sop_exact",  # synapses that a non-zero input really passed, zero weights included
    "sop_nonzero",  # the same, synapses of weight zero left out
    "mac",  # operations of real and integer operands
    "ac",  # operations of binary and ternary operands
    "bias_adds",
    "pool_adds",
    "residual_adds",
    "scale_macs",  # batch norms that were not folded
    "neuron_steps",
    "neuron_multiplies",
    "neuron_adds",
    "neuron_compares",
)
STEPPED = ("nnz_in", "sop_exact", "spikes_out")  # counts that are also kept step by step
RECOUNTS = (  # what conventions other than `exact` ask for; not written into reports; int64 or float64
    "sop_share",  # share of non-zero input values . T . FL
    "sop_bits",  # the same, times the bits of the sample's largest integer
    "sop_padded",  # nnz_in . mean fan-out of the layer, padding included
    "sop_sized",  # sop_exact of integer operands, each value counted with its size
    "mac_integer",  # the part of `mac` whose operand is integer and known
    "ac_bits",  # additions of the same bit by bit: the bits of the sample's largest integer each
    "pairs_kv",  # products of attention: K^T V first (energy/attention.py)
)
MEASURES = ("firing_rate", "mean_value", "sop_paper")


@dataclass(frozen=True)
class Options:
    """What may be counted one way or another; part of every report.

    fold_pool: a pool or mean of spikes belongs to the weights behind it (energy/operand.py says when).
    zero_weights: synapses of weight zero cost an operation.  skip_zero_adjacency: zero adjacency entries of a
    graph convolution cost nothing.
    """

    fold_pool: bool = True
    zero_weights: bool = True
    skip_zero_adjacency: bool = False


@dataclass(frozen=True)
class Role:
    """What a layer is in its network, as `Line` keeps it.

    spike_input: the operand is spikes, or sums or means of spikes: the papers charge AC by rate, else MAC.
    sums: of these, sums or counts: whole numbers above 1 where spikes meet.
    first, head: it reads what enters the network, or makes what leaves it (energy/ends.py).
    """

    spike_input: bool = False
    sums: bool = False
    first: bool = False
    head: bool = False


@dataclass(frozen=True, eq=False)
class Line:
    """Operations of one node, or one stage (`item`) of it, for N samples over the whole run.

    counts: field of COUNTS -> int64 [N]; a field left out is zero.  measures: field of MEASURES -> float64
    [N]: firing_rate, share of non-zero values; mean_value, NaN if not computed; sop_paper, mean |x| . T . FL
    for spiking input, T . FL for other input.
    classes: operand class, int8 [N], None for lines without synapses.
    spike_input, sums, first, head: see `Role`.
    recounts: field of RECOUNTS -> [N], what is missing is not known; it adds up over samples as counts do.
    steps: of the line's input; 0: those of the run.
    assumed_dense: operand values are not in the rasters, every one was counted as non-zero.
    place: 'cpu' for a line of the host part of a model in two parts (energy/split_counts.py).
    fixed: a part of its weights is not trained: an adjacency, in a module that was counted by itself.
    by_step: field of STEPPED -> int64 [N, T], T the steps of the line's input; its sum over T is the count.
    Operations belong to the step of the value that caused them, whatever the delay of the synapse. None for
    lines that count none of these.
    """

    node: str
    type: str
    in_shape: Shape
    out_shape: Shape
    counts: Mapping[str, np.ndarray]
    item: str = ""
    classes: np.ndarray | None = None
    measures: Mapping[str, np.ndarray] | None = None
    spike_input: bool = False
    assumed_dense: bool = False
    folded: bool = False
    place: str = ""
    by_step: Mapping[str, np.ndarray] | None = None
    recounts: Mapping[str, np.ndarray] | None = None
    sums: bool = False
    first: bool = False
    head: bool = False
    fixed: bool = False
    steps: int = 0

    @property
    def name(self) -> str:
        """node, or node.item."""
        return f"{self.node}.{self.item}" if self.item else self.node


@dataclass(frozen=True)
class Uncounted:
    """A node that no rule counts, its share of all values that nodes give out per step, and what to do."""

    node: str
    type: str
    share: float
    remedy: str = "add a rule in energy/fanout.py (weights), energy/products.py (pairs) or energy/updates.py"


@dataclass(frozen=True, eq=False)
class Counts:
    """All lines for N samples of T steps, and what was not counted."""

    lines: tuple[Line, ...]
    samples: int
    steps: int
    options: Options
    uncounted: tuple[Uncounted, ...] = ()

    def __getitem__(self, name: str) -> Line:
        for line in self.lines:
            if line.name == name:
                return line
        raise BadInput(f"{name}: no such line; known: {', '.join(line.name for line in self.lines)}")

    def of(self, line: Line, field: str) -> np.ndarray:
        """int64 [N]: one count of one line."""
        if field not in COUNTS:
            raise BadInput(f"{line.name}: no count {field!r}; known: {', '.join(COUNTS)}")
        return line.counts.get(field, np.zeros(self.samples, np.int64))

    def total(self, field: str) -> np.ndarray:
        """int64 [N]: one count over all lines."""
        return sum((self.of(line, field) for line in self.lines), np.zeros(self.samples, np.int64))

    def paper(self) -> np.ndarray:
        """float64 [N]: rate . T . dense over the lines with spiking input."""
        lines = [line for line in self.lines if line.measures is not None and line.spike_input]
        return sum((line.measures["sop_paper"] for line in lines), np.zeros(self.samples))

    def by_class(self) -> dict[str, np.ndarray]:
        """Operand class -> operations on such operands (MAC or AC), int64 [N]."""
        out = {name: np.zeros(self.samples, np.int64) for name in CLASSES}
        for line in self.lines:
            if line.classes is not None:
                ops = self.of(line, "mac") + self.of(line, "ac")
                for code, name in enumerate(CLASSES):
                    out[name] += np.where(line.classes == code, ops, 0)
        return out

    def coverage(self) -> dict[str, object]:
        """What was counted: share of node outputs, and the nodes left out."""
        left = sum(u.share for u in self.uncounted)
        nodes = [{"node": u.node, "type": u.type, "share": u.share} for u in self.uncounted]
        return {"counted_share": 1.0 - left, "uncounted_share": left, "uncounted": nodes}


def joined(parts: Sequence[Counts]) -> Counts:
    """Counts of consecutive batches of one model as one."""
    lines = []
    for same in zip(*(p.lines for p in parts), strict=True):
        kept = {kind: _of_all(same, kind) for kind in ("counts", "measures", "by_step", "recounts")}
        classes = same[0].classes
        if classes is not None:
            classes = np.concatenate([line.classes for line in same])
        lines.append(replace(same[0], classes=classes, **kept))
    first = parts[0]
    return Counts(tuple(lines), sum(p.samples for p in parts), first.steps, first.options, first.uncounted)


def _of_all(lines: Sequence[Line], kind: str) -> dict[str, np.ndarray] | None:
    """One mapping of consecutive lines, each field behind the other."""
    first = getattr(lines[0], kind)
    if first is None:
        return None
    return {f: np.concatenate([getattr(line, kind)[f] for line in lines]) for f in first}


def repeated(counts: Counts, times: np.ndarray) -> Counts:
    """Counts of one sample as those of N, in which the same was done `times` [N] times, 0 or more.

    Whole numbers, recounts and sop_paper are multiplied; rates and mean values stay.
    """
    lines = []
    for line in counts.lines:
        kept: dict[str, Mapping[str, np.ndarray] | None] = {}
        for kind in ("counts", "measures", "by_step", "recounts"):
            fields = getattr(line, kind)
            kept[kind] = None if fields is None else {f: _times(f, n, times) for f, n in fields.items()}
        classes = None if line.classes is None else line.classes.repeat(len(times))
        lines.append(replace(line, classes=classes, **kept))
    return replace(counts, lines=tuple(lines), samples=len(times))


def _times(field: str, one: np.ndarray, times: np.ndarray) -> np.ndarray:
    if field in MEASURES and field != "sop_paper":
        return one.repeat(len(times))
    return one * times.reshape(-1, *[1] * (one.ndim - 1))


def grouped(counts: Counts, owners: np.ndarray) -> Counts:
    """Counts of rows that belong to samples (persons of a clip) as counts of the samples.

    owners: int [N], ascending, the sample of each row. Whole numbers, recounts and sop_paper add up; rates
    and mean values are the rows' mean; the class is the widest of the rows'.
    """
    _, first, size = np.unique(owners, return_index=True, return_counts=True)
    if len(first) == counts.samples:
        return counts
    lines = []
    for line in counts.lines:
        kept: dict[str, Mapping[str, np.ndarray] | None] = {}
        for kind in ("counts", "measures", "by_step", "recounts"):
            fields = getattr(line, kind)
            sums = {f: np.add.reduceat(n, first, axis=0) for f, n in (fields or {}).items()}
            kept[kind] = None if fields is None else sums
        if kept["measures"] is not None:
            kept["measures"] = {f: n if f == "sop_paper" else n / size for f, n in kept["measures"].items()}
        classes = None if line.classes is None else np.maximum.reduceat(line.classes, first)
        lines.append(replace(line, classes=classes, **kept))
    return replace(counts, lines=tuple(lines), samples=len(first))
