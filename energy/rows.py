"""A batch as JSON, one row a sample: counts and bills of N samples -> N lines of samples.jsonl."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from energy.answers import Answers
from energy.energy import Bill, refusal
from energy.line import COUNTS, MEASURES, Counts
from energy.operand import CLASSES

SCHEMA_VERSION = 1
Json = dict[str, Any]


def rows(counts: Counts, bills: Mapping[str, Bill], answers: Answers) -> list[Json]:
    """One row a sample, of plain data alone; bills empty: energy is refused, and why is said."""
    batch = _Batch(counts, bills)
    return [{**answers.who(n), **batch.sample(n)} for n in range(counts.samples)]


class _Batch:
    """Arrays are turned into lists once, not once a sample."""

    def __init__(self, counts: Counts, bills: Mapping[str, Bill]) -> None:
        self._counts, self._refused = counts, refusal(counts)
        self._fields = [{f: counts.of(line, f).tolist() for f in COUNTS} for line in counts.lines]
        self._totals = {f: counts.total(f).tolist() for f in COUNTS}
        self._paper = counts.paper().tolist()
        self._classes = {c: ops.tolist() for c, ops in counts.by_class().items()}
        self._per_line = {c: bill.lines() for c, bill in bills.items()}
        self._energy = {c: {k: b.component(k).tolist() for k in b.pj} for c, b in bills.items()}
        self._sum = {c: bill.total().tolist() for c, bill in bills.items()}

    def sample(self, n: int) -> Json:
        """Everything of sample n but who it is."""
        totals = {f: values[n] for f, values in self._totals.items()}
        energy = {
            c: {**{k: v[n] for k, v in parts.items()}, "memory": None, "total": self._sum[c][n]}
            for c, parts in self._energy.items()
        }
        refused = {"energy_refused": self._refused} if self._refused else {}
        return {
            "schema_version": SCHEMA_VERSION,
            "n_steps": self._counts.steps,
            "layers": [self._layer(row, n) for row in range(len(self._counts.lines))],
            "totals": {
                **totals, "sop_paper": self._paper[n],
                "ops_by_class": {c: values[n] for c, values in self._classes.items()},
            },
            "energy": energy or None,
            **refused,
        }  # fmt: skip

    def _layer(self, row: int, n: int) -> Json:
        line = self._counts.lines[row]
        measures = line.measures or {}
        energy = {c: float(pj[row, n]) for c, pj in self._per_line.items()}
        return {
            "name": line.name, "type": line.type,
            "operand_class": None if line.classes is None else CLASSES[line.classes[n]],
            "in_shape": list(line.in_shape), "out_shape": list(line.out_shape),
            **{f: values[n] for f, values in self._fields[row].items()},
            **{f: number(measures[f][n]) if f in measures else None for f in MEASURES},
            "pool_folded": line.folded, "assumed_dense": line.assumed_dense,
            **({"place": line.place} if line.place else {}),
            "energy_pj": energy or None,
        }  # fmt: skip


def number(value: float) -> float | None:
    """A float as JSON has it: what is no number is null."""
    return float(value) if np.isfinite(value) else None
