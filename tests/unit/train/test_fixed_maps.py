"""Matrices of fixed maps against numpy.fft, the mathematics of wavelets, and torch's interpolation.

Tolerance 1e-12: float64 sums of at most 64 products of numbers around 1.
"""

import numpy as np
import pytest
import pywt
import torch

from train.fixed_maps import (
    complex_mix,
    fourier,
    interpolation,
    joint_fourier,
    joint_fourier_inverse,
    legendre,
    wavelet_bands,
)
from train.layers import ChannelMix, JointMap, StepMap

TOLERANCE = {"rtol": 0, "atol": 1e-12}


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


@pytest.mark.parametrize("n", [1, 2, 7, 20])
def test_fourier_is_numpys(n):
    x, (real, imaginary) = draw(n, 3), fourier(n)
    np.testing.assert_allclose(real @ x + 1j * (imaginary @ x), np.fft.fft(x, axis=0), **TOLERANCE)


def test_joints_to_their_spectrum_through_complex_weights_and_back():
    """In torch, float32: 1e-5 of values around 1. The inverse is of a spectrum without symmetry."""
    x, wr, wi = draw(2, 3, 4, 7), draw(5, 4), draw(5, 4)
    mix = ChannelMix(8, 10)
    mix.weight.data = torch.tensor(complex_mix(wr, wi), dtype=torch.float32)
    model = torch.nn.Sequential(JointMap(joint_fourier(7)), mix, JointMap(joint_fourier_inverse(7)))
    with torch.no_grad():
        got = model(torch.tensor(x, dtype=torch.float32)).numpy()
    spectrum = np.einsum("oc,tncv->tnov", wr + 1j * wi, np.fft.fft(x))
    np.testing.assert_allclose(got, np.fft.ifft(spectrum).real, atol=1e-5)


def test_a_window_of_one_weight_per_joint():
    x, w = draw(2, 3, 4, 7), draw(7)
    got = JointMap(np.diag(w))(torch.tensor(x, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(got, x * w, rtol=1e-5, atol=1e-6)  # float32


def whole(n, levels, name="haar"):
    """The rows of the whole transform: the last trend, then details, coarse to fine."""
    bands = wavelet_bands(n, levels, name)
    return np.concatenate([bands[-1][0], *(detail for _, detail in bands[::-1])])


@pytest.mark.parametrize("name", ["haar", "db2", "db4", "sym4", "coif1"])
def test_wavelets_are_orthonormal_and_do_not_see_polynomials(name):
    """Away from the seam of the circle, details of a polynomial of degree below the moments are zero."""
    w, filters = whole(64, 1, name), pywt.Wavelet(name)
    np.testing.assert_allclose(w @ w.T, np.eye(64), rtol=0, atol=1e-11)
    polynomial = np.linspace(-1, 1, 64) ** (filters.vanishing_moments_psi - 1)
    details = w[32:] @ polynomial
    np.testing.assert_allclose(details[filters.dec_len : -filters.dec_len], 0, atol=1e-9)
    assert np.abs(w[:32] @ polynomial).max() > 0.1


@pytest.mark.parametrize("name", ["haar", "db2", "sym4"])
def test_all_levels_are_pywavelets_and_orthonormal(name):
    """Its own decomposition of several levels of the same numbers."""
    w, x = whole(32, 2, name), draw(32)
    np.testing.assert_allclose(w @ w.T, np.eye(32), rtol=0, atol=1e-11)
    want = np.concatenate(pywt.wavedec(x, name, mode="periodization", level=2))
    np.testing.assert_allclose(w @ x, want, **TOLERANCE)


@pytest.mark.parametrize("order", [1, 2, 3, 8])
def test_legendre_multiwavelets(order):
    """[H; G] is orthogonal, a polynomial below the order has no detail, order 1 is Haar's."""
    h, g = legendre(order)
    both = np.vstack([h, g])
    np.testing.assert_allclose(both @ both.T, np.eye(2 * order), rtol=0, atol=1e-11)
    np.testing.assert_allclose(_cells(order, order - 1, 2).reshape(-1) @ g.T, 0, atol=1e-11)
    assert np.abs(_cells(order, order, 2).reshape(-1) @ g.T).max() > 1e-6
    np.testing.assert_allclose(
        h @ _cells(order, order - 1, 2).reshape(-1), _cells(order, order - 1, 1)[0], atol=1e-11
    )
    if order == 1:
        np.testing.assert_allclose(np.abs(both), np.sqrt(0.5), **TOLERANCE)


def _cells(order, degree, count):
    """Coefficients of x ** degree on [0, 1] in `count` cells: [count, order], phi_i scaled to each cell."""
    y, weight = np.polynomial.legendre.leggauss(order + degree + 1)
    y, weight = (y + 1) / 2, weight / 2
    scale = np.sqrt(2 * np.arange(order) + 1)
    phi = scale[:, None] * np.polynomial.legendre.legvander(2 * y - 1, order - 1).T
    return np.stack([phi @ (weight * ((y + n) / count) ** degree) for n in range(count)]) / np.sqrt(count)


def test_haar_by_hand():
    """Two levels of four steps: the mean, the slow and the fast differences."""
    half = np.sqrt(0.5)
    want = [[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, -0.5, -0.5], [half, -half, 0, 0], [0, 0, half, -half]]
    np.testing.assert_allclose(whole(4, 2), want, **TOLERANCE)


@pytest.mark.parametrize(("n", "levels", "name"), [(6, 2, "haar"), (8, 0, "haar"), (4, 2, "db2")])
def test_a_transform_that_does_not_fit_is_refused(n, levels, name):
    with pytest.raises(ValueError, match="do not fit"):
        wavelet_bands(n, levels, name)


@pytest.mark.parametrize("name", ["nope", "bior2.2", "morl"])
def test_a_wavelet_that_is_not_orthogonal_is_refused(name):
    with pytest.raises(ValueError, match="an orthogonal one"):
        wavelet_bands(16, 1, name)


@pytest.mark.parametrize(("after", "before"), [(13, 5), (5, 13), (4, 1), (1, 4), (8, 4)])
def test_interpolation_is_torchs(after, before):
    x = draw(before)
    want = torch.nn.functional.interpolate(torch.tensor(x)[None, None], size=after, mode="linear")[0, 0]
    np.testing.assert_allclose(interpolation(after, before) @ x, want.numpy(), **TOLERANCE)


def test_a_step_map_takes_its_own_number_of_steps():
    with pytest.raises(ValueError, match="takes 4 steps, got 5"):
        StepMap(np.eye(4))(torch.zeros(5, 1, 2))
