"""Messages of spikes over a chip's mesh: from a core map, what one spike of a population sends and how far.

    messages, hops_x, hops_y of a sample = spikes of the population x (those of the map / spikes of the map)

The map (`cli.py map --out FILE`) holds sums over the samples that it was measured on; a sample's own spikes
scale them, so that the mean over the same samples is the map's. Crossings from chip to chip have no published
price: of a map that has any the item has no total, and says so.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.ir import BadInput, Program
from energy.costs import CostTable
from energy.line import Counts
from energy.memory import Item, unknown

FORMAT, VERSION = "basalt-map", 1
MOVES = {
    "messages": "message",
    "hops_x": "hop_x",
    "hops_y": "hop_y",
}  # field of a map -> operation of a table


@dataclass(frozen=True)
class CoreMap:
    """per_spike: population -> messages, hops_x, hops_y of one of its spikes.  crossings: of all, a sample.
    activity: how the map's spikes were got.  fingerprint: of the artifact that was mapped.  outside: what the
    host computes, inputs among them.
    """

    chip: str
    fingerprint: str
    activity: str
    per_spike: Mapping[str, Mapping[str, float]]
    crossings: float
    outside: frozenset[str] = frozenset()

    def describe(self) -> dict[str, Any]:
        """What a report's header says of it."""
        return {
            "chip": self.chip, "activity": self.activity, "outside": sorted(self.outside),
            "crossings_unpriced": self.crossings,
        }  # fmt: skip


def core_map(path: Path) -> CoreMap:
    """Read the JSON of `cli.py map`; BadInput if it is not one."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(
            f"{path}: not a readable core map ({error}); write one with cli.py map --out"
        ) from error
    if not isinstance(body, dict) or (body.get("format"), body.get("version")) != (FORMAT, VERSION):
        raise BadInput(f"{path}: not a {FORMAT} of version {VERSION}; write one with cli.py map --out")
    try:
        moved = body["traffic"]
        per_spike = {name: _per_spike(sent) for name, sent in moved["populations"].items()}
        about = (str(body["chip"]["name"]), str(body.get("fingerprint", "")), str(moved["activity"]))
        outside = frozenset(map(str, body["outside"]))
        return CoreMap(*about, per_spike, _amount(moved["crossings"]), outside)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{path}: its traffic is damaged ({error}); map the artifact again") from error


def _per_spike(sent: Mapping[str, Any]) -> dict[str, float]:
    spikes = _amount(sent["spikes"])
    return {field: _amount(sent[field]) / spikes if spikes else math.nan for field in MOVES}


def _amount(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= sys.float_info.max:
        raise ValueError(f"{value!r} is no amount")
    return float(value)


def sources(program: Program) -> dict[str, str]:
    """Line that knows the spikes of a population -> population: neurons by their own line, inputs by a
    projection that reads them."""
    found = {name: name for name in program.neurons()}
    inputs = set(program.inputs())
    for p in program.projections:
        if p.src in inputs:
            inputs.discard(p.src)
            found[p.name] = p.src
    return found


def hosted(program: Program, cores: CoreMap) -> frozenset[str]:
    """Lines that the host computes: populations outside the chip, and projections into them."""
    into = {p.name for p in program.projections if p.dst in cores.outside}
    return frozenset(into | (set(program.neurons()) & cores.outside))


def routing(counts: Counts, table: CostTable, cores: CoreMap | None, lines: Mapping[str, str]) -> Item:
    """The item `routing`; lines: `sources` of the program that was counted."""
    missing = [op for op in MOVES.values() if not table.prices(op)]
    if missing:
        return unknown(counts, f"{table.name} prices no {', '.join(missing)}")
    if set(MOVES.values()) <= set(table.included):
        return Item(np.zeros((len(counts.lines), counts.samples)), {})  # another figure holds it
    if cores is None:
        return unknown(counts, "where the cores lie is not known: give the JSON of cli.py map with --map")
    pj = np.zeros((len(counts.lines), counts.samples))
    reasons: dict[str, str] = {}
    if cores.crossings:
        reasons[""] = f"{cores.crossings:,.0f} hops a sample go from chip to chip, at no published price"
    for row, line in enumerate(counts.lines):
        population = lines.get(line.name)
        if population is None or line.place == "cpu":
            continue
        spikes = counts.of(line, "spikes_out" if population == line.name else "nnz_in")
        sent = cores.per_spike.get(population)
        if sent is None:
            continue  # it sends nothing: a readout
        if math.isnan(sent["messages"]):
            reasons[line.name], pj[row] = "silent in all samples of the map; map with --rate instead", np.nan
            continue
        each = sum(sent[field] * table.price(operation) for field, operation in MOVES.items())
        pj[row] = spikes * each
    return Item(pj, reasons)
