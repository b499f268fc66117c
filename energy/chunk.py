"""A chunk: what one batch leaves behind once it is counted and priced. Plain data; any process makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from energy.answers import Answers
from energy.costs import CostTable
from energy.line import Counts
from energy.priced import Terms, priced
from energy.rows import Json, rows
from energy.sums import Sums


@dataclass(frozen=True, eq=False)
class Chunk:
    """Rows and sums of consecutive samples. index: 0, 1, 2... in the order of the samples, none twice.

    shown: rasters of the samples that the page shows (energy/shown.py), few and small.
    """

    index: int
    rows: list[Json]
    sums: Sums
    shown: list[Json] = field(default_factory=list)

    def state(self) -> Json:
        """As JSON takes it: what a worker sends."""
        return {"index": self.index, "rows": self.rows, "sums": self.sums.state(), "shown": self.shown}

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Chunk:
        """The chunk that gave this state."""
        return cls(state["index"], state["rows"], Sums.of_state(state["sums"]), state["shown"])


def chunk(
    index: int,
    counts: Counts,
    table: CostTable,
    answers: Answers,
    terms: Terms | None = None,
    shown: list[Json] | None = None,
    persons: np.ndarray | None = None,
) -> Chunk:
    """Price one batch of counts; BadInput if ids, labels or predictions are not one a sample.

    persons: int64 [N], inputs that make up a sample; one each if None.
    """
    answers.check(counts.samples)
    prices = priced(counts, table, terms or Terms(), persons)
    told = rows(counts, prices, answers)
    return Chunk(index, told, Sums.of(counts, prices, told), shown or [])
