"""Several reports in one table: ratios to the first, in conventions that all of them share, and in no other.

Energies of different cost tables, or counted with different options, are not of one kind: comparing them is
refused unless it is asked for (`mixed`), and then every result says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from convert.ir import BadInput
from energy.digits import quantity
from energy.entry import COUNTED, Entry
from energy.rows import Json


def compared(entries: Sequence[Entry], convention: str | None = None, mixed: bool = False) -> Json:
    """The comparison as JSON; BadInput if these are not of one kind.

    convention: the one whose ratios lead; None: the first that all share.
    """
    if len(entries) < 2:
        raise BadInput(f"compare: found {len(entries)} report, expected two at least")
    entries = _named(entries)
    differing = _differences(entries)
    if differing and not mixed:
        raise BadInput(
            f"compare: {'; '.join(differing)}; report them alike, or say --mixed to compare all the same"
        )
    shared = _shared(entries)
    if convention is not None and convention not in shared:
        raise BadInput(f"compare: not all hold the convention {convention!r}; shared: {', '.join(shared)}")
    lead = convention or shared[0]
    order = [lead, *(name for name in shared if name != lead)]
    return {
        "base": entries[0].name,
        "conventions": order,
        "warnings": [*differing, *_notes(entries)],
        "cost_table": entries[0].table,
        "entries": [_row(e, entries[0], order) for e in entries],
    }


def _shared(entries: Sequence[Entry]) -> list[str]:
    """Conventions of the first that all others count by too, switch for switch where switches are known."""
    first = entries[0]

    def same(name: str, other: Entry) -> bool:
        mine, theirs = first.conventions[name], other.conventions.get(name)
        return name in other.pj and (mine is None or theirs is None or mine == theirs)

    found = [name for name in first.pj if all(same(name, other) for other in entries[1:])]
    if not found:
        held = "; ".join([*(f"{e.name} holds {', '.join(e.pj)}" for e in entries), *_switched(entries)])
        raise BadInput(f"compare: no convention is shared: {held}; report them with the same --convention")
    return found


def _switched(entries: Sequence[Entry]) -> list[str]:
    """Conventions of one name that count otherwise, by which switches: reports of two releases have them."""
    first, found = entries[0].conventions, []
    for other in entries[1:]:
        for name, theirs in other.conventions.items():
            mine = first.get(name)
            if mine is not None and theirs is not None and mine != theirs:
                odd = sorted(s for s in {*mine, *theirs} if mine.get(s) != theirs.get(s))
                found.append(f"{name} of {other.name} differs in {', '.join(odd)}")
    return found


def _differences(entries: Sequence[Entry]) -> list[str]:
    """What makes energies of different kinds: tables, prices, options of counting."""
    first, found = entries[0], []
    for other in entries[1:]:
        if other.table != first.table:
            found.append(f"{first.name} is priced by {first.table}, {other.name} by {other.table}")
        elif None not in (first.sha256, other.sha256) and first.sha256 != other.sha256:
            found.append(f"{other.name} is priced by another {other.table} than {first.name}")
        for option, value in (first.options or {}).items():
            if other.options is not None and other.options.get(option) != value:
                found.append(
                    f"{option} is {value} in {first.name}, {other.options.get(option)} in {other.name}"
                )
    return found


def _notes(entries: Sequence[Entry]) -> list[str]:
    """What a reader must know of energies that are of one kind."""
    first, notes = entries[0], []
    for other in entries[1:]:
        for key in ("dataset", "split"):
            mine, theirs = first.about.get(key), other.about.get(key)
            if theirs is not None and mine is not None and mine != theirs:
                notes.append(f"{key}: {mine} in {first.name}, {theirs} in {other.name}")
        if None not in (first.n_samples, other.n_samples) and first.n_samples != other.n_samples:
            notes.append(f"{first.n_samples} samples in {first.name}, {other.n_samples} in {other.name}")
    notes += [f"{e.name}: published figures, {e.source}" for e in entries if e.sha256 is None]
    return notes + [f"{e.name}: {e.incomplete}" for e in entries if e.incomplete]


def _named(entries: Sequence[Entry]) -> list[Entry]:
    """The same; of two with one name the path tells which."""
    names = [e.name for e in entries]
    return [e if names.count(e.name) == 1 else replace(e, name=e.source) for e in entries]


def _row(e: Entry, base: Entry, order: list[str]) -> Json:
    plain = asdict(e)
    energy = {
        name: {
            "pj": e.pj[name], "ratio": e.pj[name] / base.pj[name] if base.pj[name] else None,
            "ci95_pj": e.interval and e.interval[name], "parts": plain["parts"] and plain["parts"][name],
            "per_correct_pj": e.per_correct and e.per_correct[name],
        }
        for name in order
    }  # fmt: skip
    kept = ("name", "source", "table", "about", "accuracy", "latency_s", "n_samples")
    return {
        **{key: plain[key] for key in kept},
        "means": {k: e.means.get(k) for k in COUNTED},
        "energy": energy,
    }


def printed(result: Json) -> tuple[list[str], list[list[str]]]:
    """(heads, rows) of the printed table; energies in fitting units, ratios to the first."""
    heads = ["report", "accuracy"]
    for name in result["conventions"]:
        heads += [name, "ratio"]
    rows = []
    for e in result["entries"]:
        row = [e["name"], "-" if e["accuracy"] is None else f"{e['accuracy']:.1%}"]
        for name in result["conventions"]:
            one = e["energy"][name]
            row += [quantity(one["pj"], 3), _ratio(one["ratio"])]
        rows.append(row + [_count(e["means"][key]) for key in COUNTED])
    return [*heads, "spikes", "SOP", "MAC", "AC"], rows


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _count(value: Any) -> str:
    return "-" if value is None else f"{value:,.0f}"
