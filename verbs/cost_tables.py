"""`cost-tables`: what energy can be priced by, and how far each table can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from verbs.options import json_option
from verbs.output import say, table, write_json


@click.command(name="cost-tables", short_help="List the cost tables, or show one.")
@click.argument("name", required=False, metavar="[NAME|FILE]")
@json_option
def cost_tables(name: str | None, json_path: Path | None) -> None:
    """List the cost tables that `energy-report --cost-table` takes, or show one with its sources.

    Of a FILE.toml of your own, every fault is named (exit 3). Chips of which nobody has published a figure are
    listed with what is known of the whole system; they cannot price an operation.

    \b
    python cli.py cost-tables
    python cli.py cost-tables loihi1-davies2018
    python cli.py cost-tables mine.toml
    """
    from energy.costs import cost_table, known_tables, open_cost_table, unpublished

    if name is not None:
        one = open_cost_table(name)
        say(_shown(one))
        write_json(json_path, one.describe())
        return
    tables = [cost_table(known) for known in known_tables()]
    head = ("table", "kind", "node", "supply", "precision", "confidence", "prices [pJ]")
    say(table(head, [_row(t) for t in tables]))
    cautions = [f"{t.name}: {t.caution}" for t in tables if t.caution]
    say("\n" + "\n".join(cautions))
    say("\nno published energy per operation, so no table:")
    for chip, about in unpublished().items():
        say(f"{chip}: {about['reason']}; of the whole system: {about['system']}")
    say("\nscope and sources: cost-tables NAME")
    write_json(json_path, {"tables": [t.describe() for t in tables], "unpublished": unpublished()})


def _row(t: Any) -> tuple[str, ...]:
    node = "-" if t.node_nm is None else f"{t.node_nm:g} nm"
    supply = "-" if t.voltage_v is None else f"{t.voltage_v:g} V"
    prices = ", ".join(f"{op} {pj:g}" for op, pj in t.pj.items())
    return t.name, t.kind, node, supply, t.precision, t.confidence, prices


def _shown(t: Any) -> str:
    name, kind, node, supply, precision, confidence, prices = _row(t)
    lines = [
        f"{name}: {t.title}", f"kind        {kind}", f"process     {node}, {supply}",
        f"precision   {precision}", f"scope       {t.scope}", f"confidence  {confidence}",
        f"pJ          {prices}",
    ]  # fmt: skip
    lines += [f"unknown     {op}: {why}" for op, why in t.unknown.items()]
    lines += [f"included    {op}: {why}" for op, why in t.included.items()]
    if t.memory is not None:
        m = t.memory
        whose = "in the total" if m.in_total else "beside the total"
        sizes = ", ".join(
            f"{m.pj(kib * 8192 // m.word_bits):.4g} at {kib} KiB" for kib in (1, 8, 32, 1024, 4096)
        )
        lines.append(f"memory      {whose}, pJ for each {m.word_bits}-bit word: {sizes}")
    lines += [f"caution     {t.caution}"] if t.caution else []
    return "\n".join([*lines, *(f"source      {source}" for source in t.source)])
