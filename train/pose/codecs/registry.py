"""The codecs by name, and a codec from its own description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from train.pose.codecs.codec import CHANNELS, Codec
from train.pose.codecs.dark import DarkCodec
from train.pose.codecs.heatmap import HeatmapCodec
from train.pose.codecs.offset import OffsetCodec
from train.pose.codecs.simcc import SimCCCodec
from train.pose.codecs.udp import UDPCodec
from train.pose.convention import MapGrid, PixelConvention
from train.pose.errors import PoseError

CODECS: dict[str, type[Codec]] = {
    kind.name: kind for kind in (HeatmapCodec, OffsetCodec, DarkCodec, UDPCodec, SimCCCodec)
}

TRAINED = tuple(name for name, kind in CODECS.items() if set(kind.heads.values()) <= set(CHANNELS))
"""Those whose heads are maps: what the network gives (train.pose.ogn)."""


def codec(name: str, grid: MapGrid, **settings: Any) -> Codec:
    """The codec called `name` on a grid; settings are its fields."""
    if name not in CODECS:
        raise PoseError(f"unknown codec {name!r}; expected one of {', '.join(CODECS)}")
    known = [f.name for f in fields(CODECS[name]) if f.name != "grid"]
    if odd := sorted(set(settings) - set(known)):
        raise PoseError(f"codec {name}: unknown setting {', '.join(odd)}; expected {', '.join(known)}")
    return CODECS[name](grid, **settings)


def codec_of(description: Mapping[str, Any]) -> Codec:
    """The codec that gave this `description()`, read back from JSON too."""
    try:
        held = dict(description["grid"])
        grid = MapGrid(
            tuple(held["input_size"]), tuple(held["map_size"]), PixelConvention(**held["convention"])
        )
        name = description["codec"]
    except (KeyError, TypeError, ValueError) as error:
        raise PoseError(f"codec description: found {error!r}; expected what `description()` gives") from error
    settings = {k: v for k, v in description.items() if k not in ("codec", "grid", "constants")}
    return codec(name, grid, **settings)
