"""Lint of layer types, their order, their datasets and their shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from convert.net_finding import Report
from convert.net_format import BRANCH, Layer

READ = {"dense", "dense_rec", "conv", "input", "flatten"}
NOT_IMPLEMENTED = ("pool", "convT", "unpool", "average", "concat")
USED = {
    "input": {"type", "shape"},
    "flatten": {"type"},
    "dense": {"type", "shape", "weight", "bias", "delay", "neuron"},
    "dense_rec": {"type", "shape", "weight", "weight_rec", "bias", "delay", "neuron"},
    "conv": {"type", "shape", "weight", "bias", "neuron", "stride", "padding", "dilation", "groups", "delay"},
}
CHECKED = {"shape", "inFeatures", "outFeatures", "inChannels", "outChannels", "kernelSize"}
AGAIN = "export the network again"


class Before:
    """What comes before a layer: its shape (C, H, W) or (N,) if known, and a flatten that waits."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] | None = None
        self.made = False  # netx has made a layer
        self.flatten = False
        self.graded = False

    def pass_on(self, layer: Layer) -> None:
        kind = layer.get("type")
        if kind == "flatten":
            self.flatten = True
            return
        self.flatten = False
        self.shape = tuple(int(n) for n in np.ravel(layer["shape"])) if "shape" in layer else None
        self.made = self.made or kind != "input"
        neuron = layer.get("neuron")
        if isinstance(neuron, dict):
            self.graded = neuron.get("type") == "SDNN"

    def lost(self) -> None:
        """The shape is not known any more."""
        self.shape, self.flatten = None, False


def lint_layer(report: Report, place: str, i: int, layer: Layer, before: Before, *, last: bool) -> None:
    """Type, order, datasets and shapes of one layer."""
    if not _type(report, place, i, layer):
        return
    kind = str(layer["type"])
    for key in sorted(set(layer) - USED[kind] - CHECKED):
        if kind == "input" and key in ("neuron", "weight", "bias"):
            continue
        if key in BRANCH:
            report.error(
                f"{place}: {key}",
                "names an input: a branch",
                "ignores it and takes the layer before",
                "write a chain, or run the graph in Basalt",
            )
        else:
            report.warning(f"{place}: {key}", "is no dataset netx knows", "ignores it", "remove it")
    if kind == "input":
        _input(report, place, i, layer)
    elif kind == "flatten":
        _flatten(report, place, before, last)
    elif kind == "conv":
        _conv(report, place, layer, before)
    else:
        _dense(report, place, layer, before)
    if i == 0 and kind == "conv":
        report.warning(
            place,
            "no input layer comes first",
            "needs Network(input_shape=(x, y, c))",
            "export an input layer, or pass the shape",
        )


def _type(report: Report, place: str, i: int, layer: Layer) -> bool:
    """Whether netx reads the layer at all."""
    if not layer:
        report.error(
            place,
            "holds nothing: slayer's KWTA exports nothing",
            "fails with KeyError",
            "replace the block by dense layers",
        )
        return False
    if not isinstance(layer.get("type"), str):
        report.error(place, "no dataset 'type' with a text", "fails with KeyError", AGAIN)
        return False
    kind = str(layer["type"])
    if kind in NOT_IMPLEMENTED:
        fix = {"average": "average the rates outside the network", "concat": "write a chain"}
        report.error(
            place,
            f"layer type {kind}",
            "raises NotImplementedError",
            fix.get(kind, "train with conv in its place, or run it in Basalt, which reads it"),
        )
    elif kind == "dense_comp":
        report.error(
            place,
            "layer type dense_comp",
            "fails with AttributeError",
            "write type dense with weight/real and weight/imag",
        )
    elif kind not in READ:
        report.error(
            place,
            f"unknown layer type {kind!r}",
            "skips the layer without a word and joins its neighbours",
            "correct the type",
        )
    return kind in READ


def _input(report: Report, place: str, i: int, layer: Layer) -> None:
    if i:
        report.error(
            place,
            "an input inside the network",
            "takes it for the start of a second one, unconnected",
            "let the input be layer 0",
        )
    if "neuron" not in layer:
        for key in ("weight", "bias"):
            if key in layer:
                report.warning(
                    f"{place}: {key}", "without a neuron", "ignores it (as slayer does)", "remove it"
                )
        return
    applied = [k for k in ("weight", "bias") if k in layer]
    more = f", and never applies {' and '.join(applied)}" if applied else ""
    report.error(
        f"{place}: neuron",
        "the input has a neuron",
        f"connects its input port to nothing{more}",
        "load with Network(skip_layers=1) and encode the input yourself (SDNN: Lava's Delta, CUBA: spikes), "
        "or run it in Basalt, which applies all of it",
    )


def _flatten(report: Report, place: str, before: Before, last: bool) -> None:
    if last:
        report.warning(place, "no layer comes after the flatten", "ignores it", "remove it")
    elif not before.made:
        report.note(
            place,
            "flattens the input itself",
            "ignores it: feed the input flat, in C, H, W order",
            "nothing to do, or remove it",
        )


def _dense(report: Report, place: str, layer: Layer, before: Before) -> None:
    weight = layer["weight"]
    weight = weight["real"] if isinstance(weight, dict) else weight
    out = int(np.prod(layer["shape"]))
    rows, columns = (out, weight.size // out) if weight.ndim == 1 else weight.shape[:2]
    if rows != out:
        report.error(
            f"{place}: shape",
            f"{_text(layer['shape'])} is {out} neurons, the weights have {rows}",
            "raises RuntimeError",
            AGAIN,
        )
    if np.size(layer["shape"]) > 1:
        report.note(
            f"{place}: shape",
            f"{_text(layer['shape'])} of a dense layer",
            "multiplies it out",
            "nothing to do",
        )
    for key, want in (("inFeatures", columns), ("outFeatures", rows)):
        _claim(report, place, layer, key, want)
    if before.made and not before.flatten and before.shape is not None and len(before.shape) == 3:
        report.error(
            place,
            f"a dense layer after one of {_text(before.shape)} without a flatten",
            "connects (W, H, C) as it lies",
            "export a flatten layer between them",
        )
    _meets(report, place, columns, before)


def _meets(report: Report, place: str, columns: int, before: Before) -> None:
    if before.shape is not None and int(np.prod(before.shape)) != columns:
        report.error(
            f"{place}: weight",
            f"takes {columns} inputs, {int(np.prod(before.shape))} come",
            "fails when it connects them",
            AGAIN,
        )


def _conv(report: Report, place: str, layer: Layer, before: Before) -> None:
    if isinstance(layer["weight"], dict):
        report.error(
            f"{place}: weight",
            "complex weights of a convolution",
            "fails with TypeError",
            "use dense layers for RF neurons, or run it in Basalt",
        )
        return
    weight = layer["weight"]
    if "delay" in layer and np.any(np.floor(layer["delay"])):
        report.error(
            f"{place}: delay",
            f"delays up to {np.max(layer['delay']):g} on a convolution",
            "ignores them",
            "train without delay, or run it in Basalt",
        )
    if before.flatten or (before.shape is not None and len(before.shape) != 3):
        report.error(place, "a convolution after a flat layer", "cannot reshape", "keep convolutions first")
        return
    _claim(report, place, layer, "outChannels", weight.shape[0])
    _claim(report, place, layer, "kernelSize", weight.shape[2:4])
    if before.shape is None:
        return
    _claim(report, place, layer, "inChannels", before.shape[0])
    _fits(report, place, layer, before.shape)


def _fits(report: Report, place: str, layer: Layer, into: tuple[int, ...]) -> None:
    """A convolution's shape beside what its geometry gives."""
    kernel = layer["weight"].shape
    stride, padding, dilation = (np.broadcast_to(layer[k], 2) for k in ("stride", "padding", "dilation"))
    groups = int(np.ravel(layer["groups"])[0])
    size = (np.array(into[1:]) + 2 * padding - dilation * (np.array(kernel[2:4]) - 1) - 1) // stride
    want = (kernel[0], *(int(n) + 1 for n in size))
    if into[0] != kernel[1] * groups:
        found = f"{kernel[1]} channels in {groups} groups, {into[0]} come"
        report.error(f"{place}: weight", found, "fails when it connects them", AGAIN)
    if tuple(int(n) for n in np.ravel(layer["shape"])) != want:
        found = f"{_text(layer['shape'])}, but the convolution gives {_text(want)}"
        report.error(f"{place}: shape", found, "raises RuntimeError", AGAIN)


def _claim(report: Report, place: str, layer: Layer, key: str, want: Any) -> None:
    if key in layer and not np.array_equal(np.ravel(layer[key]), np.ravel(want)):
        report.warning(
            f"{place}: {key}",
            f"{_text(layer[key])}, but the weights say {_text(want)}",
            "never reads it",
            "correct it; our reader refuses the file",
        )


def _text(value: Any) -> str:
    return " x ".join(str(int(n)) for n in np.ravel(value))
