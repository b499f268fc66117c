"""The neuron group of a `.net` layer as a neuron of the program, in slayer's meaning: the trained one.

CUBA, LOIHI -> LoihiLIF; the same without spikes (slayer's Affine) -> LoihiIntegrator; RF_PHASE,
RF_IZHIKEVICH -> LoihiRF, LoihiRFIZ, with the decays as the file has them; SDNN -> LoihiDelta on the input,
LoihiSigma with `sigma_output`, else LoihiSigmaDelta. Scales: 64 counts of weight, threshold and bias are 1.0
of slayer, a state has 6 bits more. A spike of slayer needs v >= threshold + 0.01 of a count, ours
v > threshold: the same for thresholds below 64.0; above, slayer's float32 loses the 0.01. Source: lava-dl
0.6.0, `slayer/neuron`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convert.ir import (
    LoihiDelta,
    LoihiIntegrator,
    LoihiLIF,
    LoihiRF,
    LoihiRFIZ,
    LoihiSigma,
    LoihiSigmaDelta,
    Unsupported,
)
from convert.ir.loihi import DECAY_MAX, VTH_MAX, LoihiNeuron
from convert.net_format import Layer

AFFINE = (1 << 18) - 1  # the threshold slayer's Affine writes: no spike, read the membrane
SPIKE_EXP = STATE_EXP = 6  # netx's fixed points of sigma-delta neurons
BIAS_EXP = 6
FIELDS = {
    "CUBA": {"iDecay", "vDecay", "vThMant"},
    "LOIHI": {"iDecay", "vDecay", "vThMant"},
    "RF_PHASE": {"sinDecay", "cosDecay", "vThMant"},
    "RF_IZHIKEVICH": {"sinDecay", "cosDecay", "vThMant"},
    "SDNN": {"activation", "vThMant"},
}
FIXED = {"refDelay": 1, "gradedSpike": 0}  # datasets that may be there with one value only
NO_MODEL = {
    "ALIF": "its threshold adapts, for which the program has no neuron",
    "ADRF_PHASE": "its threshold adapts, for which the program has no neuron; netx drops the adaptation",
    "ADRF_IZHIKEVICH": "its threshold adapts, for which the program has no neuron; netx drops the adaptation",
}
RETRAIN = "train the layer with CUBA, RF, RF_IZ or SDNN neurons"


def neuron(
    name: str, group: Layer, shape: tuple[int, ...], bias: np.ndarray | None, *, first: bool, last: bool
) -> LoihiNeuron:
    """The neuron of a layer. bias: integers that broadcast to shape, or None; first: of the input layer."""
    kind = str(group["type"])
    if kind in NO_MODEL:
        raise Unsupported(name, f"neuron type {kind}: {NO_MODEL[kind]}", RETRAIN)
    if kind not in FIELDS:
        raise Unsupported(name, f"neuron type {kind!r} is none of {', '.join(FIELDS)}", RETRAIN)
    _check_fields(name, group, kind)
    if kind in ("CUBA", "LOIHI"):
        return _cuba(name, group, shape, bias, last)
    if kind == "SDNN":
        return _sigma_delta(name, group, bias, first, last)
    if bias is not None:
        raise Unsupported(name, f"a bias on {kind}, which slayer does not export", "remove the bias")
    model = LoihiRF if kind == "RF_PHASE" else LoihiRFIZ
    return model(_one(name, group, "sinDecay"), _one(name, group, "cosDecay"), _vth(name, group))


def _check_fields(name: str, group: Layer, kind: str) -> None:
    optional = {"weight_exp"} | ({"sigma_output"} if kind == "SDNN" else set())
    for key in sorted(set(group) - {"type"} - FIELDS[kind] - optional):
        if key not in FIXED:
            why = f"neuron/{key} is not understood"
            does = "fails on it" if key == "messageBits" else "ignores it"
            raise Unsupported(name, why, f"netx {does}; remove it")
        if np.any(group[key] != FIXED[key]):
            why = f"neuron/{key} is {group[key]}, and no neuron of the program has that"
            raise Unsupported(name, why, f"export with {FIXED[key]}")


def _cuba(
    name: str, group: Layer, shape: tuple[int, ...], bias: np.ndarray | None, last: bool
) -> LoihiLIF | LoihiIntegrator:
    i, v = _many(name, group, "iDecay", shape), _many(name, group, "vDecay", shape)
    if np.min(i) < 1 or np.max(i) > DECAY_MAX + 1:
        why = f"neuron/iDecay is {np.min(i)}..{np.max(i)}, outside 1..{DECAY_MAX + 1}"
        raise Unsupported(name, why, "train with a current decay of at least 1/4096")
    if np.min(v) < 0 or np.max(v) > DECAY_MAX + 1:
        why = f"neuron/vDecay is {np.min(v)}..{np.max(v)}, outside 0..{DECAY_MAX + 1}"
        raise Unsupported(name, why, "export the network again")
    if _one(name, group, "vThMant") != AFFINE:
        mant, exp = bias_of(group, bias)
        return LoihiLIF(v, _vth(name, group), i - 1, mant, exp)
    if not last or bias is not None or np.ndim(i) or np.ndim(v):
        raise Unsupported(
            name,
            f"neuron/vThMant {AFFINE} makes it a layer without spikes (slayer's Affine)",
            "let it be the last layer, without bias and with one decay, or export with a threshold",
        )
    return LoihiIntegrator(int(v), 1 / 4096, int(i) - 1)


def bias_of(group: Layer, bias: np.ndarray | None) -> tuple[np.ndarray | None, int]:
    """(mantissas, exponent) of a bias that the scaling norm divides with the current by 2 ** weight_exp."""
    if bias is None:
        return None, 0
    up = -weight_exp(group)
    return (bias << up, BIAS_EXP) if up > 0 else (bias, BIAS_EXP + up)


def weight_exp(group: Layer) -> int:
    """Exponent of slayer's WgtScaleBatchNorm, which divides current and bias by 2 ** it; 0 without one."""
    return int(np.clip(np.ravel(group.get("weight_exp", 0.0))[0], -3, 3))


def scale_reason(name: str, group: Layer, model: LoihiNeuron, worth: list[np.ndarray]) -> None:
    """Refuse a weight_exp that integer weights cannot take over exactly."""
    e = weight_exp(group)
    if e == 0:
        return
    remedy = "train with MeanOnlyBatchNorm, or with current_decay 1.0"
    if not isinstance(model, LoihiLIF) or np.any(np.asarray(model.du) != DECAY_MAX):
        raise Unsupported(
            name,
            f"neuron/weight_exp {e} divides a current with a memory, which no chip's neuron does in between",
            remedy,
        )
    if e > 0 and any((w % (1 << e)).any() for w in worth):
        raise Unsupported(
            name, f"neuron/weight_exp {e} divides weights by {1 << e} that it does not divide", remedy
        )


def _sigma_delta(name: str, group: Layer, bias: np.ndarray | None, first: bool, last: bool) -> LoihiNeuron:
    if (kind := str(group.get("activation", "relu"))) != "relu":
        raise Unsupported(name, f"activation {kind!r}; netx computes relu for it", "train with relu")
    if first:
        return LoihiDelta(_vth(name, group), SPIKE_EXP, STATE_EXP)
    if np.any(group.get("sigma_output", False)):
        if not last or bias is not None:
            raise Unsupported(
                name, "a sigma output gives no spikes, and a layer follows", "let it be the last"
            )
        return LoihiSigma()
    return LoihiSigmaDelta(_vth(name, group), 0 if bias is None else bias, SPIKE_EXP, STATE_EXP)


def _vth(name: str, group: Layer) -> int:
    vth = _one(name, group, "vThMant")
    if not 0 <= vth <= VTH_MAX:
        raise Unsupported(
            name,
            f"neuron/vThMant is {vth}, outside 0..{VTH_MAX} (17 bits)",
            "train with a threshold below 2048.0, or scale threshold and weights down together",
        )
    return vth


def _one(name: str, group: Layer, key: str) -> int:
    value = np.unique(_whole(name, group, key))
    if value.size != 1:
        raise Unsupported(
            name,
            f"neuron/{key} holds {value.size} different values, and a population takes one",
            "train with shared_param=True",
        )
    return int(value[0])


def _many(name: str, group: Layer, key: str, shape: tuple[int, ...]) -> Any:
    """One integer, or one a channel as an array that broadcasts to shape."""
    value = _whole(name, group, key)
    if value.size == 1:
        return int(value.reshape(-1)[0])
    if value.shape == shape:
        return value
    if value.ndim != 1 or value.size != shape[0]:
        why = f"neuron/{key} of shape {value.shape} is neither one value nor one a channel of {shape}"
        raise Unsupported(name, why, "export the network again")
    return value.reshape(-1, *[1] * (len(shape) - 1))


def _whole(name: str, group: Layer, key: str) -> np.ndarray:
    value = np.asarray(group[key])
    if value.size == 0 or not np.isfinite(value).all() or np.any(value != np.rint(value)):
        raise Unsupported(name, f"neuron/{key} is {value}, no integer", "export the network again")
    return value.astype(np.int64)
