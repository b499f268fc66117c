"""The recipe from whole images to a network's input and targets: one record, kept with every checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from train.data.errors import DataError
from train.pose.codecs.codec import Codec
from train.pose.codecs.offset import OFFSETS
from train.pose.codecs.registry import CODECS
from train.pose.convention import AREAS, MapGrid
from train.pose.recipe import STRIDE, codec_from, fields_from

HEADED = tuple(name for name, kind in CODECS.items() if set(kind.heads.values()) <= {"scalar", "vector"})


@dataclass(frozen=True, slots=True)
class SceneRecipe:
    """How an image becomes a sample. Fields above the line shape every sample, the others training only.

    width, height   of the frame in pixels, multiples of 32: the image is scaled to fit, as wide as high, and
                    lies in its middle
    roi_width, roi_height   of what the joint head sees of a person, as an input of so many pixels: multiples
                    of 8. Its maps are a quarter, the RoI's cells an eighth
    padding         that region, as a multiple of the box brought to its aspect ratio
    codec, offset, reading, sigma, radius   as in `train.pose.recipe.PoseRecipe`; cells are those of the maps
    ----
    scale           factor of the image, uniform in 1 +- scale
    shift           of its middle, uniform in +- this share of the frame's sides
    mirror          probability of exchanging left and right
    colour          brightness, contrast and each channel's gain, uniform in 1 +- colour
    """

    width: int = 640
    height: int = 640
    roi_width: int = 144
    roi_height: int = 192
    padding: float = 1.25
    codec: str = "offset"
    offset: str = "fused"
    reading: str = "quarter"
    sigma: float = 1.5
    radius: float = 3.0
    scale: float = 0.25
    shift: float = 0.1
    mirror: float = 0.5
    colour: float = 0.25

    def __post_init__(self) -> None:
        for name, legal, expected in (
            ("width", self.width >= 32 and self.width % 32 == 0, "a multiple of 32"),
            ("height", self.height >= 32 and self.height % 32 == 0, "a multiple of 32"),
            ("roi_width", self.roi_width >= 16 and self.roi_width % 8 == 0, "a multiple of 8, from 16"),
            ("roi_height", self.roi_height >= 16 and self.roi_height % 8 == 0, "a multiple of 8, from 16"),
            ("padding", self.padding > 0, "above 0"),
            ("codec", self.codec in HEADED, f"one of {', '.join(HEADED)}"),
            ("offset", self.offset in OFFSETS, f"one of {', '.join(OFFSETS)}"),
            ("sigma", self.sigma > 0, "above 0"),
            ("radius", self.radius >= 1, "1 or more"),
            ("scale", 0 <= self.scale < 1, "0 <= scale < 1"),
            ("shift", 0 <= self.shift < 1, "0 <= shift < 1"),
            ("mirror", 0 <= self.mirror <= 1, "a probability"),
            ("colour", 0 <= self.colour < 1, "0 <= colour < 1"),
        ):
            if not legal:
                raise DataError(f"recipe: {name} is {getattr(self, name)!r}; expected {expected}")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frame."""
        return self.width, self.height

    @property
    def roi(self) -> tuple[int, int]:
        """(width, height) of a person's region as an input."""
        return self.roi_width, self.roi_height

    @property
    def roi_cells(self) -> tuple[int, int]:
        """(h, w) of what RoIAlign gives the joint head."""
        return self.roi_height // (2 * STRIDE), self.roi_width // (2 * STRIDE)

    def build_codec(self) -> Codec:
        """The codec of a person's region. Its convention is `areas`: RoIs are rectangles of the frame."""
        cells = (self.roi_width // STRIDE, self.roi_height // STRIDE)
        return codec_from(self, MapGrid(self.roi, cells, AREAS))

    def to_dict(self) -> dict[str, Any]:
        """Plain values by field name, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SceneRecipe:
        """The recipe of such values; a missing field takes its default, an unknown one is refused."""
        return cls(**fields_from(cls, values))
