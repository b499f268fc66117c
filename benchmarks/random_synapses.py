"""Random projections of every kind of synapse."""

from __future__ import annotations

import numpy as np

from convert.ir import ConvWeights, DenseWeights, Population, Projection, SparseWeights

KINDS = ("dense", "sparse", "conv", "delay-dense", "delay-sparse", "conv-wrap")
Made = tuple[tuple[int, ...], Projection]


def projection(
    rng: np.random.Generator,
    kind: str,
    source: Population,
    shape: tuple[int, ...] | None,
    name: str,
    dst: str,
) -> Made:
    """A projection of the kind from `source` to `dst`, and the shape of dst: `shape`, or drawn if None.

    A convolution needs an image and makes the shape; where it cannot be, a dense projection stands in.
    """
    if kind.startswith("conv"):
        made = _convolution(rng, kind, source, shape)
        if made is not None:
            weights, exp = made
            return weights.out_shape, Projection(name, source.name, dst, weights, exp)
        kind = "dense"
    if shape is None:
        shape = tuple(int(n) for n in rng.integers(1, 5, rng.choice([1, 1, 3])))
    bits, exp = int(rng.choice([2, 4, 8, 8, 9])), int(rng.integers(-8, 9))
    if rng.random() < 0.4:
        exp = int(rng.integers(-2, 3))
    out = int(np.prod(shape))
    matrix = _values(rng, (out, source.size), bits)
    if kind.endswith("sparse"):
        matrix = matrix * (rng.random(matrix.shape) < 0.5)
    weights = _columns(matrix, rng) if kind.endswith("sparse") else DenseWeights(matrix.astype(np.int16))
    delay = int(rng.integers(1, 7)) if kind.startswith("delay") else 0
    return shape, Projection(name, source.name, dst, weights, exp, delay, bits)


def _values(rng: np.random.Generator, size: tuple[int, ...], bits: int) -> np.ndarray:
    """Weights of `bits` bits: all of one sign, or of both; the whole range or small."""
    top = 1 << (bits - 1)
    low, high = [(-top, top), (0, top), (-top, 1), (-min(top, 3), min(top, 4))][rng.integers(4)]
    return rng.integers(low, max(high, low + 1), size)


def _columns(matrix: np.ndarray, rng: np.random.Generator) -> SparseWeights:
    """Compressed columns; some zeros are stored."""
    stored = (matrix != 0) | (rng.random(matrix.shape) < 0.1)
    sources, targets = np.nonzero(stored.T)
    starts = np.concatenate([[0], np.cumsum(stored.sum(axis=0))])
    values = matrix[targets, sources].astype(np.int16)
    return SparseWeights(starts, targets, values, matrix.shape)  # type: ignore[arg-type]


def _convolution(
    rng: np.random.Generator, kind: str, source: Population, shape: tuple[int, ...] | None
) -> tuple[ConvWeights, int] | None:
    if shape is not None or len(source.shape) != 3:
        return None
    channels, high, wide = source.shape
    groups = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
    out = groups * int(rng.integers(1, 4))
    kernel, stride, padding, dilation = (rng.integers(a, b, 2) for a, b in ((1, 4), (1, 3), (0, 3), (1, 3)))
    span = np.array([high, wide]) + 2 * padding - dilation * (kernel - 1) - 1
    if span.min() < 0:
        return None
    size = tuple(int(n) for n in span // stride + 1)
    wrap = kind == "conv-wrap"
    values = _values(rng, (out, channels // groups, *(int(n) for n in kernel)), 8).astype(np.int8)
    if wrap and rng.random() < 0.8:
        values = np.where(rng.random(values.shape) < 0.5, values, values | 64).astype(np.int8)  # large sums
    weights = ConvWeights(
        values, source.shape, (out, *size), tuple(stride), tuple(padding), tuple(dilation), groups, wrap
    )
    return weights, int(rng.integers(4, 9) if wrap else rng.integers(-4, 7))
