"""A batch as JSON, one row a sample: counts and bills of N samples -> N lines of samples.jsonl.

The published form is energy/schema/samples-3.json. `null` is what nobody knows, 0 is a count.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, repeat
from typing import Any

from energy.accesses import WORDS, Accesses
from energy.answers import Answers
from energy.energy import Bill
from energy.line import COUNTS, MEASURES, STEPPED, Counts, Line
from energy.operand import CLASSES
from energy.priced import BESIDE, PARTS, Priced

SCHEMA_VERSION = 3
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
        per_line = {c: bill.lines().tolist() for c, bill in priced.bills.items()}
        self._layers = [
            _layers(line, counts.samples, {c: pj[row] for c, pj in per_line.items()}, moved)
            for row, (line, moved) in enumerate(zip(counts.lines, priced.accesses, strict=True))
        ]
        self._totals = {f: counts.total(f).tolist() for f in COUNTS}
        self._paper = counts.paper().tolist()
        self._classes = {c: ops.tolist() for c, ops in counts.by_class().items()}
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
            "layers": [layer[n] for layer in self._layers],
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


def _layers(
    line: Line, samples: int, energy: Mapping[str, list[float]], moved: Accesses | str | None
) -> list[Json]:
    """One line of every sample. Columns are zipped: cell by cell it would take several times as long."""
    measures, classes, known = line.measures or {}, line.classes, line.by_step or {}
    steps = {f: known[f].tolist() if f in known else repeat(None) for f in STEPPED}
    columns: dict[str, Iterable[Any]] = {
        **{key: repeat(value) for key, value in _static(line).items()},
        "operand_class": repeat(None) if classes is None else [CLASSES[c] for c in classes.tolist()],
        **{f: line.counts[f].tolist() if f in line.counts else repeat(0) for f in COUNTS},
        **{f: map(number, measures[f].tolist()) if f in measures else repeat(None) for f in MEASURES},
        "by_step": _dicts(steps) if known else repeat(None),
        "accesses": repeat(None) if isinstance(moved, str) else _dicts(_words(moved)),
        "energy_pj": _dicts(energy) if energy else repeat(None),
    }
    return list(islice(_dicts(columns), samples))


def _words(moved: Accesses | None) -> dict[str, Iterable[int]]:
    """Memory accesses and addresses of every sample; 0 for a line without memory of its own."""
    return {k: repeat(0) if moved is None else getattr(moved, field).tolist() for k, field in WORDS.items()}


def _dicts(columns: Mapping[str, Iterable[Any]]) -> Iterator[Json]:
    keys = tuple(columns)
    return (dict(zip(keys, values, strict=True)) for values in zip(*columns.values(), strict=False))


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
    return float(value) if math.isfinite(value) else None
