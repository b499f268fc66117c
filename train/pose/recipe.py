"""The recipe from people to a network's input and targets: one flat record, kept with every checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from train.limits import Limit
from train.pose.convention import CONVENTIONS, MapGrid, PixelConvention
from train.pose.image_recipe import STRIDE, ImageRecipe

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels / 255, RGB


@dataclass(frozen=True, slots=True)
class PoseRecipe(ImageRecipe):
    """How a person becomes a sample. Fields above the line shape every sample, the others training only.

    width, height, padding, codec, offset, reading, sigma, radius   as in `ImageRecipe`; the map is a quarter
    convention      where a pixel is: areas, udp or legacy (train.pose.convention)
    ----
    scale, shift, mirror, colour   as in `ImageRecipe`, of the person's region
    rotate_deg      turn, uniform in +- [degrees]; of two people in five none
    half_body       probability of looking at the upper or the lower half alone
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

    def limits(self) -> Iterable[Limit]:
        """See ImageRecipe."""
        return (
            ("convention", self.convention in CONVENTIONS, f"one of {', '.join(CONVENTIONS)}"),
            ("rotate_deg", 0 <= self.rotate_deg <= 180, "0..180 degrees"),
            ("half_body", 0 <= self.half_body <= 1, "a probability"),
        )

    @property
    def pixels(self) -> PixelConvention:
        """The one that crop, codec and flip test share."""
        return CONVENTIONS[self.convention]

    @property
    def grid(self) -> MapGrid:
        """Input and maps."""
        return MapGrid(self.size, (self.width // STRIDE, self.height // STRIDE), self.pixels)
