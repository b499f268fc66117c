"""Codecs: there and back, numpy and torch, shapes, weights, scores."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from train.pose.codecs.offset import OFFSETS, OffsetCodec
from train.pose.codecs.registry import CODECS, codec, codec_of
from train.pose.convention import CONVENTIONS, MapGrid
from train.pose.errors import PoseError

# Error of decode(encode(x)) in cells along an axis, for joints within half a cell of a cell, and why.
FLOAT32 = 2e-5  # offsets in radii, in float32, times a radius of 4 and sums of 50 of them
KINDS = {
    "heatmap": (("heatmap", {}), 0.5),  # the nearest cell
    "quarter": (("heatmap", {"reading": "quarter"}), 0.5),  # a quarter inside, half at the border
    "none": (("offset", {"offset": "none"}), 0.5),
    "peak": (("offset", {"offset": "peak"}), FLOAT32),
    "mean": (("offset", {"offset": "mean"}), FLOAT32),
    "vote": (("offset", {"offset": "vote"}), FLOAT32),
    "fused": (("offset", {"offset": "fused"}), FLOAT32),
    "dark": (("dark", {}), 0.5 + 1e-3),  # the border is not refined; see the test of its inside
    "udp": (("udp", {}), FLOAT32),
    "simcc": (("simcc", {}), 0.5),  # the nearest bin
}  # fmt: skip
# numpy's float64 against torch's float32, cells: sums of squares of up to 80 terms.
TORCH = 2e-4


def made(kind, size=(128, 96), convention="areas"):
    name, settings_ = KINDS[kind][0]
    cells = tuple(2 * n if name == "simcc" else n // 4 for n in size)
    return codec(name, MapGrid(size, cells, CONVENTIONS[convention]), **settings_)


def drawn(made_, n, k, seed, margin=-0.5):
    """Joints within half a cell of a cell, or `margin` cells from the outermost ones; all on the input."""
    rng = np.random.default_rng(seed)
    low, high = np.array([margin] * 2), np.array(made_.grid.map_size) - 1 - margin
    xy = made_.grid.to_input(rng.uniform(low, high, (n, k, 2)))
    edge = made_.grid.convention.c - 0.5
    return np.clip(xy, edge, edge + np.array(made_.grid.input_size) - 1e-6)


def noisy(maps, seed, heat=0.05, offset=0.5):
    """Noise in the heatmap, and of half a cell in the offsets; whatever it makes of weights nobody reads."""
    rng = np.random.default_rng(seed)
    sizes = {"offset": offset / 4}
    return {
        k: v + (sizes.get(k, heat) * rng.standard_normal(v.shape)).astype(v.dtype) for k, v in maps.items()
    }


def tensors(maps, dtype=torch.float32):
    return {k: torch.tensor(v, dtype=dtype) for k, v in maps.items()}


@pytest.mark.parametrize("name", CODECS)
def test_a_mass_is_the_sum_of_squares_of_a_target(name):
    """Sums of a smooth Gaussian over cells are its integral, in float32; a disc of pi 4^2 has 52 cells."""
    c = codec(name, MapGrid((128, 96), (256, 192) if name == "simcc" else (32, 24), CONVENTIONS["areas"]))
    target = c.encode(np.array([[[64.0, 48.0]]]), np.ones((1, 1)))[next(iter(c.heads))]
    assert np.square(target).sum() == pytest.approx(c.mass, rel=0.04 if name == "udp" else 1e-5)


@pytest.mark.parametrize("kind", KINDS)
@given(st.sampled_from(sorted(CONVENTIONS)), st.sampled_from([(64, 48), (128, 96)]), st.integers(0, 2**31))
def test_decoding_what_was_encoded_gives_it_back(kind, convention, size, seed):
    c = made(kind, size, convention)
    xy = drawn(c, 1, 5, seed)
    found = c.decode(c.encode(xy, np.ones(xy.shape[:2])))
    assert np.abs((found.xy - xy) / c.grid.stride).max() <= KINDS[kind][1] + 1e-6
    # The cell below a joint half a cell away along both axes, or half a bin.
    assert found.score.min() >= (0.2 if kind == "udp" else 0.85)
    assert found.score.max() <= 1.0


def test_dark_is_exact_where_its_blur_stays_on_the_map():
    """Differences of a Gaussian's logarithm are exact; the blur cuts its kernel at 2.5 sigma."""
    c = made("dark")
    xy = drawn(c, 8, 17, seed=0, margin=7.0)
    error = np.abs(c.decode(c.encode(xy, np.ones(xy.shape[:2]))).xy - xy) / c.grid.stride
    assert 0 < error.max() < 0.01


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("noise", [False, True])
def test_torch_gives_what_numpy_gives(kind, noise):
    c = made(kind, (64, 48))
    maps = c.encode(drawn(c, 6, 17, seed=1), np.ones((6, 17)))
    maps = noisy(maps, seed=2) if noise else maps
    want = c.decode(maps)
    for dtype, tolerance in ((torch.float32, TORCH), (torch.float64, 1e-9)):
        found = c.decode_torch(tensors(maps, dtype))
        assert found.xy.dtype == dtype
        # DARK divides by curvatures of a few hundredths: 1e-7 of a logarithm is seen more.
        loose = 20 if kind == "dark" and dtype == torch.float32 else 1
        # A blurred disc has equal cells: either is the highest, and their offsets agree as float32 does.
        loose = 100 if kind == "udp" and dtype == torch.float64 else loose
        assert np.abs((found.xy.numpy() - want.xy) / c.grid.stride).max() <= loose * tolerance
        assert np.abs(found.score.numpy() - want.score).max() <= 1e-6  # a float32 value, clipped


@pytest.mark.parametrize("kind", KINDS)
def test_maps_that_mean_nothing_are_read_without_harm(kind):
    """Zeros, constants and plain noise: finite joints, scores in [0, 1], numpy and torch alike in shape."""
    c = made(kind, (64, 48))
    shapes = c.encode(np.zeros((1, 3, 2)), np.ones((1, 3)))
    rng = np.random.default_rng(0)
    for fill in (lambda s: np.zeros(s), np.ones, lambda s: -np.ones(s), lambda s: 9 * rng.standard_normal(s)):
        maps = {k: fill(v.shape).astype(np.float32) for k, v in shapes.items()}
        for found in (c.decode(maps), c.decode_torch(tensors(maps))):
            xy, score = np.asarray(found.xy), np.asarray(found.score)
            assert np.isfinite(xy).all() and xy.shape == (1, 3, 2)
            assert score.shape == (1, 3) and score.min() >= 0 and score.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [0, 1, 3])
def test_shapes_do_not_change_with_the_number_of_persons(kind, n):
    c = made(kind)
    height, width = c.grid.shape
    sizes = {"scalar": (height, width), "vector": (2, height, width), "columns": (width,), "rows": (height,)}
    maps = c.encode(np.full((n, 4, 2), 30.0), np.ones((n, 4)))
    assert maps["weight"].shape == (n, 4)
    assert all(maps[name].shape == (n, 4, *sizes[is_]) for name, is_ in c.heads.items())
    assert all(array.dtype == np.float32 for array in maps.values())
    for found in (c.decode(maps), c.decode_torch(tensors(maps))):
        assert tuple(found.xy.shape) == (n, 4, 2) and tuple(found.score.shape) == (n, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_handed_in_is_changed(kind):
    c = made(kind)
    xy, weights = drawn(c, 2, 4, seed=5), np.ones((2, 4))
    before = xy.copy(), weights.copy()
    maps = c.encode(xy, weights)
    assert np.array_equal(xy, before[0]) and np.array_equal(weights, before[1])
    kept, given_ = {k: v.copy() for k, v in maps.items()}, tensors(maps)
    c.decode(maps)
    c.decode_torch(given_)
    assert all(np.array_equal(maps[k], kept[k]) and np.array_equal(given_[k], kept[k]) for k in maps)


@pytest.mark.parametrize("kind", KINDS)
def test_joints_off_the_input_weigh_nothing_and_draw_nothing(kind):
    c = made(kind)
    xy = np.array([[[30.0, 30.0], [128.5, 30.0], [30.0, -0.5], [np.nan, 3.0], [1e30, 3.0], [30.0, 30.0]]])
    maps = c.encode(xy, np.array([[0.5, 1, 1, 1, 1, 0]]))
    assert maps["weight"].tolist() == [[0.5, 0, 0, 0, 0, 0]]
    for name in c.heads:
        assert np.abs(maps[name][:, 0]).sum() > 0 and np.abs(maps[name][:, 1:]).sum() == 0
    if "offset_weight" in maps:
        assert (
            set(np.unique(maps["offset_weight"][:, 0])) == {0.0, 0.5}
            and not maps["offset_weight"][:, 1:].any()
        )


def test_offsets_are_in_radii_and_within_the_disc():
    c = OffsetCodec(MapGrid((64, 48), (16, 12)), radius=3.0)
    xy = np.array([[[33.0, 21.0]]])
    maps, joint = c.encode(xy, np.ones((1, 1))), c.grid.to_map(xy)[0, 0]
    y, x = np.mgrid[:12, :16]
    distance = np.hypot(x - joint[0], y - joint[1])
    within = maps["offset_weight"][0, 0] > 0
    assert np.array_equal(within, distance <= 3.0) and 20 < within.sum() < 32
    assert np.allclose(3.0 * np.hypot(*maps["offset"][0, 0])[within], distance[within], rtol=0, atol=1e-6)
    assert not maps["offset"][0, 0][:, ~within].any()


def test_with_noise_fusing_beats_voting_beats_reading_at_the_peak():
    """The point of it all; benchmarks/pose_decoders.py measures it in full. Mean errors in input pixels."""
    error = {}
    for offset in OFFSETS:
        c = OffsetCodec(MapGrid((128, 96), (32, 24)), offset=offset)
        xy = drawn(c, 20, 17, seed=3)
        found = c.decode_torch(tensors(noisy(c.encode(xy, np.ones((20, 17))), seed=4)))
        error[offset] = float(np.linalg.norm(found.xy.numpy() - xy, axis=-1).mean())
    assert error["fused"] < 0.25 < 0.4 < error["vote"] < 0.6 < 1.7 < error["none"] < error["peak"]
    assert error["mean"] < 0.6


@pytest.mark.parametrize("size", [(48, 64), (96, 128), (192, 256)])
def test_with_noise_fusing_beats_what_it_is_compared_with(size):
    """510 joints a tenth of the input from its edges; DARK is close at 192x256 alone (0.20 and 0.19)."""
    error = {}
    xy = np.random.default_rng(0).uniform(0.1 * np.array(size), 0.9 * np.array(size), (30, 17, 2))
    for kind in ("fused", "dark", "udp", "heatmap", "quarter", "simcc"):
        c = made(kind, size)
        maps = {k: v for k, v in c.encode(xy, np.ones((30, 17))).items() if k in c.heads}
        found = c.decode_torch(tensors(noisy(maps, seed=1)))
        error[kind] = float(np.linalg.norm(found.xy.numpy() - xy, axis=-1).mean())
    assert error["fused"] < 0.23
    assert min(error.values()) == error["fused"], error


@pytest.mark.parametrize("kind", KINDS)
def test_a_codec_is_its_description(kind):
    c = made(kind, convention="legacy")
    assert codec_of(json.loads(json.dumps(c.description()))) == c


def test_every_codec_is_in_these_tests():
    assert {name for (name, _), _ in KINDS.values()} == set(CODECS)
    assert set(OFFSETS) < set(KINDS)


@pytest.mark.parametrize(
    "make",
    [
        lambda g: codec("gaussian", g), lambda g: codec("offset", g, offset="median"),
        lambda g: codec("offset", g, colour=1), lambda g: codec("offset", g, radius=0.5),
        lambda g: codec("heatmap", g, sigma=0.0), lambda g: codec("heatmap", g, reading="third"),
        lambda g: codec("dark", g, sigma=-1.0), lambda g: codec("udp", g, blur=0.0),
        lambda g: codec("simcc", g, sigma=float("nan")), lambda g: codec_of({"codec": "dark"}),
        lambda g: codec("dark", g).encode(np.zeros((2, 2)), np.zeros(2)),
        lambda g: codec("dark", g).encode(np.zeros((1, 2, 2)), np.zeros((1, 3))),
        lambda g: codec("dark", g).decode({"heatmap": np.zeros((1, 2, 12, 17))}),
        lambda g: codec("udp", g).decode_torch({"heatmap": torch.zeros(1, 2, 12, 16)}),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_line(make):
    with pytest.raises(PoseError) as error:
        make(MapGrid((64, 48), (16, 12)))
    assert "\n" not in str(error.value) and "expected" in str(error.value)
