"""The flip test under every convention: maps, and pictures seen by a network that only averages."""

import numpy as np
import pytest
import torch

from train.pose.codecs.flip import flip_test, turned_back
from train.pose.codecs.registry import codec
from train.pose.convention import CONVENTIONS, MapGrid

PAIRS = (0, 2, 1, 3)
# Cells. A map moved by 3/4 of a cell is interpolated: its Gaussian gets a little wider and a little skew.
TOLERANCE = {"areas": 1e-4, "udp": 1e-4, "legacy": 0.03}


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("name", ["heatmap", "offset", "dark", "udp", "simcc"])
def test_mirrored_joints_maps_turned_back_are_the_joints(convention, name):
    cells = (128, 96) if name == "simcc" else (16, 12)
    c = codec(name, MapGrid((64, 48), cells, CONVENTIONS[convention]))
    rng = np.random.default_rng(0)
    xy = rng.uniform((26, 22), (38, 26), (30, 4, 2))
    mirrored = xy.copy()
    mirrored[..., 0] = CONVENTIONS[convention].mirror(xy[..., 0], 64)
    weights = np.ones((30, 4))
    maps, seen = (
        {k: torch.tensor(v) for k, v in c.encode(points, weights).items()}
        for points in (xy, mirrored[:, PAIRS])
    )
    want, found = (c.decode_torch(m).xy for m in (maps, turned_back(c, seen, PAIRS)))
    both = c.decode_torch(flip_test(c, maps, seen, PAIRS)).xy
    steps = 1.0 if name in ("heatmap", "simcc") else 0.0  # argmax: the neighbour may win by a rounding
    tolerance = (steps + TOLERANCE[convention]) * 4.0
    assert (found - want).abs().max() <= tolerance
    assert (both - want).abs().max() <= tolerance
    if steps:
        assert (found - want).abs().mean() < 0.6


def seen_by_a_network(image, convention):
    """An ideal network of stride 4: each cell the picture's value where the convention says the cell is."""
    if convention == "areas":
        return image.reshape(image.shape[0] // 4, 4, image.shape[1] // 4, 4).mean(axis=(1, 3))
    grid = MapGrid((64, 48), (16, 12), CONVENTIONS[convention])
    places = [grid.to_input(np.stack([np.arange(n)] * 2, -1)) for n in (16, 12)]
    low = [
        np.minimum(np.floor(p[:, axis]).astype(int), n - 2)
        for axis, (p, n) in enumerate(zip(places, (64, 48), strict=True))
    ]
    share = [p[:, axis] - lo for axis, (p, lo) in enumerate(zip(places, low, strict=True))]
    rows = image[low[1]] * (1 - share[1][:, None]) + image[low[1] + 1] * share[1][:, None]
    return rows[:, low[0]] * (1 - share[0]) + rows[:, low[0] + 1] * share[0]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_mirrored_picture_gives_the_same_joints(convention):
    """Blobs painted where the joints are, the picture mirrored pixel by pixel, both seen by one network."""
    rng = np.random.default_rng(1)
    c = codec("dark", MapGrid((64, 48), (16, 12), CONVENTIONS[convention]))
    xy = rng.uniform((24, 20), (40, 28), (4, 2))
    y, x = np.mgrid[:48, :64] + CONVENTIONS[convention].c
    pictures = np.exp(-((x - xy[:, 0, None, None]) ** 2 + (y - xy[:, 1, None, None]) ** 2) / (2 * 8.0**2))
    maps, seen = (
        {"heatmap": torch.tensor(np.stack([seen_by_a_network(p, convention) for p in shown])[None])}
        for shown in (pictures, pictures[list(PAIRS)][:, :, ::-1])
    )
    found = c.decode_torch(turned_back(c, seen, PAIRS)).xy[0].numpy()
    want = c.decode_torch(maps).xy[0].numpy()
    # Pixels: averaging areas and the short map add up to a quarter to where the blob was painted.
    assert np.abs(found - want).max() < 4 * TOLERANCE[convention] + 1e-6
    assert np.abs(want - xy).max() < 0.25
    if convention == "legacy":  # turned back without the shift, every joint is 3 pixels to the left
        naive = c.decode_torch({"heatmap": seen["heatmap"][:, list(PAIRS)].flip(-1)}).xy[0].numpy()
        assert np.allclose((naive - want)[:, 0], -3.0, rtol=0, atol=0.05)
