"""How large the sums of a program can become: what the simulator's types and Lava's 32-bit words must hold.

A projection's sum is at most its largest row sum |W| times the largest message of its source. `peaks` gives
largest messages that are known better than from the model (from a run, say): population -> magnitude.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from convert.ir import (
    ConvWeights,
    Input,
    LoihiNeuron,
    Population,
    Program,
    Projection,
    SparseWeights,
    Weights,
)
from convert.ir.loihi import STATE_SHIFT

CONV_HALF = 1 << 23  # Lava's Conv wraps its sums to [-2^23, 2^23)
WRAP = 1 << 24  # one wrap of u takes this much away
NONE: Mapping[str, int] = {}


def row_sum(weights: Weights) -> int:
    """Largest sum of |weight| over the synapses of one target (a bound at borders of a convolution)."""
    values = weights.stored
    if not values.size:
        return 0
    if isinstance(weights, SparseWeights):
        sums = np.bincount(weights.rows, np.abs(values.astype(np.float64)), minlength=1)  # exact below 2^53
    else:
        flat = values.reshape(len(values), -1)
        sums = np.maximum(flat, 0).sum(1, dtype=np.int64) - np.minimum(flat, 0).sum(1, dtype=np.int64)
    return int(sums.max())


def peak(population: Population) -> int:
    """Largest magnitude a population sends."""
    model = population.model
    if isinstance(model, Input):
        return model.limit if model.operand == "graded" else 1
    return model.message_limit


def reach(program: Program, p: Projection, peaks: Mapping[str, int] = NONE) -> int:
    """Largest magnitude of a sum of the projection, before its exponent."""
    most = peaks[p.src] if p.src in peaks else peak(program.populations[p.src])
    return row_sum(p.weights) * most


def shifted(p: Projection, largest: int) -> int:
    """Largest magnitude after the exponent; a floor shift takes a negative sum at most 1 further."""
    return largest << p.exp if p.exp >= 0 else (largest >> -p.exp) + 1


def wraps(p: Projection, largest: int) -> bool:
    """Whether the 24-bit wrap of a convolution can change a sum."""
    return isinstance(p.weights, ConvWeights) and p.weights.wrap and shifted(p, largest) >= CONV_HALF


def drive(program: Program, name: str, peaks: Mapping[str, int] = NONE) -> int:
    """Largest magnitude that arrives at one port of a population in one step."""
    ports: dict[str, int] = {}
    for p in program.into(name):
        largest = reach(program, p, peaks)
        arriving = CONV_HALF if wraps(p, largest) else shifted(p, largest)
        ports[p.port] = ports.get(p.port, 0) + arriving
    return max(ports.values(), default=0)


def current(model: LoihiNeuron, arriving: int) -> int:
    """Largest |u1| ever: u = (1 - (du + 1) / 4096) u + (a << 6), less one wrap once above 2^23.

    With A = |a << 6|, u after its wrap stays below `held`: it may leave 24 bits, by A - 2^24 each step,
    against a decay of (du + 1) / 4096 of itself.
    """
    a = arriving << STATE_SHIFT
    du = int(np.min(model.du))  # type: ignore[attr-defined]
    held = max(CONV_HALF, -(-(a - WRAP) * 4096 // (du + 1)))
    return a + held
