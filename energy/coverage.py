"""Coverage: which nodes of a model a chip holds, and which share of its work.

Counted on the folded float graph, so that both parts are measured by one rule, per input (a person of a
sample), over the whole run:

    MACs                  of all weights inside the borders, every input non-zero: known from shapes alone
    synaptic operations   those a non-zero input passes, mean over real inputs; where a node's operand is
                          no spike (it follows another weighted node), every value counts as non-zero

A sum that chip and CPU both compute counts on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from convert.ir import Graph
from convert.passes.partition import Split
from energy.counts import count


@dataclass(frozen=True)
class Covered:
    """One node. place: 'chip', 'cpu', both or 'unused'; why: the reason it is (also) on the CPU, or ''."""

    node: str
    type: str
    place: str
    why: str
    macs: int
    synaptic_operations: float


@dataclass(frozen=True)
class Coverage:
    """All nodes of a model; `samples` inputs of `steps` steps were counted."""

    nodes: tuple[Covered, ...]
    samples: int
    steps: int

    def total(self, field: str, place: str) -> float:
        """'macs' or 'synaptic_operations' of all nodes at 'chip' or 'cpu'."""
        return sum(getattr(n, field) for n in self.nodes if place in n.place.split(", "))

    def share(self, field: str) -> float:
        """The chip's share; 1 where there is nothing to do anywhere."""
        chip, cpu = self.total(field, "chip"), self.total(field, "cpu")
        return chip / (chip + cpu) if chip + cpu else 1.0

    def as_json(self) -> dict[str, Any]:
        """For the manifest and `--json`."""
        totals = {
            field: {"chip": self.total(field, "chip"), "cpu": self.total(field, "cpu"),
                    "share_on_chip": self.share(field)}
            for field in ("macs", "synaptic_operations")
        }  # fmt: skip
        nodes = [asdict(n) for n in self.nodes]
        return {"samples": self.samples, "steps": self.steps, "nodes": nodes, "totals": totals}


def coverage(graph: Graph, split: Split, rasters: Mapping[str, np.ndarray]) -> Coverage:
    """graph: the folded graph that was split; rasters: every step of its inputs and spiking nodes."""
    counts = count(graph, rasters)
    macs, sops = dict.fromkeys(graph.nodes, 0), dict.fromkeys(graph.nodes, 0.0)
    for line in counts.lines:
        macs[line.node] += int(counts.of(line, "dense_mac_inbounds")[0])
        sops[line.node] += float(counts.of(line, "sop_exact").mean())
    nodes = tuple(
        Covered(
            name, type(node).__name__, split.place(name), split.reasons.get(name, ""), macs[name], sops[name]
        )
        for name, node in graph.nodes.items()
    )
    return Coverage(nodes, counts.samples, counts.steps)
