"""Cost tables: picojoules per operation, as data with their source. There is no default table.

    arithmetic   mac, ac, add, multiply of one precision; may price memory by the word (`energy.ram`)
    chip         synaptic operations (sop, or sop_dense, sop_sparse, sop_conv apart), neuron updates (active,
                 inactive), spikes given, messages sent, hops of a message along x and y

A table is a TOML file; the keys are those of `CostTable`. An operation has a price in [pj], or a reason why
it has none in [unknown], or stands in [included] because another figure holds it. Chips of which no figure
is published are refused by name (`energy/unpublished.toml`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from convert.ir import BadInput
from energy.ram import Ram
from energy.table_faults import TEXT, faults

TABLES = Path(__file__).parent / "tables"
UNPUBLISHED = Path(__file__).parent / "unpublished.toml"


@dataclass(frozen=True)
class CostTable:
    """What one operation costs, and who says so.

    pj: operation -> picojoules (float64).  node_nm, voltage_v: process and supply, None where unpublished.
    scope: what the figures contain.  confidence: high | medium | low.  caution: a known error or conflict.
    unknown, included: operation -> why it has no price of its own.  memory: price of an access, or None.
    """

    name: str
    version: int
    title: str
    source: tuple[str, ...]
    node_nm: float | None
    voltage_v: float | None
    precision: str
    scope: str
    confidence: str
    pj: Mapping[str, float]
    kind: str = "arithmetic"
    caution: str = ""
    unknown: Mapping[str, str] = field(default_factory=dict)
    included: Mapping[str, str] = field(default_factory=dict)
    memory: Ram | None = None

    def price(self, operation: str) -> float:
        """Picojoules of one operation; BadInput if the table has no figure for it."""
        if operation in self.included:
            return 0.0
        if operation in self.pj:
            return self.pj[operation]
        if operation in self.unknown:
            raise BadInput(f"{self.name}: no figure for {operation!r}: {self.unknown[operation]}")
        known = ", ".join(self.pj)
        raise BadInput(f"{self.name}: no figure for {operation!r}, only {known}; choose another table")

    def prices(self, operation: str) -> bool:
        """Whether the operation has a price, be it within another's."""
        return operation in self.pj or operation in self.included

    def describe(self) -> dict[str, Any]:
        """The whole table, as JSON takes it."""
        plain = {key: dict(getattr(self, key)) for key in ("pj", "unknown", "included")}
        memory = None if self.memory is None else self.memory.describe()
        return {**vars(self), **plain, "source": list(self.source), "memory": memory}


def known_tables() -> tuple[str, ...]:
    """Names of the tables that come with Basalt."""
    return tuple(sorted(path.stem for path in TABLES.glob("*.toml")))


def unpublished() -> dict[str, dict[str, Any]]:
    """Chip without a published figure -> reason, what is known of the whole system, source."""
    return tomllib.loads(UNPUBLISHED.read_text(encoding="utf-8"))


def cost_table(name: str) -> CostTable:
    """The table of that name; BadInput for a chip without figures, or listing the known ones."""
    for chip, about in unpublished().items():
        if name.lower().replace("_", "-") in (chip, *about["also"]):
            raise BadInput(
                f"cost table {name!r}: {about['reason']}; of the whole system: {about['system']}; "
                "choose another table, or give a file of your own with its source"
            )
    if name not in known_tables():
        raise BadInput(f"cost table {name!r} is unknown; known: {', '.join(known_tables())}")
    return load_cost_table(TABLES / f"{name}.toml")


def open_cost_table(given: str) -> CostTable:
    """What a user names: a shipped table, or a path that ends in .toml."""
    return load_cost_table(Path(given)) if given.endswith(".toml") else cost_table(given)


def load_cost_table(path: Path) -> CostTable:
    """Read and validate one table; every fault is named in one line."""
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not a readable cost table ({error})") from error
    found = faults(body)
    if not found and path.stem != body["name"]:
        found = [f"name {body['name']!r} is not the file's"]
    if found:
        raise BadInput(f"{path}: {'; '.join(found)}")
    return CostTable(
        **{key: body[key] for key in TEXT},
        version=body["version"],
        source=tuple(body["source"]),
        node_nm=body.get("node_nm"),
        voltage_v=body.get("voltage_v"),
        pj=MappingProxyType({op: float(value) for op, value in body["pj"].items()}),
        kind=body.get("kind", "arithmetic"),
        caution=body.get("caution", ""),
        unknown=MappingProxyType(body.get("unknown", {})),
        included=MappingProxyType(body.get("included", {})),
        memory=Ram.of(body["memory"]) if "memory" in body else None,
    )
