"""Each linear node as matrices: the same map as the reference, and one stored entry per synapse.

Tolerance 1e-12 of the largest value: both sides are float64 sums of at most a hundred products, taken in
another order. Integer weights are compared exactly.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from convert.ir import (
    NODES,
    Add,
    Affine,
    AvgPool2d,
    BatchNorm,
    ChannelMix,
    ChannelScale,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Delay,
    GraphConv,
    JointMap,
    JointMean,
    LinearNode,
    Permute,
    Repeat2d,
    Reshape,
    Slice,
    StepConv,
)
from convert.passes.operators import has_rule, operator
from deploy.reference import LINEAR


def draw(*shape):
    return np.random.default_rng(len(shape) + sum(shape)).normal(size=shape)


ADJACENCY = np.array([[[0, 1, 0, 0], [0, 0.5, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0]], np.eye(4)])
JOINED = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1], [1, 0, 0, 0, 0, 1], [1, 1, 1, 0, 0, 0]])  # 12 ones
# node, shape of its input, stored entries worked by hand
NODE = {
    "affine": (Affine(draw(7, 6), draw(7)), (2, 3), 42),
    "affine shaped": (Affine(draw(8, 6), draw(8), (2, 4)), (6,), 48),
    "mix": (ChannelMix(draw(4, 3), draw(4)), (3, 5), 4 * 3 * 5),
    "mix over a plane": (ChannelMix(draw(4, 3)), (3, 2, 2), 4 * 3 * 4),
    "scale": (ChannelScale(draw(3), draw(3) + 1), (3, 4), 12),
    # A touches (1,0) (1,1) (0,2) in one partition and the four of the diagonal in the other: (1,1) twice.
    "graph": (GraphConv(draw(2, 5, 3), ADJACENCY, draw(5)), (3, 4), 15 * 6),
    "graph, all joined": (GraphConv(draw(2, 5, 3), draw(2, 4, 4)), (3, 4), 15 * 16),
    "slice": (Slice(1, 3), (4, 2, 3), 12),
    "graph over frames": (GraphConv(draw(2, 5, 3), ADJACENCY, draw(5)), (3, 4, 6), 15 * 6 * 6),
    "graph over frames, all joined": (GraphConv(draw(2, 5, 3), draw(2, 4, 4)), (3, 4, 6), 15 * 16 * 6),
    "steps": (StepConv(draw(4, 3, 3)), (3, 2), 4 * 3 * 3 * 2),
    "steps over vectors": (StepConv(draw(4, 3, 2), draw(4)), (3,), 24),
    "conv": (Conv2d(draw(4, 1, 3, 2), draw(4), (2, 1), (1, 0), (1, 2), 2), (2, 5, 4), None),
    "conv 1x1": (Conv2d(draw(4, 3, 1, 1)), (3, 2, 3), 4 * 3 * 6),
    # Rows meet 2, 3, 2 taps of three in each axis: 7 * 7 pairs of places.
    "conv, border": (Conv2d(draw(1, 1, 3, 3), padding=(1, 1)), (1, 3, 3), 49),
    "depthwise": (Conv2d(draw(3, 1, 2, 2), groups=3), (3, 3, 3), 3 * 4 * 4),
    "pool": (AvgPool2d((2, 3), (2, 2)), (2, 5, 7), 2 * 2 * 3 * 6),
    # Rows land at 3 output rows, less the one cut off at each end: 2 3 2 pairs with 3 taps; columns alike.
    "transposed": (ConvTranspose2d(draw(2, 1, 3, 3), draw(2), padding=(1, 1)), (1, 3, 3), 2 * 49),
    "repeat": (Repeat2d((2, 3)), (2, 2, 1), 2 * 2 * 6),
    # Matrix entries that are not zero, once for each of 2 channels of a part.
    "joints": (JointMap(draw(2, 3, 4, 5) * (draw(5, 4, 3, 2).T > 0)), (6, 5), None),
    "joints, a window": (JointMap(np.diag(draw(5))[None, None]), (3, 5), 15),
    "mean": (JointMean(), (3, 5), 15),
    "mean, deep": (JointMean(), (2, 3, 4), 24),
    "reshape": (Reshape((6,)), (2, 3), 6),
    "permute": (Permute((2, 0, 1)), (2, 3, 4), 24),
    "delay": (Delay(3), (4,), 4),
    "affine, some joined": (Affine(JOINED * draw(4, 6), draw(4), None, 0, JOINED), (6,), 12),
}


def through(taps, x, bias):
    """y_t = sum over delays of M x_{t-delay}, plus the bias, by loops over steps."""
    steps, samples = x.shape[:2]
    flat = x.reshape(steps, samples, -1)
    y = np.zeros((steps, samples, next(iter(taps.values())).shape[0])) + bias
    for delay, matrix in taps.items():
        for t in range(delay, steps):
            y[t] += flat[t - delay] @ matrix.toarray().T
    return y


def bias_of(node, shape):
    own = getattr(node, "bias", None)
    return 0.0 if own is None else np.repeat(own, math.prod(shape) // len(own))


@pytest.mark.parametrize("kind", list(NODE))
def test_equal_to_the_reference_on_random_values(kind):
    node, shape, entries = NODE[kind]
    out_shape = node.out_shape("node", shape)
    taps = operator(node, shape)
    for steps in (1, 6):
        x = draw(steps, 3, *shape)
        want = LINEAR[type(node)](node, x)
        assert want.shape == (steps, 3, *out_shape)
        assert steps == 1 or np.abs(want).max() > 0.1, "vacuous case"
        got = through(taps, x, bias_of(node, out_shape)).reshape(want.shape)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12 * max(1.0, np.abs(want).max()))
    if entries is not None:
        assert sum(matrix.nnz for matrix in taps.values()) == entries


def test_the_convolution_is_the_fields_by_loops():
    """Reference and matrices against the equation in the docstring, written as seven loops."""
    node, shape, _ = NODE["conv"]
    x = draw(1, 1, *shape)
    out = np.zeros(node.out_shape("conv", shape))
    for o, i, j in np.ndindex(*out.shape):
        out[o, i, j] = node.bias[o]
        for c, p, q in np.ndindex(*node.weight.shape[1:]):
            y, z, channel = i * 2 + p - 1, j + q * 2, o // 2 + c
            if 0 <= y < shape[1] and 0 <= z < shape[2]:
                out[o, i, j] += node.weight[o, c, p, q] * x[0, 0, channel, y, z]
    np.testing.assert_allclose(LINEAR[Conv2d](node, x)[0, 0], out, rtol=0, atol=1e-12 * np.abs(out).max())
    assert operator(node, shape)[0].nnz == sum(
        1
        for o, i, j, p, q in np.ndindex(*out.shape, 3, 2)
        if 0 <= i * 2 + p - 1 < shape[1] and 0 <= j + q * 2 < shape[2]
    )


def test_a_zero_weight_is_stored_and_a_pair_that_no_weight_joins_is_not():
    dense = operator(Affine(np.array([[0.0, 1.0], [0.0, 0.0]])), (2,))[0]
    assert dense.nnz == 4
    conv = operator(Conv2d(np.zeros((1, 1, 1, 3))), (1, 1, 5))[0]
    assert conv.nnz == 9
    assert conv.shape == (3, 5)


@pytest.mark.parametrize("exp", [3, -2])
@pytest.mark.parametrize("kind", ["affine", "mix", "scale", "graph", "steps", "conv"])
def test_integer_weights_carry_their_exponent(kind, exp):
    """2^exp W: exact for exp >= 0; for exp < 0 the matrix is the product before the floor of the sum."""
    kinds = {
        "affine": (Affine, (6,), [(7, 6)]), "mix": (ChannelMix, (6, 2), [(7, 6)]),
        "scale": (ChannelScale, (6,), [(6,)]),
        "graph": (GraphConv, (3, 4), [(2, 5, 3), (2, 4, 4)]), "steps": (StepConv, (3, 2), [(4, 3, 3)]),
        "conv": (Conv2d, (3, 4, 4), [(4, 3, 2, 2)]),
    }  # fmt: skip
    cls, shape, weights = kinds[kind]
    d = np.random.default_rng(5)
    node = cls(*(d.integers(-9, 10, w) for w in weights), weight_exp=exp)
    x = d.integers(0, 2, (5, 2, *shape))
    want = LINEAR[cls](node, x)
    assert want.any(), "vacuous case"
    got = np.floor(through(operator(node, shape), x, 0.0)).reshape(want.shape)
    np.testing.assert_array_equal(got, want)
    assert want.dtype == np.int64


def test_every_linear_node_has_a_rule_but_the_two_that_need_none():
    """An addition splits branches; a batch norm is folded before any region is composed. Concat has several
    inputs and a test of its own."""
    linear = {cls for cls in NODES.values() if issubclass(cls, LinearNode)}
    assert linear
    assert {cls for cls in linear if not has_rule(cls)} == {Add, BatchNorm}
    assert {type(node) for node, _, _ in NODE.values()} == linear - {Add, BatchNorm, Concat}


def test_a_concat_is_the_sum_of_its_inputs_at_their_places():
    node, shapes = Concat((3, 2, 4)), [(3, 2, 2), (2, 2, 2), (4, 2, 2)]
    xs = [draw(5, 2, *shape) for shape in shapes]
    got = sum(through(operator(node, shapes[i], i), x, 0.0) for i, x in enumerate(xs))
    want = np.concatenate(xs, axis=2)
    np.testing.assert_array_equal(got.reshape(want.shape), want)  # ones and zeros: exact
    assert [operator(node, shape, i)[0].nnz for i, shape in enumerate(shapes)] == [12, 8, 16]
