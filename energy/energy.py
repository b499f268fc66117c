"""Counts x cost table -> picojoules, per line, sample and component, in named conventions side by side.

    compute  mac E_MAC + ac E_AC         bias, pool, residual  adds E_add
    scale    as compute                  neuron                multiplies E_mul + (adds + compares) E_add

How many of each there are is the convention's business (`energy.conventions`, `energy.operations`). Memory,
addressing and routing come from `energy.movement`. All is modelled, none measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from convert.ir import BadInput
from energy.conventions import DEFAULT, Convention, convention, others
from energy.costs import CostTable
from energy.line import Counts
from energy.operations import Ops, operations
from energy.sheet import Sheet


@dataclass(frozen=True, eq=False)
class Bill:
    """Energy in one convention. pj: component -> float64 [lines, N], all of the total.

    beside: components that are priced but do not belong to the total, in the same shape.  unpriced: component
    -> why it has no figure; unknown is not zero.
    """

    convention: str
    pj: Mapping[str, np.ndarray]
    beside: Mapping[str, np.ndarray] = field(default_factory=dict)
    unpriced: Mapping[str, str] = field(default_factory=dict)

    def component(self, name: str) -> np.ndarray:
        """float64 [N] pJ of one component over all lines."""
        return self.pj[name].sum(axis=0)

    def lines(self) -> np.ndarray:
        """float64 [lines, N] pJ of all components."""
        return sum(self.pj.values())

    def total(self) -> np.ndarray:
        """float64 [N] pJ."""
        return sum(self.component(name) for name in self.pj)


@dataclass(frozen=True, eq=False)
class Variant:
    """The bill of a convention with one switch changed. pj: float64 [N]; NaN: the table lacks a price."""

    switch: str
    value: str
    pj: np.ndarray


def refusal(counts: Counts) -> str | None:
    """Why no joules may be named for these counts, or None."""
    if not counts.uncounted:
        return None
    left: dict[str, list[str]] = {}
    for u in counts.uncounted:
        left.setdefault(u.remedy, []).append(f"{u.node} ({u.type}, {u.share:.1%} of the outputs)")
    return "not counted: " + "; ".join(f"{', '.join(nodes)}; {remedy}" for remedy, nodes in left.items())


def incomplete(counts: Counts) -> str | None:
    """What stays printed on every headline that was asked for though something is uncounted, or None."""
    if not counts.uncounted:
        return None
    share = sum(u.share for u in counts.uncounted)
    names = ", ".join(f"{u.node} ({u.type})" for u in counts.uncounted)
    return f"INCOMPLETE: {share:.1%} of the outputs were not counted: {names}"


def price(
    counts: Counts,
    table: CostTable,
    conventions: Sequence[str | Convention] = DEFAULT,
    allow_uncounted: bool = False,
) -> dict[str, Bill]:
    """Name of the convention -> bill; BadInput for an unknown one, or if uncounted nodes are not allowed."""
    complete(counts, allow_uncounted)
    sheet = Sheet(counts)
    chosen = [convention(c) if isinstance(c, str) else c for c in conventions]
    return {c.name: _bill(c, sheet, table) for c in chosen}


def spread(
    counts: Counts, table: CostTable, base: Convention, allow_uncounted: bool = False
) -> tuple[Variant, ...]:
    """Every convention one switch away from `base`, in the order of `energy.conventions.SWITCHES`.

    The spread of a headline is the least and greatest total over these and `base` itself.
    """
    complete(counts, allow_uncounted)
    sheet = Sheet(counts)
    return tuple(
        Variant(switch, value, _total(changed, sheet, table)) for switch, value, changed in others(base)
    )


def _total(c: Convention, sheet: Sheet, table: CostTable) -> np.ndarray:
    """float64 [N] pJ; NaN where the table lacks a price that the base may do without."""
    try:
        return _bill(c, sheet, table).total()
    except BadInput:
        return np.full(sheet.counts.samples, np.nan)


def complete(counts: Counts, allow_uncounted: bool) -> None:
    """BadInput if something is uncounted and that is not allowed."""
    if not allow_uncounted and (reason := refusal(counts)):
        raise BadInput(f"energy refused: {reason}")


def _bill(c: Convention, sheet: Sheet, table: CostTable) -> Bill:
    return Bill(c.name, {part: _priced(ops, sheet, table) for part, ops in operations(sheet, c).items()})


def _priced(ops: Ops, sheet: Sheet, table: CostTable) -> np.ndarray:
    """float64 [lines, N]; a price is asked for only where there is something to pay."""
    pj = np.zeros((len(sheet.counts.lines), sheet.counts.samples))
    for operation, number in ops.items():
        if number.any():
            pj += number * table.price(operation)
    return pj
