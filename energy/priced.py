"""Counts of a batch with every price that a report shows beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from energy.accesses import Accesses
from energy.baselines import Baselines, Twin, baselines
from energy.bills import bills
from energy.bit_budget import Bits, bit_budget
from energy.conventions import DEFAULT, Convention
from energy.costs import CostTable
from energy.energy import Bill, Variant, incomplete, refusal, spread
from energy.line import Counts
from energy.memory import of_lines
from energy.movement import NOT_GIVEN, Machine
from energy.operations import COMPONENTS

PARTS = (
    "compute", "bias", "pool", "residual", "scale", "neuron", "host", "memory", "addressing", "routing",
)  # fmt: skip

BESIDE = ("memory", "addressing", "routing")  # parts that may stand beside a total


@dataclass(frozen=True)
class Terms:
    """How counts are priced. conventions: the first is the headline's.

    allow_uncounted: joules are named though nodes are uncounted, and say so wherever they stand.
    machine: sizes of layers and a core map, for memory, addressing and routing; or why there are none.
    host: prices what a chip's table does not.  twin, bits: the same architecture without spikes, and bits of
    weights, for baselines and bit budget; or why there are none.  unstepped: why no line has numbers of each
    step, where none has.
    """

    conventions: tuple[Convention, ...] = DEFAULT
    allow_uncounted: bool = False
    machine: Machine | str = NOT_GIVEN
    host: CostTable | None = None
    twin: Twin | str = "the architecture without spikes was not given"
    bits: Bits | str = "bits of weights were not given"
    unstepped: str = "no layer's values were recorded step by step"


@dataclass(frozen=True, eq=False)
class Priced:
    """bills: convention -> bill, empty where joules are refused.  refused: why, or None.

    variants: the headline's convention with one switch changed.  incomplete: the warning that stands beside
    every headline, or None.  baselines: the network without spikes, or None.  budget: 'ace', 'ace_dense' ->
    int64 [N] bits, or None.  accesses: of each line, as `energy.memory.of_lines`.  absent: 'twins',
    'bit_budget' -> why the two are None; 'by_step' -> why no line has one.
    """

    bills: Mapping[str, Bill] = field(default_factory=dict)
    refused: str | None = None
    variants: tuple[Variant, ...] = ()
    incomplete: str | None = None
    baselines: Baselines | None = None
    budget: Mapping[str, np.ndarray] | None = None
    accesses: Sequence[Accesses | str | None] = ()
    absent: Mapping[str, str] = field(default_factory=dict)

    def spread(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Least and largest pJ of each sample over all conventions and switches, [N]; None where refused."""
        if not self.bills:
            return None
        totals = np.stack([*(b.total() for b in self.bills.values()), *(v.pj for v in self.variants)])
        return np.nanmin(totals, axis=0), np.nanmax(totals, axis=0)


def priced(counts: Counts, table: CostTable, terms: Terms, persons: np.ndarray | None = None) -> Priced:
    """All prices of one batch; none, and the reason, if something is uncounted and may not be.

    persons: int64 [N], inputs that make up a sample; one each if None.
    """
    twins = budget = None
    absent: dict[str, str] = {}
    if all(line.by_step is None for line in counts.lines):
        absent["by_step"] = terms.unstepped
    moved = _moved(counts, terms.machine)
    if isinstance(terms.bits, str):
        absent["bit_budget"] = terms.bits
    else:
        budget = {name: bits.sum(axis=0) for name, bits in bit_budget(counts, terms.bits).items()}
    if (why := refusal(counts)) and not terms.allow_uncounted:
        return Priced(refused=why, budget=budget, accesses=moved, absent={"twins": why, **absent})
    if isinstance(terms.twin, str) or isinstance(terms.bits, str):
        absent["twins"] = terms.twin if isinstance(terms.twin, str) else str(terms.bits)
    else:
        twins = baselines(counts, table, terms.twin, terms.bits, persons)
    found = bills(counts, table, terms.machine, terms.host, terms.conventions, terms.allow_uncounted)
    variants: tuple[Variant, ...] = ()
    if table.kind != "chip":  # a chip's events are not a matter of convention
        base = terms.conventions[0]
        more = [pj.sum(axis=0) for part, pj in found[base.name].pj.items() if part not in COMPONENTS]
        variants = tuple(  # memory and addressing of the total are the same whatever the switch
            replace(v, pj=sum(more, v.pj)) for v in spread(counts, table, base, terms.allow_uncounted)
        )
    return Priced(found, None, variants, incomplete(counts), twins, budget, moved, absent)


def _moved(counts: Counts, machine: Machine | str) -> list[Accesses | str | None]:
    """Memory accesses of each line; where nothing is known of the machine's layers, why."""
    return [machine] * len(counts.lines) if isinstance(machine, str) else of_lines(counts, machine.layers)
