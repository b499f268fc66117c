"""Write docs/support.md: which node works where, from the registries themselves.

python scripts/support_matrix.py           print the page
python scripts/support_matrix.py --write   put it into docs/support.md
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# ruff: noqa: E402
from convert.ir import (
    LEGAL,
    NODES,
    Activation,
    Add,
    Delay,
    LinearNode,
    LoihiNeuron,
    Neuron,
    Permute,
    Product,
    Reshape,
    Source,
    WindowNode,
)
from convert.passes.arm import KEPT
from convert.passes.operators import has_rule
from deploy.target import TARGETS, target

PAGE = ROOT / "docs" / "support.md"
HEAD = """# What works where

Made by `python scripts/support_matrix.py --write` from the registries; a test keeps it true.

"composed" means: the node becomes part of one matrix when the graph is quantised, so that integer targets and
chips run it as synapses. Batch norm is folded first.

"""


_FAMILIES = {
    Source: "source", LinearNode: "linear", Product: "product", Activation: "activation",
    WindowNode: "window", Neuron: "neuron",
}  # fmt: skip


def in_integers(kind: type) -> str:
    """How a node appears in integer graphs and programs."""
    if issubclass(kind, Source):
        return "spikes or graded"
    if issubclass(kind, LoihiNeuron):
        return "itself" if len(kind.ports) == 1 else "itself, in programs alone: two ports"
    if issubclass(kind, Neuron):
        return "LoihiIntegrator" if not kind.spiking else "LoihiLIF"
    if issubclass(kind, WindowNode):
        return "none: on the CPU, behind the chip's part"
    if issubclass(kind, Activation):
        return "none: on the CPU"
    if kind in KEPT:
        return "itself, projections"
    if issubclass(kind, Product):
        return "itself, coincidence neurons; operands are binary spikes"
    if kind is Delay:
        return "itself, delays; beyond 62 chip steps relays"
    if kind in (Add, Permute, Reshape):
        return "itself, moves only"
    return "composed" if has_rule(kind) else "folded"


def page() -> str:
    """The whole page."""
    rows = ["| node | kind | stages | integer form |", "|---|---|---|---|"]
    for name, kind in NODES.items():
        family = _FAMILIES[next(base for base in _FAMILIES if issubclass(kind, base))]
        stages = ", ".join(stage for stage, legal in LEGAL.items() if kind in legal) or "program"
        rows.append(f"| `{name}` | {family} | {stages} | {in_integers(kind)} |")
    targets = ["| target | takes | promise |", "|---|---|---|"]
    for name in TARGETS:
        where = target(name)
        takes = ", ".join(f"{t} graph" if t != "program" else t for t in where.takes)
        targets.append(f"| `{name}` | {takes} | {'integers exact' if where.exact else '-'} |")
    return HEAD + "\n".join(rows) + "\n\n## Targets\n\n" + "\n".join(targets) + "\n"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page())
    else:
        print(page(), end="")
