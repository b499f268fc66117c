"""Counts of a batch with every price that a report shows beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from energy.conventions import DEFAULT, Convention
from energy.costs import CostTable
from energy.energy import Bill, price, refusal
from energy.line import Counts

PARTS = (
    "compute", "bias", "pool", "residual", "scale", "neuron", "host", "memory", "addressing", "routing",
)  # fmt: skip

BESIDE = ("memory", "addressing", "routing")  # parts that may stand beside a total


@dataclass(frozen=True)
class Terms:
    """How counts are priced. conventions: the first is the headline's."""

    conventions: tuple[Convention, ...] = DEFAULT


@dataclass(frozen=True, eq=False)
class Priced:
    """bills: convention -> bill, empty where joules are refused.  refused: why, or None."""

    bills: Mapping[str, Bill] = field(default_factory=dict)
    refused: str | None = None

    def spread(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Least and largest pJ of each sample over all conventions, [N] each; None where refused."""
        if not self.bills:
            return None
        totals = np.stack([bill.total() for bill in self.bills.values()])
        return totals.min(axis=0), totals.max(axis=0)


def priced(counts: Counts, table: CostTable, terms: Terms) -> Priced:
    """All prices of one batch; none, and the reason, if something is uncounted."""
    if why := refusal(counts):
        return Priced(refused=why)
    return Priced(price(counts, table, terms.conventions))
