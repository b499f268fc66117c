"""A chip as data: limits per core, mesh, encodings, neuron models; each figure with source and confidence.

A chip file is TOML with `name`, `version`, `title` and tables `[limits.X]`, `[mesh.X]`, `[encoding.X]`,
`[models.X]`. Each has `value`, `unit`, `source` and `confidence`: published | ceiling | assumed | unknown. An
unknown figure has no value: the mapper counts it and checks nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.ir import BadInput

CHIPS = Path(__file__).parent / "chips"
CONFIDENCE = ("published", "ceiling", "assumed", "unknown")
PER_CORE = (
    "neurons", "synapse_bits", "axons_in", "axons_out", "synapse_formats", "thresholds", "neuron_configs",
    "delay_slots",
)  # fmt: skip
_KNOWN = {
    "limits": ("cores_per_chip", *PER_CORE, "delay"),
    "mesh": ("width", "height", "cores_per_router"),
    "encoding": (
        "word_bits", "block_synapses", "block_header_bits", "weight_bits", "index_bits", "delay_bits",
        "shared_base", "shared_slots",
    ),
}  # fmt: skip
_LISTS = ("weight_bits", "index_bits", "delay_bits")
_MAY_BE_UNKNOWN = {f"limits.{name}" for name in (*PER_CORE, "delay")}
_FIELDS = ("value", "unit", "source", "confidence")


@dataclass(frozen=True)
class Figure:
    """One number of a chip: None where it is unknown."""

    value: int | tuple[int, ...] | None
    unit: str
    source: str
    confidence: str


@dataclass(frozen=True)
class Chip:
    """What a chip holds. figures: 'limits.neurons' -> Figure, and so on."""

    name: str
    version: int
    title: str
    figures: Mapping[str, Figure]

    def limit(self, name: str) -> int | None:
        """A limit per core (or `cores_per_chip`, `delay`); None where it is unknown."""
        return self.figures[f"limits.{name}"].value  # type: ignore[return-value]

    def number(self, key: str) -> int:
        """A figure that every chip has, such as 'mesh.width'."""
        return int(self.figures[key].value)  # type: ignore[arg-type]

    def widths(self, name: str) -> tuple[int, ...]:
        """The legal widths 'weight_bits', 'index_bits' or 'delay_bits', ascending."""
        return self.figures[f"encoding.{name}"].value  # type: ignore[return-value]

    def slots(self, model: str) -> int | None:
        """Neuron slots that one neuron of this model takes; None if the chip has no such neuron."""
        figure = self.figures.get(f"models.{model}")
        return None if figure is None else int(figure.value)  # type: ignore[arg-type]

    def describe(self) -> dict[str, Any]:
        """The whole chip, as JSON takes it."""
        figures = {key: dict(zip(_FIELDS, vars(f).values(), strict=True)) for key, f in self.figures.items()}
        return {"name": self.name, "version": self.version, "title": self.title, "figures": figures}


def known_chips() -> tuple[str, ...]:
    """Names of the chips that come with Basalt."""
    return tuple(sorted(path.stem for path in CHIPS.glob("*.toml")))


def chip(name: str) -> Chip:
    """A chip by its name, or from a file if the name ends in .toml; BadInput otherwise."""
    if name.endswith(".toml"):
        return load_chip(Path(name))
    if name not in known_chips():
        known = ", ".join(known_chips())
        raise BadInput(f"chip {name!r} is unknown; known: {known}, or a FILE.toml of your own")
    return load_chip(CHIPS / f"{name}.toml")


def load_chip(path: Path) -> Chip:
    """Read and validate a chip file; every fault is named in one line."""
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path}: not a readable chip file ({error})") from error
    faults = _faults(body)
    if faults:
        raise BadInput(f"{path}: {'; '.join(faults)}; take a file of deploy/cores/chips as a pattern")
    figures = {
        f"{table}.{name}": Figure(_value(entry), entry["unit"], entry["source"], entry["confidence"])
        for table in (*_KNOWN, "models")
        for name, entry in body[table].items()
    }
    return Chip(body["name"], body["version"], body["title"], figures)


def _value(entry: Mapping[str, Any]) -> int | tuple[int, ...] | None:
    value = entry.get("value")
    return tuple(value) if isinstance(value, list) else value


def _faults(body: Mapping[str, Any]) -> list[str]:
    faults = [f"{key} must be text" for key in ("name", "title") if not _is_text(body.get(key))]
    if type(body.get("version")) is not int:
        faults.append("version must be a whole number")
    tables = ("name", "title", "version", *_KNOWN, "models")
    faults += [f"unknown key {key!r}" for key in sorted(set(body) - set(tables))]
    for table, names in _KNOWN.items():
        entries = body.get(table)
        if not isinstance(entries, dict):
            faults.append(f"[{table}] is missing")
            continue
        faults += [f"[{table}.{n}] is missing" for n in names if n not in entries]
        faults += [f"[{table}.{n}] is unknown" for n in sorted(set(entries) - set(names))]
        faults += [f for n in names if n in entries for f in _entry_faults(f"{table}.{n}", entries[n])]
    models = body.get("models")
    if not isinstance(models, dict) or not models:
        return [*faults, "[models.X] must name the neurons the chip has, one at least"]
    faults += [f for n, entry in models.items() for f in _entry_faults(f"models.{n}", entry)]
    return faults or _mesh_faults(body)


def _mesh_faults(body: Mapping[str, Any]) -> list[str]:
    mesh, cores = body["mesh"], body["limits"]["cores_per_chip"]["value"]
    places = mesh["width"]["value"] * mesh["height"]["value"] * mesh["cores_per_router"]["value"]
    return [f"the mesh has places for {places} cores, the chip has {cores}"] if places < cores else []


def _entry_faults(where: str, entry: object) -> list[str]:
    if not isinstance(entry, dict):
        return [f"[{where}] must be a table of value, unit, source, confidence"]
    faults = [f"[{where}] {key} is unknown" for key in sorted(set(entry) - set(_FIELDS))]
    faults += [f"[{where}] {key} must be text" for key in ("unit", "source") if not _is_text(entry.get(key))]
    confidence, value = entry.get("confidence"), entry.get("value")
    if confidence not in CONFIDENCE:
        return [*faults, f"[{where}] confidence must be one of {', '.join(CONFIDENCE)}"]
    if confidence == "unknown":
        if where not in _MAY_BE_UNKNOWN:
            faults.append(f"[{where}] cannot be unknown: give a value, assumed if need be")
        if value is not None:
            faults.append(f"[{where}] is unknown but has a value")
        return faults
    if where.split(".")[1] in _LISTS and where.startswith("encoding"):
        if not _is_ascending(value):
            faults.append(f"[{where}] value = {value!r} must be a list of whole numbers, ascending")
    elif type(value) is not int or value < 1:
        faults.append(f"[{where}] value = {value!r} must be a whole number above 0")
    return faults


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_ascending(value: object) -> bool:
    if not isinstance(value, list) or not value or not all(type(n) is int and n >= 0 for n in value):
        return False
    return value == sorted(set(value))
