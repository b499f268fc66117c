"""What a summary needs, as running sums: of one batch, or merged from many, in this process or another.

Counts are sums of int64, exact whatever the cut into batches; float sums follow the order of the merges, so
merge in the order of the samples where every digit is to be the same again. Kept per sample: 8 bytes a
convention, for the percentiles.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from convert.ir import BadInput
from energy.energy import Bill, refusal
from energy.line import COUNTS, MEASURES, Counts, Line
from energy.operand import CLASSES
from energy.rows import Json, number


class Sums:
    """Sums over samples. `state()` is plain data (JSON takes it), and `Sums.of_state` reads it elsewhere."""

    def __init__(self, model: Json) -> None:
        """model: what all batches must share (`described`)."""
        lines = len(model["layers"])
        self.model = model
        self.n = self.answered = self.correct = 0
        self.paper = 0.0
        self.steps: set[int] = set()
        self.counts = np.zeros((lines, len(COUNTS)), np.int64)
        self.measures = np.zeros((lines, len(MEASURES)))
        self.classes = np.zeros((lines, len(CLASSES)), np.int64)  # samples whose operand is of that class
        self.by_class = np.zeros(len(CLASSES), np.int64)  # operations on operands of that class
        self.per_line = {name: np.zeros(lines) for name in model["conventions"]}
        self.parts: dict[str, dict[str, float]] = {name: {} for name in model["conventions"]}
        self.totals = {name: array("d") for name in model["conventions"]}

    @classmethod
    def of(cls, counts: Counts, bills: Mapping[str, Bill], rows: list[Json]) -> Sums:
        """Sums of one batch and its rows."""
        sums = cls(described(counts, bills))
        sums.n = counts.samples
        sums.steps = {counts.steps}
        sums.paper = float(counts.paper().sum())
        sums.by_class = np.array([ops.sum() for ops in counts.by_class().values()], np.int64)
        for row, line in enumerate(counts.lines):
            sums.counts[row] = [int(counts.of(line, f).sum()) for f in COUNTS]
            measures = line.measures or {}
            sums.measures[row] = [measures[f].sum() if f in measures else np.nan for f in MEASURES]
            if line.classes is not None:
                sums.classes[row] = np.bincount(line.classes, minlength=len(CLASSES))
        for name, bill in bills.items():
            sums.per_line[name] = bill.lines().sum(axis=1)
            sums.parts[name] = {part: float(bill.component(part).sum()) for part in bill.pj}
            sums.totals[name] = array("d", bill.total())
        known = [row["correct"] for row in rows if row["correct"] is not None]
        sums.answered, sums.correct = len(known), sum(known)
        return sums

    def merge(self, other: Sums) -> None:
        """Add the sums of samples that come after these; BadInput if they are of another model."""
        if other.model != self.model:
            raise BadInput("report: a batch of another model or other options; write one report each")
        for field in ("n", "answered", "correct", "paper", "counts", "measures", "classes", "by_class"):
            setattr(self, field, getattr(self, field) + getattr(other, field))
        self.steps |= other.steps
        for name in self.per_line:
            self.per_line[name] = self.per_line[name] + other.per_line[name]
            mine, theirs = self.parts[name], other.parts[name]
            self.parts[name] = {part: mine.get(part, 0.0) + pj for part, pj in theirs.items()}
            self.totals[name].extend(other.totals[name])

    def state(self) -> Json:
        """Everything, as JSON takes it."""
        plain = {"steps": sorted(self.steps), "totals": {c: list(v) for c, v in self.totals.items()}}
        return {key: plain.get(key, _plain(value)) for key, value in vars(self).items()}

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Sums:
        """The sums that gave this state."""
        sums = cls(state["model"])
        for key, value in state.items():
            kept = getattr(sums, key)
            if isinstance(kept, np.ndarray):
                setattr(sums, key, np.array(value, kept.dtype).reshape(kept.shape))
            elif key not in ("model", "steps", "totals", "per_line"):
                setattr(sums, key, value)
        sums.steps = set(state["steps"])
        sums.totals = {name: array("d", values) for name, values in state["totals"].items()}
        sums.per_line = {name: np.array(values) for name, values in state["per_line"].items()}
        return sums

    def summary(self) -> Json:
        """The body of summary.json."""
        model = self.model
        totals = dict(zip(COUNTS, self.counts.sum(axis=0).tolist(), strict=True))
        by_class = dict(zip(CLASSES, self.by_class.tolist(), strict=True))
        return {
            "options": model["options"],
            "coverage": model["coverage"],
            "n_samples": self.n,
            "n_steps": sorted(self.steps),
            "accuracy": self.correct / self.answered if self.answered else None,
            "totals": {**totals, "ops_by_class": by_class},
            "means": {**{f: v / self.n for f, v in totals.items()}, "sop_paper": self.paper / self.n},
            "energy": {name: self._energy(name) for name in model["conventions"]} or None,
            **({"energy_refused": model["refused"]} if model["refused"] else {}),
            "layers": [self._layer(row) for row in range(len(model["layers"]))],
        }

    def _energy(self, name: str) -> Json:
        values = np.frombuffer(self.totals[name])
        low, high = np.percentile(values, [5, 95])
        means = {f"{part}_pj": total / self.n for part, total in self.parts[name].items()}
        spread = {"p5_pj": float(low), "p95_pj": float(high)}
        return {**means, "memory_pj": None, "total_pj": float(values.mean()), **spread}

    def _layer(self, row: int) -> Json:
        counts = dict(zip(COUNTS, self.counts[row].tolist(), strict=True))
        classes = zip(CLASSES, self.classes[row].tolist(), strict=True)
        measures = zip(MEASURES, (self.measures[row] / self.n).tolist(), strict=True)
        energy = {name: float(pj[row]) / self.n for name, pj in self.per_line.items()}
        return {
            **self.model["layers"][row],
            "operand_classes": {c: k for c, k in classes if k},
            "totals": counts,
            "means": {f: v / self.n for f, v in counts.items()},
            "measures": {f: number(v) for f, v in measures},
            "energy_pj": energy or None,
        }


def described(counts: Counts, bills: Mapping[str, Bill]) -> Json:
    """What every batch of one report has in common: lines, options, coverage, conventions."""
    return {
        "layers": [_static(line) for line in counts.lines],
        "options": asdict(counts.options),
        "coverage": counts.coverage(),
        "refused": refusal(counts),
        "conventions": list(bills),
    }


def _static(line: Line) -> Json:
    return {
        "name": line.name, "type": line.type,
        "in_shape": list(line.in_shape), "out_shape": list(line.out_shape),
        "spike_input": line.spike_input, "pool_folded": line.folded, "assumed_dense": line.assumed_dense,
        **({"place": line.place} if line.place else {}),
    }  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value
