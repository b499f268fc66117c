"""The flip test: the maps of a mirrored image, turned back, and their mean with the image's own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from train.pose.codecs.codec import Codec


def turned_back(codec: Codec, maps: Mapping[str, Tensor], pairs: Sequence[int]) -> dict[str, Tensor]:
    """Maps of the mirrored image -> maps of the image.

    pairs: [K], the joint that each joint becomes in a mirror. Columns are reversed, x of vectors changes its
    sign, and under the legacy convention everything moves 1 - m/n of a cell, by linear interpolation: the
    whole cell that older codes move by leaves the mean of both off by half the difference.
    """
    order = torch.as_tensor(pairs)
    found = {}
    for name, kind in codec.heads.items():
        values = codec.head(maps, name).index_select(1, order.to(maps[name].device))
        if kind != "rows":
            values = _moved(values.flip(-1), codec)
        if kind == "vector":
            values = values * values.new_tensor([-1.0, 1.0])[:, None, None]
        found[name] = values
    return found


def _moved(values: Tensor, codec: Codec) -> Tensor:
    """Values along the last axis moved by the convention's shift; the edge is held."""
    grid, last = codec.grid, values.shape[-1] - 1
    shift = grid.convention.flip_shift(grid.input_size[0], grid.map_size[0])
    if shift == 0.0:
        return values
    whole = math.floor(-shift)
    share = -shift - whole
    place = torch.arange(last + 1, device=values.device)
    low, high = (place + whole).clamp(0, last), (place + whole + 1).clamp(0, last)
    return values.index_select(-1, low) * (1.0 - share) + values.index_select(-1, high) * share


def flip_test(
    codec: Codec, maps: Mapping[str, Tensor], mirrored: Mapping[str, Tensor], pairs: Sequence[int]
) -> dict[str, Tensor]:
    """The mean of an image's maps and of its mirror image's: ready to be decoded."""
    back = turned_back(codec, mirrored, pairs)
    return {name: 0.5 * (maps[name] + back[name]) for name in codec.heads}
