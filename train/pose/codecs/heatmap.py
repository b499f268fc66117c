"""A Gaussian a joint, read at its highest cell: the comparison that every other codec must beat.

    encode    h(x) = exp(-|x - m|^2 / (2 sigma^2)),  m the joint in cells ("rounded": its nearest cell)
    decode    argmax    p = the highest cell
              quarter   p + 0.25 sign(h(p + e) - h(p - e)) along x and y, nothing at the map's border

Exact to half a cell along each axis; the quarter helps where targets are not rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from train.pose.codecs.codec import Codec, Decoded, DecodedTensors, Floats
from train.pose.codecs.targets import gaussian, gaussian_mass
from train.pose.codecs.tensors import to_input
from train.pose.codecs.window import peak
from train.pose.errors import PoseError

READINGS = ("argmax", "quarter")


@dataclass(frozen=True, slots=True)
class HeatmapCodec(Codec):
    """sigma: of the Gaussian, in cells; reading: one of READINGS; rounded: targets sit on cells."""

    sigma: float = 2.0
    reading: str = "argmax"
    rounded: bool = False

    name: ClassVar[str] = "heatmap"
    heads: ClassVar[Mapping[str, str]] = {"heatmap": "scalar"}

    def __post_init__(self) -> None:
        if not self.sigma > 0 or self.reading not in READINGS:
            raise PoseError(
                f"heatmap codec: found sigma {self.sigma}, reading {self.reading!r}; "
                f"expected sigma above 0, {' or '.join(READINGS)}"
            )

    @property
    def mass(self) -> float:
        """See Codec."""
        return gaussian_mass(self.sigma)

    def encode(self, xy: Floats, weights: Floats) -> dict[str, NDArray[np.float32]]:
        """heatmap float32 [N, K, H, W], zero where the weight is; weight float32 [N, K]."""
        cells, weight = self.kept(xy, weights)
        heat = gaussian(np.rint(cells) if self.rounded else cells, self.grid.shape, self.sigma)
        return {"heatmap": heat * (weight > 0)[..., None, None], "weight": weight}

    def decode(self, maps: Mapping[str, Floats]) -> Decoded:
        """heatmap [N, K, H, W] -> joints; score: the highest value, brought into [0, 1]."""
        heatmap = self.head(maps, "heatmap")
        cells = np.zeros((*heatmap.shape[:2], 2))
        score = np.zeros(heatmap.shape[:2])
        for at in np.ndindex(*heatmap.shape[:2]):
            cells[at], score[at] = highest(heatmap[at])
            if self.reading == "quarter":
                cells[at] += 0.25 * _slope(heatmap[at], *cells[at].astype(int))
        return Decoded(self.grid.to_input(cells), np.clip(score, 0.0, 1.0))

    def decode_torch(self, maps: Mapping[str, torch.Tensor]) -> DecodedTensors:
        """The same of tensors, all joints at once."""
        heatmap = self.head(maps, "heatmap")
        found = peak(heatmap)
        cells = found.cell
        if self.reading == "quarter":
            cells = cells + 0.25 * _slopes(heatmap, cells)
        return DecodedTensors(to_input(self.grid, cells), found.value.clamp(0.0, 1.0))


def highest(heatmap: Floats) -> tuple[tuple[int, int], float]:
    """(x, y) of the highest cell of one map [H, W], the first where several are; its value."""
    y, x = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
    return (int(x), int(y)), float(heatmap[y, x])


def _slope(h: Floats, x: int, y: int) -> NDArray[np.float64]:
    """[2]: sign of the rise along x and along y, 0 at the border."""
    rise = np.zeros(2)
    if 0 < x < h.shape[1] - 1:
        rise[0] = np.sign(h[y, x + 1] - h[y, x - 1])
    if 0 < y < h.shape[0] - 1:
        rise[1] = np.sign(h[y + 1, x] - h[y - 1, x])
    return rise


def _slopes(heatmap: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """[N, K, 2]: the same for all maps [N, K, H, W]."""
    height, width = heatmap.shape[2:]
    flat = heatmap.flatten(2)
    signs = []
    for axis, step, size in ((0, 1, width), (1, width, height)):
        at = (cells[..., 1] * width + cells[..., 0]).long()
        within = (cells[..., axis] > 0) & (cells[..., axis] < size - 1)
        ahead = torch.gather(flat, 2, torch.where(within, at + step, at)[..., None])[..., 0]
        behind = torch.gather(flat, 2, torch.where(within, at - step, at)[..., None])[..., 0]
        signs.append(torch.sign(ahead - behind))
    return torch.stack(signs, dim=-1)
