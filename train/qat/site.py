"""Where a layer of the integer network is built: the node's fields, its masters, what comes in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from train.qat.description import Description


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """One node of a description. peaks: largest magnitude of each input, shapes: their shapes; shape: the
    node's own; gradient: name of the surrogate."""

    name: str
    fields: dict[str, Any]
    peaks: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    shape: tuple[int, ...]
    description: Description
    gradient: str

    @property
    def unit(self) -> float | None:
        """Float value of one count of the neuron's membrane, where it is known."""
        return self.description.units.get(self.name)

    @property
    def bits(self) -> int:
        """Width of a weight."""
        return self.description.bits

    def master(self, field: str) -> tuple[Tensor, float, Tensor]:
        """Float values (float64), the worth of one count, and the integers of a field."""
        integers = np.array(self.fields[field])
        known = self.description.masters.get(self.name)
        if known is None:
            return torch.from_numpy(integers.astype(np.float64)), 1.0, torch.from_numpy(integers)
        value = np.broadcast_to(known.value, integers.shape)
        return torch.from_numpy(np.array(value, np.float64)), known.step, torch.from_numpy(integers)
