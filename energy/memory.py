"""What memory accesses and addresses cost: three items, each per line and sample, each null where unknown.

    operations   MAC E_MAC + ACC E_AC             Lemaire's own count, ceil(k / S) taps a spike, no borders
    memory       sum over inputs, parameters, potentials (read and written), outputs
                     accesses E_ram(words of that memory)
    addressing   MAC E_MAC + ACC E_AC             of addresses

Spikes are read from and written to a queue of `fifo_messages` words; all else lies in a memory of its own
size. A line whose sizes are not known is NaN, with its reason; a total over such lines is not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from energy.accesses import ADDED, Accesses, accesses
from energy.costs import CostTable
from energy.layer import Layer, Layers
from energy.line import Counts, Line
from energy.ram import Ram

ITEMS = ("operations", "memory", "addressing")


@dataclass(frozen=True, eq=False)
class Item:
    """One item of a bill. pj: float64 [lines, N], NaN where not known.  reasons: line -> why; '' is all."""

    pj: np.ndarray
    reasons: Mapping[str, str]

    def total(self) -> np.ndarray | None:
        """float64 [N] pJ of all lines; None if one of them is not known."""
        return None if self.reasons else self.pj.sum(axis=0)

    @property
    def reason(self) -> str:
        """Why there is no total, in one line; '' if there is."""
        told: dict[str, list[str]] = {}
        for name, why in self.reasons.items():
            told.setdefault(why, []).append(name)
        parts = [f"{', '.join(names)}: {why}" if any(names) else why for why, names in told.items()]
        return "; ".join(parts)


def unknown(counts: Counts, why: str) -> Item:
    """An item of which nothing is known."""
    return Item(np.full((len(counts.lines), counts.samples), np.nan), {"": why})


def memory(counts: Counts, layers: Layers, table: CostTable) -> dict[str, Item]:
    """name of ITEMS -> item. layers: `energy.layer.layers` of the model that was counted."""
    if table.memory is None:
        why = f"{table.name} prices no memory"
        return {name: unknown(counts, why) for name in ITEMS}
    pj = {name: np.zeros((len(counts.lines), counts.samples)) for name in ITEMS}
    ram, reasons = table.memory, dict[str, str]()
    for row, (line, moved) in enumerate(zip(counts.lines, of_lines(counts, layers), strict=True)):
        layer = layers.get(line.name)
        if moved is None:
            continue
        if isinstance(moved, str) or layer is None or isinstance(layer, str):
            reasons[line.name] = str(moved)
            found = dict.fromkeys(ITEMS, np.full(counts.samples, np.nan))
        else:
            found = _priced(moved, layer, table, ram)
        for name in ITEMS:
            pj[name][row] = found[name]
    return {name: Item(pj[name], reasons) for name in ITEMS}


def of_lines(counts: Counts, layers: Layers) -> list[Accesses | str | None]:
    """Of each line its accesses, or why they are not known, or None: it has no memory of its own."""
    found: list[Accesses | str | None] = []
    for line in counts.lines:
        layer = layers.get(line.name, "its sizes are not known")
        if _idle(counts, line):
            found.append(None)
        else:
            found.append(layer if isinstance(layer, str) else accesses(counts, line, layer))
    return found


def _idle(counts: Counts, line: Line) -> bool:
    """No memory of its own: a folded pool; adds where sums land; a Relu as it is written."""
    return not any(counts.of(line, field).any() for field in ("dense_mac", "neuron_steps", *ADDED))


def _priced(a: Accesses, layer: Layer, table: CostTable, ram: Ram) -> dict[str, np.ndarray]:
    mac, ac = (
        table.price(op) if n.any() else 0.0 for op, n in (("mac", a.mac + a.address_mac), ("ac", a.acc))
    )
    queue = ram.fifo_messages
    potentials = layer.outputs * max(layer.states, 1)
    return {
        "operations": a.mac * mac + a.acc * ac,
        "memory": a.inputs * ram.pj(layer.inputs if a.dense else queue)
        + a.parameters * ram.pj(layer.weights)
        + 2 * a.potentials * ram.pj(potentials)
        + a.outputs * ram.pj(layer.outputs if a.dense else queue),
        "addressing": a.address_mac * mac + a.address_acc * table.price("ac"),
    }
