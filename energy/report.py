"""The report: one JSON line a sample, one summary, one table. Batches stream through; nothing piles up.

    samples.jsonl   per sample: sample_id, label, prediction, correct, n_steps, layers, totals, energy (pJ)
    summary.json    header (options, cost table, coverage), means, p5/p95, accuracy, exact totals

Both files appear when the report closes well, or neither does. If a node is uncounted, `energy` is null and
`energy_refused` says why; counts are written all the same. What is kept for percentiles: 8 bytes per sample
and convention.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from convert.ir import BadInput
from convert.ir.files import whole
from energy.costs import CostTable
from energy.energy import COMPONENTS, CONVENTIONS, Bill, price, refusal
from energy.line import COUNTS, MEASURES, Counts
from energy.operand import CLASSES
from energy.table import render

SCHEMA_VERSION = 1
Json = dict[str, Any]


class Report:
    """Streams batches into a folder: `with Report(out, table, header) as report: report.add(...)`."""

    def __init__(self, out: Path, table: CostTable, header: Mapping[str, Any] | None = None) -> None:
        """header: what identifies the run (model, data set, split, target): kept as given."""
        self._table, self._header = table, dict(header or {})
        self._sums: _Sums | None = None
        self._summary: Json | None = None
        self._stack = ExitStack()
        summary = self._stack.enter_context(whole(out / "summary.json"))
        samples = self._stack.enter_context(whole(out / "samples.jsonl"))
        self._summary_path = summary
        self._samples: IO[str] = self._stack.enter_context(samples.open("w", encoding="utf-8"))

    def add(
        self,
        counts: Counts,
        sample_ids: Sequence[str | int],
        labels: Sequence[int] | None = None,
        predictions: Sequence[int] | None = None,
    ) -> None:
        """One batch: counts of N samples, with their N ids, true classes and answers (None: not known)."""
        for what, given in (("ids", sample_ids), ("labels", labels), ("predictions", predictions)):
            if given is not None and len(given) != counts.samples:
                raise BadInput(f"report: {len(given)} {what} for {counts.samples} samples; give one each")
        bills = {} if refusal(counts) else price(counts, self._table, tuple(CONVENTIONS))
        if self._sums is None:
            self._sums = _Sums(counts)
        self._sums.add(counts, bills)
        rows = _Rows(counts, bills)
        for n, sample_id in enumerate(sample_ids):
            label = None if labels is None else int(labels[n])
            answer = None if predictions is None else int(predictions[n])
            correct = None if label is None or answer is None else label == answer
            self._sums.answer(correct)
            who = {"sample_id": _plain(sample_id), "label": label, "prediction": answer, "correct": correct}
            self._samples.write(json.dumps({**who, **rows.sample(n)}, allow_nan=False) + "\n")

    def close(self) -> Json:
        """Write the summary and put both files in place; the summary is returned too."""
        if self._sums is None:
            self.discard()
            raise BadInput("report: no samples were added; nothing was written")
        body = {
            "schema_version": SCHEMA_VERSION, "header": self._header, "cost_table": self._table.describe(),
            **self._sums.summary(),
        }  # fmt: skip
        with self._stack:  # the samples move first, the summary last: where it is, all is
            self._summary_path.write_text(
                json.dumps(body, indent=2, allow_nan=False) + "\n", encoding="utf-8"
            )
        self._summary = body
        return body

    def discard(self) -> None:
        """Leave nothing behind: the drafts go as if an error had come."""
        self._stack.__exit__(BadInput, BadInput("report discarded"), None)

    def table(self) -> str:
        """The printed table; only of a closed report."""
        if self._summary is None:
            raise BadInput("report: not closed yet; the table needs all samples")
        return render(self._summary)

    @property
    def summary(self) -> Json:
        """What summary.json holds; only of a closed report."""
        if self._summary is None:
            raise BadInput("report: not closed yet; the summary needs all samples")
        return self._summary

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
        elif self._summary is None:
            self.close()


class _Rows:
    """A batch as JSON, sample by sample; arrays are turned into lists once."""

    def __init__(self, counts: Counts, bills: Mapping[str, Bill]) -> None:
        self._counts, self._bills, self._refused = counts, bills, refusal(counts)
        self._fields = [{f: counts.of(line, f).tolist() for f in COUNTS} for line in counts.lines]
        self._totals = {f: counts.total(f).tolist() for f in COUNTS}
        self._paper = counts.paper().tolist()
        self._classes = {c: ops.tolist() for c, ops in counts.by_class().items()}
        self._per_line = {c: bill.lines() for c, bill in bills.items()}
        self._energy = {c: {k: b.component(k).tolist() for k in COMPONENTS} for c, b in bills.items()}
        self._sum = {c: bill.total().tolist() for c, bill in bills.items()}

    def sample(self, n: int) -> Json:
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
            **{f: _number(measures[f][n]) if f in measures else None for f in MEASURES},
            "pool_folded": line.folded, "assumed_dense": line.assumed_dense,
            **({"place": line.place} if line.place else {}),
            "energy_pj": energy or None,
        }  # fmt: skip


class _Sums:
    """What the summary needs, as batches pass: exact integers and running float sums."""

    def __init__(self, first: Counts) -> None:
        self._first = first
        self._names = [line.name for line in first.lines]
        self.n = self.answered = self.correct = 0
        self._steps: set[int] = set()
        self._counts = [dict.fromkeys(COUNTS, 0) for _ in first.lines]
        self._measures = [dict.fromkeys(MEASURES, 0.0) for _ in first.lines]
        self._classes = [dict.fromkeys(CLASSES, 0) for _ in first.lines]
        self._by_class = dict.fromkeys(CLASSES, 0)
        self._paper = 0.0
        self._per_line = {c: np.zeros(len(first.lines)) for c in CONVENTIONS}
        self._parts = {c: dict.fromkeys(COMPONENTS, 0.0) for c in CONVENTIONS}
        self._totals = {c: array("d") for c in CONVENTIONS}

    def add(self, counts: Counts, bills: Mapping[str, Bill]) -> None:
        names = [line.name for line in counts.lines]
        if names != self._names or counts.options != self._first.options:
            raise BadInput("report: a batch of another model or other options; write one report each")
        self.n += counts.samples
        self._steps.add(counts.steps)
        self._paper += float(counts.paper().sum())
        for name, ops in counts.by_class().items():
            self._by_class[name] += int(ops.sum())
        for row, line in enumerate(counts.lines):
            for field in line.counts:
                self._counts[row][field] += int(counts.of(line, field).sum())
            for field, values in (line.measures or {}).items():
                self._measures[row][field] += float(values.sum())
            for code in [] if line.classes is None else line.classes.tolist():
                self._classes[row][CLASSES[code]] += 1
        for name, bill in bills.items():
            self._per_line[name] += bill.lines().sum(axis=1)
            self._totals[name].extend(bill.total().tolist())
            for part in COMPONENTS:
                self._parts[name][part] += float(bill.component(part).sum())

    def answer(self, correct: bool | None) -> None:
        self.answered += correct is not None
        self.correct += bool(correct)

    def summary(self) -> Json:
        refused = refusal(self._first)
        totals = {f: sum(layer[f] for layer in self._counts) for f in COUNTS}
        return {
            "options": asdict(self._first.options),
            "coverage": self._first.coverage(),
            "n_samples": self.n,
            "n_steps": sorted(self._steps),
            "accuracy": self.correct / self.answered if self.answered else None,
            "totals": {**totals, "ops_by_class": dict(self._by_class)},
            "means": {**{f: v / self.n for f, v in totals.items()}, "sop_paper": self._paper / self.n},
            "energy": None if refused else {name: self._energy(name) for name in CONVENTIONS},
            **({"energy_refused": refused} if refused else {}),
            "layers": [self._layer(row, refused is None) for row in range(len(self._names))],
        }

    def _energy(self, name: str) -> Json:
        values = np.frombuffer(self._totals[name])
        low, high = np.percentile(values, [5, 95])
        means = {f"{part}_pj": total / self.n for part, total in self._parts[name].items()}
        spread = {"p5_pj": float(low), "p95_pj": float(high)}
        return {**means, "memory_pj": None, "total_pj": float(values.mean()), **spread}

    def _layer(self, row: int, priced: bool) -> Json:
        line = self._first.lines[row]
        energy = {name: float(pj[row]) / self.n for name, pj in self._per_line.items()}
        measured, sums = line.measures is not None, self._measures[row]
        return {
            "name": line.name, "type": line.type,
            "operand_classes": {c: k for c, k in self._classes[row].items() if k},
            "in_shape": list(line.in_shape), "out_shape": list(line.out_shape),
            "spike_input": line.spike_input, "pool_folded": line.folded, "assumed_dense": line.assumed_dense,
            **({"place": line.place} if line.place else {}),
            "totals": dict(self._counts[row]),
            "means": {f: v / self.n for f, v in self._counts[row].items()},
            "measures": {f: _number(v / self.n) if measured else None for f, v in sums.items()},
            "energy_pj": energy if priced else None,
        }  # fmt: skip


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _plain(value: object) -> str | int:
    return int(value) if isinstance(value, int | np.integer) else str(value)
