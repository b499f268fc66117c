"""Where a pixel is: the one convention that crop, codec and flip test share (docs/pose.md, section 1).

A grid of n pixels along an axis. The centre of pixel i has the coordinate x = i + c:

    centre "integer"   c = 0       the grid covers [-0.5, n - 0.5]
    centre "half"      c = 0.5     the grid covers [0, n]

A coordinate on a grid of n pixels is one on a grid of m that shows the same:

    scale "size"       x' = x m / n                         (n/m: pixels are areas)
    scale "ends"       x' = (x - c) (m - 1)/(n - 1) + c     ((n-1)/(m-1): outermost centres stay outermost)

Mirrored, x becomes n - 1 + 2c - x. Mirroring and then shrinking is shrinking and then mirroring but for
"integer" with "size", where maps of a mirrored image lie 1 - m/n cells away: `flip_shift`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from train.pose.errors import PoseError

CENTRES, SCALES = ("integer", "half"), ("size", "ends")

Number = TypeVar("Number", float, NDArray[np.floating[Any]])


@dataclass(frozen=True, slots=True)
class PixelConvention:
    """centre: "integer" or "half"; scale: "size" or "ends"."""

    centre: str = "half"
    scale: str = "size"

    def __post_init__(self) -> None:
        if self.centre not in CENTRES or self.scale not in SCALES:
            raise PoseError(
                f"pixel convention: found centre {self.centre!r}, scale {self.scale!r}; expected one of "
                f"{', '.join(CENTRES)} and one of {', '.join(SCALES)}"
            )

    @property
    def c(self) -> float:
        """Coordinate of the centre of pixel 0."""
        return 0.5 if self.centre == "half" else 0.0

    def ratio(self, n: int, m: int) -> float:
        """Pixels of the grid of m for one of the grid of n."""
        return m / n if self.scale == "size" else (m - 1) / (n - 1)

    def resize(self, x: Number, n: int, m: int) -> Number:
        """A coordinate on n pixels -> the same place on m pixels."""
        if self.scale == "size":
            return x * (m / n)
        return (x - self.c) * ((m - 1) / (n - 1)) + self.c

    def mirror(self, x: Number, n: int) -> Number:
        """The coordinate of the same place in the mirrored grid."""
        return n - 1 + 2 * self.c - x

    def flip_shift(self, n: int, m: int) -> float:
        """Cells by which a mirrored image's mirrored map must move to the right; 0 but for the legacy one."""
        return 1.0 - m / n if self.scale == "size" and self.centre == "integer" else 0.0


AREAS = PixelConvention("half", "size")
"""Pixels are areas; strides are exact and mirroring commutes. What everything here uses by default."""
UDP = PixelConvention("integer", "ends")
"""That of Unbiased Data Processing."""
LEGACY = PixelConvention("integer", "size")
"""That of the older heatmap codes, whose flip test needs a shift."""
CONVENTIONS: dict[str, PixelConvention] = {"areas": AREAS, "udp": UDP, "legacy": LEGACY}


@dataclass(frozen=True, slots=True)
class MapGrid:
    """The input of a pose network and the cells of its maps. Sizes are (width, height) in pixels and cells.

    Positions on the map are counted in cell indices: 0.0 is the centre of the first cell, whatever the
    convention; coordinates of the input are the convention's.
    """

    input_size: tuple[int, int]
    map_size: tuple[int, int]
    convention: PixelConvention = AREAS

    def __post_init__(self) -> None:
        sizes = (*self.input_size, *self.map_size)
        if len(sizes) != 4 or any(isinstance(n, bool) or not isinstance(n, int) or n < 2 for n in sizes):
            raise PoseError(
                f"map grid: found input {self.input_size}, map {self.map_size}; "
                "expected (width, height) of at least 2 each"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of a map."""
        return self.map_size[1], self.map_size[0]

    @property
    def stride(self) -> tuple[float, float]:
        """Input pixels of one cell, (x, y)."""
        pairs = zip(self.map_size, self.input_size, strict=True)
        return tuple(self.convention.ratio(m, n) for m, n in pairs)  # type: ignore[return-value]

    @property
    def origin(self) -> tuple[float, float]:
        """Input coordinate (x, y) of the centre of the first cell."""
        pairs = zip(self.map_size, self.input_size, strict=True)
        return tuple(self.convention.resize(self.convention.c, m, n) for m, n in pairs)  # type: ignore[return-value]

    def to_map(self, xy: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """[..., 2] input coordinates -> cell indices."""
        return (np.asarray(xy, np.float64) - self.origin) / self.stride

    def to_input(self, cells: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """[..., 2] cell indices -> input coordinates."""
        return np.asarray(cells, np.float64) * self.stride + self.origin

    def inside(self, xy: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """[..., 2] -> [...]: on the input at all, half-open; not a number is outside."""
        low = self.convention.c - 0.5
        with np.errstate(invalid="ignore"):
            found = (np.asarray(xy) >= low) & (np.asarray(xy) < low + np.array(self.input_size))
        return found.all(axis=-1)
