"""Resonate-and-fire neurons in Lava's fixed point: a complex state that turns and shrinks each step.

    dec(x) = sign(x) (|x| >> 12)                                        truncates toward zero
    real'  = clip(dec(cos real) - dec(sin imag) + (a_real << state_exp), -2^23 + 1, 2^23 - 1)
    imag'  = clip(dec(sin real) + dec(cos imag) + (a_imag << state_exp), -2^23 + 1, 2^23 - 1)

Both components use the state before the step. sin, cos: 4096 (1 - alpha) sin(2 pi / period), truncated
toward zero, of either sign (Lava declares 12 unsigned bits and keeps neither). vth is in units of the input:
Lava's process shifts it by state_exp, so above 2^23 - 1 after the shift a neuron never spikes.
Two ports, `real` and `imag`. Source: lava-nc 0.10.0, `lava.proc.rf` and `lava.proc.rf_iz`, fixed point.
"""

from __future__ import annotations

from convert.ir.loihi import LoihiNeuron, whole_fields
from convert.ir.node import node

_LIMITS = {
    "sin_decay": (-4096, 4096), "cos_decay": (-4096, 4096), "vth": (0, (1 << 23) - 1), "state_exp": (0, 7)
}  # fmt: skip


@node
class LoihiRF(LoihiNeuron):
    """s = real' >= vth << state_exp  and  imag' >= 0  and  imag < 0: once a turn, where phase passes zero."""

    ports = ("real", "imag")

    sin_decay: int
    cos_decay: int
    vth: int
    state_exp: int = 6

    def __post_init__(self) -> None:
        whole_fields(self, _LIMITS)


@node
class LoihiRFIZ(LoihiNeuron):
    """s = imag' >= vth << state_exp;  real' = 0 and imag' = (vth << state_exp) - 1 where s (Izhikevich)."""

    ports = ("real", "imag")

    sin_decay: int
    cos_decay: int
    vth: int
    state_exp: int = 6

    def __post_init__(self) -> None:
        whole_fields(self, _LIMITS)
