"""How a heatmap and an offset field become one place, as ONNX operators. docs/pose.md has the equations.

The windows are those of the codecs: a square of cells round each map's highest one, gathered once; everything
after works on [N, K, S] values. Places and ways are [N, K, 2] and [N, K, S, 2], (x, y) in cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.ir import Unsupported
from convert.onnx_model.sums import Sums


@dataclass(frozen=True, slots=True)
class Peaks:
    """Names of the highest cells. index: int64 [N, K, 1] into the flat map; cell [N, K, 2]; value [N, K]."""

    index: str
    cell: str
    value: str

    def vote(self, m: Sums, offset: str, about: Mapping[str, Any]) -> str:
        """[N, K, 2]: cell + R o(cell)."""
        flat = _flat(m, about, offset)
        parts = [m.b.op("GatherElements", m.pick(flat, axis, 2), self.index, axis=2) for axis in (0, 1)]
        return m.add(self.cell, m.mul(m.b.op("Concat", *parts, axis=2), about["radius"]))


def _flat(m: Sums, about: Mapping[str, Any], field: str) -> str:
    """[N, K, 2, H, W] -> [N, K, 2, H W]."""
    width, height = about["grid"]["map_size"]
    return m.shaped(field, (0, 0, 2, height * width))


@dataclass(frozen=True, slots=True)
class Field:
    """Names of a window's tensors, and the codec's numbers."""

    m: Sums
    heat: str
    inside: str
    cell: str
    vote: str
    peak: str
    radius: float
    sigma: float
    k: Mapping[str, float]

    def near(self, place: str, radius: float) -> str:
        """[N, K, S]: 1 within `radius` of a place and on the map, else 0."""
        m = self.m
        way = m.sub(self.cell, m.opened(place, 2))
        squared = m.sum(m.mul(way, way), [3])
        disc = m.as_float(m.binary("LessOrEqual", squared, radius**2))
        return m.mul(disc, self.inside)

    def bounded(self, place: str) -> str:
        """No further than R from the peak along either axis."""
        m = self.m
        return m.add(self.peak, m.clip(m.sub(place, self.peak), -self.radius, self.radius))


def aggregate(m: Sums, about: Mapping[str, Any], heatmap: str, offset: str, peaks: Peaks) -> str:
    """[N, K, 2] cells by the codec's reading of offsets."""
    how = about["offset"]
    if how == "none":
        return peaks.cell
    if how == "peak":
        return peaks.vote(m, offset, about)
    field = _field(m, about, heatmap, offset, peaks)
    if how == "mean":
        near = m.opened(field.near(field.peak, field.radius - field.k["corner"]), 3)
        return m.div(m.sum(m.mul(near, field.vote), [2]), m.sum(near, [2]))
    if how not in ("vote", "fused"):
        raise Unsupported(
            "decode", f"offset {how!r} has no ONNX form", "choose none, peak, mean, vote, fused"
        )
    place = _weighted(field, field.peak, kernel=False)
    for _ in range(int(field.k["rounds"]) - (how == "vote")):
        if how == "vote":
            place = _weighted(field, place, kernel=True)
        else:
            place = field.bounded(m.add(place, _step(field, place)))
    return place


def _field(m: Sums, about: Mapping[str, Any], heatmap: str, offset: str, peaks: Peaks) -> Field:
    width, height = about["grid"]["map_size"]
    reach = int(about["constants"]["reach"])
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    cell = m.add(m.opened(peaks.cell, 2), np.stack([x, y], axis=-1).reshape(-1, 2))
    near = m.binary("Min", m.clip(cell, 0.0), np.array([width - 1, height - 1]))
    apart = m.sum(m.b.op("Abs", m.sub(near, cell)), [3])
    inside = m.as_float(m.binary("LessOrEqual", apart, 0.0))
    flat = m.add(m.mul(m.pick(near, 1, 3), float(width)), m.pick(near, 0, 3))
    index = m.b.op("Cast", flat, to=7)

    def values(tensor: str) -> str:
        return m.b.op("GatherElements", tensor, index, axis=2)

    fields = _flat(m, about, offset)
    votes = m.stacked([values(m.pick(fields, axis, 2)) for axis in (0, 1)])
    heat, radius = values(m.shaped(heatmap, (0, 0, height * width))), about["radius"]
    vote = m.add(cell, m.mul(votes, radius))
    return Field(m, heat, inside, cell, vote, peaks.cell, radius, about["sigma"], about["constants"])


def _weighted(f: Field, place: str, kernel: bool) -> str:
    """The mean of the votes by heat, and by how near they are to a place."""
    m = f.m
    weight = m.mul(m.clip(f.heat, 0.0), f.near(place, f.radius - f.k["margin"]))
    if kernel:
        miss = m.b.op("Abs", m.sub(f.vote, m.opened(place, 2)))
        tent = m.clip(m.sub(1.0, m.div(miss, f.k["kernel"])), 0.0)
        weight = m.mul(m.mul(weight, m.pick(tent, 0, 3)), m.pick(tent, 1, 3))
    total = m.sum(weight, [2], keep=True)
    mean = m.div(m.sum(m.mul(m.opened(weight, 3), f.vote), [2]), m.clip(total, f.k["floor"]))
    return f.bounded(m.b.op("Where", m.binary("Greater", total, f.k["floor"]), mean, place))


def _step(f: Field, place: str) -> str:
    """[N, K, 2]: one step of Gauss-Newton, names as in train/pose/codecs/aggregate_torch.py."""
    m = f.m
    warm, voting = f.near(place, f.k["spread"] * f.sigma), f.near(place, f.radius - f.k["margin"])
    count = m.clip(m.sum(voting, [2], keep=True), 1.0)
    way = m.sub(f.cell, m.opened(place, 2))
    miss = m.mul(m.sub(f.vote, m.opened(place, 2)), m.opened(voting, 3))
    g = m.mul(warm, m.b.op("Exp", m.mul(m.sum(m.mul(way, way), [3]), -0.5 / f.sigma**2)))
    slope = m.mul(m.mul(m.opened(g, 3), way), 1.0 / f.sigma**2)
    gg = m.clip(m.sum(m.mul(g, g), [2], keep=True), f.k["floor"])
    gs = m.sum(m.mul(m.opened(g, 3), slope), [2])
    height = m.div(m.sum(m.mul(g, f.heat), [2], keep=True), gg)
    rest = m.sub(f.heat, m.mul(height, g))
    squares = m.sum(m.mul(warm, m.mul(rest, rest)), [2], keep=True)
    heat_variance = m.add(m.div(squares, m.clip(m.sum(warm, [2], keep=True), 1.0)), f.k["floor"])
    missed = m.sum(miss, [2])
    centred = m.mul(m.sub(miss, m.opened(m.div(missed, count), 2)), m.opened(voting, 3))
    spread = m.opened(m.sum(m.mul(centred, centred), [2, 3]), 2)
    variance = m.add(m.div(m.mul(spread, 0.5), count), f.k["floor"])
    offset_variance = m.div(variance, f.k["own"])
    heat_trust, votes = m.div(m.mul(height, height), heat_variance), m.div(count, offset_variance)
    own = m.sub(m.sum(m.mul(slope, slope), [2]), m.div(m.mul(gs, gs), gg))
    both = m.add(m.mul(own, heat_trust), votes)
    crossed = m.sum(m.mul(m.pick(slope, 0, 3), m.pick(slope, 1, 3)), [2], keep=True)
    together = m.opened(m.mul(m.pick(gs, 0, 2), m.pick(gs, 1, 2)), 2)
    xy = m.mul(m.sub(crossed, m.div(together, gg)), heat_trust)
    pull = m.sub(m.sum(m.mul(slope, m.opened(f.heat, 3)), [2]), m.mul(gs, height))
    right = m.add(m.div(m.mul(pull, height), heat_variance), m.div(missed, offset_variance))
    other = np.array([1, 0])
    crosswise = (
        m.b.op("Gather", both, m.whole(other), axis=2),
        m.b.op("Gather", right, m.whole(other), axis=2),
    )
    det = m.sub(m.mul(m.opened(m.pick(both, 0, 2), 2), m.opened(m.pick(both, 1, 2), 2)), m.mul(xy, xy))
    return m.div(m.sub(m.mul(crosswise[0], right), m.mul(xy, crosswise[1])), det)
