"""A batch as JSON, one row a sample: counts and bills of N samples -> N lines of samples.jsonl.

The published form is energy/schema/samples-2.json. `null` is what nobody knows, 0 is a count.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from energy.answers import Answers
from energy.energy import Bill
from energy.line import COUNTS, MEASURES, STEPPED, Counts, Line
from energy.operand import CLASSES
from energy.priced import BESIDE, PARTS, Priced

SCHEMA_VERSION = 2
Json = dict[str, Any]


def rows(counts: Counts, priced: Priced, answers: Answers) -> list[Json]:
    """One row a sample, of plain data alone."""
    batch = _Batch(counts, priced)
    return [
        {
            "schema_version": SCHEMA_VERSION, **answers.who(n), **batch.sample(n),
            "latency_s": answers.latency(n),
        }
        for n in range(counts.samples)
    ]  # fmt: skip


class _Batch:
    """Arrays are turned into lists once, not once a sample."""

    def __init__(self, counts: Counts, priced: Priced) -> None:
        self._counts, self._refused, self._incomplete = counts, priced.refused, priced.incomplete
        self._static = [_static(line) for line in counts.lines]
        self._fields = [{f: counts.of(line, f).tolist() for f in COUNTS} for line in counts.lines]
        self._steps = [
            {f: line.by_step[f].tolist() for f in STEPPED if f in line.by_step} if line.by_step else None
            for line in counts.lines
        ]
        self._totals = {f: counts.total(f).tolist() for f in COUNTS}
        self._paper = counts.paper().tolist()
        self._classes = {c: ops.tolist() for c, ops in counts.by_class().items()}
        self._per_line = {c: bill.lines().T.tolist() for c, bill in priced.bills.items()}
        self._energy = {c: _listed(bill) for c, bill in priced.bills.items()}
        self._twins, self._budget = priced.baselines, priced.budget
        spread = priced.spread()
        self._spread = None if spread is None else [edge.tolist() for edge in spread]

    def sample(self, n: int) -> Json:
        """Everything of sample n but who it is."""
        totals = {f: values[n] for f, values in self._totals.items()}
        energy = {c: samples[n] for c, samples in self._energy.items()}
        spread = None
        if self._spread is not None:
            spread = {"min_pj": self._spread[0][n], "max_pj": self._spread[1][n]}
        return {
            "n_steps_used": self._counts.steps,
            "early_exit": False,
            "layers": [self._layer(row, n) for row in range(len(self._counts.lines))],
            "totals": {
                **totals, "sop_paper": self._paper[n],
                "ops_by_class": {c: values[n] for c, values in self._classes.items()},
            },
            "energy": energy or None,
            "energy_refused": self._refused,
            "energy_incomplete": self._incomplete,
            "spread": spread,
            "twins": None if self._twins is None else self._twins.sample(n),
            "bit_budget": self._budget and {name: int(bits[n]) for name, bits in self._budget.items()},
        }  # fmt: skip

    def _layer(self, row: int, n: int) -> Json:
        line, steps = self._counts.lines[row], self._steps[row]
        measures = line.measures or {}
        return {
            **self._static[row],
            "operand_class": None if line.classes is None else CLASSES[line.classes[n]],
            **{f: values[n] for f, values in self._fields[row].items()},
            **{f: number(measures[f][n]) if f in measures else None for f in MEASURES},
            "by_step": steps and {f: steps[f][n] if f in steps else None for f in STEPPED},
            "energy_pj": {c: pj[n][row] for c, pj in self._per_line.items()} or None,
        }


def _static(line: Line) -> Json:
    return {
        "name": line.name, "type": line.type, "place": line.place or None,
        "in_shape": list(line.in_shape), "out_shape": list(line.out_shape),
        "pool_folded": line.folded, "assumed_dense": line.assumed_dense,
    }  # fmt: skip


def _listed(bill: Bill) -> list[Json]:
    """A bill of each sample: parts of the total (null: not in it), the total, and what lies beside it."""
    parts = {f"{k}_pj": bill.component(k).tolist() if k in bill.pj else None for k in PARTS}
    total = bill.total().tolist()
    beside = {f"{k}_pj": bill.beside[k].sum(axis=0).tolist() if k in bill.beside else None for k in BESIDE}
    return [
        {
            **{k: None if v is None else v[n] for k, v in parts.items()},
            "total_pj": pj, "beside": {k: None if v is None else v[n] for k, v in beside.items()},
        }
        for n, pj in enumerate(total)
    ]  # fmt: skip


def number(value: float) -> float | None:
    """A float as JSON has it: what is no number is null."""
    return float(value) if np.isfinite(value) else None
