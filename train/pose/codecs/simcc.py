"""SimCC: a joint as a column and a row, each chosen among bins finer than pixels.

    encode    c(i) = exp(-(i - m_x)^2 / (2 sigma^2)),  r(j) = exp(-(j - m_y)^2 / (2 sigma^2))
    decode    m = (argmax c, argmax r)

The grid's map size is the number of bins: (2 W, 2 H) for a split of 2. Exact to half a bin. (Li et al.,
SimCC, 2022.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from train.pose.codecs.codec import Codec, Decoded, DecodedTensors, Floats
from train.pose.codecs.tensors import to_input
from train.pose.errors import PoseError


@dataclass(frozen=True, slots=True)
class SimCCCodec(Codec):
    """sigma: of the Gaussians, in bins."""

    sigma: float = 5.0

    name: ClassVar[str] = "simcc"
    heads: ClassVar[Mapping[str, str]] = {"columns": "columns", "rows": "rows"}

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise PoseError(f"simcc codec: found sigma {self.sigma}; expected one above 0")

    @property
    def mass(self) -> float:
        """sqrt(pi) sigma: of a Gaussian along a line."""
        return math.sqrt(math.pi) * self.sigma

    def encode(self, xy: Floats, weights: Floats) -> dict[str, NDArray[np.float32]]:
        """columns [N, K, X], rows [N, K, Y], zero where the weight is; weight [N, K]. All float32."""
        bins, weight = self.kept(xy, weights)
        found: dict[str, NDArray[np.float32]] = {}
        for axis, name in enumerate(self.heads):
            distance = np.arange(self.grid.map_size[axis]) - bins[..., axis, None]
            values = np.exp(-0.5 * np.square(distance) / self.sigma**2) * (weight > 0)[..., None]
            found[name] = values.astype(np.float32)
        return {**found, "weight": weight}

    def decode(self, maps: Mapping[str, Floats]) -> Decoded:
        """columns, rows -> joints; score: the lower of the two highest values."""
        columns, rows = self.head(maps, "columns"), self.head(maps, "rows")
        bins = np.stack([columns.argmax(axis=2), rows.argmax(axis=2)], axis=-1)
        score = np.minimum(columns.max(axis=2), rows.max(axis=2)).astype(np.float64)
        return Decoded(self.grid.to_input(bins), np.clip(score, 0.0, 1.0))

    def decode_torch(self, maps: Mapping[str, torch.Tensor]) -> DecodedTensors:
        """The same of tensors."""
        columns, rows = self.head(maps, "columns"), self.head(maps, "rows")
        bins = torch.stack([columns.argmax(dim=2), rows.argmax(dim=2)], dim=-1).to(columns.dtype)
        score = torch.minimum(columns.amax(dim=2), rows.amax(dim=2))
        return DecodedTensors(to_input(self.grid, bins), score.clamp(0.0, 1.0))
