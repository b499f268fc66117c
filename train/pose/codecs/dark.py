"""DARK: the mode of the Gaussian whose logarithm has the map's slope and curvature at its highest cell.

    decode    l = log(max(blur(h), 1e-10)),  p the highest cell of h,  m = p - H^-1 d

with d and H the central differences of l at p, H over two cells. The blur has the encoder's sigma; nothing is
refined within two cells of the map's border, as published. Targets are true Gaussians. Under the convention
"udp" this is also UDP's Gaussian form. (Zhang et al., Distribution-Aware Coordinate Representation, 2020.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from train.pose.codecs.blur import TAPS, blur_matrix
from train.pose.codecs.codec import Codec, Decoded, DecodedTensors, Floats
from train.pose.codecs.heatmap import highest
from train.pose.codecs.targets import gaussian, gaussian_mass
from train.pose.codecs.tensors import to_input
from train.pose.codecs.window import peak
from train.pose.errors import PoseError

LEAST = 1e-10
REACH = 2
"""Cells that the differences look at, and so the border that stays unrefined."""


@dataclass(frozen=True, slots=True)
class DarkCodec(Codec):
    """sigma: of the Gaussian and of the blur, in cells."""

    sigma: float = 2.0

    name: ClassVar[str] = "dark"
    heads: ClassVar[Mapping[str, str]] = {"heatmap": "scalar"}

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise PoseError(f"dark codec: found sigma {self.sigma}; expected one above 0")

    @property
    def mass(self) -> float:
        """See Codec."""
        return gaussian_mass(self.sigma)

    def description(self) -> dict[str, Any]:
        """The codec, and the constants of its reading."""
        return {**Codec.description(self), "constants": {"least": LEAST, "reach": REACH, "taps": TAPS}}

    def encode(self, xy: Floats, weights: Floats) -> dict[str, NDArray[np.float32]]:
        """heatmap float32 [N, K, H, W], zero where the weight is; weight float32 [N, K]."""
        cells, weight = self.kept(xy, weights)
        heat = gaussian(cells, self.grid.shape, self.sigma)
        return {"heatmap": heat * (weight > 0)[..., None, None], "weight": weight}

    def decode(self, maps: Mapping[str, Floats]) -> Decoded:
        """heatmap [N, K, H, W] -> joints; score: the highest value of h."""
        heatmap = self.head(maps, "heatmap")
        rows, columns = (blur_matrix(n, self.sigma) for n in self.grid.shape)
        cells, score = np.zeros((*heatmap.shape[:2], 2)), np.zeros(heatmap.shape[:2])
        for at in np.ndindex(*heatmap.shape[:2]):
            (x, y), score[at] = highest(heatmap[at])
            log = np.log(np.maximum(rows @ heatmap[at].astype(np.float64) @ columns.T, LEAST))
            cells[at] = np.array([x, y]) + _newton(log, x, y)
        return Decoded(self.grid.to_input(cells), np.clip(score, 0.0, 1.0))

    def decode_torch(self, maps: Mapping[str, torch.Tensor]) -> DecodedTensors:
        """The same of tensors, all joints at once."""
        heatmap = self.head(maps, "heatmap")
        rows, columns = (heatmap.new_tensor(blur_matrix(n, self.sigma)) for n in self.grid.shape)
        log = (rows @ heatmap @ columns.T).clamp(min=LEAST).log()
        found = peak(heatmap)
        cells = found.cell + _newtons(log, found.cell)
        return DecodedTensors(to_input(self.grid, cells), found.value.clamp(0.0, 1.0))


def _newton(log: Floats, x: int, y: int) -> NDArray[np.float64]:
    """[2]: -H^-1 d at cell (x, y); nothing at the border, on flat ground and in a saddle."""
    height, width = log.shape
    if not (REACH <= x < width - REACH and REACH <= y < height - REACH):
        return np.zeros(2)
    slope = 0.5 * np.array([log[y, x + 1] - log[y, x - 1], log[y + 1, x] - log[y - 1, x]])
    xx = 0.25 * (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2])
    yy = 0.25 * (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x])
    xy = 0.25 * (log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1])
    if xx * yy - xy * xy <= 0 or xx >= 0:
        return np.zeros(2)
    return -np.linalg.solve(np.array([[xx, xy], [xy, yy]]), slope)


def _newtons(log: torch.Tensor, cell: torch.Tensor) -> torch.Tensor:
    """[N, K, 2]: the same for all maps [N, K, H, W] at cells [N, K, 2]."""
    height, width = log.shape[2:]
    x, y = cell.long().unbind(dim=-1)
    within = (x >= REACH) & (x < width - REACH) & (y >= REACH) & (y < height - REACH)
    middle = torch.where(within, y * width + x, REACH * width + REACH)
    # The middle and its neighbours, x fastest: +-1, +-2 along the axes, then the diagonals.
    steps = (
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
    )
    at = middle[..., None] + middle.new_tensor(steps)
    m, e, w, ee, ww, s, n, ss, nn, se, ne, sw, nw = torch.gather(log.flatten(2), 2, at).unbind(dim=-1)
    dx, dy = 0.5 * (e - w), 0.5 * (s - n)
    xx, yy, xy = 0.25 * (ee - 2 * m + ww), 0.25 * (ss - 2 * m + nn), 0.25 * (se - ne - sw + nw)
    det = xx * yy - xy * xy
    good = within & (det > 0) & (xx < 0)
    step = torch.stack([xy * dy - yy * dx, xy * dx - xx * dy], dim=-1)
    return torch.where(good[..., None], step / torch.where(good, det, 1.0)[..., None], 0.0)
