"""One integer step of every Loihi neuron, in numpy: slow, obvious, int64. The equations are the classes' own.

A family names its states, all 0 before the first step, and its step: (model, state, inputs, t) -> (message,
held). `inputs` has one array a port, in the order of `model.ports`; the step puts new arrays into `state`;
`held` is what was compared with the threshold, before any reset. Arrays are of any one shape, to which the
model's own arrays broadcast; t counts aligned steps from 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convert.ir import (
    LoihiDelta,
    LoihiIntegrator,
    LoihiLIF,
    LoihiLIFRefractory,
    LoihiLIFReset,
    LoihiNeuron,
    LoihiRF,
    LoihiRFIZ,
    LoihiSigma,
    LoihiSigmaDelta,
    LoihiTernaryLIF,
    Unsupported,
)
from convert.ir.loihi import STATE_SHIFT

HALF = 1 << 23  # states live in 24 bits
State = dict[str, np.ndarray]
Inputs = tuple[np.ndarray, ...]
Step = Callable[[LoihiNeuron, State, Inputs, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Family:
    """states: their names.  result: the state a readout of this kind gives; None for what spikes."""

    states: tuple[str, ...]
    step: Step
    result: str | None = None


FAMILIES: dict[type[LoihiNeuron], Family] = {}


def family(kind: type[LoihiNeuron], *states: str, result: str | None = None) -> Callable[[Step], Step]:
    """Register the step of a neuron."""

    def register(step: Step) -> Step:
        FAMILIES[kind] = Family(states, step, result)
        return step

    return register


def rest(model: LoihiNeuron, shape: tuple[int, ...]) -> State:
    """The state before the first step."""
    return {name: np.zeros(shape, np.int64) for name in FAMILIES[type(model)].states}


def step(
    name: str, model: LoihiNeuron, state: State, inputs: Inputs, t: int
) -> tuple[np.ndarray, np.ndarray]:
    """(message int64, held) of one step; refuses a message that its spike cannot carry."""
    message, held = FAMILIES[type(model)].step(model, state, inputs, t)
    if model.spiking and (size := int(np.abs(message).max(initial=0))) > model.message_limit:
        raise oversized(name, t, size, model.message_limit)
    return message, held


def oversized(name: str, t: int, size: int, limit: int) -> Unsupported:
    """The refusal of a graded message that does not fit a spike, the same in every target."""
    return Unsupported(
        name, f"a message of magnitude {size} at step {t}, above {limit}, what a spike carries",
        "lower weights, spike_exp or the input",
    )  # fmt: skip


def decayed(x: np.ndarray, d: int | np.ndarray) -> np.ndarray:
    """Lava's decay of an integer state: sign(x (4096 - d)) * (|x (4096 - d)| >> 12), toward zero."""
    return truncated(x * (4096 - d))


def truncated(x: np.ndarray) -> np.ndarray:
    """x / 4096, toward zero."""
    return np.sign(x) * (np.abs(x) >> 12)


def clipped(x: np.ndarray) -> np.ndarray:
    """x saturated at 24 bits, symmetrically."""
    return np.clip(x, -HALF + 1, HALF - 1)


def _current(model: LoihiLIF, state: State, a: np.ndarray) -> None:
    u = decayed(state["u"], model.du + 1) + (a << STATE_SHIFT)
    state["u"] = np.where(u > HALF, u - 2 * HALF, np.where(u <= -HALF, u + 2 * HALF, u))


def _membrane(model: LoihiLIF, state: State) -> np.ndarray:
    return clipped(decayed(state["v"], model.dv) + state["u"] + model.bias)


@family(LoihiIntegrator, "u", "v", result="v")
@family(LoihiLIF, "u", "v")
def _lif(model: LoihiLIF, state: State, inputs: Inputs, t: int) -> tuple[np.ndarray, np.ndarray]:
    _current(model, state, inputs[0])
    v = _membrane(model, state)
    spikes = v > model.vth << STATE_SHIFT
    state["v"] = np.where(spikes, 0, v)
    return spikes.astype(np.int64), v


@family(LoihiLIFReset, "u", "v")
def _lif_reset(model: LoihiLIFReset, state: State, inputs: Inputs, t: int) -> tuple[np.ndarray, np.ndarray]:
    if t % model.reset_interval == model.reset_offset:
        state.update({name: np.zeros_like(x) for name, x in state.items()})
    return _lif(model, state, inputs, t)


@family(LoihiTernaryLIF, "u", "v")
def _ternary(model: LoihiTernaryLIF, state: State, inputs: Inputs, t: int) -> tuple[np.ndarray, np.ndarray]:
    _current(model, state, inputs[0])
    v = _membrane(model, state)
    message = (v > model.vth_hi << STATE_SHIFT) * 1 - (v < model.vth_lo << STATE_SHIFT)
    state["v"] = np.where(message != 0, 0, v)
    return message, v


@family(LoihiLIFRefractory, "u", "v", "left")
def _refractory(
    model: LoihiLIFRefractory, state: State, inputs: Inputs, t: int
) -> tuple[np.ndarray, np.ndarray]:
    """left: steps for which v still stands."""
    _current(model, state, inputs[0])
    standing = state["left"] > 0
    v = np.where(standing, state["v"], _membrane(model, state))
    spikes = v > model.vth << STATE_SHIFT
    state["v"] = np.where(spikes, 0, v)
    state["left"] = np.where(spikes, model.refractory, np.maximum(state["left"] - 1, 0))
    return spikes.astype(np.int64), v


def _turned(model: LoihiRF, state: State, inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
    """real and imag after the turn, from those before it."""
    sin, cos, real, imag = model.sin_decay, model.cos_decay, state["real"], state["imag"]
    a_real, a_imag = (a << model.state_exp for a in inputs)
    return (
        clipped(truncated(cos * real) - truncated(sin * imag) + a_real),
        clipped(truncated(sin * real) + truncated(cos * imag) + a_imag),
    )


@family(LoihiRF, "real", "imag")
def _rf(model: LoihiRF, state: State, inputs: Inputs, t: int) -> tuple[np.ndarray, np.ndarray]:
    real, imag = _turned(model, state, inputs)
    spikes = (real >= model.vth << model.state_exp) & (imag >= 0) & (state["imag"] < 0)
    state["real"], state["imag"] = real, imag
    return spikes.astype(np.int64), real


@family(LoihiRFIZ, "real", "imag")
def _rf_iz(model: LoihiRFIZ, state: State, inputs: Inputs, t: int) -> tuple[np.ndarray, np.ndarray]:
    real, imag = _turned(model, state, inputs)
    threshold = model.vth << model.state_exp
    spikes = imag >= threshold
    state["real"] = np.where(spikes, 0, real)
    state["imag"] = np.where(spikes, threshold - 1, imag)
    return spikes.astype(np.int64), imag


def _changes(model: LoihiDelta, state: State, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Delta coding of x."""
    threshold = model.vth << (model.spike_exp + model.state_exp)
    delta = x - state["act"] + state["residue"]
    if model.cum_error:
        state["error"] = state["error"] + delta
    held = state["error"] if model.cum_error else delta
    sent = np.where(np.abs(held) >= threshold, delta, 0)
    if model.cum_error:
        state["error"] = np.where(sent != 0, 0, state["error"])
    message = sent >> model.state_exp
    state["residue"] = delta - (message << model.state_exp if model.carry else sent)
    state["act"] = x
    return message, held


@family(LoihiDelta, "act", "residue", "error")
def _delta(model: LoihiDelta, state: State, inputs: Inputs, t: int) -> tuple[np.ndarray, np.ndarray]:
    return _changes(model, state, inputs[0] << (model.spike_exp + model.state_exp))


@family(LoihiSigma, "sigma", result="sigma")
def _sigma(model: LoihiSigma, state: State, inputs: Inputs, t: int) -> tuple[np.ndarray, np.ndarray]:
    state["sigma"] = state["sigma"] + inputs[0]
    return state["sigma"], state["sigma"]


@family(LoihiSigmaDelta, "sigma", "act", "residue", "error")
def _sigma_delta(
    model: LoihiSigmaDelta, state: State, inputs: Inputs, t: int
) -> tuple[np.ndarray, np.ndarray]:
    state["sigma"] = state["sigma"] + inputs[0]
    x = state["sigma"] + (np.asarray(model.bias) << (model.spike_exp + model.state_exp))
    return _changes(model, state, np.maximum(x, 0) if model.act == "relu" else x)
