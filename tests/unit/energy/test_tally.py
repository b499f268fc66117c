"""The fast tallies against loops and wide integers; types that are just wide enough, and one too narrow."""

from __future__ import annotations

import numpy as np
import pytest

from deploy.record import RasterCounts
from energy import tally

T, N = 3, 2


def events(*shape, share=0.4, seed=0):
    found = np.random.default_rng(seed).random(shape) < share
    assert found.any() and not found.all()
    return found


@pytest.mark.parametrize("size", [1, 7, 8, 9, 300])
def test_ones_are_counted_whatever_the_length(size):
    values = np.ones((T, N, size), bool) if size == 1 else events(T, N, size)
    assert tally.nonzero(values).tolist() == values.astype(int).sum(axis=2).T.tolist()
    assert tally.nonzero(values).dtype == np.int64


@pytest.mark.parametrize("rows", [1, T])
@pytest.mark.parametrize("largest", [1, 255, 2**24 - 1, 2**31])
def test_maps_are_passed_exactly(rows, largest):
    """2^24 and beyond: sums that float32 does not hold."""
    seen = events(T, N, 50)
    weights = np.random.default_rng(1).integers(0, largest, (rows, 50), endpoint=True)
    weights[:, 0] = largest
    want = (seen * np.broadcast_to(weights, (T, 50))[:, None]).sum(axis=2).T
    assert tally.through(seen, weights, tally.nonzero(seen)).tolist() == want.tolist()


def test_a_map_that_is_one_number_a_step_is_a_product():
    seen, weights = events(T, N, 9), np.repeat([[5], [0], [2**40]], 9, axis=1)
    want = (seen * weights[:, None]).sum(axis=2).T
    assert tally.through(seen, weights, tally.nonzero(seen)).tolist() == want.tolist()


@pytest.mark.parametrize("rows", [1, T])
@pytest.mark.parametrize("largest", [9, 2**31])
@pytest.mark.parametrize("channels", [8, 24, 12])
def test_a_map_alike_in_channels_side_by_side_is_passed_exactly(rows, largest, channels):
    """By eights where they divide the channels, of float64 where float32 does not hold the sums."""
    seen = events(T, N, 6 * channels)
    places = np.random.default_rng(2).integers(0, largest, (rows, 6), endpoint=True)
    places[:, :2] = 0, largest
    weights = np.repeat(places, channels, axis=1)
    want = (seen * np.broadcast_to(weights, (T, 6 * channels))[:, None]).sum(axis=2).T
    assert tally.through(seen, weights, tally.nonzero(seen)).tolist() == want.tolist()


@pytest.mark.parametrize("size", [tally.CACHED // 2, tally.CACHED + 1])
def test_sums_are_the_same_however_many_samples_are_cached(size):
    values = np.random.default_rng(4).integers(-128, 127, (2, 3, size), np.int8, endpoint=True)
    assert tally.sums(values).tolist() == values.sum(axis=2, dtype=np.int64).T.tolist()


def channels_last(values):
    """The same, the channels side by side in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(values, 2, -1)), -1, 2)


@pytest.mark.parametrize("channels", [1, 2, 3, 7, 8, 13, 24])
def test_channels_are_joined_however_many_and_wherever_they_lie(channels):
    seen = events(T, N, channels, 5, 2, share=0.1)
    for lying in (seen, channels_last(seen)):
        assert (tally.joined(lying) == seen.any(axis=2)).all()


@pytest.mark.parametrize("channels", [1, 2, 7, 255, 256, 300])
def test_channels_are_stacked_however_many(channels):
    """256 and beyond: counts that a byte does not hold."""
    seen = np.ones((T, N, channels, 5), bool)
    seen[0] = events(N, channels, 5)
    found = tally.stacked(seen.reshape(T, N, -1), 5)
    assert found.tolist() == seen.sum(axis=2).tolist()


@pytest.mark.parametrize("axis", [-1, -2, -3])
@pytest.mark.parametrize("largest", [1, 255, 2**20])
def test_sums_along_an_axis_are_exact_wherever_it_lies(axis, largest):
    plain = np.random.default_rng(5).integers(0, largest, (T, N, 4, 5, 6), endpoint=True)
    kind = bool if largest == 1 else np.min_scalar_type(largest)
    for order in ((2, 3, 4), (4, 2, 3), (3, 4, 2)):
        lying = np.ascontiguousarray(plain.transpose(0, 1, *order), kind).transpose(
            np.argsort((0, 1, *order))
        )
        assert tally.along(lying, axis).tolist() == plain.sum(axis=axis).tolist()


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (2, 3, 4), (5, 20, 7), (300, 3, 2)])
@pytest.mark.parametrize("batch", [(), (4,)])
def test_pairs_need_no_product(m, k, n, batch):
    a, b = np.ones((T, N, *batch, m, k), bool), np.ones((T, N, *batch, k, n), bool)
    if m * k > 1:
        a, b = events(T, N, *batch, m, k), events(T, N, *batch, k, n, seed=2)
    want = (a.astype(int) @ b.astype(int)).reshape(T, N, -1).sum(axis=2).T
    assert tally.met(a, b).tolist() == want.tolist()
    turned = np.ascontiguousarray(b.swapaxes(-1, -2)).swapaxes(-1, -2)  # the other way round in memory
    assert tally.met(np.asfortranarray(a), turned).tolist() == want.tolist()


def test_pairs_of_sums_count_with_their_size():
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 200, (T, N, 5, 6), np.uint8), rng.integers(0, 2**20, (T, N, 6, 40))
    want = (a.astype(int) @ b).reshape(T, N, -1).sum(axis=2).T
    assert want.max() > 2**31 and tally.met(a, b).tolist() == want.tolist()


@pytest.mark.parametrize("largest", [1, 127, 2**20, 2**40])
def test_totals_of_whole_numbers_are_exact(largest):
    values = np.random.default_rng(4).integers(-largest, largest, (T, N, 77), endpoint=True)
    assert tally.totals(values).tolist() == values.sum(axis=(0, 2)).tolist()
    assert tally.sums(values).tolist() == values.sum(axis=2).T.tolist()


@pytest.mark.parametrize(
    ("least", "largest", "kind"),
    [
        (0, 255, "uint8"), (0, 256, "uint16"), (-1, 1, "int8"), (-127, 0, "int8"), (-128, 0, "int16"),
        (-1, 127, "int8"), (-1, 200, "int16"), (-1, 32768, "int32"),
    ],
)  # fmt: skip
def test_types_are_as_narrow_as_they_may_be(least, largest, kind):
    """-128 fits into int8 and its magnitude does not."""
    assert tally.whole(least, largest) == kind


def test_counts_come_from_rasters_when_asked_for():
    raster = events(T, N, 4).astype(np.uint8)
    counts = RasterCounts({"a": raster, "x": raster}, ["a"])
    assert list(counts) == ["a"] and len(counts) == 1 and "a" in counts and "x" not in counts
    assert counts["a"].dtype == np.int64 and counts["a"].tolist() == raster.astype(int).sum(axis=0).tolist()
    with pytest.raises(KeyError):
        counts["x"]


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.bool_, np.float32])
def test_a_size_is_held_whatever_the_type_of_the_value(kind):
    """|-128| is no int8: numpy leaves it negative. Of 64 bits the least has no size in any type; it is no
    spike's."""
    least = 0 if np.dtype(kind).kind in "ub" else -1.5 if kind == np.float32 else np.iinfo(kind).min
    least += kind == np.int64
    values = np.array([least, 0, 1]).astype(kind)
    assert tally.sizes(values).tolist() == [abs(v) for v in values.tolist()]
