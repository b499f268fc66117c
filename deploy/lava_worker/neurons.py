"""A population of the program as a Lava process: one function a family, looked up by the model's type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from lava.proc.lif.process import LIF, LIFRefractory, LIFReset, TernaryLIF
from lava.proc.rf.process import RF
from lava.proc.rf_iz.process import RF_IZ
from lava.proc.sdn.process import ActivationMode, Delta, Sigma, SigmaDelta

Json = dict[str, Any]
DECAY_BITS = 12


@dataclass
class Neurons:
    """process: not yet given its window.  ports: name -> in port.  bits: of a message, 0 for binary spikes.
    result: the state a readout gives."""

    process: Any
    ports: dict[str, Any]
    bits: int = 0
    result: str | None = None


def neurons(model: Json, shape: tuple[int, ...], latency: int, floating: bool) -> Neurons:
    """The process of a model; its arrays are already in place of their names."""
    kind, size = model["type"], int(np.prod(shape))
    if floating != (kind == "LoihiLIFRefractory"):
        raise ValueError(f"Lava has no {'floating' if floating else 'fixed'} point twin of {kind} here")
    if kind in ("LoihiRF", "LoihiRFIZ"):
        return _resonators(model, size)
    if kind in ("LoihiDelta", "LoihiSigma", "LoihiSigmaDelta"):
        return _changes(model, shape, size)
    return _lif(model, shape, size, latency)


def _each(value: Any, shape: tuple[int, ...]) -> Any:
    """A constant as Lava takes it: a number, or one a neuron [size]."""
    return np.broadcast_to(value, shape).reshape(-1).astype(np.int64) if np.ndim(value) else value


def _lif(model: Json, shape: tuple[int, ...], size: int, latency: int) -> Neurons:
    kind, mant = model["type"], model["bias_mant"]
    common: Json = {
        "shape": (size,), "du": _each(model["du"], shape), "dv": _each(model["dv"], shape),
        "bias_mant": 0 if mant is None else _each(mant, shape), "bias_exp": model["bias_exp"],
    }  # fmt: skip
    if kind == "LoihiTernaryLIF":
        lif: Any = TernaryLIF(vth_hi=model["vth_hi"], vth_lo=model["vth_lo"], **common)
    elif kind == "LoihiLIFReset":
        every = model["reset_interval"]
        offset = (model["reset_offset"] + latency + 1) % every  # Lava counts chip steps from 1
        lif = LIFReset(vth=model["vth"], reset_interval=every, reset_offset=offset, **common)
    elif kind == "LoihiLIFRefractory":
        # The float model in units of v: weights carry the 6 bits, decays are fractions.
        common |= {"du": (common["du"] + 1) / 4096, "dv": common["dv"] / 4096, "bias_exp": 0}
        common["bias_mant"] = np.broadcast_to(common["bias_mant"], (size,)) * 2.0 ** model["bias_exp"]
        lif = LIFRefractory(vth=model["vth"] << 6, refractory_period=model["refractory"], **common)
    else:
        lif = LIF(vth=model["vth"], **common)
    readout = "v" if kind == "LoihiIntegrator" else None
    return Neurons(lif, {"a": lif.a_in}, 2 if kind == "LoihiTernaryLIF" else 0, readout)


def _resonators(model: Json, size: int) -> Neurons:
    rf = (RF if model["type"] == "LoihiRF" else RF_IZ)(
        shape=(size,), period=4.0, alpha=0.0, state_exp=model["state_exp"], decay_bits=DECAY_BITS,
        vth=model["vth"],
    )  # fmt: skip
    # Lava makes these two integers from period and alpha, and truncates; the program holds the integers.
    rf.sin_decay.init, rf.cos_decay.init = model["sin_decay"], model["cos_decay"]
    return Neurons(rf, {"real": rf.a_real_in, "imag": rf.a_imag_in})


def _changes(model: Json, shape: tuple[int, ...], size: int) -> Neurons:
    if model["type"] == "LoihiSigma":
        sigma = Sigma(shape=(size,))
        return Neurons(sigma, {"a": sigma.a_in}, result="sigma")
    common = {k: model[k] for k in ("vth", "spike_exp", "state_exp", "cum_error")}
    if model["type"] == "LoihiDelta":
        delta = Delta(shape=(size,), **common)
        return Neurons(delta, {"a": delta.a_in}, 24)
    mode = ActivationMode.RELU if model["act"] == "relu" else ActivationMode.UNIT
    both = SigmaDelta(shape=(size,), bias=_each(model["bias"], shape), act_mode=mode, **common)
    return Neurons(both, {"a": both.a_in}, 24)
