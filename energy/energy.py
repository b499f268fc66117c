"""Counts x cost table -> picojoules, per line, sample and component, in named conventions side by side.

    exact    compute   mac E_MAC + ac E_AC                             what really happened, borders left out
             neuron    multiplies E_mul + (adds + compares) E_add
             bias, pool, residual   adds E_add;   scale   MACs E_MAC
    paper    compute   spiking input: rate T FL E_AC;  else T FL E_MAC
             everything else is 0 by convention        (Spikformer and followers; FL counts padding)

`memory` is None in both until a table prices it: not known is not zero. All is modelled, none measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from convert.ir import BadInput
from energy.costs import CostTable
from energy.line import Counts, Line

COMPONENTS = ("compute", "bias", "pool", "residual", "scale", "neuron")
Ops = dict[str, np.ndarray]  # operation of the table -> how many, [N]


@dataclass(frozen=True, eq=False)
class Bill:
    """Energy in one convention. pj: component -> float64 [lines, N], all of the total.

    beside: components that are priced but do not belong to the total, in the same shape.  unpriced: component
    -> why it has no figure; unknown is not zero.
    """

    convention: str
    pj: Mapping[str, np.ndarray]
    beside: Mapping[str, np.ndarray] = field(default_factory=dict)
    unpriced: Mapping[str, str] = field(default_factory=dict)

    def component(self, name: str) -> np.ndarray:
        """float64 [N] pJ of one component over all lines."""
        return self.pj[name].sum(axis=0)

    def lines(self) -> np.ndarray:
        """float64 [lines, N] pJ of all components."""
        return sum(self.pj.values())

    def total(self) -> np.ndarray:
        """float64 [N] pJ."""
        return sum(self.component(name) for name in self.pj)


def refusal(counts: Counts) -> str | None:
    """Why no joules may be named for these counts, or None."""
    if not counts.uncounted:
        return None
    left = ", ".join(f"{u.node} ({u.type}, {u.share:.1%} of the outputs)" for u in counts.uncounted)
    return f"not counted: {left}; add a rule in energy/fanout.py or energy/updates.py"


def price(
    counts: Counts, table: CostTable, conventions: Sequence[str] = ("exact", "paper")
) -> dict[str, Bill]:
    """convention -> bill; BadInput for an unknown convention or if anything is uncounted."""
    if reason := refusal(counts):
        raise BadInput(f"energy refused: {reason}")
    return {name: _bill(name, counts, table) for name in conventions}


def _bill(convention: str, counts: Counts, table: CostTable) -> Bill:
    if convention not in CONVENTIONS:
        raise BadInput(f"convention {convention!r} is unknown; known: {', '.join(CONVENTIONS)}")
    pj = {name: np.zeros((len(counts.lines), counts.samples)) for name in COMPONENTS}
    for row, line in enumerate(counts.lines):
        for component, ops in CONVENTIONS[convention](counts, line).items():
            for operation, number in ops.items():
                pj[component][row] += number * table.price(operation) if number.any() else 0.0
    return Bill(convention, pj)


def _exact(counts: Counts, line: Line) -> dict[str, Ops]:
    def n(field: str) -> np.ndarray:
        return counts.of(line, field)

    return {
        "compute": {"mac": n("mac"), "ac": n("ac")},
        "bias": {"add": n("bias_adds")},
        "pool": {"add": n("pool_adds")},
        "residual": {"add": n("residual_adds")},
        "scale": {"mac": n("scale_macs")},
        "neuron": {"multiply": n("neuron_multiplies"), "add": n("neuron_adds") + n("neuron_compares")},
    }


def _paper(counts: Counts, line: Line) -> dict[str, Ops]:
    if line.measures is None:
        return {}
    if line.spike_input:
        return {"compute": {"ac": line.measures["sop_paper"]}}
    return {"compute": {"mac": counts.of(line, "dense_mac")}}


CONVENTIONS: dict[str, Callable[[Counts, Line], dict[str, Ops]]] = {"exact": _exact, "paper": _paper}
