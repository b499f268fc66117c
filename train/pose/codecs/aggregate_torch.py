"""The readings of `aggregate` for all joints of a batch at once: the same equations on windows of cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from train.pose.codecs.aggregate import CORNER, FLOOR, KERNEL, MARGIN, OWN, ROUNDS, SPREAD, reach
from train.pose.codecs.window import Peak, window


class Field(NamedTuple):
    """S cells round each peak: heat, inside [N, K, S]; cell, vote [N, K, S, 2]; peak, peak_vote [N, K, 2]."""

    heat: Tensor
    inside: Tensor
    cell: Tensor
    vote: Tensor
    peak: Tensor
    peak_vote: Tensor
    radius: float
    sigma: float

    @classmethod
    def of(cls, heatmap: Tensor, offset: Tensor, found: Peak, radius: float, sigma: float) -> Field:
        """heatmap [N, K, H, W], offset [N, K, 2, H, W] and the heatmap's peaks."""
        cells = window(found.cell, (heatmap.shape[2], heatmap.shape[3]), reach(radius, sigma))
        field = torch.stack([cells.of(offset[:, :, axis]) for axis in (0, 1)], dim=-1)
        index = found.index[..., None, None].expand(-1, -1, 2, -1)
        at_peak = torch.gather(offset.flatten(3), 3, index)[..., 0]
        return cls(
            cells.of(heatmap), cells.inside, cells.cell, cells.cell + radius * field,
            found.cell, found.cell + radius * at_peak, radius, sigma,
        )  # fmt: skip

    def near(self, place: Tensor, radius: float) -> Tensor:
        """[N, K, S]: 1 for the cells within `radius` of a place [N, K, 2], else 0."""
        squared = (self.cell - place[:, :, None]).square().sum(dim=-1)
        return (squared <= radius**2).to(squared.dtype) * self.inside

    def bounded(self, place: Tensor) -> Tensor:
        """The places, no further than R from the peaks along either axis."""
        return self.peak + (place - self.peak).clamp(-self.radius, self.radius)


def none(field: Field) -> Tensor:
    """See `aggregate`; so for all below."""
    return field.peak


def peak(field: Field) -> Tensor:
    return field.peak_vote


def mean(field: Field) -> Tensor:
    near = field.near(field.peak, field.radius - CORNER)[..., None]
    return (near * field.vote).sum(dim=2) / near.sum(dim=2)


def vote(field: Field) -> Tensor:
    place = _weighted(field, field.peak, kernel=False)
    for _ in range(ROUNDS - 1):
        place = _weighted(field, place, kernel=True)
    return place


def _weighted(field: Field, place: Tensor, kernel: bool) -> Tensor:
    weight = field.heat.clamp(min=0.0) * field.near(place, field.radius - MARGIN)
    if kernel:
        tent = (1.0 - (field.vote - place[:, :, None]).abs() / KERNEL).clamp(min=0.0)
        weight = weight * tent[..., 0] * tent[..., 1]
    total = weight.sum(dim=2, keepdim=True)
    found = (weight[..., None] * field.vote).sum(dim=2) / total.clamp(min=FLOOR)
    return field.bounded(torch.where(total > FLOOR, found, place))


def fused(field: Field) -> Tensor:
    place = _weighted(field, field.peak, kernel=False)
    for _ in range(ROUNDS):
        place = field.bounded(place + _step(field, place))
    return place


def _step(field: Field, place: Tensor) -> Tensor:
    """[N, K, 2]: one step of Gauss-Newton."""
    warm, voting = field.near(place, SPREAD * field.sigma), field.near(place, field.radius - MARGIN)
    count = voting.sum(dim=2, keepdim=True).clamp(min=1.0)
    way, miss = field.cell - place[:, :, None], (field.vote - place[:, :, None]) * voting[..., None]
    g = warm * torch.exp(-0.5 * way.square().sum(dim=-1) / field.sigma**2)
    slope = g[..., None] * way / field.sigma**2
    gg = g.square().sum(dim=2, keepdim=True).clamp(min=FLOOR)
    gs = (g[..., None] * slope).sum(dim=2)
    height = (g * field.heat).sum(dim=2, keepdim=True) / gg
    rest = (warm * (field.heat - height * g).square()).sum(dim=2, keepdim=True)
    heat_variance = rest / warm.sum(dim=2, keepdim=True).clamp(min=1.0) + FLOOR
    centred = (miss - (miss.sum(dim=2) / count)[:, :, None]) * voting[..., None]
    offset_variance = (0.5 * centred.square().sum(dim=(2, 3))[..., None] / count + FLOOR) / OWN
    heat_trust, votes = height**2 / heat_variance, count / offset_variance
    xx, yy = ((slope.square().sum(dim=2) - gs.square() / gg) * heat_trust + votes).unbind(dim=-1)
    xy = ((slope[..., 0] * slope[..., 1]).sum(dim=2) - gs[..., 0] * gs[..., 1] / gg[..., 0]) * heat_trust[
        ..., 0
    ]
    pull = (slope * field.heat[..., None]).sum(dim=2) - gs * height
    x, y = (pull * height / heat_variance + miss.sum(dim=2) / offset_variance).unbind(dim=-1)
    return torch.stack([yy * x - xy * y, xx * y - xy * x], dim=-1) / (xx * yy - xy * xy)[..., None]


READINGS: dict[str, Callable[[Field], Tensor]] = {
    "none": none, "peak": peak, "mean": mean, "vote": vote, "fused": fused,
}  # fmt: skip
