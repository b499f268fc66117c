"""An integer graph in plain values: what fine-tuning is given, and what it gives back.

    body      nodes (name -> type and fields), edges, outputs, stage, dt_s, meta: JSON values. A field that is
              an array is {"array": KEY}.
    arrays    KEY -> array: integer weights, bias mantissas, synapses, ...
    masters   node -> what its integers are rounded from: float values, and the worth of one count. A node of
              weights has those of its weights, a neuron those of its bias; one without is its own integers.
    shapes    node -> shape of what it gives, steps and samples apart.
    units     neuron -> float value of one count of its membrane: what the surrogate gradient is scaled by.

The keys are those of a graph's file (`convert.ir.serial`), so that body and arrays are the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Masters:
    """integer = round(value / step); value float64 [...], step in the units of value."""

    value: np.ndarray
    step: float


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """The graph above. bits: width of a weight, sign included."""

    body: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    shapes: Mapping[str, tuple[int, ...]]
    masters: Mapping[str, Masters] = field(default_factory=dict)
    units: Mapping[str, float] = field(default_factory=dict)
    bits: int = 8

    def __deepcopy__(self, _: dict[int, Any]) -> Description:
        """Itself: it does not change, and the moving average of a network need not hold it twice."""
        return self

    def nodes(self) -> dict[str, dict[str, Any]]:
        """Packed nodes by name, inputs before users."""
        return dict(self.body["nodes"])

    def averaged(self, output: str) -> bool:
        """Whether the model reads the mean over steps of this output."""
        return self.body["meta"].get(f"read.{output}") == "mean"

    def inputs(self, name: str) -> tuple[str, ...]:
        """The nodes that feed `name`, in input order."""
        return tuple(a for a, b in self.body["edges"] if b == name)

    def fields(self, name: str) -> dict[str, Any]:
        """The node's fields, arrays in place of their keys."""
        packed = self.nodes()[name]
        return {
            k: self.arrays[v["array"]] if isinstance(v, dict) else v for k, v in packed.items() if k != "type"
        }
