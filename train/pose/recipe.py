"""The recipe from people to a network's input and targets: one flat record, kept with every checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from train.data.errors import DataError
from train.pose.codecs.codec import Codec
from train.pose.codecs.heatmap import READINGS
from train.pose.codecs.offset import OFFSETS
from train.pose.codecs.registry import CODECS, TRAINED, codec
from train.pose.convention import CONVENTIONS, MapGrid, PixelConvention

STRIDE = 4  # input pixels of a map's cell, in every backbone
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels / 255, RGB


@dataclass(frozen=True, slots=True)
class PoseRecipe:
    """How a person becomes a sample. Fields above the line shape every sample, the others training only.

    width, height   of the network's input in pixels; multiples of 32. The map is a quarter of it
    convention      where a pixel is: areas, udp or legacy (train.pose.convention)
    padding         the region that is seen, as a multiple of the box brought to the input's aspect ratio
    codec           "offset": heatmap and offsets, after OGN's abstract; "heatmap", "dark", "udp" to compare;
                    not "simcc", whose heads are no maps of the image
    offset          how offsets are read: none, peak, mean, vote or fused (train.pose.codecs.offset)
    reading         how a heatmap alone is read: argmax or quarter (train.pose.codecs.heatmap)
    sigma           of the Gaussian, in cells       radius   of the disc that holds offsets, in cells
    ----
    scale           factor of the region, uniform in 1 +- scale
    rotate_deg      turn, uniform in +- [degrees]; of two people in five none
    shift           of the region's centre, uniform in +- this share of its sides
    half_body       probability of looking at the upper or the lower half alone
    mirror          probability of exchanging left and right
    colour          brightness, contrast and each channel's gain, uniform in 1 +- colour
    """

    width: int = 192
    height: int = 256
    convention: str = "areas"
    padding: float = 1.25
    codec: str = "offset"
    offset: str = "fused"
    reading: str = "quarter"
    sigma: float = 2.0
    radius: float = 4.0
    scale: float = 0.3
    rotate_deg: float = 40.0
    shift: float = 0.05
    half_body: float = 0.2
    mirror: float = 0.5
    colour: float = 0.25

    def __post_init__(self) -> None:
        for name, legal, expected in (
            ("width", self.width >= 32 and self.width % 32 == 0, "a multiple of 32"),
            ("height", self.height >= 32 and self.height % 32 == 0, "a multiple of 32"),
            ("convention", self.convention in CONVENTIONS, f"one of {', '.join(CONVENTIONS)}"),
            ("padding", self.padding > 0, "above 0"),
            ("codec", self.codec in TRAINED, f"one of {', '.join(TRAINED)}"),
            ("offset", self.offset in OFFSETS, f"one of {', '.join(OFFSETS)}"),
            ("reading", self.reading in READINGS, f"one of {', '.join(READINGS)}"),
            ("sigma", self.sigma > 0, "above 0"),
            ("radius", self.radius >= 1, "1 or more"),
            ("scale", 0 <= self.scale < 1, "0 <= scale < 1"),
            ("rotate_deg", 0 <= self.rotate_deg <= 180, "0..180 degrees"),
            ("shift", 0 <= self.shift < 1, "0 <= shift < 1"),
            ("half_body", 0 <= self.half_body <= 1, "a probability"),
            ("mirror", 0 <= self.mirror <= 1, "a probability"),
            ("colour", 0 <= self.colour < 1, "0 <= colour < 1"),
        ):
            if not legal:
                raise DataError(f"recipe: {name} is {getattr(self, name)!r}; expected {expected}")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the input."""
        return self.width, self.height

    @property
    def pixels(self) -> PixelConvention:
        """The one that crop, codec and flip test share."""
        return CONVENTIONS[self.convention]

    @property
    def grid(self) -> MapGrid:
        """Input and maps."""
        return MapGrid(self.size, (self.width // STRIDE, self.height // STRIDE), self.pixels)

    def build_codec(self) -> Codec:
        """The codec of these fields."""
        return codec_from(self, self.grid)

    def to_dict(self) -> dict[str, Any]:
        """Plain values by field name, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PoseRecipe:
        """The recipe of such values; a missing field takes its default, an unknown one is refused."""
        return cls(**fields_from(cls, values))


def fields_from(recipe: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as fields of a recipe; a DataError for a field that it has not, or of another type."""
    kinds = {field.name: type(field.default) for field in dataclasses.fields(recipe)}
    if odd := sorted(set(values) - set(kinds)):
        raise DataError(f"recipe: unknown field {', '.join(odd)}; expected {', '.join(kinds)}")
    return {name: _typed(name, value, kinds[name]) for name, value in values.items()}


def codec_from(recipe: Any, grid: MapGrid) -> Codec:
    """The codec that a recipe's fields describe, on a grid."""
    known = {f.name for f in dataclasses.fields(CODECS[recipe.codec])} - {"grid"}
    mine = {f.name for f in dataclasses.fields(recipe)}
    return codec(recipe.codec, grid, **{name: getattr(recipe, name) for name in known & mine})


def _typed(name: str, value: Any, kind: type) -> Any:
    """The value, where it has the field's type; a whole number serves as a float."""
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise DataError(f"recipe: {name} is {value!r}; expected {kind.__name__}")
    return value
