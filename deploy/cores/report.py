"""A finished mapping as plain data: what `map.json` holds and the verb prints.

format, version, chip                  what it is and every figure it rests on, with its confidence
populations                            cores, neurons a core, synapses, bits, encodings, axons
cores                                  place, use of every limit, pieces, blocks, what stopped it
utilisation, bottleneck, totals        per limit; which one made the number of cores
traffic                                messages and hops per sample, by how far they go
adjacency, advice                      forms of learned adjacencies; what to change
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from deploy.cores.advice import advise
from deploy.cores.chip import PER_CORE, Chip
from deploy.cores.core import Core
from deploy.cores.partition import Partition
from deploy.cores.placement import Placement
from deploy.cores.traffic import Activity, Traffic

FORMAT, VERSION = "basalt-map", 1
Json = dict[str, Any]


def report(
    made: Partition,
    placed: Placement,
    messages: Traffic,
    activity: Activity,
    adjacency: Sequence[Json],
    seed: int,
) -> Json:
    """Everything about one mapping; JSON takes it as it is."""
    uses = [core.use() for core in made.cores]
    body: Json = {
        "format": FORMAT,
        "version": VERSION,
        "chip": made.chip.describe(),
        "seed": seed,
        "outside": sorted(made.outside),
        "totals": _totals(made, placed),
        "utilisation": {name: _utilisation(made.chip, name, uses) for name in PER_CORE},
        "bottleneck": _bottleneck(made, uses),
        "populations": [_population(made, n) for n in made.program.populations if n not in made.outside],
        "traffic": _traffic(made, placed, messages, activity),
        "cores": [_core(k, core, uses[k], placed) for k, core in enumerate(made.cores)],
        "adjacency": list(adjacency),
    }
    return {**body, "advice": advise(body)}


def _totals(made: Partition, placed: Placement) -> Json:
    blocks = [b for core in made.cores for b in core.blocks()]
    held = int(made.chip.limit("cores_per_chip") or 1) * placed.chips
    return {
        "cores": len(made.cores),
        "chips": placed.chips,
        "cores_held": held,
        "core_utilisation": len(made.cores) / held,
        "neurons": sum(len(p.neurons) for core in made.cores for p in core.pieces),
        "synapses": sum(b.synapses for b in blocks),
        "synapse_bits": sum(b.bits for b in blocks),
    }


def _utilisation(chip: Chip, name: str, uses: list[dict[str, int]]) -> Json:
    figure, values = chip.figures[f"limits.{name}"], [use[name] for use in uses] or [0]
    return {
        "limit": figure.value, "unit": figure.unit, "confidence": figure.confidence,
        "min": min(values), "mean": float(np.mean(values)), "max": max(values),
    }  # fmt: skip


def _bottleneck(made: Partition, uses: list[dict[str, int]]) -> Json:
    """Which limit kept neurons out most often, and how many cores each limit alone would need."""
    stops = Counter(core.stopped_by[0] for core in made.cores if core.stopped_by)
    alone = {}
    for name in ("neurons", "synapse_bits", "axons_in", "axons_out"):
        most = made.chip.limit(name)
        alone[name] = None if most is None else -(-sum(use[name] for use in uses) // most)
    limit = stops.most_common(1)[0][0] if stops else None
    return {"limit": limit, "cores_stopped": dict(stops), "cores_needed_alone": alone}


def _population(made: Partition, name: str) -> Json:
    cores = [c for c in made.cores if any(p.population == name for p in c.pieces)]
    pieces = [p for c in cores for p in c.pieces if p.population == name]
    blocks = [b for p in pieces for b in p.blocks]
    encodings: Counter[str] = Counter()
    for b in blocks:
        encodings[b.format.encoding] += b.bits
    sizes, synapses, bits = (
        [len(p.neurons) for p in pieces],
        sum(b.synapses for b in blocks),
        sum(encodings.values()),
    )
    stops = Counter(c.stopped_by[0] for c in cores if c.stopped_by)
    return {
        "population": name,
        "model": type(made.program.populations[name].model).__name__,
        "neurons": sum(sizes),
        "cores": len(cores),
        "neurons_per_core": [min(sizes), max(sizes)],
        "synapses": synapses,
        "synapse_bits": bits,
        "bits_per_synapse": bits / synapses if synapses else None,
        "encodings": dict(encodings),
        "axons_in_max": max(c.use()["axons_in"] for c in cores),
        "axons_out_max": max(p.axons_out for p in pieces),
        "stopped_by": stops.most_common(1)[0][0] if stops else None,
    }


def _core(number: int, core: Core, use: dict[str, int], placed: Placement) -> Json:
    return {
        "core": number,
        "chip": int(placed.chip[number]),
        "x": int(placed.x[number]),
        "y": int(placed.y[number]),
        "slot": int(placed.slot[number]),
        "use": use,
        "stopped_by": list(core.stopped_by),
        "pieces": [
            {"population": p.population, "start": p.start, "stop": p.stop,
             "order": "last axis first" if p.turned else "C", "neurons": len(p.neurons)}
            for p in core.pieces
        ],
        "blocks": [
            {"projection": b.projection, "encoding": b.format.encoding, "weight_bits": b.format.weight_bits,
             "delay": b.delay, "delay_bits": b.format.delay_bits, "index_bits": b.format.index_bits,
             "synapses": b.synapses, "bits": b.bits}
            for b in core.blocks()
        ],
    }  # fmt: skip


def _traffic(made: Partition, placed: Placement, messages: Traffic, activity: Activity) -> Json:
    """Messages and hops per sample; the outside is at the corner router of chip 0."""
    wide = made.chip.number("mesh.width")
    chip = np.append(placed.chip, 0)
    x, y = np.append(placed.x + wide * placed.chip, 0), np.append(placed.y, 0)
    away = {
        "hops_x": np.abs(x[:, None] - x[None]),
        "hops_y": np.abs(y[:, None] - y[None]),
        "crossings": np.abs(chip[:, None] - chip[None]),
    }
    count = len(made.cores)
    outer = np.zeros((count + 1, count + 1), bool)
    outer[count], outer[:, count] = True, True
    same = np.eye(count + 1, dtype=bool)
    kinds = {
        "from_or_to_outside": outer,
        "within_core": same & ~outer,
        "within_router": (away["hops_x"] + away["hops_y"] == 0) & ~same & ~outer,
        "between_routers": (away["hops_x"] + away["hops_y"] > 0) & (away["crossings"] == 0) & ~outer,
        "between_chips": (away["crossings"] > 0) & ~outer,
    }

    def sums(matrix: np.ndarray) -> Json:
        found = {"messages": float(matrix.sum())}
        return found | {name: float((matrix * far).sum()) for name, far in away.items()}

    return {
        "activity": activity.source,
        "steps": activity.steps,
        **sums(messages.matrix),
        "hops": placed.hops,
        "hops_before": placed.hops_before,
        "kinds": {name: float(messages.matrix[mask].sum()) for name, mask in kinds.items()},
        "populations": {
            name: {"spikes": float(activity.spikes[name].sum()), **sums(matrix)}
            for name, matrix in messages.sent.items()
        },
    }
