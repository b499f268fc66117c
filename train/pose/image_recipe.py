"""What recipes from images to a network's input and targets have in common: fields, bounds, codec, JSON."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from train.data.errors import DataError
from train.limits import Limit
from train.pose.codecs.codec import Codec
from train.pose.codecs.heatmap import READINGS
from train.pose.codecs.offset import OFFSETS
from train.pose.codecs.registry import CODECS, TRAINED, codec
from train.pose.convention import MapGrid

STRIDE = 4  # input pixels of a map's cell, in every backbone


@dataclass(frozen=True, slots=True)
class ImageRecipe(ABC):
    """width, height: of the network's input in pixels, multiples of 32. padding: a person's region, as a
    multiple of the box brought to its aspect ratio.

    codec           "offset": heatmap and offsets, after OGN's abstract; "heatmap", "dark", "udp" to compare;
                    not "simcc", whose heads are no maps of the image
    offset          how offsets are read: none, peak, mean, vote or fused (train.pose.codecs.offset)
    reading         how a heatmap alone is read: argmax or quarter (train.pose.codecs.heatmap)
    sigma           of the Gaussian, in cells       radius   of the disc that holds offsets, in cells
    scale           factor of what is seen, uniform in 1 +- scale
    shift           of its middle, uniform in +- this share of its sides
    mirror          probability of exchanging left and right
    colour          brightness, contrast and each channel's gain, uniform in 1 +- colour

    The last four shape training samples only. A DataError names the first field that is out of bounds.
    """

    width: int
    height: int
    padding: float
    codec: str
    offset: str
    reading: str
    sigma: float
    radius: float
    scale: float
    shift: float
    mirror: float
    colour: float

    def __post_init__(self) -> None:
        shared = (
            ("width", self.width >= 32 and self.width % 32 == 0, "a multiple of 32"),
            ("height", self.height >= 32 and self.height % 32 == 0, "a multiple of 32"),
            ("padding", self.padding > 0, "above 0"),
            ("codec", self.codec in TRAINED, f"one of {', '.join(TRAINED)}"),
            ("offset", self.offset in OFFSETS, f"one of {', '.join(OFFSETS)}"),
            ("reading", self.reading in READINGS, f"one of {', '.join(READINGS)}"),
            ("sigma", self.sigma > 0, "above 0"),
            ("radius", self.radius >= 1, "1 or more"),
            ("scale", 0 <= self.scale < 1, "0 <= scale < 1"),
            ("shift", 0 <= self.shift < 1, "0 <= shift < 1"),
            ("mirror", 0 <= self.mirror <= 1, "a probability"),
            ("colour", 0 <= self.colour < 1, "0 <= colour < 1"),
        )
        for name, legal, expected in (*shared, *self.limits()):
            if not legal:
                raise DataError(f"recipe: {name} is {getattr(self, name)!r}; expected {expected}")

    @abstractmethod
    def limits(self) -> Iterable[Limit]:
        """What the fields that this recipe alone has may be."""

    @property
    @abstractmethod
    def grid(self) -> MapGrid:
        """The codec's input and maps."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the input."""
        return self.width, self.height

    def build_codec(self) -> Codec:
        """The codec of these fields, on the grid."""
        known = {field.name for field in dataclasses.fields(CODECS[self.codec])} - {"grid"}
        mine = {field.name for field in dataclasses.fields(self)}
        return codec(self.codec, self.grid, **{name: getattr(self, name) for name in known & mine})

    def to_dict(self) -> dict[str, Any]:
        """Plain values by field name, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The recipe of such values; a missing field takes its default, an unknown one is refused, and so is
        one of another type."""
        kinds = {field.name: type(field.default) for field in dataclasses.fields(cls)}
        if odd := sorted(set(values) - set(kinds)):
            raise DataError(f"recipe: unknown field {', '.join(odd)}; expected {', '.join(kinds)}")
        return cls(**{name: _typed(name, value, kinds[name]) for name, value in values.items()})


def _typed(name: str, value: Any, kind: type) -> Any:
    """The value, where it has the field's type; a whole number serves as a float."""
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise DataError(f"recipe: {name} is {value!r}; expected {kind.__name__}")
    return value
