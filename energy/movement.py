"""Memory, addressing and routing beside what a convention prices: into its total, beside it, or unpriced.

They are facts of the machine, not of a convention: each is the same in every convention that counts what
happened. The papers' conventions set them to 0, and say so here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from energy.costs import CostTable
from energy.energy import Bill
from energy.layer import Layers
from energy.line import Counts
from energy.memory import Item, memory, unknown
from energy.routing import CoreMap, routing

ITEMS = ("memory", "addressing", "routing")
NOT_GIVEN = "sizes of layers were not given"


@dataclass(frozen=True, eq=False)
class Machine:
    """What is known of where a model lies: sizes of its layers, its core map, and who sends which spikes."""

    layers: Layers
    cores: CoreMap | None = None
    senders: Mapping[str, str] | None = None  # `energy.routing.sources`; None: no program was counted
    hosted: frozenset[str] = frozenset()  # `energy.routing.hosted`: lines that run beside the chip


@dataclass(frozen=True, eq=False)
class Movement:
    """items: memory, addressing, routing.  lemaire: operations as the memory equations count them."""

    items: Mapping[str, Item]
    lemaire: Item
    in_total: frozenset[str]

    def onto(self, bill: Bill) -> Bill:
        """The bill with these items: in the total where the table says so, else beside; or why not."""
        if bill.convention.startswith("paper"):
            why = "0 by the papers' convention"
            return replace(bill, unpriced={**bill.unpriced, **dict.fromkeys(ITEMS, why)})
        pj, beside, unpriced = dict(bill.pj), dict(bill.beside), dict(bill.unpriced)
        for name, item in self.items.items():
            if item.reasons:
                unpriced[name] = item.reason
            else:
                (pj if name in self.in_total else beside)[name] = item.pj
        return replace(bill, pj=pj, beside=beside, unpriced=unpriced)

    def bill(self) -> Bill | None:
        """The convention `lemaire2022`: its operations, memory, addressing; None if a line has none."""
        parts = {"compute": self.lemaire, **{n: self.items[n] for n in ("memory", "addressing")}}
        if any(item.reasons for item in parts.values()):
            return None
        why = {"routing": "the equations have no routing"}
        return Bill("lemaire2022", {name: item.pj for name, item in parts.items()}, unpriced=why)


def movement(counts: Counts, table: CostTable, machine: Machine | str) -> Movement:
    """All items of a batch; none of them where `machine` is the reason why nothing is known of it."""
    if isinstance(machine, str):
        nothing = unknown(counts, machine)
        return Movement(dict.fromkeys(ITEMS, nothing), nothing, frozenset())
    found = memory(counts, machine.layers, table)
    in_total = {"memory", "addressing"} if table.memory is not None and table.memory.in_total else set()
    if machine.senders is None:
        routed = unknown(counts, "messages belong to a program on cores; no program was counted")
    else:
        routed = routing(counts, table, machine.cores, machine.senders)
    items = {**{n: found[n] for n in ("memory", "addressing")}, "routing": routed}
    kept = in_total | ({"routing"} if table.kind == "chip" else set())
    return Movement(items, found["operations"], frozenset(kept))
