"""The report: one JSON line a sample, one summary, one table. Chunks stream through; nothing piles up.

    samples.jsonl   per sample: sample_id, label, prediction, correct, n_steps, layers, totals, energy (pJ)
    summary.json    header (options, cost table, coverage), means, p5/p95, accuracy, exact totals

Both files appear when the report closes well, or neither does. If a node is uncounted, `energy` is null and
`energy_refused` says why; counts are written all the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from convert.ir import BadInput
from convert.ir.files import whole
from energy.answers import Answers
from energy.chunk import Chunk, chunk
from energy.costs import CostTable
from energy.line import Counts
from energy.rows import SCHEMA_VERSION, Json
from energy.sums import Sums
from energy.table import render


class Report:
    """Streams chunks into a folder: `with Report(out, table, header) as report: report.add(...)`."""

    def __init__(self, out: Path, table: CostTable, header: Mapping[str, Any] | None = None) -> None:
        """header: what identifies the run (model, data set, split, target): kept as given."""
        self.table_of_costs, self._header = table, dict(header or {})
        self._sums: Sums | None = None
        self._summary: Json | None = None
        self._waiting: dict[int, Chunk] = {}
        self._next = 0
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
        """The next batch: counts of N samples, their N ids, true classes and answers (None: not known)."""
        answers = Answers(sample_ids, labels, predictions)
        self.take(chunk(self._next + len(self._waiting), counts, self.table_of_costs, answers))

    def take(self, given: Chunk) -> bool:
        """One chunk, from any worker and in any order; written in the order of their indices.

        False, and nothing happens, if a chunk of that index came before: a worker that died may have sent it.
        Chunks that come early wait in memory for those before them.
        """
        if given.index < self._next or given.index in self._waiting:
            return False
        self._waiting[given.index] = given
        while self._next in self._waiting:
            self._write(self._waiting.pop(self._next))
            self._next += 1
        return True

    def _write(self, given: Chunk) -> None:
        if self._sums is None:
            self._sums = Sums(given.sums.model)
        self._sums.merge(given.sums)
        for row in given.rows:
            self._samples.write(json.dumps(row, allow_nan=False) + "\n")

    def close(self) -> Json:
        """Write the summary and put both files in place; the summary is returned too."""
        body = self._body()
        with self._stack:  # the samples move first, the summary last: where it is, all is
            self._summary_path.write_text(
                json.dumps(body, indent=2, allow_nan=False) + "\n", encoding="utf-8"
            )
        self._summary = body
        return body

    def _body(self) -> Json:
        if self._waiting or self._sums is None:
            self.discard()
            late = f"chunk {self._next} never came, {len(self._waiting)} wait behind it; run it again"
            none = "no samples were added; nothing was written"
            raise BadInput(f"report: {late if self._waiting else none}")
        return {
            "schema_version": SCHEMA_VERSION, "header": self._header,
            "cost_table": self.table_of_costs.describe(), **self._sums.summary(),
        }  # fmt: skip

    def discard(self) -> None:
        """Leave nothing behind: the drafts go as if an error had come."""
        self._stack.__exit__(BadInput, BadInput("report discarded"), None)

    def table(self) -> str:
        """The printed table; only of a closed report."""
        return render(self.summary)

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
