"""What a program must keep to, so that Lava computes it exactly.

Lava's bit-accurate models compute in 32-bit words without a check. Sums of a projection are bounded by its
largest row sum |W| times the largest message; the current of a neuron that may pass 2^30 is refused, for
there Lava's words could wrap where the arithmetic of `convert.ir.loihi` does not.
"""

from __future__ import annotations

import numpy as np

from convert.ir import ConvWeights, DenseWeights, Input, LoihiIntegrator, LoihiLIF, Program, Projection
from convert.ir.loihi import STATE_SHIFT

BITS = range(1, 10)  # Lava holds mixed-sign weights in 9 bits
WORD = 1 << 30
WRAP = 1 << 24  # one wrap of u takes this much away


def limits(program: Program) -> list[str]:
    """Reasons why Lava cannot run the program exactly; empty if it can."""
    reasons = []
    if len(program.inputs()) != 1:
        reasons.append(f"{len(program.inputs())} inputs ({', '.join(program.inputs())}); exactly one is fed")
    for name, population in program.populations.items():
        if isinstance(population.model, Input) and population.model.operand == "real":
            reasons.append(f"{name}: takes real values; spike messages are integers")
    for p in program.projections:
        reasons += _projection(program, p)
    if not reasons:
        reasons += [r for name in program.neurons() for r in _current(program, name)]
    return reasons


def _projection(program: Program, p: Projection) -> list[str]:
    if p.bits not in BITS:
        return [f"{p.name}: weights of {p.bits} bits; Lava holds 1 to 9"]
    values = _values(p)
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    limit = 1 << (p.bits - 1)
    if low < -limit or high >= limit:
        return [f"{p.name}: weights {low}..{high} do not fit {p.bits} bits ({-limit}..{limit - 1})"]
    if reach(program, p) << (9 - p.bits) >= WORD:
        return [f"{p.name}: its sums may pass 2^30, Lava's words"]
    return []


def _values(p: Projection) -> np.ndarray:
    if isinstance(p.weights, DenseWeights):
        return p.weights.matrix
    return p.weights.kernel if isinstance(p.weights, ConvWeights) else p.weights.values


def reach(program: Program, p: Projection) -> int:
    """Largest magnitude a sum of the projection can have, before its exponent."""
    values = np.abs(_values(p).astype(np.int64))
    if isinstance(p.weights, DenseWeights):
        rows = values.sum(axis=1)
    elif isinstance(p.weights, ConvWeights):
        rows = values.sum(axis=(1, 2, 3))
    else:
        rows = np.bincount(p.weights.rows, weights=values, minlength=p.weights.shape[0])
    source = program.populations[p.src].model
    message = source.limit if isinstance(source, Input) and source.operand == "graded" else 1
    return int(rows.max(initial=0)) * message


def _current(program: Program, name: str) -> list[str]:
    """u <= (1 - (du + 1) / 4096) u + (a << 6), less one wrap once above 2^23; its largest value ever."""
    model = program.populations[name].model
    if not isinstance(model, LoihiLIF | LoihiIntegrator):
        return []
    sums = ((reach(program, p), p.exp) for p in program.into(name))
    a = sum((r << e if e >= 0 else r >> -e) + 1 for r, e in sums) << STATE_SHIFT
    worst = max(WRAP, a + max(0, a - WRAP) * 4096 // (model.du + 1))
    if worst >= WORD:
        return [f"{name}: its current may reach {worst}, above 2^30, where Lava's 32-bit words wrap"]
    return []
