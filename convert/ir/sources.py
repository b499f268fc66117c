"""Where values enter a graph."""

from __future__ import annotations

import numpy as np

from convert.ir.errors import BadInput, GraphError
from convert.ir.node import Shape, Source, node

OPERANDS = ("real", "binary", "graded")


@node
class Input(Source):
    """x[t], shape `shape`, given from outside at every step.

    operand  'real': floating point values;  'binary': spikes {0, 1};
             'graded': integers q = clip(round_half_even(x / scale), -limit, +limit), limit = 2^(bits-1) - 1,
             which a Loihi 2 spike message can carry. `scale` [input units per count] and `bits` belong to
             'graded' alone.
    """

    shape: Shape
    operand: str = "real"
    scale: float = 1.0
    bits: int = 8

    def __post_init__(self) -> None:
        if self.operand not in OPERANDS:
            raise GraphError(f"Input: operand {self.operand!r} is none of {', '.join(OPERANDS)}")
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        return self.shape

    @property
    def limit(self) -> int:
        """Largest magnitude of a graded value."""
        return (1 << (self.bits - 1)) - 1

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Values as the graph takes them: float64 for 'real', int64 for 'binary' and 'graded'."""
        if self.operand == "real":
            return np.asarray(x, np.float64)
        if self.operand == "binary":
            spikes = np.asarray(x)
            if not np.isin(spikes, (0, 1)).all():
                found = spikes[~np.isin(spikes, (0, 1))][0]
                raise BadInput(f"binary input holds {found}, expected 0 and 1; encode it first")
            return spikes.astype(np.int64)
        counts = np.rint(np.asarray(x, np.float64) / self.scale)
        return np.clip(counts, -self.limit, self.limit).astype(np.int64)
