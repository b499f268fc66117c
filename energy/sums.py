"""What a summary needs, as running sums: of one batch, or merged from many, in this process or another.

Counts are sums of int64, exact whatever the cut into batches (below 2**63). Float sums follow the order of
the merges: merge in the order of the samples where every digit is to be the same again. Kept per sample, for
percentiles, classes and histograms: 8 bytes a convention, 8 for the latency, 5 for class and verdict.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from convert.ir import BadInput
from energy.baselines import MEANS, Baselines
from energy.line import COUNTS, MEASURES, STEPPED, Counts, Line
from energy.operand import CLASSES
from energy.priced import Priced
from energy.rows import Json

UNKNOWN = -1
_ADDED = (
    "n", "paper", "counts", "measures", "classes", "by_class", "parts", "beside", "steps_of", "spread",
    "twins", "budget",
)  # fmt: skip
_KEPT = ("totals", "labels", "correct", "latency")


class Sums:
    """Sums over samples. `state()` is plain data (JSON takes it), and `Sums.of_state` reads it elsewhere."""

    def __init__(self, model: Json) -> None:
        """model: what all batches must share (`described`)."""
        lines, conventions = len(model["layers"]), model["conventions"]
        self.model = model
        self.n = 0
        self.paper = 0.0
        self.steps: set[int] = set()
        self.counts = np.zeros((lines, len(COUNTS)), np.int64)
        self.measures = np.zeros((lines, len(MEASURES)))
        self.classes = np.zeros((lines, len(CLASSES)), np.int64)  # samples whose operand is of that class
        self.by_class = np.zeros(len(CLASSES), np.int64)  # operations on operands of that class
        self.steps_of: dict[str, np.ndarray] = {}  # "line field" -> int64 [T]
        self.parts: dict[str, np.ndarray] = {}  # "convention part" -> pJ of each line
        self.beside: dict[str, np.ndarray] = {}  # the same of parts that are not in the total
        self.unpriced: dict[str, str] = {}  # "convention part" -> why no one knows
        self.spread: dict[str, float] = {}  # "switch=value" -> pJ of the headline's convention, so changed
        self.twins: dict[str, float] = {}  # field of baselines -> sum; "n field", "verdict words" -> samples
        self.budget: dict[str, int] = {}  # "ace", "ace_dense" -> bits
        self.totals = {name: array("d") for name in conventions}
        self.labels, self.correct, self.latency = array("i"), array("b"), array("d")

    @classmethod
    def of(cls, counts: Counts, priced: Priced, rows: list[Json]) -> Sums:
        """Sums of one batch and its rows."""
        sums = cls(described(counts, priced))
        sums.n, sums.steps = counts.samples, {counts.steps}
        sums.paper = float(counts.paper().sum())
        sums.by_class = np.array([ops.sum() for ops in counts.by_class().values()], np.int64)
        for row, line in enumerate(counts.lines):
            sums._line(row, line, counts)
        for name, bill in priced.bills.items():
            sums.totals[name] = array("d", bill.total())
            sums.parts |= {f"{name} {part}": pj.sum(axis=1) for part, pj in bill.pj.items()}
            sums.beside |= {f"{name} {part}": pj.sum(axis=1) for part, pj in bill.beside.items()}
            sums.unpriced |= {f"{name} {part}": why for part, why in bill.unpriced.items()}
        sums.spread = {f"{v.switch}={v.value}": float(v.pj.sum()) for v in priced.variants}
        sums._twins(rows)
        sums.budget = {name: int(bits.sum()) for name, bits in (priced.budget or {}).items()}
        sums.labels = array("i", (UNKNOWN if r["label"] is None else r["label"] for r in rows))
        sums.correct = array("b", (UNKNOWN if r["correct"] is None else r["correct"] for r in rows))
        sums.latency = array("d", (np.nan if r["latency_s"] is None else r["latency_s"] for r in rows))
        return sums

    def _line(self, row: int, line: Line, counts: Counts) -> None:
        self.counts[row] = [int(counts.of(line, f).sum()) for f in COUNTS]
        measures = line.measures or {}
        self.measures[row] = [measures[f].sum() if f in measures else np.nan for f in MEASURES]
        if line.classes is not None:
            self.classes[row] = np.bincount(line.classes, minlength=len(CLASSES))
        for field, numbers in (line.by_step or {}).items():
            self.steps_of[f"{row} {field}"] = numbers.sum(axis=0, dtype=np.int64)

    def _twins(self, rows: list[Json]) -> None:
        """Known values and how many; verdicts counted."""
        for twins in (row["twins"] for row in rows if row["twins"] is not None):
            known = {f: twins[f] for f in MEANS if twins[f] is not None}
            ones = {**{f"n {f}": 1 for f in known}, f"verdict {twins['verdict']}": 1}
            self.twins = _added(self.twins, {**known, **ones})

    def merge(self, other: Sums) -> None:
        """Add the sums of samples that come after these; BadInput if they are of another model."""
        if other.model != self.model:
            raise BadInput("report: a batch of another model or other options; write one report each")
        for name in _ADDED:
            setattr(self, name, _added(getattr(self, name), getattr(other, name)))
        self.steps |= other.steps
        self.unpriced |= other.unpriced
        for name in _KEPT:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, dict):
                for key in mine:
                    mine[key].extend(theirs[key])
            else:
                mine.extend(theirs)

    def state(self) -> Json:
        """Everything, as JSON takes it."""
        return {key: _plain(value) for key, value in vars(self).items()}

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Sums:
        """The sums that gave this state."""
        sums = cls(state["model"])
        for key, empty in list(vars(sums).items()):
            setattr(sums, key, _restored(empty, state[key]))
        sums.steps_of = {key: np.array(v, np.int64) for key, v in state["steps_of"].items()}
        for name in ("parts", "beside"):
            setattr(sums, name, {key: np.array(v) for key, v in state[name].items()})
        return sums

    def of_line(self, row: int) -> dict[str, list[int] | None] | None:
        """field of STEPPED -> its sum over all samples at each step; None for lines that have none."""
        found = {f: self.steps_of.get(f"{row} {f}") for f in STEPPED}
        if all(v is None for v in found.values()):
            return None
        return {f: None if v is None else v.tolist() for f, v in found.items()}


def described(counts: Counts, priced: Priced) -> Json:
    """What every batch of one report has in common: lines, options, coverage, conventions."""
    return {
        "layers": [_static(line) for line in counts.lines],
        "options": asdict(counts.options),
        "coverage": counts.coverage(),
        "refused": priced.refused,
        "incomplete": priced.incomplete,
        "conventions": list(priced.bills),
        "twins": _constant(priced.baselines),
        "absent": dict(priced.absent),
    }


def _constant(twins: Baselines | None) -> Json | None:
    """Of the twins, what is the same for every sample."""
    return None if twins is None else {"qnn_bits": twins.qnn_bits, "reasons": dict(twins.reasons)}


def _static(line: Line) -> Json:
    return {
        "name": line.name, "type": line.type, "place": line.place or None,
        "in_shape": list(line.in_shape), "out_shape": list(line.out_shape),
        "spike_input": line.spike_input, "pool_folded": line.folded, "assumed_dense": line.assumed_dense,
    }  # fmt: skip


def _added(mine: Any, theirs: Any) -> Any:
    """Sum of two numbers, arrays or mappings of them; the shorter of two runs ends with zeros."""
    if isinstance(mine, dict):
        return {
            key: _added(mine[key], theirs[key])
            if key in mine and key in theirs
            else mine.get(key, theirs.get(key))
            for key in {**mine, **theirs}
        }
    if isinstance(mine, np.ndarray) and mine.ndim == 1 and len(mine) != len(theirs):
        length = max(len(mine), len(theirs))
        return sum(np.pad(part, (0, length - len(part))) for part in (mine, theirs))
    return mine + theirs


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, set):
        return sorted(value)
    if isinstance(value, array):  # NaN has no JSON form
        return [None if v != v else v for v in value]
    if isinstance(value, np.ndarray):
        return [[None if v != v else v for v in r] if isinstance(r, list) else r for r in value.tolist()]
    return value


def _restored(empty: Any, value: Any) -> Any:
    """The value in the form that the same field has in empty sums."""
    if isinstance(empty, np.ndarray):
        back = np.array(value, np.float64 if empty.dtype == np.float64 else np.int64)
        return back.reshape(empty.shape)
    if isinstance(empty, array):
        return array(empty.typecode, (np.nan if v is None else v for v in value))
    if isinstance(empty, set):
        return set(value)
    if isinstance(empty, dict) and empty:
        return {key: _restored(empty[key], inner) for key, inner in value.items()}
    return value
