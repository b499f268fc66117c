"""Neurons of the float stages: the house semantics, which are Lava's.

    u = (1 - du) u + a
    v = (1 - dv) v + u + b
    s = v > threshold          strict: equality does not spike
    v = 0 where s              reset to zero; u is not reset

a: input of this step; u = v = 0 before the first step; du, dv dimensionless fractions lost per step;
threshold in the units of v; b, a constant added to v every step, scalar or of the neuron's shape.
Not modelled: refractory period, reset by subtraction, noise; a target that has them must not use them.
"""

from __future__ import annotations

import numpy as np

from convert.ir.errors import GraphError
from convert.ir.node import Neuron, array, node


def _check(self: object) -> None:
    for decay in ("du", "dv"):
        value = getattr(self, decay)
        if not 0.0 <= value <= 1.0:
            raise GraphError(f"{type(self).__name__}: {decay} = {value} is outside 0..1")
    threshold = getattr(self, "threshold", 1.0)
    if not threshold > 0:
        raise GraphError(f"{type(self).__name__}: threshold {threshold} must be above 0, the reset value")
    if getattr(self, "bias", None) is not None:
        object.__setattr__(self, "bias", array(self.bias, np.float64))  # type: ignore[attr-defined]


@node
class LIF(Neuron):
    """v = (1 - dv) v + a + b;  s = v > threshold;  v = 0 where s.   (CubaLIF with du = 1.)"""

    dv: float
    threshold: float = 1.0
    bias: np.ndarray | None = None
    du: float = 1.0

    def __post_init__(self) -> None:
        if self.du != 1.0:
            raise GraphError(f"LIF: du = {self.du}; a neuron with a current state is a CubaLIF")
        _check(self)


@node
class CubaLIF(Neuron):
    """u = (1 - du) u + a;  v = (1 - dv) v + u + b;  s = v > threshold;  v = 0 where s."""

    du: float
    dv: float
    threshold: float = 1.0
    bias: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check(self)


@node
class IF(Neuron):
    """v = v + a + b;  s = v > threshold;  v = 0 where s.   (LIF with dv = 0.)"""

    threshold: float = 1.0
    bias: np.ndarray | None = None
    du: float = 1.0
    dv: float = 0.0

    def __post_init__(self) -> None:
        if self.du != 1.0 or self.dv != 0.0:
            raise GraphError("IF: has no leak and no current state; use LIF or CubaLIF")
        _check(self)


@node
class LeakyIntegrator(Neuron):
    """v = (1 - dv) v + a + b;  the result is v itself: a readout, it never spikes and never resets."""

    spiking = False

    dv: float = 0.0
    bias: np.ndarray | None = None
    du: float = 1.0

    def __post_init__(self) -> None:
        _check(self)
