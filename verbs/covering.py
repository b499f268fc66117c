"""Coverage as text: what of a model is on the chip, from the `coverage` of an artifact's manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verbs.output import table

Json = Mapping[str, Any]


def summary(coverage: Json) -> str:
    """The nodes on the CPU as a table, where there are any, and the chip's shares."""
    away = [n for n in coverage["nodes"] if "cpu" in n["place"]]
    return "\n".join([*([_table(away, coverage)] if away else []), shares(coverage)])


def shares(coverage: Json) -> str:
    """One line: how much is on the chip."""
    totals, used = coverage["totals"], [n for n in coverage["nodes"] if n["place"] != "unused"]
    return (
        f"on the chip: {sum('chip' in n['place'] for n in used)} of {len(used)} nodes, "
        f"{_share(totals['synaptic_operations'])} of the synaptic operations (measured on "
        f"{coverage['samples']} inputs of {coverage['steps']} steps), {_share(totals['macs'])} of the MACs"
    )


def nodes(coverage: Json) -> str:
    """Every node: where it runs, why, and its work."""
    return _table(coverage["nodes"], coverage)


def _share(total: Json) -> str:
    share = total["share_on_chip"]
    return "100 %" if share == 1 else f"{100 * share:.2f} %"


def _table(rows: list[Json], coverage: Json) -> str:
    whole = sum(n["synaptic_operations"] for n in coverage["nodes"]) or 1
    head = ("node", "type", "where", "MACs", "synaptic operations", "share", "why on the CPU")
    return table(head, (_row(n, whole) for n in rows), right=(3, 4, 5))


def _row(n: Json, whole: float) -> tuple[str, ...]:
    work = ("-", "-", "-")
    if n["macs"]:
        share = 100 * n["synaptic_operations"] / whole
        work = (f"{n['macs']:,}", f"{n['synaptic_operations']:,.0f}", f"{share:.2f} %")
    return (n["node"], n["type"], n["place"], *work, n["why"] or "-")
