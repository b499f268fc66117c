"""Sigma-delta neurons in Lava's fixed point: only changes travel, as graded spikes.

    delta coding of a value x:  delta = x - x_old + residue
                                s = delta if |delta| >= vth' else 0;  residue = delta - s;  x_old = x
                                message = s >> state_exp                              floor shift
    vth' = vth << (spike_exp + state_exp)
    with cum_error:  error += delta;  s = delta if |error| >= vth' else 0;  error = 0 where s is not 0

    with carry:  residue = delta - (message << state_exp)

x_old is the state `act`, as Lava calls it; `residue` is always x less the x that was last sent. In Lava all
state has 32 bits and wraps unseen; here it is exact, and target `lava` refuses what would not fit. Without
`carry` the bits lost in `>> state_exp` are not fed back, as in Lava 0.10.0: each message takes a receiver up
to one count further below x, and nothing brings it back. With it they are sent later: the messages' sum is
within a count, or a threshold, of x / 2^state_exp; with vth = 0 it is its floor. Target `lava` refuses
`carry`, which that version has not. All state is 0 before the first step.
Source: lava-nc 0.10.0, `lava.proc.sdn`, fixed point.
"""

from __future__ import annotations

import numpy as np

from convert.ir.errors import GraphError
from convert.ir.loihi import LoihiNeuron, whole_fields
from convert.ir.node import node

_EXPS = {"spike_exp": (0, 7), "state_exp": (0, 7)}
_VTH = {"vth": (0, (1 << 23) - 1)}


@node
class LoihiDelta(LoihiNeuron):
    """x = a << (spike_exp + state_exp), then delta coding: values become graded spikes where they change."""

    message = "graded"

    vth: int
    spike_exp: int = 0
    state_exp: int = 0
    cum_error: bool = False
    carry: bool = False

    def __post_init__(self) -> None:
        whole_fields(self, _EXPS | _VTH)


@node
class LoihiSigma(LoihiNeuron):
    """sigma = sigma + a; the result is sigma after the step: changes summed up again, a readout."""

    message = "graded"
    spiking = False


@node
class LoihiSigmaDelta(LoihiNeuron):
    """sigma = sigma + a;  x = act(sigma + (bias << (spike_exp + state_exp)));  then delta coding.

    act is 'relu' or 'unit' (the identity); bias one integer, or one per neuron.
    """

    message = "graded"

    vth: int
    bias: int | np.ndarray = 0
    spike_exp: int = 0
    state_exp: int = 0
    act: str = "relu"
    cum_error: bool = False
    carry: bool = False

    def __post_init__(self) -> None:
        whole_fields(self, _EXPS | _VTH | {"bias": (-(1 << 23), (1 << 23) - 1)})
        if self.act not in ("relu", "unit"):
            raise GraphError(f"LoihiSigmaDelta: act {self.act!r} is neither relu nor unit")
