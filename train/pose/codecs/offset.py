"""A Gaussian and an offset field a joint, and five ways to read the two (docs/pose.md, section 2).

    encode    h(x) = exp(-|x - m|^2 / (2 sigma^2));  o(x) = (m - x)/R within R cells of m, else 0
    decode    none    the highest cell p
              peak    p + R o(p)
              mean    mean of the votes x + R o(x), |x - p| <= R - 3/4
              vote    near the place most votes agree on, each as heavy as h(x)
              fused   the place that explains heatmap and votes best, each trusted as far as it is consistent

Our own design, after the abstract of OGN; its equations were not available. R is in cells and belongs to the
codec: a network's offsets mean nothing without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from train.pose.codecs import aggregate, aggregate_torch
from train.pose.codecs.codec import Codec, Decoded, DecodedTensors, Floats
from train.pose.codecs.targets import disc, gaussian, gaussian_mass, offsets
from train.pose.codecs.tensors import to_input
from train.pose.codecs.window import peak
from train.pose.errors import PoseError

OFFSETS = ("none", "peak", "mean", "vote", "fused")


@dataclass(frozen=True, slots=True)
class OffsetCodec(Codec):
    """sigma: of the Gaussian; radius: of the disc with offsets; both in cells. offset: how it is read."""

    sigma: float = 2.0
    radius: float = 4.0
    offset: str = "fused"

    name: ClassVar[str] = "offset"
    heads: ClassVar[Mapping[str, str]] = {"heatmap": "scalar", "offset": "vector"}

    def __post_init__(self) -> None:
        if not self.sigma > 0 or not self.radius >= 1 or self.offset not in OFFSETS:
            raise PoseError(
                f"offset codec: found sigma {self.sigma}, radius {self.radius}, offset {self.offset!r}; "
                f"expected sigma above 0, radius of 1 or more, one of {', '.join(OFFSETS)}"
            )

    @property
    def mass(self) -> float:
        """See Codec."""
        return gaussian_mass(self.sigma)

    def description(self) -> dict[str, Any]:
        """The codec, and the constants of its readings: whoever decodes elsewhere needs the same ones."""
        return {
            **Codec.description(self),
            "constants": {
                "margin": aggregate.MARGIN, "corner": aggregate.CORNER, "kernel": aggregate.KERNEL,
                "rounds": aggregate.ROUNDS, "floor": aggregate.FLOOR, "own": aggregate.OWN,
                "spread": aggregate.SPREAD, "reach": aggregate.reach(self.radius, self.sigma),
            },
        }  # fmt: skip

    def encode(self, xy: Floats, weights: Floats) -> dict[str, NDArray[np.float32]]:
        """heatmap [N, K, H, W], offset [N, K, 2, H, W] in radii, zero where the weights are; weight [N, K],
        offset_weight [N, K, H, W]: the joint's weight within the disc. All float32."""
        cells, weight = self.kept(xy, weights)
        there = (weight > 0)[..., None, None]
        held = disc(cells, self.grid.shape, self.radius) & there
        return {
            "heatmap": gaussian(cells, self.grid.shape, self.sigma) * there,
            "offset": offsets(cells, held, self.radius),
            "weight": weight, "offset_weight": held * weight[..., None, None],
        }  # fmt: skip

    def decode(self, maps: Mapping[str, Floats]) -> Decoded:
        """heatmap [N, K, H, W], offset [N, K, 2, H, W] -> joints; score: the heatmap's highest value."""
        heatmap, offset = self.head(maps, "heatmap"), self.head(maps, "offset")
        read = aggregate.READINGS[self.offset]
        cells, score = np.zeros((*heatmap.shape[:2], 2)), np.zeros(heatmap.shape[:2])
        for at in np.ndindex(*heatmap.shape[:2]):
            field = aggregate.Field.of(heatmap[at], offset[at], self.radius, self.sigma)
            cells[at], score[at] = read(field), field.value
        return Decoded(self.grid.to_input(cells), np.clip(score, 0.0, 1.0))

    def decode_torch(self, maps: Mapping[str, torch.Tensor]) -> DecodedTensors:
        """The same of tensors, all joints at once."""
        heatmap, offset = self.head(maps, "heatmap"), self.head(maps, "offset")
        found = peak(heatmap)
        field = aggregate_torch.Field.of(heatmap, offset, found, self.radius, self.sigma)
        cells = aggregate_torch.READINGS[self.offset](field)
        return DecodedTensors(to_input(self.grid, cells), found.value.clamp(0.0, 1.0))
