"""A chunk: what one batch leaves behind once it is counted and priced. Plain data; any process makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from energy.answers import Answers
from energy.costs import CostTable
from energy.energy import CONVENTIONS, price, refusal
from energy.line import Counts
from energy.rows import Json, rows
from energy.sums import Sums


@dataclass(frozen=True, eq=False)
class Chunk:
    """Rows and sums of consecutive samples. index: 0, 1, 2... in the order of the samples, none twice."""

    index: int
    rows: list[Json]
    sums: Sums

    def state(self) -> Json:
        """As JSON takes it: what a worker sends."""
        return {"index": self.index, "rows": self.rows, "sums": self.sums.state()}

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Chunk:
        """The chunk that gave this state."""
        return cls(state["index"], state["rows"], Sums.of_state(state["sums"]))


def chunk(index: int, counts: Counts, table: CostTable, answers: Answers) -> Chunk:
    """Price one batch of counts; BadInput if ids, labels or predictions are not one a sample."""
    answers.check(counts.samples)
    bills = {} if refusal(counts) else price(counts, table, tuple(CONVENTIONS))
    told = rows(counts, bills, answers)
    return Chunk(index, told, Sums.of(counts, bills, told))
