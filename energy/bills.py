"""All bills of a batch: the conventions of its table, with memory, addressing and routing where known."""

from __future__ import annotations

from collections.abc import Sequence

from energy.chip import chip_bills
from energy.conventions import DEFAULT, Convention
from energy.costs import CostTable
from energy.energy import Bill, price
from energy.line import Counts
from energy.movement import Machine, movement


def bills(
    counts: Counts,
    table: CostTable,
    machine: Machine | None = None,
    host: CostTable | None = None,
    conventions: Sequence[str | Convention] = DEFAULT,
) -> dict[str, Bill]:
    """convention -> bill; BadInput if joules are refused.

    A chip's table knows the conventions `exact` and, where it prices idle neurons, `exact-idle`; `host` prices
    what no spiking chip does. An arithmetic table that prices memory adds `lemaire2022` where its equations
    cover every line.
    """
    found = chip_bills(counts, table, host) if table.kind == "chip" else price(counts, table, conventions)
    if machine is None:
        return found
    moved = movement(counts, table, machine)
    found = {name: moved.onto(bill) for name, bill in found.items()}
    lemaire = moved.bill() if table.memory is not None and table.memory.in_total else None
    return found if lemaire is None else {**found, lemaire.convention: lemaire}
