"""What a person would change, read off a finished mapping: one line each, most cores first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.cores.remedy import remedy

MOST = 3  # populations advised on


def advise(body: Mapping[str, Any]) -> list[str]:
    """Lines of advice for a report without its advice; empty where one core holds all."""
    lines = []
    totals, chip = body["totals"], body["chip"]["name"]
    if totals["chips"] > 1:
        lines.append(
            f"{totals['cores']} cores need {totals['chips']} chips of {chip}; one chip has "
            f"{totals['cores_held'] // totals['chips']}"
        )
    large = sorted(body["populations"], key=lambda p: -p["cores"])[:MOST]
    lines += [_of_population(p, body) for p in large if p["stopped_by"] and p["cores"] > 1]
    lines += _of_adjacency(body["adjacency"])
    unknown = [name for name, u in body["utilisation"].items() if u["limit"] is None]
    if unknown:
        lines.append(f"not checked, for {chip} publishes no limit: {', '.join(unknown)}")
    return lines


def _of_population(p: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    name, limit = p["population"], p["stopped_by"]
    value = body["utilisation"][limit]["limit"]
    what = f"{limit} (a core has {value})"
    if limit == "synapse_bits":
        per = p["synapse_bits"] / p["neurons"]
        what = f"{per / 8192:.2f} KiB of synapses a neuron, {value / 8192:.0f} KiB a core"
    todo = remedy(limit, body["chip"]["figures"], bool(body["adjacency"]))
    return f"{name} takes {p['cores']} cores: {what}; {todo}"


def _of_adjacency(adjacency: list[Mapping[str, Any]]) -> list[str]:
    totals: dict[str, int | None] = {}
    for form in adjacency:
        had = totals.get(form["form"], 0)
        totals[form["form"]] = None if had is None or form["cores"] is None else had + form["cores"]
    dense = totals.get("dense")
    if not dense:
        return []
    lines = []
    for name, option in (("prune", "prune:EPS"), ("factor", "factor")):
        cores = totals.get(name)
        if cores is not None and cores < dense:
            lines.append(
                f"convert --adjacency {option}: the graph convolutions alone take {cores} cores, not {dense}"
            )
    return lines
