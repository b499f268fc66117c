"""Heatmap and offsets of one joint -> its cell: the reference, cell by cell. docs/pose.md has the equations.

In all of it x runs over cells, p is the highest cell, v(x) = x + R o(x) the vote of x, a(x) = max(h(x), 0)
its heat. Offsets are trained within R cells of the joint: votes are read within R - 1/2 of where it is taken
to be, by `mean` within R - 3/4 of p; `fused` reads the heat within 2.5 sigma, which may be wider.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from train.pose.codecs.targets import positions

Floats = NDArray[np.floating[Any]]
MARGIN = 0.5
"""Cells between the disc that is trained and the one that is read: the centre is not known exactly."""
CORNER = 0.75
"""The same where the centre is the highest cell: the joint is up to half a diagonal of a cell away."""
KERNEL = 2.0
"""Half width of the voting kernel, cells."""
ROUNDS = 3
"""Steps of `fused`; of `vote` one less, its start being the first. From half a cell away, one more of `fused`
changes less than 0.001 cells."""
FLOOR = 1e-6
"""Variance below which a source is not believed to be: maps are float32, and perfect ones exist."""
SPREAD = 2.5
"""Radius in sigmas of the disc where `fused` compares the heatmap with a Gaussian."""
OWN = 0.25
"""What a vote says of its own: neighbouring cells of a network err alike, and then count fourfold."""


def reach(radius: float, sigma: float) -> int:
    """Half side, in cells, of the square about the peak that holds all that is read."""
    return math.ceil(max(radius, SPREAD * sigma))


class Field(NamedTuple):
    """heat: float64 [S] of the map's cells; cell, vote: [S, 2]; peak: [2]; value: the heat there."""

    heat: NDArray[np.float64]
    cell: NDArray[np.float64]
    vote: NDArray[np.float64]
    peak: NDArray[np.float64]
    value: float
    radius: float
    sigma: float

    @classmethod
    def of(cls, heatmap: Floats, offset: Floats, radius: float, sigma: float) -> Field:
        """heatmap [H, W], offset [2, H, W] of one joint."""
        heat = heatmap.astype(np.float64).ravel()
        cell = positions(heatmap.shape).reshape(2, -1).T
        vote = cell + radius * offset.astype(np.float64).reshape(2, -1).T
        best = int(heatmap.argmax())
        return cls(heat, cell, vote, cell[best], float(heat[best]), radius, sigma)

    def near(self, place: Floats, radius: float) -> NDArray[np.bool_]:
        """[S]: cells within `radius` of a place, and within the square about the peak that is looked at."""
        disc = np.square(self.cell - place).sum(axis=1) <= radius**2
        return disc & (np.abs(self.cell - self.peak).max(axis=1) <= reach(self.radius, self.sigma))

    def bounded(self, place: Floats) -> NDArray[np.float64]:
        """The place, no further than R from the peak along either axis."""
        return self.peak + np.clip(place - self.peak, -self.radius, self.radius)


def none(field: Field) -> NDArray[np.float64]:
    """m = p."""
    return field.peak


def peak(field: Field) -> NDArray[np.float64]:
    """m = v(p)."""
    return field.vote[int(field.heat.argmax())]


def mean(field: Field) -> NDArray[np.float64]:
    """m = mean of v(x) over |x - p| <= R - 3/4."""
    return field.vote[field.near(field.peak, field.radius - CORNER)].mean(axis=0)


def vote(field: Field) -> NDArray[np.float64]:
    """Near the highest place of the Hough sum f(m) = sum a(x) G(v(x) - m).

    G(d) = (1 - |d_x|/b)+ (1 - |d_y|/b)+; two steps m <- sum a G(v - m) v / sum a G(v - m), from the heat's
    own mean m = sum a v / sum a. Means of votes weighted by G, they stop near f's highest place, not at it.
    """
    place = _weighted(field, field.peak, kernel=False)
    for _ in range(ROUNDS - 1):
        place = _weighted(field, place, kernel=True)
    return place


def _weighted(field: Field, place: Floats, kernel: bool) -> NDArray[np.float64]:
    weight = np.maximum(field.heat, 0.0) * field.near(place, field.radius - MARGIN)
    if kernel:
        weight = weight * np.maximum(1.0 - np.abs(field.vote - place) / KERNEL, 0.0).prod(axis=1)
    if weight.sum() <= FLOOR:
        return field.bounded(place)
    return field.bounded((weight[:, None] * field.vote).sum(axis=0) / weight.sum())


def fused(field: Field) -> NDArray[np.float64]:
    """argmin over m, A of  sum (h(x) - A g(x - m))^2 / s_h^2  +  q sum |v(x) - m|^2 / s_o^2,  g the encoder's
    Gaussian, q = OWN, by Gauss-Newton from the heat's mean of the votes; s_h, s_o: either's residuals."""
    place = _weighted(field, field.peak, kernel=False)
    for _ in range(ROUNDS):
        place = field.bounded(place + _step(field, place))
    return place


def _step(field: Field, place: Floats) -> NDArray[np.float64]:
    warm, voting = field.near(place, SPREAD * field.sigma), field.near(place, field.radius - MARGIN)
    heat, way, miss = field.heat[warm], field.cell[warm] - place, field.vote[voting] - place
    g = np.exp(-0.5 * np.square(way).sum(axis=1) / field.sigma**2)
    slope = g[:, None] * way / field.sigma**2  # of g by m
    gg, gs = max((g * g).sum(), FLOOR), (g[:, None] * slope).sum(axis=0)
    height = (g * heat).sum() / gg
    # The amplitude is eliminated: what is left of the slopes when g has explained what it can.
    information = height**2 * (slope.T @ slope - np.outer(gs, gs) / gg)
    pull = height * (slope.T @ heat - gs * height)
    count = max(len(miss), 1)
    centred = miss - miss.sum(axis=0) / count
    heat_variance = np.square(heat - height * g).sum() / max(len(heat), 1) + FLOOR
    offset_variance = (0.5 * np.square(centred).sum() / count + FLOOR) / OWN
    left = information / heat_variance + count / offset_variance * np.eye(2)
    right = pull / heat_variance + miss.sum(axis=0) / offset_variance
    return np.linalg.solve(left, right)


READINGS: dict[str, Callable[[Field], NDArray[np.float64]]] = {
    "none": none, "peak": peak, "mean": mean, "vote": vote, "fused": fused,
}  # fmt: skip
