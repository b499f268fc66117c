"""`cost-tables`: what energy can be priced by, and how far each table can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from verbs.options import json_option
from verbs.output import say, write_json

SIZES_KIB = (1, 8, 32, 1024, 4096)


@click.command(name="cost-tables", short_help="List the cost tables, or show one.")
@click.argument("name", required=False, metavar="[NAME|FILE]")
@json_option
def cost_tables(name: str | None, json_path: Path | None) -> None:
    """List the cost tables that `energy-report --cost-table` takes, or show one of them.

    Of a FILE.toml of your own, every fault is named (exit 3). Chips of which nobody has published a figure
    are listed with what is known of the whole system; they cannot price an operation.

    \b
    python cli.py cost-tables
    python cli.py cost-tables loihi1-davies2018
    python cli.py cost-tables mine.toml
    """
    from energy.costs import cost_table, known_tables, open_cost_table, unpublished

    if name is not None:
        one = open_cost_table(name)
        say("\n".join([*_shown(one), *_details(one)]))
        write_json(json_path, one.describe())
        return
    tables = [cost_table(known) for known in known_tables()]
    for one in tables:
        say("\n".join(_shown(one)))
    say("no published energy per operation, so no table:")
    for chip, about in unpublished().items():
        say(f"    {chip}: {about['reason']}; of the whole system: {about['system']}")
    write_json(json_path, {"tables": [t.describe() for t in tables], "unpublished": unpublished()})


def _shown(t: Any) -> list[str]:
    node = "node unstated" if t.node_nm is None else f"{t.node_nm:g} nm"
    supply = "" if t.voltage_v is None else f" at {t.voltage_v:g} V"
    lines = [
        f"{t.name}  {t.kind}, {node}{supply}, precision {t.precision}, confidence {t.confidence}",
        f"    pJ: {', '.join(f'{op} {pj:g}' for op, pj in t.pj.items())}",
        f"    scope: {t.scope}",
        *(f"    source: {source}" for source in t.source),
    ]
    return lines + ([f"    caution: {t.caution}"] if t.caution else [])


def _details(t: Any) -> list[str]:
    lines = [f"    no figure: {op}: {why}" for op, why in t.unknown.items()]
    lines += [f"    within another figure: {op}: {why}" for op, why in t.included.items()]
    if t.memory is None:
        return lines
    m = t.memory
    sizes = ", ".join(f"{m.pj(kib * 8192 // m.word_bits):.4g} of {kib} KiB" for kib in SIZES_KIB)
    whose = "in the total" if m.in_total else "beside the total"
    return [*lines, f"    memory, {whose}: pJ for each {m.word_bits}-bit word of a memory: {sizes}"]
