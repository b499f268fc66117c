"""All bills of a batch: the conventions of its table, with memory, addressing and routing where known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from convert.ir import BadInput
from energy.chip import chip_bills
from energy.conventions import DEFAULT, Convention
from energy.costs import CostTable
from energy.energy import Bill, complete, price
from energy.line import Counts
from energy.movement import NOT_GIVEN, Machine, movement


def placed(counts: Counts, hosted: frozenset[str]) -> Counts:
    """The same counts, the named lines on the CPU."""
    lines = (replace(line, place="cpu") if line.name in hosted else line for line in counts.lines)
    return replace(counts, lines=tuple(lines))


def bills(
    counts: Counts,
    table: CostTable,
    machine: Machine | str = NOT_GIVEN,
    host: CostTable | None = None,
    conventions: Sequence[str | Convention] = DEFAULT,
    allow_uncounted: bool = False,
) -> dict[str, Bill]:
    """Name of the convention -> bill; BadInput if joules are refused.

    machine: or why nothing is known of it, which then stands at memory, addressing and routing.
    A chip's table knows the conventions `exact` and, where it prices idle neurons, `exact-idle`; `host`
    prices what no spiking chip does. An arithmetic table whose total holds memory adds `lemaire2022` where
    the equations cover every line.
    """
    check_conventions(table, conventions)
    check_host(table, host)
    if table.kind == "chip":
        complete(counts, allow_uncounted)
        found = chip_bills(
            counts if isinstance(machine, str) else placed(counts, machine.hosted), table, host
        )
    else:
        found = price(counts, table, conventions, allow_uncounted)
    moved = movement(counts, table, machine)
    found = {name: moved.onto(bill) for name, bill in found.items()}
    lemaire = moved.bill() if table.memory is not None and table.memory.in_total else None
    return found if lemaire is None else {**found, lemaire.convention: lemaire}


def check_host(table: CostTable, host: CostTable | None) -> None:
    """BadInput for a host table beside a table that needs none, or one that is a chip's itself."""
    if host is None:
        return
    if table.kind != "chip":
        raise BadInput(f"{table.name} prices all operations itself; leave --host-table out")
    if host.kind != "arithmetic":
        raise BadInput(
            f"{host.name}: prices a chip; name an arithmetic table for the host, such as horowitz45-int8"
        )


def check_conventions(table: CostTable, conventions: Sequence[str | Convention]) -> None:
    """BadInput if a chip's table is to price anything but its own events, which are `exact`."""
    names = [c if isinstance(c, str) else c.name for c in conventions]
    if table.kind == "chip" and names not in (["exact"], [c.name for c in DEFAULT]):
        raise BadInput(
            f"{table.name} prices the events of a chip, and {', '.join(names)} would not change them; "
            "leave --convention and --switch out, or choose an arithmetic table"
        )
