"""Lint of the neuron group: types, parameters netx ignores, values no chip holds, decays that lose a bit."""

from __future__ import annotations

import numpy as np

from convert.ir.loihi import VTH_MAX
from convert.net_finding import Report
from convert.net_format import Layer
from convert.net_neurons import AFFINE

LIF = ("CUBA", "LOIHI")
RF = ("RF_PHASE", "RF_IZHIKEVICH", "ADRF_PHASE", "ADRF_IZHIKEVICH")
USED = {"type", "iDecay", "vDecay", "vThMant", "sinDecay", "cosDecay", "activation", "sigma_output"}
SPECIAL = {"refDelay", "gradedSpike", "weight_exp", "messageBits"}
ADAPTATION = {"thDecay", "refDecay", "vThStep"}
LARGE = 1 << 12  # vThMant from which slayer's threshold_eps is lost in float32


def lint_neuron(report: Report, place: str, layer: Layer, *, last: bool) -> None:
    """Everything about `neuron`, or that there is none."""
    neuron, where = layer.get("neuron"), f"{place}: neuron"
    if not isinstance(neuron, dict):
        _none(report, where, layer)
        return
    kind = str(neuron["type"])
    where = f"{place}: neuron/"
    if kind not in (*LIF, *RF, "SDNN"):
        why = "its threshold adapts" if kind == "ALIF" else "unknown"
        report.error(
            f"{where}type",
            f"{kind} ({why})",
            "knows no such neuron and fails with AttributeError",
            "train with CUBA neurons",
        )
        return
    if kind.startswith("ADRF"):
        report.error(
            f"{where}type",
            f"{kind}, whose threshold adapts",
            "makes a plain RF of it, the adaptation is dropped",
            "train with RF neurons",
        )
    _parameters(report, where, neuron, kind)
    _threshold(report, where, neuron, kind, last)
    complex_weights = isinstance(layer.get("weight"), dict)
    if layer["type"] in ("dense", "dense_rec") and complex_weights != (kind in RF):
        report.error(
            f"{place}: weight",
            f"{'complex' if complex_weights else 'real'} weights of {kind} neurons",
            "fails when it connects them",
            "export the network again",
        )
    if kind in LIF:
        _decays(report, where, neuron)
    elif kind in RF:
        _resonator(report, where, neuron)
    elif str(neuron.get("activation", "relu")) != "relu":
        report.error(f"{where}activation", f"{neuron['activation']}", "computes relu", "train with relu")


def _none(report: Report, where: str, layer: Layer) -> None:
    if layer["type"] == "conv":
        report.error(where, "a convolution without neuron", "fails with KeyError", "export it with a neuron")
        return
    report.error(
        where,
        "no neuron (slayer's Affine without dynamics): each step's sums",
        "makes a neuron that sums every current it gets (iDecay 0, vThMant 131072) and spikes",
        "read the sums outside the network, or export with dynamics and read the membrane",
    )


def _parameters(report: Report, where: str, neuron: Layer, kind: str) -> None:
    for key in sorted(set(neuron) - USED - SPECIAL - (ADAPTATION if kind.startswith("ADRF") else set())):
        report.warning(f"{where}{key}", "is no parameter netx knows", "ignores it", "remove it")
    if "messageBits" in neuron:
        report.error(f"{where}messageBits", "is not read as a number", "fails with TypeError", "remove it")
    if np.any(neuron.get("refDelay", 1) != 1):
        report.error(
            f"{where}refDelay",
            f"{neuron['refDelay']}",
            "ignores it: no refractory period",
            "export with refDelay 1",
        )
    if np.any(neuron.get("gradedSpike", False)):
        report.error(f"{where}gradedSpike", "graded spikes", "ignores it: binary spikes", "train without")
    if "weight_exp" in neuron:
        e = float(np.ravel(neuron["weight_exp"])[0])
        if e:
            report.error(
                f"{where}weight_exp",
                f"{e:g}: slayer divides the current by {2.0 ** np.clip(e, -3, 3):g}",
                "ignores it",
                "train with MeanOnlyBatchNorm, or fold it into weights",
            )
        else:
            report.note(f"{where}weight_exp", "0: divides by 1", "ignores it", "nothing to do")


def _threshold(report: Report, where: str, neuron: Layer, kind: str, last: bool) -> None:
    value = np.ravel(neuron["vThMant"])
    high = int(value.max())
    if high == AFFINE and kind in LIF and last:
        report.warning(
            f"{where}vThMant",
            f"{AFFINE}: slayer's Affine, a membrane without spikes",
            "makes neurons that never spike",
            "read the membrane v, not the spikes",
        )
    elif high > VTH_MAX or int(value.min()) < 0:
        report.error(
            f"{where}vThMant",
            f"{high} is outside 0..{VTH_MAX} (17 bits)",
            "takes it; no chip holds it",
            "scale weights and threshold down together",
        )
    elif high >= LARGE and kind in LIF:
        report.note(
            f"{where}vThMant",
            f"{high} is a threshold of 64.0 or more",
            "spikes only above it; slayer in float32 spikes at equality too",
            "scale weights and threshold down together",
        )


def _decays(report: Report, where: str, neuron: Layer) -> None:
    for key, low in (("iDecay", 1), ("vDecay", 0)):
        value = np.ravel(neuron[key])
        if value.min() < 0 or value.max() > 4096 or np.any(value != np.rint(value)):
            report.error(
                f"{where}{key}",
                f"{value.min()}..{value.max()}",
                "takes it; a decay is 0..4096",
                "export the network again",
            )
        elif value.min() < low:
            report.warning(
                f"{where}{key}",
                "0: a current without leak",
                "passes du = -1, which Lava's CPU model takes and no chip does",
                "train with a current decay of at least 1/4096",
            )


def _resonator(report: Report, where: str, neuron: Layer) -> None:
    sin, cos = np.ravel(neuron["sinDecay"]), np.ravel(neuron["cosDecay"])
    if sin.size > 1 or cos.size > 1:
        report.error(
            f"{where}sinDecay", f"{sin.size} decays", "takes one a layer", "train with shared_param=True"
        )
        return
    got = lava_decays(int(sin[0]), int(cos[0]))
    if got != (int(sin[0]), int(cos[0])):
        report.error(
            f"{where}sinDecay",
            f"sin {sin[0]}, cos {cos[0]}",
            f"goes through a period and back: Lava turns by sin {got[0]}, cos {got[1]}",
            "change the decay a little and export again, or run it in Basalt",
        )


def lava_decays(sin: int, cos: int) -> tuple[int, int]:
    """The decays Lava's RF ends with. netx makes period and alpha of the file's, Lava sin and cos of those.

    Sources: lava-dl 0.6.0 `slayer/neuron/rf.py` neuron_params; lava-nc 0.10.0 `proc/rf/process.py`.
    """
    s, c = sin / 4096, cos / 4096
    alpha = 1 - np.sqrt(s**2 + c**2)
    period = 1 / (np.arctan2(s, c) / 2 / np.pi)
    return (
        int((1 - alpha) * np.sin(np.pi * 2 * 1 / period) * 4096),
        int((1 - alpha) * np.cos(np.pi * 2 * 1 / period) * 4096),
    )
