"""What can be compared: a report folder of `energy-report`, or a peer's published numbers in a small file.

    {"format": "basalt-peer", "version": 1, "name": "Spikformer-8-512", "source": "arXiv 2209.15425, table 2",
     "convention": "paper-spikformer", "cost_table": "horowitz45-fp32", "energy_pj": 1.1577e10,
     "dataset": "imagenet", "split": "test", "accuracy": 0.7338}

A peer's file needs the first line and its convention, table and energy (mean of a sample, pJ); `dataset`,
`split`, `accuracy` (0 to 1) and the mean counts `spikes_out`, `sop_exact`, `mac`, `ac` are optional.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from convert.ir import BadInput
from energy.priced import PARTS
from energy.rows import Json
from energy.summary import SCHEMA_VERSION

PEER_FORMAT, PEER_VERSION = "basalt-peer", 1
COUNTED = ("spikes_out", "sop_exact", "mac", "ac")
ABOUT = ("model", "dataset", "split", "target", "form")
_TEXT = ("name", "source", "convention", "cost_table")
_OPTIONAL = ("dataset", "split", "accuracy", *COUNTED)


@dataclass(frozen=True, eq=False)
class Entry:
    """One side of a comparison. pj: convention -> mean of a sample; parts: convention -> part -> pJ.

    conventions: convention -> its switches, None where only its name is known.  options: how was counted,
    None of a peer.  table: name of the cost table; sha256: its fingerprint, None of a peer.
    """

    name: str
    source: str
    pj: Mapping[str, float]
    table: str
    about: Mapping[str, Any]  # dataset, split, model, target, form
    means: Mapping[str, float]
    conventions: Mapping[str, Any]
    accuracy: float | None = None
    parts: Mapping[str, Mapping[str, float]] | None = None
    interval: Mapping[str, list[float]] | None = None
    per_correct: Mapping[str, float | None] | None = None
    latency_s: float | None = None
    n_samples: int | None = None
    options: Mapping[str, Any] | None = None
    sha256: str | None = None
    incomplete: str | None = None


def entry(path: Path) -> Entry:
    """A report folder, or a peer's file; BadInput says what is wrong with it, and what to do."""
    if path.is_dir():
        return _report(path, _json(path / "summary.json", "write one with cli.py energy-report --out"))
    return _peer(path, _json(path, "give a folder of energy-report or a peer's file (docs/energy-report.md)"))


def _json(path: Path, remedy: str) -> Json:
    def refuse(name: str) -> None:
        raise ValueError(f"holds {name}, which is no JSON")

    try:
        body = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not readable ({error}); {remedy}") from error
    if not isinstance(body, dict):
        raise BadInput(f"{path}: holds no JSON object; {remedy}")
    return body


def _report(path: Path, body: Json) -> Entry:
    found = body.get("schema_version")
    if found != SCHEMA_VERSION:
        raise BadInput(
            f"{path}: a report of schema version {found!r}, expected {SCHEMA_VERSION}; write it again with "
            "energy-report"
        )
    try:
        return _of_summary(path, body)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise BadInput(f"{path}: its summary.json is damaged ({error!r}); write it again") from error


def _of_summary(path: Path, body: Json) -> Entry:
    """KeyError or TypeError where a field that is compared is missing, or of another kind than published."""
    energy = body["energy"]
    if not energy:
        raise BadInput(f"{path}: names no joules ({body['energy_refused']}); nothing to compare")
    known = {c["name"]: dict(c["switches"].items()) for c in body["conventions"]}
    latency = body["latency_s"]
    return Entry(
        name=path.resolve().name, source=str(path),
        pj={name: _amount(e["total_pj"]) for name, e in energy.items()},
        table=_text(body["cost_table"]["name"]), sha256=_text(body["cost_table"]["sha256"]),
        about={key: body["header"].get(key) for key in ABOUT},
        means={key: _amount(body["means"][key]) for key in COUNTED},
        conventions={name: known.get(name) for name in energy},
        accuracy=_amount_or_none(body["accuracy"]),
        parts={name: {p: pj for p in PARTS if (pj := _amount_or_none(e[f"{p}_pj"]))}
               for name, e in energy.items()},
        interval={name: [_amount(e["ci95_pj"][k]) for k in (0, 1)] for name, e in energy.items()},
        per_correct={name: _amount_or_none(e["per_correct_pj"]) for name, e in energy.items()},
        latency_s=None if latency is None else _amount(latency["median"]),
        n_samples=int(_amount(body["n_samples"])),
        options=dict(body["options"].items()), incomplete=_text_or_none(body["energy_incomplete"]),
    )  # fmt: skip


def _amount(value: object) -> float:
    if not _is_number(value):
        raise TypeError(f"{value!r} is no number from 0 up")
    return float(value)


def _amount_or_none(value: object) -> float | None:
    return None if value is None else _amount(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _peer(path: Path, body: Json) -> Entry:
    faults = _faults(body)
    if faults:
        raise BadInput(f"{path}: {'; '.join(faults)}")
    convention = body["convention"]
    return Entry(
        name=body["name"], source=body["source"], pj={convention: float(body["energy_pj"])},
        table=body["cost_table"], about={key: body.get(key) for key in ("dataset", "split")},
        means={key: float(body[key]) for key in COUNTED if key in body},
        conventions={convention: None}, accuracy=body.get("accuracy"),
    )  # fmt: skip


def _faults(body: Json) -> list[str]:
    if (body.get("format"), body.get("version")) != (PEER_FORMAT, PEER_VERSION):
        return [f"not a {PEER_FORMAT} file of version {PEER_VERSION}; see docs/energy-report.md"]
    unknown = set(body) - {"format", "version", "energy_pj", *_TEXT, *_OPTIONAL}
    faults = [f"unknown key {key!r}" for key in sorted(unknown)]
    faults += [f"{key} must be text" for key in _TEXT if not _is_text(body.get(key))]
    faults += [
        f"{key} must be text" for key in ("dataset", "split") if key in body and not _is_text(body[key])
    ]
    energy = body.get("energy_pj")
    if not (_is_number(energy) and energy > 0):
        faults.append(f"energy_pj is {energy!r}, expected picojoules above 0")
    if "accuracy" in body and not (_is_number(body["accuracy"]) and body["accuracy"] <= 1):
        faults.append(f"accuracy is {body['accuracy']!r}, expected 0 to 1")
    return faults + [
        f"{key} must be a number from 0 up" for key in COUNTED if key in body and not _is_number(body[key])
    ]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: object) -> TypeGuard[float]:
    """From 0 to the greatest float64; no truth value."""
    return isinstance(value, int | float) and type(value) is not bool and 0 <= value <= sys.float_info.max
