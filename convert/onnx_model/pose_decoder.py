"""Maps of a pose network -> joints as ONNX operators: every codec's `decode_torch`, no loop over joints.

In: one float32 tensor a head, N and K dynamic (`heatmap` [N, K, H, W], `offset` [N, K, 2, H, W], `columns`
[N, K, X], `rows` [N, K, Y]). Out: `xy` [N, K, 2] in pixels of the network's input, `score` [N, K]. What is
decoded, and with which constants, is the codec's own `description()`; the equations are in docs/pose.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx

from convert.ir import Unsupported
from convert.onnx_model.builder import Builder
from convert.onnx_model.layers import FORMAT
from convert.onnx_model.pose_offsets import Peaks, aggregate
from convert.onnx_model.sums import Sums

HEADS: dict[str, tuple[str, ...]] = {
    "heatmap": ("heatmap",), "dark": ("heatmap",), "offset": ("heatmap", "offset"),
    "udp": ("heatmap", "offset"), "simcc": ("columns", "rows"),
}  # fmt: skip


def decoder_model(description: Mapping[str, Any]) -> onnx.ModelProto:
    """The decoder of one codec as a model of its own."""
    b = Builder()
    b.scope = "decode"
    name = description.get("codec")
    if name not in HEADS:
        raise Unsupported("decode", f"codec {name!r} has no ONNX form", f"choose one of {', '.join(HEADS)}")
    width, height = description["grid"]["map_size"]
    shapes = {
        "heatmap": ["N", "K", height, width], "offset": ["N", "K", 2, height, width],
        "columns": ["N", "K", width], "rows": ["N", "K", height],
    }  # fmt: skip
    maps = {head: b.take(head, "float32", shapes[head]) for head in HEADS[name]}
    xy, score = decode(b, description, maps)
    b.give("xy", xy, "float32", ["N", "K", 2])
    b.give("score", score, "float32", ["N", "K"])
    about = {"basalt.format": FORMAT, "basalt.form": "pose-decoder", "codec": json.dumps(description)}
    return b.model("pose-decoder", about)


def decode(b: Builder, description: Mapping[str, Any], maps: Mapping[str, str]) -> tuple[str, str]:
    """Append a decoder behind the tensors `maps` (head -> name); the names of xy and score."""
    m = Sums(b)
    cells, value = READERS[description["codec"]](m, description, maps)
    stride, origin = scale(description["grid"])
    return m.add(m.mul(cells, stride), origin), m.clip(value, 0.0, 1.0)


def scale(grid: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Input pixels of a cell, and where the first cell is, (x, y): the grid's pixel convention."""
    n, m = np.array(grid["input_size"], np.float64), np.array(grid["map_size"], np.float64)
    c = 0.5 if grid["convention"]["centre"] == "half" else 0.0
    if grid["convention"]["scale"] == "size":
        return n / m, c * n / m
    return (n - 1) / (m - 1), np.full(2, c)


def highest(m: Sums, heatmap: str, grid: Mapping[str, Any]) -> Peaks:
    """The highest cell of each map, the first where several are."""
    width, height = grid["map_size"]
    flat = m.shaped(heatmap, (0, 0, height * width))
    index = m.b.op("ArgMax", flat, axis=2, keepdims=1)
    value = m.closed(m.b.op("GatherElements", flat, index, axis=2), 2)
    x, y = m.b.op("Mod", index, m.whole(width)), m.b.op("Div", index, m.whole(width))
    return Peaks(index, m.as_float(m.b.op("Concat", x, y, axis=2)), value)


def _heatmap(m: Sums, about: Mapping[str, Any], maps: Mapping[str, str]) -> tuple[str, str]:
    width, height = about["grid"]["map_size"]
    peaks = highest(m, maps["heatmap"], about["grid"])
    if about["reading"] == "argmax":
        return peaks.cell, peaks.value
    flat, signs = m.shaped(maps["heatmap"], (0, 0, height * width)), []
    for axis, step, size in ((0, 1, width), (1, width, height)):
        within = _between(m, m.pick(peaks.cell, axis, 2), 1, size - 2)
        move = m.b.op("Mul", m.b.op("Cast", m.opened(within, 2), to=7), m.whole(step))
        ahead, behind = (
            m.b.op("GatherElements", flat, m.b.op(kind, peaks.index, move), axis=2) for kind in ("Add", "Sub")
        )
        signs.append(m.b.op("Sign", m.closed(m.sub(ahead, behind), 2)))
    return m.add(peaks.cell, m.mul(m.stacked(signs), 0.25)), peaks.value


def _offset(m: Sums, about: Mapping[str, Any], maps: Mapping[str, str]) -> tuple[str, str]:
    peaks = highest(m, maps["heatmap"], about["grid"])
    return aggregate(m, about, maps["heatmap"], maps["offset"], peaks), peaks.value


def _udp(m: Sums, about: Mapping[str, Any], maps: Mapping[str, str]) -> tuple[str, str]:
    peaks = highest(m, _blurred(m, about, maps["heatmap"], about["blur"]), about["grid"])
    return peaks.vote(m, maps["offset"], about), peaks.value


def _simcc(m: Sums, about: Mapping[str, Any], maps: Mapping[str, str]) -> tuple[str, str]:
    bins, values = [], []
    for name in ("columns", "rows"):
        bins.append(m.b.op("ArgMax", maps[name], axis=2, keepdims=1))
        values.append(m.b.op("ReduceMax", maps[name], m.whole([2]), keepdims=0))
    return m.as_float(m.b.op("Concat", *bins, axis=2)), m.b.op("Min", *values)


def _dark(m: Sums, about: Mapping[str, Any], maps: Mapping[str, str]) -> tuple[str, str]:
    width, height = about["grid"]["map_size"]
    peaks = highest(m, maps["heatmap"], about["grid"])
    blurred = _blurred(m, about, maps["heatmap"], about["sigma"])
    log = m.shaped(m.b.op("Log", m.clip(blurred, about["constants"]["least"])), (0, 0, height * width))
    x, y = (m.pick(peaks.cell, axis, 2) for axis in (0, 1))
    reach = about["constants"]["reach"]
    within = m.b.op("And", *(_between(m, at, reach, n - 1 - reach) for at, n in ((x, width), (y, height))))
    middle = m.b.op("Where", m.opened(within, 2), peaks.index, m.whole(reach * width + reach))
    steps = [
        0,
        1,
        -1,
        2,
        -2,
        width,
        -width,
        2 * width,
        -2 * width,
        width + 1,
        1 - width,
        width - 1,
        -width - 1,
    ]
    around = m.b.op("GatherElements", log, m.b.op("Add", middle, m.whole(steps)), axis=2)
    # First and second differences of the logarithm: each a sum of the thirteen values.
    rows = np.zeros((13, 5))
    rows[[1, 2], 0], rows[[5, 6], 1] = (0.5, -0.5), (0.5, -0.5)
    rows[[3, 0, 4], 2], rows[[7, 0, 8], 3] = (0.25, -0.5, 0.25), (0.25, -0.5, 0.25)
    rows[[9, 10, 11, 12], 4] = (0.25, -0.25, -0.25, 0.25)
    differences = m.b.op("MatMul", around, m.constant(rows))
    dx, dy, xx, yy, xy = (m.pick(differences, i, 2) for i in range(5))
    det = m.sub(m.mul(xx, yy), m.mul(xy, xy))
    peaked = m.b.op("And", m.binary("Greater", det, 0.0), m.binary("Less", xx, 0.0))
    good = m.b.op("And", within, peaked)
    step = m.stacked([m.sub(m.mul(xy, dy), m.mul(yy, dx)), m.sub(m.mul(xy, dx), m.mul(xx, dy))])
    step = m.div(step, m.opened(m.b.op("Where", good, det, m.constant(1.0)), 2))
    return m.add(peaks.cell, m.b.op("Where", m.opened(good, 2), step, m.constant(0.0))), peaks.value


def _between(m: Sums, x: str, low: float, high: float) -> str:
    """Whether low <= x <= high."""
    return m.b.op("And", m.binary("GreaterOrEqual", x, low), m.binary("LessOrEqual", x, high))


def _blurred(m: Sums, about: Mapping[str, Any], heatmap: str, sigma: float) -> str:
    """B_y h B_x^T; nothing lies off the map."""
    columns, rows = (blur_matrix(n, sigma, about["constants"]["taps"]) for n in about["grid"]["map_size"])
    across = m.b.op("MatMul", heatmap, m.constant(columns.T))
    # A product from the left would not take a batch of nobody.
    return m.b.op("Einsum", across, m.constant(rows), equation="nkiw,hi->nkhw")


def blur_matrix(n: int, sigma: float, taps: int) -> np.ndarray:
    """[n, n]: a Gaussian of `taps` cells along an axis.

    The codecs' blur once more: `convert` imports nothing of `train`. A test holds the two equal.
    """
    distance = np.arange(n)[:, None] - np.arange(n)
    kernel = np.exp(-0.5 * np.square(np.arange(-(taps // 2), taps // 2 + 1)) / sigma**2)
    near = np.abs(distance) <= taps // 2
    return np.where(near, np.exp(-0.5 * distance**2 / sigma**2), 0.0) / kernel.sum()


READERS: dict[str, Callable[[Sums, Mapping[str, Any], Mapping[str, str]], tuple[str, str]]] = {
    "heatmap": _heatmap, "offset": _offset, "udp": _udp, "simcc": _simcc, "dark": _dark,
}  # fmt: skip
