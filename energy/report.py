"""The report of a run: files that appear together when it closes well, or not at all.

    samples.jsonl     one JSON line a sample: who it is, counts and pJ of every layer, totals
    samples.parquet   the same in columns
    report.html       one page that opens without a network (energy/pages.py)
    summary.json      header, tables, statistics, classes, layers; moved into place last: where it is, all is

Chunks stream through. In memory are one batch, the running sums (energy/sums.py says what they keep of each
sample), a row group of the Parquet file and what the page shows. If a node is uncounted, `energy` is null and
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
from energy.fingerprint import fingerprint
from energy.line import Counts
from energy.pages import report_page
from energy.parquet import ParquetSamples
from energy.priced import Terms
from energy.rows import Json
from energy.shown import Shown
from energy.summary import SCHEMA_VERSION, summary
from energy.sums import Sums
from energy.table import render


class Report:
    """Streams chunks into a folder: `with Report(out, table, header) as report: report.add(...)`."""

    def __init__(
        self,
        out: Path,
        table: CostTable,
        header: Mapping[str, Any] | None = None,
        terms: Terms | None = None,
        shown: Shown | None = None,
    ) -> None:
        """header: what identifies the run (model, data, target), kept as given, in the fields of the schema's
        `header`; `class_names` name labels.

        shown: what the page shows of single samples, beside their sums.
        """
        self.cost_table, self._header = table, dict(header or {})
        self.terms, self.shown = terms or Terms(), shown or Shown()
        self._sums: Sums | None = None
        self.measured: Json | None = None  # what the machine measured, or why it did not; set before `close`
        self._summary: Json | None = None
        self._waiting: dict[int, Chunk] = {}
        self._next = 0
        self._stack = ExitStack()
        self._drafts = {
            name: self._stack.enter_context(whole(out / name))
            for name in ("summary.json", "report.html", "samples.parquet", "samples.jsonl")
        }
        self._parquet = self._stack.enter_context(ParquetSamples(self._drafts["samples.parquet"]))
        samples = self._drafts["samples.jsonl"].open("w", encoding="utf-8")
        self._samples: IO[str] = self._stack.enter_context(samples)

    def add(
        self,
        counts: Counts,
        sample_ids: Sequence[str | int],
        labels: Sequence[int] | None = None,
        predictions: Sequence[int] | None = None,
        latency_s: Sequence[float] | None = None,
    ) -> None:
        """The next batch: counts of N samples, and N of each of the others (None: not known)."""
        answers = Answers(sample_ids, labels, predictions, latency_s)
        self.take(chunk(self._next + len(self._waiting), counts, self.cost_table, answers, self.terms))

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
        lines = [json.dumps(row, allow_nan=False) for row in given.rows]
        self._parquet.add(given.rows, lines, given.sums.model["conventions"])
        self._samples.writelines(f"{line}\n" for line in lines)
        self.shown.add(given.rows, given.shown)

    def close(self) -> Json:
        """Write summary and page and put all files in place; the summary is returned too."""
        sums, prices = self._complete(), self.cost_table.describe()
        body = {
            "schema_version": SCHEMA_VERSION, "header": self._header,
            "cost_table": {**prices, "sha256": fingerprint(prices)},
            "conventions": self._conventions(sums),
            **summary(sums, self._header.get("class_names"), self.measured),
        }  # fmt: skip
        with self._stack:
            text = json.dumps(body, indent=2, allow_nan=False) + "\n"
            self._drafts["summary.json"].write_text(text, encoding="utf-8")
            self._drafts["report.html"].write_text(report_page(body, sums, self.shown), encoding="utf-8")
        self._summary = body
        return body

    def _complete(self) -> Sums:
        """The sums over all samples; BadInput, and no files, if there are none or a chunk is missing."""
        if self._sums is not None and not self._waiting:
            return self._sums
        self.discard()
        if self._waiting:
            late = f"chunk {self._next} never came, {len(self._waiting)} wait behind it"
            raise BadInput(f"report: {late}; run it again")
        raise BadInput("report: no samples were added; nothing was written")

    def _conventions(self, sums: Sums) -> list[Json]:
        """Those that named joules; a chip's table has but `exact`, whatever the defaults are."""
        priced = sums.model["conventions"] or [c.name for c in self.terms.conventions]
        return [c.describe() for c in self.terms.conventions if c.name in priced]

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
