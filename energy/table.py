"""A summary as a table for people: one row a line, mean over the samples, aligned, in one fitting unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from energy.conventions import DEFAULT
from energy.digits import UNITS, quantity
from energy.priced import PARTS

Json = Mapping[str, Any]
_COLUMNS = (
    "layer", "type", "operand", "in-rate", "spikes", "dense MAC", "exact SOP", "MAC", "AC", "paper SOP",
)  # fmt: skip


def render(summary: Json) -> str:
    """The whole table, ending in a newline."""
    unit = _unit(summary)
    heads = [*_COLUMNS, *(f"{name} {unit[1]}" for name in _shown(summary))]
    rows = [_row(layer, unit[0], _shown(summary)) for layer in summary["layers"]]
    total = _total(summary, unit[0])
    widths = [max(len(r[i]) for r in (heads, *rows, total)) for i in range(len(heads))]
    rule = "  ".join("-" * w for w in widths)
    body = [_aligned(r, widths) for r in rows]
    lines = [_title(summary), "", _aligned(heads, widths), rule, *body, rule, _aligned(total, widths), ""]
    return "\n".join([*lines, *_headline(summary)]) + "\n"


def _shown(summary: Json) -> list[str]:
    """The conventions that have a column: the headline's and the one beside it."""
    return list(summary["energy"] or [c.name for c in DEFAULT])[:2]


def _title(summary: Json) -> str:
    steps = "-".join(str(n) for n in {min(summary["n_steps"]): 0, max(summary["n_steps"]): 0})
    table = summary["cost_table"]
    return f"{summary['n_samples']} samples, {steps} steps, mean per sample; cost table {table['name']}"


def _row(layer: Json, unit: float, conventions: list[str]) -> list[str]:
    means, measures = layer["means"], layer["measures"]
    energy = layer["energy"] or {}
    operand = "/".join(layer["operand_classes"]) or "-"
    mark = "*" if layer["assumed_dense"] else ""
    synaptic = measures["sop_paper"] is not None
    return [
        layer["name"], layer["type"] + _mark(layer), operand,
        f"{measures['firing_rate']:.4f}{mark}" if synaptic else "-",
        _count(means["spikes_out"]) if means["neuron_steps"] else "-",
        *(_count(means[f]) if synaptic else "-" for f in ("dense_mac", "sop_exact", "mac", "ac")),
        _count(measures["sop_paper"]) if synaptic else "-",
        *(f"{energy[c]['total_pj'] / unit:.3f}" if energy else "-" for c in conventions),
    ]  # fmt: skip


def _mark(layer: Json) -> str:
    """What a reader must know of a layer beside its type."""
    return " (cpu)" if layer.get("place") == "cpu" else " (folded)" if _is_folded_pool(layer) else ""


def _is_folded_pool(layer: Json) -> bool:
    return layer["pool_folded"] and not layer["operand_classes"]


def _total(summary: Json, unit: float) -> list[str]:
    means, energy = summary["means"], summary["energy"]
    dense = [layer["means"]["dense_mac"] for layer in summary["layers"] if not layer["spike_input"]]
    joules = [f"{energy[c]['total_pj'] / unit:.3f}" if energy else "refused" for c in _shown(summary)]
    fields = ("dense_mac", "sop_exact", "mac", "ac")
    return [
        "total", "", "", "", _count(means["spikes_out"]), *(_count(means[f]) for f in fields),
        _count(means["sop_paper"] + sum(dense)), *joules,
    ]  # fmt: skip


def _headline(summary: Json) -> list[str]:
    lines = []
    accuracy = summary["accuracy"]
    at = f", accuracy {accuracy:.1%}" if accuracy is not None else ""
    if summary["energy"] is None:
        lines.append(f"energy refused: {summary['energy_refused']}")
        lines.append("--allow-uncounted names joules all the same, and says on each what it lacks")
    for name, e in (summary["energy"] or {}).items():
        parts = ", ".join(f"{p} {quantity(e[f'{p}_pj'])}" for p in PARTS if e[f"{p}_pj"])
        spread = f"p5 {quantity(e['p5_pj'])}, p95 {quantity(e['p95_pj'])}"
        mark = " [INCOMPLETE]" if summary["energy_incomplete"] else ""
        lines.append(f"{name}{mark}: {quantity(e['total_pj'])} per sample ({spread}){at}: {parts}")
    if summary["spread"] is not None:
        low, high = (quantity(summary["spread"][key]) for key in ("min_pj", "max_pj"))
        base, changed = summary["spread"]["convention"], summary["spread"]["variants"]
        over = f"over conventions, and {base} with one switch changed" if changed else "over conventions"
        lines.append(f"{over}: {low} to {high}")
    if summary["energy_incomplete"]:
        lines.append(summary["energy_incomplete"])
    lines += _beside(summary) + _twins(summary) + _measured(summary)
    if any(layer.get("place") == "cpu" for layer in summary["layers"]):
        lines.append(
            "(cpu): the part behind the chip; every MAC of its dense arithmetic, no synaptic operations"
        )
    if any(layer["assumed_dense"] for layer in summary["layers"]):
        lines.append("* operand values are not spikes and not recorded: every one counted as non-zero")
    return lines


def _beside(summary: Json) -> list[str]:
    """What is priced but not in the totals, and what nobody knows."""
    lines = ["modelled from counts, not measured"]
    for name, e in (summary["energy"] or {}).items():
        known = ", ".join(f"{p[:-3]} {quantity(pj)}" for p, pj in e["beside"].items() if pj is not None)
        lines += [f"{name}, beside the total: {known}"] if known else []
    told = next(iter((summary["energy"] or {}).values()), {"unpriced": {}})["unpriced"]
    return lines + [f"{part}: null: {_short(why)}" for part, why in told.items()]


def _short(why: str) -> str:
    return why if len(why) <= 160 else f"{why[:157]}..."


def _twins(summary: Json) -> list[str]:
    """The network without spikes, compute alone."""
    twins = summary["twins"]
    lines = [f"{part}: null: {_short(why)}" for part, why in summary["absent"].items()]
    if twins is None:
        return lines
    spikeless, here = twins["firing_rate"] is None, _known(twins["firing_rate"])
    if twins["ann_same_arch_pj"] is not None:
        inside, padded = (quantity(twins[f"ann_same_arch{k}_pj"]) for k in ("", "_dense"))
        rates = "" if spikeless else f"; break-even rate {_known(twins['break_even_rate'])}, here {here}"
        lines.append(f"as an ANN, compute alone: {inside} ({padded} with padding){rates}")
    ratio, bits = _known(twins["qnn_ratio"]), twins["qnn_bits"]
    lines.append(
        f"quantised twin, {bits}-bit activations, compute alone: {quantity(twins['qnn_pj'])} by an assumed "
        f"scaling; this network takes {ratio} of it in the same arithmetic"
    )
    if spikeless:
        return lines
    verdicts = "; ".join(f"{n} samples {words}" for words, n in twins["verdicts"].items())
    return [*lines, f"{_known(twins['spikes_per_synapse'])} spikes a synapse: {verdicts or 'no verdict'}"]


def _known(value: float | None) -> str:
    return "null" if value is None else f"{value:.3g}"


def _measured(summary: Json) -> list[str]:
    found = summary["measured"]
    if found is None:
        return []
    if found["joule_per_sample"] is None:
        return [f"measured: null: {found['reason']}" + (f"; {found['remedy']}" if found["remedy"] else "")]
    within = "" if found["ci95"] is None else f", 95 % within {_joules(found, found['ci95'])}"
    idle = "idle power not known" if found["idle_w"] is None else f"idle {found['idle_w']:.3g} W subtracted"
    return [
        f"measured, {found['what']} ({found['source']}, {found['domain']}): "
        f"{_joules(found, found['joule'])} per sample{within}, {idle}"
    ]


def _joules(found: Json, joule: float) -> str:
    return quantity(joule * 1e12 / found["n_samples"])


def _unit(summary: Json) -> tuple[float, str]:
    if not summary["energy"]:
        return 1.0, "pJ"
    largest = max(e["total_pj"] for e in summary["energy"].values())
    return next(((f, n) for f, n in UNITS if largest >= f), (1.0, "pJ"))


def _count(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def _aligned(cells: list[str], widths: list[int]) -> str:
    out = [c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
    return "  ".join(out).rstrip()
