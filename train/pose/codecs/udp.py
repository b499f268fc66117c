"""UDP's combined form: a disc that says near, and an offset field that says where.

    encode    c(x) = 1 within R cells of the joint m, else 0;  o(x) = (m - x)/R there, else 0
    decode    p the highest cell of blur(c),  m = p + R o(p)

What makes UDP unbiased is its pixel convention ("udp"), which here belongs to the grid: under any convention
the codec is its own inverse. (Huang et al., The Devil Is in the Details, 2020.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from train.pose.codecs.blur import TAPS, blur_matrix
from train.pose.codecs.codec import Codec, Decoded, DecodedTensors, Floats
from train.pose.codecs.heatmap import highest
from train.pose.codecs.targets import disc, offsets
from train.pose.codecs.tensors import to_input
from train.pose.codecs.window import peak
from train.pose.errors import PoseError


@dataclass(frozen=True, slots=True)
class UDPCodec(Codec):
    """radius: of the disc; blur: sigma of the blur of the class map; both in cells."""

    radius: float = 4.0
    blur: float = 2.0

    name: ClassVar[str] = "udp"
    heads: ClassVar[Mapping[str, str]] = {"heatmap": "scalar", "offset": "vector"}

    def __post_init__(self) -> None:
        if not self.radius >= 1 or not self.blur > 0:
            raise PoseError(
                f"udp codec: found radius {self.radius}, blur {self.blur}; expected 1 or more and above 0"
            )

    @property
    def mass(self) -> float:
        """pi R^2: of a disc of ones."""
        return math.pi * self.radius**2

    def description(self) -> dict[str, Any]:
        """The codec, and the constants of its reading."""
        return {**Codec.description(self), "constants": {"taps": TAPS}}

    def encode(self, xy: Floats, weights: Floats) -> dict[str, NDArray[np.float32]]:
        """heatmap [N, K, H, W] of 0 and 1, offset [N, K, 2, H, W], weight, offset_weight: float32."""
        cells, weight = self.kept(xy, weights)
        held = disc(cells, self.grid.shape, self.radius) & (weight > 0)[..., None, None]
        return {
            "heatmap": held.astype(np.float32), "offset": offsets(cells, held, self.radius),
            "weight": weight, "offset_weight": held * weight[..., None, None],
        }  # fmt: skip

    def decode(self, maps: Mapping[str, Floats]) -> Decoded:
        """heatmap, offset -> joints; score: the blurred class map's highest value."""
        heatmap, offset = self.head(maps, "heatmap"), self.head(maps, "offset")
        rows, columns = (blur_matrix(n, self.blur) for n in self.grid.shape)
        cells, score = np.zeros((*heatmap.shape[:2], 2)), np.zeros(heatmap.shape[:2])
        for at in np.ndindex(*heatmap.shape[:2]):
            (x, y), score[at] = highest(rows @ heatmap[at].astype(np.float64) @ columns.T)
            cells[at] = np.array([x, y]) + self.radius * offset[at][:, y, x].astype(np.float64)
        return Decoded(self.grid.to_input(cells), np.clip(score, 0.0, 1.0))

    def decode_torch(self, maps: Mapping[str, torch.Tensor]) -> DecodedTensors:
        """The same of tensors, all joints at once."""
        heatmap, offset = self.head(maps, "heatmap"), self.head(maps, "offset")
        rows, columns = (heatmap.new_tensor(blur_matrix(n, self.blur)) for n in self.grid.shape)
        found = peak(rows @ heatmap @ columns.T)
        index = found.index[..., None, None].expand(-1, -1, 2, -1)
        cells = found.cell + self.radius * torch.gather(offset.flatten(3), 3, index)[..., 0]
        return DecodedTensors(to_input(self.grid, cells), found.value.clamp(0.0, 1.0))
