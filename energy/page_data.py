"""What a report's page shows, as plain data: the summary without what is not drawn, and histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from energy.digits import allowed, honest
from energy.priced import PARTS
from energy.rows import Json
from energy.shown import Shown
from energy.sums import UNKNOWN, Sums

BINS = 24
_LAYER = ("name", "type", "place", "assumed_dense", "pool_folded", "operand_classes", "energy")


def page_data(body: Json, sums: Sums, shown: Shown) -> Json:
    """body: the summary as it is written."""
    return {
        "headline": headline(body),
        "header": body["header"],
        "cost_table": body["cost_table"],
        "options": body["options"],
        "coverage": body["coverage"],
        "refused": body["energy_refused"],
        "n_samples": body["n_samples"],
        "n_steps": body["n_steps"],
        "accuracy": body["accuracy"],
        "latency_s": body["latency_s"],
        "means": body["means"],
        "incomplete": body["energy_incomplete"],
        "switches": switches(body),
        "twins": body["twins"],
        "absent": body["absent"],
        "measured": body["measured"],
        "energy": body["energy"],
        "parts": [part for part in PARTS if _occurs(body, part)],
        "per_class": body["per_class"],
        "layers": [_layer(layer) for layer in body["layers"]],
        "histograms": histograms(sums),
        "rows": shown.rows,
        "every": shown.every,
        "samples": shown.samples(),
    }


def headline(body: Json) -> Json:
    """Mean energy of the first convention with the spread over all, in no more digits than it allows."""
    if not body["energy"]:
        return {"text": "no joules named", "spread": None}
    means = {name: e["total_pj"] for name, e in body["energy"].items()}
    base = next(iter(means))
    low, high = (body["spread"][edge] for edge in ("min_pj", "max_pj"))
    value, _, rest = honest(means[base], low, high).partition(" (")
    return {
        "text": value, "spread": rest.rstrip(")") or None, "convention": base,
        "pj": means[base], "low_pj": low, "high_pj": high, "places": allowed(means[base], low, high),
        "means": {
            name: {"pj": pj, "text": honest(pj, low, high).partition(" (")[0]} for name, pj in means.items()
        },
    }  # fmt: skip


def switches(body: Json) -> list[Json]:
    """switch -> its values and what each makes of the headline, pJ."""
    found: dict[str, list[Json]] = {}
    for variant in body["spread"]["variants"] if body["spread"] else []:
        found.setdefault(variant["switch"], []).append({"text": variant["value"], "pj": variant["total_pj"]})
    return [{"name": name, "values": values} for name, values in found.items()]


def histograms(sums: Sums) -> Json:
    """convention -> edges (pJ, BINS + 1) and for each class, in the order of the classes, counts per bin."""
    labels = np.array(sums.labels)
    out: Json = {}
    for name, totals in sums.totals.items():
        values = np.frombuffer(totals)
        edges = np.histogram_bin_edges(values, BINS, _range(values))
        classes: list[Any] = []
        for label in sorted(set(labels.tolist())):
            counts, _ = np.histogram(values[labels == label], edges)
            classes.append({"label": None if label == UNKNOWN else label, "counts": counts.tolist()})
        out[name] = {"edges": edges.tolist(), "classes": classes}
    return out


def _range(values: np.ndarray) -> tuple[float, float]:
    """Least and largest; wider where all are one value but for rounding, which has no room for bins."""
    low, high = float(values.min()), float(values.max())
    if high - low > 1e-9 * abs(high):
        return low, high
    room = max(0.5, 1e-6 * abs(high))
    return low - room, high + room


def _occurs(body: Json, part: str) -> bool:
    return any(e[f"{part}_pj"] for e in (body["energy"] or {}).values())


def _layer(layer: Json) -> Json:
    """A layer without zeros: its rates at each step where it is a population, its counts where it has any."""
    kept = {key: layer[key] for key in _LAYER}
    if layer["energy"]:
        kept["energy"] = {
            name: {part[:-3]: pj for part, pj in parts.items() if pj}
            for name, parts in layer["energy"].items()
        }
    means = {key: value for key, value in layer["means"].items() if value}
    steps = layer["by_step"] and layer["by_step"]["spikes_out"]
    neurons = int(np.prod(layer["out_shape"]))
    return {**kept, "means": means, "firing_rate": layer["measures"]["firing_rate"], "neurons": neurons,
            "spikes_by_step": steps if layer["means"]["neuron_steps"] else None}  # fmt: skip
