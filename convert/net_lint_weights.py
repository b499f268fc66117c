"""Lint of weights, biases and delays: what netx truncates, clips, shifts away or begins too early."""

from __future__ import annotations

from typing import Any

import numpy as np

from convert.ir.program import DELAY_MAX
from convert.net_finding import Report
from convert.net_format import Layer
from convert.net_weights import LOW, fault

HIGH = 254
WORD = 1 << 23  # Lava's Conv wraps its sums to 24 bits
MESSAGE = (1 << 15) - 1  # the largest of a message of 16 bits, which netx gives sigma-delta layers
LARGE = (1 << 31) - 1
EVEN = "quantise to even integers in -256..254 (slayer's quantize_8bit)"
EXPONENT = "keep the recurrence without delay, or run it in Basalt"


def lint_weights(report: Report, place: str, layer: Layer) -> None:
    """Everything about `weight`, `weight_rec` and their two parts where they are complex."""
    whole = {key: _integers(report, f"{place}: {key}", value) for key, value in _matrices(layer)}
    if any(w is None for w in whole.values()) or layer["type"] == "input":
        return
    if layer["type"] == "conv":
        if "weight" in whole:
            _conv(report, place, layer, whole["weight"])
        return
    if "weight_rec" in whole:  # one exponent for both: netx puts them side by side
        rows = len(whole["weight_rec"])
        whole = {"weight and weight_rec": np.hstack([w.reshape(rows, -1) for w in whole.values()])}
    for key, w in whole.items():
        if why := fault(w):
            report.error(f"{place}: {key}", why, _does(w), _fix(w))


def _matrices(layer: Layer) -> list[tuple[str, np.ndarray]]:
    found = []
    for key in ("weight", "weight_rec"):
        value = layer.get(key)
        if isinstance(value, dict):
            found += [(f"{key}/{part}", value[part]) for part in ("real", "imag")]
        elif value is not None:
            found.append((key, value))
    return found


def _integers(report: Report, place: str, value: Any) -> np.ndarray | None:
    """The integers netx takes, or None for NaN, which it makes some integer of."""
    value = np.asarray(value)
    if not np.isfinite(value).all():
        bad = int((~np.isfinite(value)).sum())
        report.error(place, f"{bad} values are NaN or infinite", "casts them to some integer", "train again")
        return None
    if np.any(np.abs(value) > LARGE):
        report.error(place, f"reaches {np.abs(value).max():g}", "casts it to some integer", EVEN)
        return None
    if fractions := int((value != np.trunc(value)).sum()):
        report.error(
            place, f"{fractions} of {value.size} values have a fraction", "cuts it off, toward zero", EVEN
        )
    return np.trunc(value).astype(np.int64)


def _does(w: np.ndarray) -> str:
    low, high = int(w.min()), int(w.max())
    if low == high == 0:
        return "fails with OverflowError"
    if low < 0 < high and (low < LOW or high > HIGH):
        return f"clips them to {LOW}..{HIGH} and prints a warning"
    if low < LOW or high > 255:
        return "shifts them by a negative number of bits"
    return "drops the lowest bit of some in the synapse"


def _fix(w: np.ndarray) -> str:
    return "remove the layer, it hears nothing" if not w.any() else EVEN


def _conv(report: Report, place: str, layer: Layer, w: np.ndarray) -> None:
    low, high = int(w.min()), int(w.max())
    if not w.any():
        report.warning(
            f"{place}: weight", "all weights are zero", "makes a layer that never fires", "remove it"
        )
    elif low < LOW or high > 255:
        report.warning(
            f"{place}: weight",
            f"weights {low}..{high} beyond 8 bits",
            "takes them raw: right on the CPU, no chip holds them",
            EVEN,
        )
    neuron = layer.get("neuron")
    graded = isinstance(neuron, dict) and neuron.get("type") == "SDNN"
    reach = int(np.abs(w).reshape(len(w), -1).sum(axis=1).max()) * (MESSAGE if graded else 1)
    if reach >= WORD:
        report.warning(
            f"{place}: weight",
            f"sums may reach {reach}" + (" with 16-bit messages" if graded else ""),
            f"wraps each sum beyond {WORD} (24 bits) in Lava's Conv",
            "keep inputs small, or weights; compare spikes before use",
        )


def lint_bias(report: Report, place: str, layer: Layer) -> None:
    """netx begins a bias at step 1, one step before the layer's first input can arrive."""
    if "bias" not in layer or layer["type"] == "input":
        return
    where = f"{place}: bias"
    if isinstance(layer.get("weight"), dict):
        report.error(where, "a bias of a complex layer", "ignores it", "train without norm")
        return
    value = _integers(report, where, layer["bias"])
    if value is None:
        return
    channels, out = int(np.ravel(layer["shape"])[0]), int(np.prod(layer["shape"]))
    if value.size not in (1, channels, out):
        report.error(
            where, f"{value.size} values for {channels} channels", "raises RuntimeError", "export again"
        )
    if not value.any():
        return
    if np.abs(value).max() > 32767:
        report.error(where, f"reaches {np.abs(value).max()}", "wraps it to 16 bits", "keep it in 13 bits")
    elif value.min() < -4096 or value.max() > 4095:
        report.warning(
            where,
            f"{value.min()}..{value.max()}",
            "takes it; a chip's mantissa has 13 bits",
            "keep it in -4096..4095",
        )
    late = "" if layer["type"] != "dense_rec" else "; slayer adds a recurrent bias to the current"
    report.error(
        where,
        f"a bias of up to {np.abs(value).max()}",
        f"integrates it from step 1, a step before the layer's first input can arrive{late}",
        "train without norm, or run it in Basalt, where a bias begins as in training",
    )


def lint_delay(report: Report, place: str, layer: Layer) -> None:
    """Dense layers alone: netx ignores the delays of a convolution (`net_lint_layers`)."""
    if "delay" not in layer or layer["type"] not in ("dense", "dense_rec"):
        return
    where, value = f"{place}: delay", np.asarray(layer["delay"], np.float64)
    if not np.isfinite(value).all() or value.min() < 0:
        report.error(where, f"a delay of {value.min():g}", "raises ValueError or casts it", "export again")
        return
    if isinstance(layer["weight"], dict):
        if np.any(np.floor(value)):
            report.error(
                where,
                f"delays up to {value.max():g} of a complex layer",
                "ignores them",
                "train without delay, or run it in Basalt",
            )
        return
    if value.max() > DELAY_MAX:
        report.error(where, f"a delay of {value.max():g}", f"clips it to {DELAY_MAX}", "shorten the delay")
    if np.any(value != np.floor(value)):
        report.warning(where, "fractions of steps", "cuts them off", "round them before export")
    out, into = layer["weight"].shape[:2]
    if value.ndim > 2 or (value.ndim == 1 and value.size not in (out, into)):
        report.error(
            where, f"shape {value.shape} for weights {out} x {into}", "raises RuntimeError", "export again"
        )
    if layer["type"] == "dense_rec":
        report.error(
            where,
            f"delays up to {value.max():g} of a recurrent layer",
            "delays the recurrence too, leaves out the weights' exponent, and fails unless there are "
            "as many inputs as neurons",
            EXPONENT,
        )
