"""Counts x chip table -> picojoules: the chip by its events, the host by a table of its own.

    exact       compute   ac E_sop              E_sop by how the synapses are stored, where published
                neuron    neuron_steps E_active + spikes_out E_spike
                host      the exact convention of `host` over all that is no work of a spiking chip: lines of
                          the CPU, MACs of real operands and of spikes that carry values
    exact-idle  the same, but a neuron that gave no spike in a step pays E_inactive, where that is published:
                a lower bound

Which neurons were idle is not in the counts, so both bounds are given. Routing is an item of its own
(`energy.routing`). A chip table never prices a MAC: with any, and no host table, joules are refused.
"""

from __future__ import annotations

import numpy as np

from convert.ir import BadInput
from energy.costs import CostTable
from energy.energy import Bill
from energy.line import Counts, Line

STORED = {
    "Affine": "sop_dense",
    "Projection[DenseWeights]": "sop_dense",
    "Projection[SparseWeights]": "sop_sparse",
    "Projection[ConvWeights]": "sop_conv",
    "Conv2d": "sop_conv",
    "ChannelMix": "sop_conv",
    "StepConv": "sop_conv",
}  # others pay as dense ones do, the dearest
HOST = {"mac": "mac", "scale_macs": "mac"}  # of a line of the chip: count -> operation of the host
CPU = {
    **HOST, "ac": "ac", "bias_adds": "add", "pool_adds": "add", "residual_adds": "add",
    "neuron_multiplies": "multiply", "neuron_adds": "add", "neuron_compares": "add",
}  # fmt: skip
LANDS = ("bias_adds", "pool_adds", "residual_adds")


def chip_refusal(counts: Counts, table: CostTable, host: CostTable | None) -> str | None:
    """Why no joules may be named, or None."""
    lines = [line.name for line in counts.lines if host is None and _hosted(counts, line)]
    if not lines:
        return None
    shown = ", ".join(lines[:3]) + (f" and {len(lines) - 3} more" if len(lines) > 3 else "")
    return (
        f"{table.name} prices operations on spikes alone, and {shown} multiply values or run on the CPU; "
        "name a table for them with --host-table"
    )


def chip_bills(counts: Counts, table: CostTable, host: CostTable | None) -> dict[str, Bill]:
    """convention -> bill; BadInput if something needs a host table and there is none."""
    if reason := chip_refusal(counts, table, host):
        raise BadInput(f"energy refused: {reason}")
    names = ["exact", *(["exact-idle"] if table.prices("neuron_inactive") else [])]
    return {name: _bill(name, counts, table, host) for name in names}


def _hosted(counts: Counts, line: Line) -> bool:
    return any(counts.of(line, field).any() for field in (CPU if line.place == "cpu" else HOST))


def _bill(name: str, counts: Counts, table: CostTable, host: CostTable | None) -> Bill:
    shape = (len(counts.lines), counts.samples)
    pj = {part: np.zeros(shape) for part in ("compute", "neuron", "host")}
    unpriced: dict[str, str] = {}
    for row, line in enumerate(counts.lines):
        if host is not None and _hosted(counts, line):
            fields = CPU if line.place == "cpu" else HOST
            pj["host"][row] = sum(_paid(counts.of(line, f), host, op) for f, op in fields.items())
        if line.place == "cpu":
            continue
        pj["compute"][row] = _paid(counts.of(line, "ac"), table, _sop(table, line))
        if counts.of(line, "neuron_steps").any() and table.prices("neuron_active"):
            pj["neuron"][row] = _neurons(counts, line, table, name == "exact-idle")
        elif counts.of(line, "neuron_steps").any():
            unpriced["neuron"] = table.unknown.get("neuron_active", f"{table.name} prices no neuron updates")
        if any(counts.of(line, f).any() for f in LANDS):
            unpriced["adds"] = "a chip adds where it accumulates; count the program (convert --to lava)"
    if "neuron" in unpriced:
        del pj["neuron"]
    return Bill(name, pj, unpriced=unpriced)


def _sop(table: CostTable, line: Line) -> str:
    stored = STORED.get(line.type, "sop_dense")
    return stored if table.prices(stored) else "sop"


def _neurons(counts: Counts, line: Line, table: CostTable, idle: bool) -> np.ndarray:
    updates, spikes = counts.of(line, "neuron_steps"), counts.of(line, "spikes_out")
    given = spikes * table.price("spike") if table.prices("spike") else 0.0
    if not idle:
        return updates * table.price("neuron_active") + given
    busy = np.minimum(spikes, updates)
    return busy * table.price("neuron_active") + (updates - busy) * table.price("neuron_inactive") + given


def _paid(number: np.ndarray, table: CostTable, operation: str) -> np.ndarray:
    """float64 [N]; an operation that never occurs needs no price."""
    return number * table.price(operation) if number.any() else np.zeros(len(number))
