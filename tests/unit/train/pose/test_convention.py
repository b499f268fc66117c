"""One convention: sizes change and mirrors turn without a bias, and crops go there and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.pose import affine
from train.pose.convention import AREAS, CONVENTIONS, LEGACY, UDP, MapGrid, PixelConvention
from train.pose.errors import PoseError

conventions = st.sampled_from(list(CONVENTIONS.values()))


def test_what_each_does_with_the_last_pixel():
    """Eight pixels to two cells, by hand."""
    assert AREAS.resize(7.5, 8, 2) == 1.875 and AREAS.mirror(7.5, 8) == 0.5
    assert UDP.resize(7.0, 8, 2) == 1.0 and UDP.mirror(7.0, 8) == 0.0
    assert LEGACY.resize(7.0, 8, 2) == 1.75 and LEGACY.mirror(7.0, 8) == 0.0
    assert (AREAS.flip_shift(8, 2), UDP.flip_shift(8, 2), LEGACY.flip_shift(8, 2)) == (0.0, 0.0, 0.75)


@given(conventions, st.floats(-1, 300), st.integers(2, 300), st.integers(2, 100))
def test_mirroring_commutes_with_resizing_up_to_the_flip_shift(convention, x, n, m):
    mirrored_first = convention.resize(convention.mirror(x, n), n, m)
    resized_first = convention.mirror(convention.resize(x, n, m), m)
    # Coordinates reach 3e4 here, and float64 keeps 1e-11 of them.
    assert mirrored_first - resized_first == pytest.approx(convention.flip_shift(n, m), abs=1e-8)


@given(conventions, st.floats(0, 255), st.floats(0, 191))
def test_a_grid_goes_there_and_back(convention, x, y):
    grid = MapGrid((256, 192), (64, 48), convention)
    assert np.allclose(grid.to_input(grid.to_map([x, y])), [x, y], rtol=0, atol=1e-10)  # float64
    resized = [convention.resize(x, 256, 64), convention.resize(y, 192, 48)]
    assert np.allclose(grid.to_map([x, y]) + convention.c, resized, rtol=0, atol=1e-10)


def test_the_edges_of_the_input():
    grid = MapGrid((64, 48), (16, 12), AREAS)
    points = np.array([[0.0, 0.0], [63.99, 47.99], [64.0, 0.0], [-0.01, 5.0], [np.nan, 1.0], [1.0, np.inf]])
    assert grid.inside(points).tolist() == [True, True, False, False, False, False]
    assert MapGrid((64, 48), (16, 12), UDP).inside(points).tolist() == [
        True,
        False,
        False,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("convention", CONVENTIONS.values(), ids=CONVENTIONS)
@pytest.mark.parametrize("rotation", [0.0, 0.7, -2.0])
def test_a_crop_goes_there_and_back(convention, rotation):
    boxes = np.array([[10.0, 20.0, 30.0, 80.0], [-5.0, 3.0, 200.0, 10.0]])
    matrix = affine.to_input(affine.region(boxes, (48, 64)), (48, 64), convention, rotation)
    points = np.random.default_rng(0).uniform(-50, 300, (2, 7, 2))
    there = affine.apply(matrix, points)
    assert np.allclose(affine.apply(affine.inverse(matrix), there), points, rtol=0, atol=1e-9)  # float64
    middle = boxes[:, None, :2] + boxes[:, None, 2:] / 2 - 0.5 + convention.c
    expected = np.array([[[24.0, 32.0]]]) - 0.5 + convention.c
    assert np.allclose(affine.apply(matrix, middle), expected, rtol=0, atol=1e-9)


def test_a_region_has_the_inputs_shape_and_holds_the_box():
    found = affine.region([[10, 20, 30, 80], [0, 0, 90, 10]], (48, 64), padding=1.0)
    assert found.tolist() == [[25, 60, 60, 80], [45, 5, 90, 120]]
    assert np.allclose(found[:, 2] / found[:, 3], 48 / 64, rtol=1e-12)


@pytest.mark.parametrize("convention", CONVENTIONS.values(), ids=CONVENTIONS)
def test_a_picture_moves_with_its_points(convention):
    """The centre of gravity of a smooth blob, before and after a crop that turns and enlarges."""
    y, x = np.mgrid[:60, :80]
    at = np.array([33.3, 27.6])  # indices
    blob = 255 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 3.0**2))
    image = np.repeat(blob.round().astype(np.uint8)[..., None], 3, axis=2)
    matrix = affine.to_input(affine.region([20, 15, 30, 30], (64, 64)), (64, 64), convention, 0.3)
    seen = affine.warp(image, matrix, (64, 64), convention)[..., 0].astype(float)
    y, x = np.mgrid[:64, :64]
    weight = np.where(seen > 8, seen, 0)
    centre = np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum() + convention.c
    expected = affine.apply(matrix, at[None] + convention.c)[0]
    # Eight bits, OpenCV's 1/32 steps and the cut at 8 move it by some hundredths; a wrong half pixel by 1.
    assert np.abs(centre - expected).max() < 0.1


def test_mirroring_a_picture_is_a_matrix():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (11, 17, 3)).astype(np.uint8)
    for convention in CONVENTIONS.values():
        seen = affine.warp(image, affine.mirror(17, convention), (17, 11), convention)
        assert np.array_equal(seen, image[:, ::-1])


@pytest.mark.parametrize(
    "make",
    [
        lambda: PixelConvention("middle", "size"), lambda: PixelConvention("half", "n/m"),
        lambda: MapGrid((64, 48), (16, 1)), lambda: MapGrid((64.0, 48), (16, 12)),
        lambda: MapGrid((64,), (16,)),
        lambda: affine.region([0, 0, 0, 5], (4, 4)), lambda: affine.region([0, 0, np.nan, 5], (4, 4)),
        lambda: affine.region([0, 0, 5], (4, 4)),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_line(make):
    with pytest.raises(PoseError) as error:
        make()
    assert "\n" not in str(error.value) and "expected" in str(error.value)
