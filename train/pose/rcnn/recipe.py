"""The recipe from whole images to a network's input and targets: one record, kept with every checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from train.limits import Limit
from train.pose.convention import AREAS, MapGrid
from train.pose.image_recipe import STRIDE, ImageRecipe


@dataclass(frozen=True, slots=True)
class SceneRecipe(ImageRecipe):
    """How an image becomes a sample. Fields above the line shape every sample, the others training only.

    width, height   of the frame: the image is scaled to fit, as wide as high, and lies in its middle
    roi_width, roi_height   of what the joint head sees of a person, as an input of so many pixels: multiples
                    of 8. Its maps are a quarter, the RoI's cells an eighth
    padding, codec, offset, reading, sigma, radius   as in `ImageRecipe`; cells are those of a RoI's maps
    ----
    scale, shift, mirror, colour   as in `ImageRecipe`, of the image; shift in sides of the frame
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

    def limits(self) -> Iterable[Limit]:
        """See ImageRecipe."""
        return (
            ("roi_width", self.roi_width >= 16 and self.roi_width % 8 == 0, "a multiple of 8, from 16"),
            ("roi_height", self.roi_height >= 16 and self.roi_height % 8 == 0, "a multiple of 8, from 16"),
        )

    @property
    def roi(self) -> tuple[int, int]:
        """(width, height) of a person's region as an input."""
        return self.roi_width, self.roi_height

    @property
    def roi_cells(self) -> tuple[int, int]:
        """(h, w) of what RoIAlign gives the joint head."""
        return self.roi_height // (2 * STRIDE), self.roi_width // (2 * STRIDE)

    @property
    def grid(self) -> MapGrid:
        """A person's region and its maps. The convention is `areas`: RoIs are rectangles of the frame."""
        return MapGrid(self.roi, (self.roi_width // STRIDE, self.roi_height // STRIDE), AREAS)
