"""Counts of a batch with every price that a report shows beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from energy.conventions import DEFAULT, Convention
from energy.costs import CostTable
from energy.energy import Bill, Variant, incomplete, price, refusal, spread
from energy.line import Counts

PARTS = (
    "compute", "bias", "pool", "residual", "scale", "neuron", "host", "memory", "addressing", "routing",
)  # fmt: skip

BESIDE = ("memory", "addressing", "routing")  # parts that may stand beside a total


@dataclass(frozen=True)
class Terms:
    """How counts are priced. conventions: the first is the headline's.

    allow_uncounted: joules are named though nodes are uncounted, and say so wherever they stand.
    """

    conventions: tuple[Convention, ...] = DEFAULT
    allow_uncounted: bool = False


@dataclass(frozen=True, eq=False)
class Priced:
    """bills: convention -> bill, empty where joules are refused.  refused: why, or None.

    variants: the headline's convention with one switch changed.  incomplete: the warning that stands beside
    every headline, or None.
    """

    bills: Mapping[str, Bill] = field(default_factory=dict)
    refused: str | None = None
    variants: tuple[Variant, ...] = ()
    incomplete: str | None = None

    def spread(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Least and largest pJ of each sample over all conventions and switches, [N]; None where refused."""
        if not self.bills:
            return None
        totals = np.stack([*(b.total() for b in self.bills.values()), *(v.pj for v in self.variants)])
        return totals.min(axis=0), totals.max(axis=0)


def priced(counts: Counts, table: CostTable, terms: Terms) -> Priced:
    """All prices of one batch; none, and the reason, if something is uncounted and may not be."""
    if (why := refusal(counts)) and not terms.allow_uncounted:
        return Priced(refused=why)
    bills = price(counts, table, terms.conventions, terms.allow_uncounted)
    variants = spread(counts, table, terms.conventions[0], terms.allow_uncounted)
    return Priced(bills, None, variants, incomplete(counts))
