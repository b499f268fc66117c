"""Integer neurons: Lava's bit-accurate Loihi arithmetic, wrap, saturation and truncation included.

All values are integers; x >> n is an arithmetic (floor) shift.

    dec(x, d) = sign(x (4096 - d)) * (|x (4096 - d)| >> 12)            truncates toward zero
    u1 = dec(u, du + 1) + (a << 6)
    u  = u1 - 2^24 if u1 > 2^23;  u1 + 2^24 if u1 <= -2^23;  else u1      one wrap only
    v  = clip(dec(v, dv) + u + bias, -2^23 + 1, 2^23 - 1)                 uses the new u; saturates
    s  = v > (vth << 6);  v = 0 where s                                   strict; u is not reset
    bias = bias_mant << bias_exp                                          floor shift if bias_exp < 0

u = v = 0 before the first step. Widths: u, v 24 bits; du, dv 12; bias_mant 13; bias_exp 3; vth 17; the
graph refuses what does not fit, which Lava does not. Source: lava-nc 0.10.0, `lava.proc.lif` fixed point.
In an aligned graph the bias starts with the layer's first input; Lava alone would start it at step 1.
"""

from __future__ import annotations

import numpy as np

from convert.ir.errors import GraphError
from convert.ir.node import Neuron, array, node

VTH_MAX = (1 << 17) - 1
DECAY_MAX = 4095
STATE_SHIFT = 6  # weights and thresholds sit 6 bits above the least bit of u and v


def _check(self: LoihiLIF | LoihiIntegrator) -> None:
    name = type(self).__name__
    for field, low, high in (
        ("du", 0, DECAY_MAX),
        ("dv", 0, DECAY_MAX + 1),
        ("vth", 0, VTH_MAX),
        ("bias_exp", 0, 7),
    ):
        value = getattr(self, field)
        if int(value) != value or not low <= value <= high:
            raise GraphError(f"{name}: {field} = {value} is outside {low}..{high}")
        object.__setattr__(self, field, int(value))
    if self.bias_mant is not None:
        mant = array(self.bias_mant, np.int64)
        if mant.size and (mant.min() < -4096 or mant.max() > 4095):
            raise GraphError(f"{name}: bias_mant {mant.min()}..{mant.max()} is outside -4096..4095 (13 bits)")
        object.__setattr__(self, "bias_mant", mant)


@node
class LoihiLIF(Neuron):
    """The spiking neuron above. du = 4095 means no current state (u = a << 6), as LIF in float graphs."""

    dv: int
    vth: int
    du: int = DECAY_MAX
    bias_mant: np.ndarray | None = None
    bias_exp: int = 0

    def __post_init__(self) -> None:
        _check(self)

    @property
    def bias(self) -> np.ndarray | int:
        """Constant added to v each step, in units of v (int64)."""
        return 0 if self.bias_mant is None else self.bias_mant << self.bias_exp


@node
class LoihiIntegrator(Neuron):
    """A readout: the same neuron, its threshold at the 17-bit maximum; the result is v after the step.

    Should v ever pass `vth << 6` it resets like any Loihi neuron, in every target alike; quantisation keeps
    it far below. `unit` [float value per count of v] turns v back into the float readout's units.
    """

    spiking = False

    dv: int = 0
    unit: float = 1.0
    du: int = DECAY_MAX
    vth: int = VTH_MAX
    bias_mant: np.ndarray | None = None
    bias_exp: int = 0

    def __post_init__(self) -> None:
        _check(self)

    @property
    def bias(self) -> np.ndarray | int:
        """Constant added to v each step, in units of v (int64)."""
        return 0 if self.bias_mant is None else self.bias_mant << self.bias_exp
