"""The body of summary.json, from the sums over all samples; published as energy/schema/summary-2.json."""

from __future__ import annotations

import numpy as np

from energy import spdx, statistics
from energy.baselines import ASSUMED, BAND, MEANS, UNDEFINED, VERDICTS
from energy.line import COUNTS, MEASURES
from energy.operand import CLASSES
from energy.priced import BESIDE, PARTS
from energy.rows import Json, number
from energy.sums import UNKNOWN, Sums

SCHEMA_VERSION = 2


def summary(sums: Sums, class_names: list[str] | None = None, measured: Json | None = None) -> Json:
    """Totals, means, statistics, classes, layers. class_names[k] names label k; measured: as it is."""
    model, n = sums.model, sums.n
    totals = dict(zip(COUNTS, sums.counts.sum(axis=0).tolist(), strict=True))
    by_class = dict(zip(CLASSES, sums.by_class.tolist(), strict=True))
    return {
        "options": model["options"],
        "coverage": model["coverage"],
        "n_samples": n,
        "n_steps": sorted(sums.steps),
        "accuracy": _accuracy(np.array(sums.correct)),
        "latency_s": _latency(sums),
        "totals": {**totals, "ops_by_class": by_class},
        "means": {**{f: v / n for f, v in totals.items()}, "sop_paper": sums.paper / n},
        "energy": {name: _energy(sums, name) for name in model["conventions"]} or None,
        "energy_refused": model["refused"],
        "energy_incomplete": model["incomplete"],
        "spread": _spread(sums),
        "twins": _twins(sums),
        "bit_budget": {name: bits / n for name, bits in sums.budget.items()} or None,
        "absent": model["absent"],
        "measured": measured,
        "bootstrap": statistics.how(),
        "spdx": _spdx(sums),
        "per_class": _classes(sums, class_names),
        "layers": [_layer(sums, row) for row in range(len(model["layers"]))],
    }


def _twins(sums: Sums) -> Json | None:
    """Means over the samples that have a value; null where none has. reasons: why none has, or not all."""
    if sums.model["twins"] is None:
        return None
    known = {f: int(sums.twins.get(f"n {f}", 0)) for f in MEANS}
    means = {f: sums.twins[f] / k if k else None for f, k in known.items()}
    missing = {f: f"{sums.n - known[f]} of {sums.n} samples: {why}" for f, why in UNDEFINED.items()}
    reasons = {f: why for f, why in missing.items() if known[f] < sums.n} | sums.model["twins"]["reasons"]
    verdicts = {
        words: int(sums.twins[f"verdict {words}"]) for words in VERDICTS if f"verdict {words}" in sums.twins
    }
    return {
        **means, "qnn_bits": sums.model["twins"]["qnn_bits"], "reasons": reasons, "verdicts": verdicts,
        "band": list(BAND), "assumed": ASSUMED,
    }  # fmt: skip


def _energy(sums: Sums, name: str) -> Json:
    """Means of the parts, then the statistics of the total, all in pJ; J s for energy times delay."""
    values, latency = np.frombuffer(sums.totals[name]), np.frombuffer(sums.latency)
    correct = np.array(sums.correct)
    right = int((correct == 1).sum())
    known = (correct != UNKNOWN).all()
    return {
        **_parts(sums, name),
        "total_pj": float(values.mean()),
        **{f"{key}_pj": value for key, value in statistics.described(values).items()},
        "per_correct_pj": float(values.sum()) / right if known and right else None,
        "delay_product_js": number(float((values * latency).mean()) * 1e-12),
        **_beside(sums, name),
    }


def _parts(sums: Sums, name: str, row: int | slice = slice(None)) -> Json:
    """Mean pJ of the parts of the total, of one line or all; null where a part is not in it."""
    pj = {part: sums.parts.get(f"{name} {part}") for part in PARTS}
    return {f"{part}_pj": None if v is None else float(v[row].sum()) / sums.n for part, v in pj.items()}


def _beside(sums: Sums, name: str) -> Json:
    """What is priced and not in the total, and what has no price and why."""
    pj = {part: sums.beside.get(f"{name} {part}") for part in BESIDE}
    known = {f"{part}_pj": None if v is None else float(v.sum()) / sums.n for part, v in pj.items()}
    told = {part: sums.unpriced.get(f"{name} {part}") for part in (*PARTS, "adds")}
    return {"beside": known, "unpriced": {part: why for part, why in told.items() if why}}


def _spread(sums: Sums) -> Json | None:
    """The headline's convention with each switch changed alone, and the range over all conventions."""
    if not sums.totals:
        return None
    variants = [
        {**dict(zip(("switch", "value"), key.split("=", 1), strict=True)), "total_pj": pj / sums.n}
        for key, pj in sums.spread.items()
        if np.isfinite(pj)  # a switch may ask for a price the table lacks
    ]
    means = [sum(totals) / sums.n for totals in sums.totals.values()] + [v["total_pj"] for v in variants]
    base = next(iter(sums.totals))
    return {"convention": base, "min_pj": min(means), "max_pj": max(means), "variants": variants}


def _spdx(sums: Sums) -> Json | None:
    """The headline for bills of materials; None where joules are refused."""
    first = next(iter(sums.totals.values()), None)
    return None if first is None else spdx.described(sum(first) / sums.n)


def _accuracy(correct: np.ndarray) -> float | None:
    known = correct[correct != UNKNOWN]
    return float(known.mean()) if known.size else None


def _latency(sums: Sums) -> Json | None:
    values = np.frombuffer(sums.latency)
    if np.isnan(values).any():
        return None
    return {"mean": float(values.mean()), **statistics.described(values)}


def _classes(sums: Sums, names: list[str] | None) -> list[Json]:
    """One entry a true class that occurs, in the order of the classes."""
    labels, correct = np.array(sums.labels), np.array(sums.correct)
    out = []
    for label in sorted(set(labels.tolist()) - {UNKNOWN}):
        mine = labels == label
        energy = {}
        for name, totals in sums.totals.items():
            values = np.frombuffer(totals)[mine]
            energy[name] = {
                "total_pj": float(values.mean()), "median_pj": float(np.median(values)),
                "std_pj": float(values.std()),
            }  # fmt: skip
        known = names is not None and label < len(names)
        out.append({
            "label": label, "name": names[label] if known else None, "n": int(mine.sum()),
            "accuracy": _accuracy(correct[mine]), "energy": energy or None,
        })  # fmt: skip
    return out


def _layer(sums: Sums, row: int) -> Json:
    counts = dict(zip(COUNTS, sums.counts[row].tolist(), strict=True))
    classes = zip(CLASSES, sums.classes[row].tolist(), strict=True)
    measures = zip(MEASURES, (sums.measures[row] / sums.n).tolist(), strict=True)
    energy = {}
    for name in sums.model["conventions"]:
        parts = _parts(sums, name, row)
        energy[name] = {**parts, "total_pj": sum(pj for pj in parts.values() if pj)}
    return {
        **sums.model["layers"][row],
        "operand_classes": {c: k for c, k in classes if k},
        "totals": counts,
        "means": {f: v / sums.n for f, v in counts.items()},
        "measures": {f: number(v) for f, v in measures},
        "by_step": sums.of_line(row),
        "energy": energy or None,
    }
