"""What a codec is: joints -> targets and maps -> joints, one object for both ways.

`encode` and `decode` are the reference, numpy, slow and obvious; `decode_torch` is the same for a whole
batch, and what runs. Coordinates are those of the grid's input; nothing that is handed in is changed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from train.pose.convention import MapGrid
from train.pose.errors import PoseError

Floats = NDArray[np.floating[Any]]
CHANNELS = {"scalar": 1, "vector": 2}
"""Channels a joint, by the kind of a head: of those that are maps of the image, which a network can give."""


class Decoded(NamedTuple):
    """xy: float64 [N, K, 2] in input pixels; score: float64 [N, K] in [0, 1]."""

    xy: NDArray[np.float64]
    score: NDArray[np.float64]


class DecodedTensors(NamedTuple):
    """The same of tensors, in the type of the maps."""

    xy: torch.Tensor
    score: torch.Tensor


@dataclass(frozen=True, slots=True)
class Codec(ABC):
    """grid: input, map and pixel convention.

    heads: the maps a network gives, and what they are of: "scalar" [N, K, H, W], "vector" [N, K, 2, H, W]
    (x, y), "columns" [N, K, X], "rows" [N, K, Y].
    """

    grid: MapGrid

    name: ClassVar[str]
    heads: ClassVar[Mapping[str, str]]

    @property
    @abstractmethod
    def mass(self) -> float:
        """Sum of squares of the first head's target of a joint, its peak being 1: what a blank map costs."""

    @abstractmethod
    def encode(self, xy: Floats, weights: Floats) -> dict[str, NDArray[np.float32]]:
        """xy [N, K, 2], weights [N, K] -> one target a head; `weight` [N, K], 0 for joints off the input."""

    @abstractmethod
    def decode(self, maps: Mapping[str, Floats]) -> Decoded:
        """One array a head -> joints and scores: the reference."""

    @abstractmethod
    def decode_torch(self, maps: Mapping[str, torch.Tensor]) -> DecodedTensors:
        """One tensor a head -> joints and scores of the whole batch at once."""

    def description(self) -> dict[str, Any]:
        """Everything that decoding needs, as plain values: what `codec_of` and the ONNX decoder read."""
        return {"codec": self.name, **asdict(self)}

    def kept(self, xy: Floats, weights: Floats) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Joints as cell indices [N, K, 2], and their weights: 0 off the input; those cells mean nothing."""
        xy = np.asarray(xy, np.float64)
        if xy.ndim != 3 or xy.shape[-1] != 2 or np.shape(weights) != xy.shape[:2]:
            raise PoseError(
                f"{self.name}: found joints {list(xy.shape)}, weights {list(np.shape(weights))}; "
                "expected [N, K, 2] and [N, K]"
            )
        weight = np.where(self.grid.inside(xy), weights, 0.0).astype(np.float32)
        return self.grid.to_map(np.where(weight[..., None] > 0, xy, 0.0)), weight

    def head(self, maps: Mapping[str, Any], name: str) -> Any:
        """One head's maps, of the shape that they must have."""
        height, width = self.grid.shape
        sizes = {
            "scalar": (height, width), "vector": (2, height, width), "columns": (width,), "rows": (height,),
        }  # fmt: skip
        found, size = maps.get(name), sizes[self.heads[name]]
        if found is None or found.ndim < 3 or tuple(found.shape[2:]) != size:
            shape = "none" if found is None else list(found.shape)
            expected = ", ".join(["N", "K", *map(str, size)])
            raise PoseError(f"{self.name}: found {name} {shape}; expected [{expected}]")
        return found
