"""Bits instead of joules: what the arithmetic of a network moves, whatever the hardware.

    ace        sum of operations b_w b_a              what happened
    ace_dense  T FL b_w b_a                           the same if every input were non-zero, padding included

b_w bits of a weight, b_a bits of an operand: binary 1, ternary 2, spikes that carry values and real values as
told. After the bit budget of Shen 2024, arXiv:2311.10802 (its abstract; its S-ACE in our reading).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convert.ir import BadInput
from energy.line import Counts


@dataclass(frozen=True)
class Bits:
    """weight: of a weight.  graded: of a spike with a value, or a sum of spikes.  real: of a real value."""

    weight: int
    graded: int = 8
    real: int = 32

    def __post_init__(self) -> None:
        for name, bits in vars(self).items():
            if type(bits) is not int or not 1 <= bits <= 64:
                raise BadInput(f"bits of a {name} value: found {bits!r}, expected 1 to 64")

    def operand(self) -> np.ndarray:
        """int64 [classes]: bits by operand class."""
        return np.array([1, 2, self.graded, self.real], np.int64)


def bit_budget(counts: Counts, bits: Bits) -> dict[str, np.ndarray]:
    """'ace' and 'ace_dense': int64 [lines, N]; zero at lines without synapses."""
    found = {name: np.zeros((len(counts.lines), counts.samples), np.int64) for name in ("ace", "ace_dense")}
    for row, line in enumerate(counts.lines):
        if line.classes is None:
            continue
        each = bits.weight * bits.operand()[line.classes]
        found["ace"][row] = (counts.of(line, "mac") + counts.of(line, "ac")) * each
        found["ace_dense"][row] = counts.of(line, "dense_mac") * each
    return found
