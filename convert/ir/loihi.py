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

from typing import ClassVar, NoReturn

import numpy as np

from convert.ir.errors import GraphError, LimitError
from convert.ir.node import Neuron, array, node

VTH_MAX = (1 << 17) - 1
DECAY_MAX = 4095
STATE_SHIFT = 6  # weights and thresholds sit 6 bits above the least bit of u and v


MESSAGE_BITS = 24  # what a spike of Loihi 2 carries in Lava, sign included


class LoihiNeuron(Neuron):
    """What a population of a program may be beside an Input.

    message: what it sends, 'binary' {0, 1}, 'ternary' {-1, 0, 1} or 'graded' (signed integers of up to
    MESSAGE_BITS bits; a larger one is refused as it occurs, where Lava goes on). ports: names of its inputs;
    a projection leads into one of them.
    """

    message: ClassVar[str] = "binary"
    ports: ClassVar[tuple[str, ...]] = ("a",)

    @property
    def message_limit(self) -> int:
        """Largest magnitude of a message."""
        return (1 << (MESSAGE_BITS - 1)) - 1 if self.message == "graded" else 1


def whole_fields(self: Neuron, limits: dict[str, tuple[int, int]]) -> None:
    """Make the named fields ints, or read-only int64 arrays; LimitError for values outside their limits."""
    for name, (low, high) in limits.items():
        value = np.asarray(getattr(self, name))
        if not np.all(np.equal(np.mod(value, 1), 0)) or value.size == 0:
            raise GraphError(f"{type(self).__name__}: {name} = {value} is no integer")
        if value.min() < low or value.max() > high:
            found = value.min() if value.min() < low else value.max()
            _refuse(self, f"{name} = {found} is outside {low}..{high}", name)
        object.__setattr__(self, name, array(value, np.int64) if value.ndim else int(value))


_REMEDY = {
    "vth": "17 bits: scale threshold and weights down together",
    "vth_hi": "17 bits and a sign: scale thresholds and weights down together",
    "vth_lo": "17 bits and a sign: scale thresholds and weights down together",
    "du": "12 bits: a decay d is round(4096 d) - 1",
    "dv": "12 bits: a decay d is round(4096 d)",
    "bias_mant": "raise bias_exp, or lower the bias",
}


def _refuse(self: Neuron, found: str, name: str) -> NoReturn:
    raise LimitError(type(self).__name__, found, _REMEDY.get(name, "choose one that fits"))


LIF_LIMITS = {"du": (0, DECAY_MAX), "dv": (0, DECAY_MAX + 1), "bias_exp": (0, 7)}


def _check(self: LoihiNeuron, **limits: tuple[int, int]) -> None:
    whole_fields(self, LIF_LIMITS | limits)
    mant = self.bias_mant  # type: ignore[attr-defined]
    if mant is not None:
        mant = array(mant, np.int64)
        if mant.size and (mant.min() < -4096 or mant.max() > 4095):
            found = f"{mant.min()}..{mant.max()}"
            _refuse(self, f"bias_mant {found} is outside -4096..4095 (13 bits)", "bias_mant")
        object.__setattr__(self, "bias_mant", mant)


class _Biased(LoihiNeuron):
    """Neurons of the LIF family: their bias."""

    @property
    def bias(self) -> np.ndarray | int:
        """Constant added to v each step, in units of v (int64)."""
        mant, exp = self.bias_mant, self.bias_exp  # type: ignore[attr-defined]
        return 0 if mant is None else mant << exp


@node
class LoihiLIF(_Biased):
    """The spiking neuron above. du = 4095 means no current state (u = a << 6), as LIF in float graphs.

    du and dv are one integer, or one per neuron (an array that broadcasts to the population's shape).
    """

    dv: int | np.ndarray
    vth: int
    du: int | np.ndarray = DECAY_MAX
    bias_mant: np.ndarray | None = None
    bias_exp: int = 0

    def __post_init__(self) -> None:
        _check(self, vth=(0, VTH_MAX))


@node
class LoihiIntegrator(_Biased):
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
        _check(self, vth=(0, VTH_MAX))


@node
class LoihiLIFReset(_Biased):
    """LoihiLIF with u = v = 0 before the update of aligned step t, if t % reset_interval == reset_offset.

    Source: Lava's LIFReset, whose `reset_offset` counts chip steps from 1: (reset_offset + latency + 1) %
    reset_interval there.
    """

    dv: int | np.ndarray
    vth: int
    reset_interval: int
    reset_offset: int = 0
    du: int | np.ndarray = DECAY_MAX
    bias_mant: np.ndarray | None = None
    bias_exp: int = 0

    def __post_init__(self) -> None:
        _check(self, vth=(0, VTH_MAX), reset_interval=(1, 1 << 30), reset_offset=(0, 1 << 30))
        if self.reset_offset >= self.reset_interval:
            raise GraphError(
                f"LoihiLIFReset: reset_offset {self.reset_offset} >= reset_interval {self.reset_interval}"
            )


@node
class LoihiTernaryLIF(_Biased):
    """u and v as LoihiLIF;  s = +1 if v > vth_hi << 6;  -1 if v < vth_lo << 6;  v = 0 where s.

    Source: Lava's TernaryLIF, fixed point.
    """

    message = "ternary"

    dv: int | np.ndarray
    vth_hi: int
    vth_lo: int
    du: int | np.ndarray = DECAY_MAX
    bias_mant: np.ndarray | None = None
    bias_exp: int = 0

    def __post_init__(self) -> None:
        _check(self, vth_hi=(-VTH_MAX, VTH_MAX), vth_lo=(-VTH_MAX, VTH_MAX))
        if self.vth_lo > self.vth_hi:
            raise GraphError(f"LoihiTernaryLIF: vth_lo {self.vth_lo} is above vth_hi {self.vth_hi}")


@node
class LoihiLIFRefractory(_Biased):
    """LoihiLIF whose v stands still for `refractory` steps after a spike, while u goes on.

    Lava has this neuron in floating point only (LIFRefractory); this is its integer twin, equal to it where
    the floats are exact.
    """

    dv: int | np.ndarray
    vth: int
    refractory: int
    du: int | np.ndarray = DECAY_MAX
    bias_mant: np.ndarray | None = None
    bias_exp: int = 0

    def __post_init__(self) -> None:
        _check(self, vth=(0, VTH_MAX), refractory=(1, 1 << 20))
