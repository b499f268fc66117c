"""Cost tables: picojoules per operation, as data with their source. There is no default table."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from convert.ir import BadInput

TABLES = Path(__file__).parent / "tables"
OPERATIONS = ("mac", "ac", "add", "multiply")  # a later table may price more; name the operation here
CONFIDENCE = ("high", "medium", "low")
_TEXT = ("name", "title", "precision", "scope", "confidence")
_KEYS = {*_TEXT, "version", "source", "node_nm", "voltage_v", "pj"}


@dataclass(frozen=True)
class CostTable:
    """What one operation costs, and who says so.

    pj: operation -> picojoules (float64).  node_nm, voltage_v: process and supply, None where unpublished.
    scope: what the figures contain.  confidence: high | medium | low.
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

    def price(self, operation: str) -> float:
        """Picojoules of one operation; BadInput if the table has no figure for it."""
        if operation not in self.pj:
            known = ", ".join(self.pj)
            raise BadInput(f"{self.name}: no figure for {operation!r}, only {known}; choose another table")
        return self.pj[operation]

    def describe(self) -> dict[str, Any]:
        """The whole table, as JSON takes it."""
        return {**vars(self), "source": list(self.source), "pj": dict(self.pj)}


def known_tables() -> tuple[str, ...]:
    """Names of the tables that come with Basalt."""
    return tuple(sorted(path.stem for path in TABLES.glob("*.toml")))


def cost_table(name: str) -> CostTable:
    """The table of that name; BadInput listing the known ones otherwise."""
    if name not in known_tables():
        raise BadInput(f"cost table {name!r} is unknown; known: {', '.join(known_tables())}")
    return load_cost_table(TABLES / f"{name}.toml")


def load_cost_table(path: Path) -> CostTable:
    """Read and validate one table; every fault is named in one line."""
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path}: not a readable cost table ({error})") from error
    faults = _faults(body)
    if not faults and path.stem != body["name"]:
        faults = [f"name {body['name']!r} is not the file's"]
    if faults:
        raise BadInput(f"{path}: {'; '.join(faults)}")
    return CostTable(
        **{key: body[key] for key in _TEXT},
        version=body["version"],
        source=tuple(body["source"]),
        node_nm=body.get("node_nm"),
        voltage_v=body.get("voltage_v"),
        pj=MappingProxyType({op: float(value) for op, value in body["pj"].items()}),
    )


def _faults(body: Mapping[str, Any]) -> list[str]:
    faults = [f"unknown key {key!r}" for key in sorted(set(body) - _KEYS)]
    faults += [f"{key} must be text" for key in _TEXT if not _is_text(body.get(key))]
    if body.get("confidence") not in CONFIDENCE:
        faults.append(f"confidence must be one of {', '.join(CONFIDENCE)}")
    if type(body.get("version")) is not int:
        faults.append("version must be a whole number")
    source = body.get("source")
    if not isinstance(source, list) or not source or not all(_is_text(s) for s in source):
        faults.append("source must be a list of citations, one at least")
    for key in ("node_nm", "voltage_v"):
        if key in body and not _is_positive(body[key]):
            faults.append(f"{key} must be above 0")
    return faults + _price_faults(body.get("pj"))


def _price_faults(pj: object) -> list[str]:
    if not isinstance(pj, dict):
        return ["[pj] must give picojoules per operation"]
    faults = [f"[pj] lacks {op}" for op in ("mac", "ac") if op not in pj]
    for op, value in pj.items():
        if op not in OPERATIONS:
            faults.append(f"[pj] {op}: unknown operation; known: {', '.join(OPERATIONS)}")
        elif not _is_positive(value):
            faults.append(f"[pj] {op} = {value!r} must be a number above 0")
    return faults


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_positive(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value > 0
