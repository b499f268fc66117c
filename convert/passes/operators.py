"""Every linear node as sparse matrices, one per delay: what composing and lowering a region rest on.

`operator(node, in_shape)` gives {delay: M}, so that  y_t = sum_delay M_delay x_{t-delay}  (bias apart), x
and y flattened in C order, M a scipy CSR matrix [out, in] in float64. Integer weights stay exact: their
products are far below 2^53. The structure of M is the structure of the synapses: a weight that is zero is
an entry that is stored; a pair that no weight joins is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import sparse

from convert.ir import (
    Affine,
    AvgPool2d,
    ChannelMix,
    ChannelScale,
    Concat,
    Conv2d,
    ConvTranspose2d,
    ConvWeights,
    Delay,
    GraphConv,
    JointMap,
    JointMean,
    Node,
    Permute,
    Repeat2d,
    Reshape,
    Shape,
    Slice,
    StepConv,
)

Taps = dict[int, sparse.csr_matrix]
_RULES: dict[type[Node], Callable[..., Taps]] = {}


def operator(node: Node, in_shape: Shape, side: int = 0) -> Taps:
    """The matrices of a linear node for an input of this shape; KeyError for a node without a rule.

    side: which of its inputs, of a Concat.
    """
    rule = _RULES[type(node)]
    return rule(node, in_shape, side) if isinstance(node, Concat) else rule(node, in_shape)


def applied(node: Node, x: np.ndarray) -> np.ndarray:
    """y [*out] of a linear node for values x [*in] that are the same at every step, bias apart.

    What the matrices of `operator` give; a convolution is taken tap by tap, without them.
    """
    if isinstance(node, Conv2d):
        return _convolved(node, x)
    y = sum(m @ x.reshape(-1) for m in operator(node, x.shape).values())
    return y.reshape(node.out_shape("", x.shape))  # type: ignore[attr-defined]


def _convolved(node: Conv2d, x: np.ndarray) -> np.ndarray:
    """sum over taps of W[:, :, p, q] x, shifted by the tap; x [C, H, W], float64."""
    (p0, p1), (s0, s1), (d0, d1) = node.padding, node.stride, node.dilation
    padded = np.pad(x.astype(np.float64), ((0, 0), (p0, p0), (p1, p1)))
    out, rows, cols = node.out_shape("conv", x.shape)
    grouped = node.weight.reshape(node.groups, -1, *node.weight.shape[1:]).astype(np.float64)
    parts = padded.reshape(node.groups, -1, *padded.shape[1:])
    y = np.zeros((node.groups, out // node.groups, rows, cols))
    for p, q in np.ndindex(*node.weight.shape[2:]):
        seen = parts[:, :, p * d0 :: s0, q * d1 :: s1][:, :, :rows, :cols]
        y += np.einsum("goc,gcij->goij", grouped[..., p, q], seen, optimize=True)
    return y.reshape(out, rows, cols) * _gain(node)


def has_rule(kind: type[Node]) -> bool:
    """Whether nodes of this type have a rule: every linear node but Add, which is a sum of branches."""
    return kind in _RULES


def _rule(cls: type[Node]) -> Callable[[Callable[..., Taps]], Callable[..., Taps]]:
    def register(function: Callable[..., Taps]) -> Callable[..., Taps]:
        _RULES[cls] = function
        return function

    return register


def _entries(rows: np.ndarray, cols: np.ndarray, values: np.ndarray, shape: Shape) -> sparse.csr_matrix:
    """A matrix that stores what it is given, zeros included; no pair is given twice."""
    flat = (rows.astype(np.int64) * shape[1] + cols).reshape(-1)
    order = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(shape[0] + 1, dtype=np.int64) * shape[1])
    columns = (flat[order] % shape[1]).astype(np.int32)
    data = np.asarray(values, np.float64).reshape(-1)[order]
    return sparse.csr_matrix((data, columns, starts), shape=shape)


def _full(matrix: np.ndarray) -> sparse.csr_matrix:
    """Every pair of a dense matrix, its zeros included."""
    rows, cols = matrix.shape
    starts, columns = (
        np.arange(rows + 1, dtype=np.int64) * cols,
        np.tile(np.arange(cols, dtype=np.int32), rows),
    )
    data = np.asarray(matrix, np.float64).reshape(-1)
    return sparse.csr_matrix((data, columns, starts), shape=matrix.shape, copy=True)


def _per_place(matrix: np.ndarray, places: int) -> sparse.csr_matrix:
    """kron(matrix, identity): the same channel matrix at each of `places` joints."""
    o, c, v = np.indices((*matrix.shape, places))
    values = np.broadcast_to(matrix[:, :, None], o.shape)
    return _entries(o * places + v, c * places + v, values, (len(matrix) * places, matrix.shape[1] * places))


def identity(size: int) -> sparse.csr_matrix:
    """The matrix of a node that only moves values."""
    return sparse.identity(size, dtype=np.float64, format="csr")


def product(b: sparse.csr_matrix, a: sparse.csr_matrix) -> sparse.csr_matrix:
    """b a with every pair that a path joins: sums that cancel to zero stay stored, as synapses."""
    return _spread(_ones(b) @ _ones(a), b @ a)


def total(a: sparse.csr_matrix, b: sparse.csr_matrix) -> sparse.csr_matrix:
    """a + b with every pair that either joins."""
    return _spread(_ones(a) + _ones(b), a + b)


def _ones(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    ones = np.ones(len(matrix.data))
    return sparse.csr_matrix((ones, matrix.indices, matrix.indptr), shape=matrix.shape)


def _spread(pairs: sparse.csr_matrix, values: sparse.csr_matrix) -> sparse.csr_matrix:
    """The values at their places among `pairs`, zeros at the others: scipy drops sums that are zero."""
    pairs, values = pairs.tocsr(), values.tocsr()
    pairs.sort_indices()
    values.sort_indices()
    if values.nnz == pairs.nnz:
        return values
    data = np.zeros(pairs.nnz)
    data[np.searchsorted(_flat(pairs), _flat(values))] = values.data
    return sparse.csr_matrix((data, pairs.indices, pairs.indptr), shape=pairs.shape)


def _flat(matrix: sparse.csr_matrix) -> np.ndarray:
    rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    return rows * matrix.shape[1] + matrix.indices


def _gain(node: Node) -> float:
    return 2.0 ** getattr(node, "weight_exp", 0)


@_rule(Affine)
def _affine(node: Affine, in_shape: Shape) -> Taps:
    if node.synapses is None:
        return {0: _full(node.weight * _gain(node))}
    rows, cols = np.nonzero(node.synapses)
    return {0: _entries(rows, cols, node.weight[rows, cols] * _gain(node), node.weight.shape)}


@_rule(ChannelMix)
def _channel_mix(node: ChannelMix, in_shape: Shape) -> Taps:
    return {0: _per_place(node.weight * _gain(node), math.prod(in_shape[1:]))}


@_rule(ChannelScale)
def _channel_scale(node: ChannelScale, in_shape: Shape) -> Taps:
    values = np.repeat(node.scale.astype(np.float64) * _gain(node), math.prod(in_shape[1:]))
    index = np.arange(len(values))
    return {0: _entries(index, index, values, (len(values), len(values)))}


@_rule(GraphConv)
def _graph_conv(node: GraphConv, in_shape: Shape) -> Taps:
    # Every channel of every joint reaches every channel of every joint its adjacency (over all K) touches;
    # exact cancellation to zero in the sum is still a synapse, so the full pair set is kept.
    together = np.einsum("koc,kuv->ovcu", node.weight, node.adjacency, optimize=True) * _gain(node)
    o, v, c, u = together.shape
    joined = np.any(node.adjacency != 0, axis=0).T  # [v, u]
    places = math.prod(in_shape[2:])
    if joined.all():
        matrix = together.reshape(o * v, c * u)
        return {0: _full(matrix) if places == 1 else _per_place(matrix, places)}
    keep = np.broadcast_to(joined[None, :, None, :], together.shape).reshape(o * v, c * u)
    rows, cols = np.nonzero(keep)
    values = np.repeat(together.reshape(o * v, c * u)[rows, cols], places)
    at = np.tile(np.arange(places), len(rows))
    rows, cols = (np.repeat(i, places) * places + at for i in (rows, cols))
    return {0: _entries(rows, cols, values, (o * v * places, c * u * places))}


@_rule(StepConv)
def _step_conv(node: StepConv, in_shape: Shape) -> Taps:
    places = math.prod(in_shape[1:])
    return {k: _per_place(node.weight[:, :, k] * _gain(node), places) for k in range(node.weight.shape[2])}


@_rule(Conv2d)
def _conv2d(node: Conv2d, in_shape: Shape) -> Taps:
    shared = conv_weights(node, in_shape)
    target, source, _ = shared.synapses()
    # Values travel as positions into the kernel, so that float kernels pass through the integer walk.
    index = np.arange(node.weight.size, dtype=np.int64).reshape(node.weight.shape)
    place = ConvWeights(index, *list(vars(shared).values())[1:]).synapses()[2]
    return {0: _entries(target, source, node.weight.reshape(-1)[place] * _gain(node), shared.shape)}


def conv_weights(node: Conv2d, in_shape: Shape) -> ConvWeights:
    """The shared kernel of a Conv2d with its geometry."""
    shape = node.out_shape("conv", in_shape)
    return ConvWeights(node.weight, in_shape, shape, node.stride, node.padding, node.dilation, node.groups)


@_rule(AvgPool2d)
def _avg_pool(node: AvgPool2d, in_shape: Shape) -> Taps:
    kernel = np.full((in_shape[0], 1, *node.kernel), 1.0 / math.prod(node.kernel))
    return _conv2d(Conv2d(kernel, stride=node.stride, groups=in_shape[0]), in_shape)


@_rule(ConvTranspose2d)
def _conv_transpose(node: ConvTranspose2d, in_shape: Shape) -> Taps:
    out, high, wide = node.out_shape("conv", in_shape)
    o, c, p, q = (i.reshape(-1, 1) for i in np.indices(node.weight.shape))
    a, b = (i.reshape(1, -1) for i in np.indices(in_shape[1:]))
    i, j = a * node.stride[0] + p - node.padding[0], b * node.stride[1] + q - node.padding[1]
    inside = (i >= 0) & (i < high) & (j >= 0) & (j < wide)
    rows, cols = (o * high + i) * wide + j, (c * in_shape[1] + a) * in_shape[2] + b
    values = np.broadcast_to(node.weight.reshape(-1, 1), inside.shape)
    shape = (out * high * wide, math.prod(in_shape))
    return {0: _entries(rows[inside], cols[inside], values[inside], shape)}


@_rule(Repeat2d)
def _repeat(node: Repeat2d, in_shape: Shape) -> Taps:
    at = np.arange(math.prod(in_shape)).reshape(in_shape)
    source = at.repeat(node.times[0], axis=1).repeat(node.times[1], axis=2).reshape(-1)
    return {0: identity(at.size)[source]}


@_rule(JointMean)
def _joint_mean(node: JointMean, in_shape: Shape) -> Taps:
    places, joints = math.prod(in_shape[:-1]), in_shape[-1]
    rows, cols = np.divmod(np.arange(places * joints), joints)
    return {0: _entries(rows, rows * joints + cols, np.full(len(rows), 1.0 / joints), (places, len(rows)))}


@_rule(JointMap)
def _joint_map(node: JointMap, in_shape: Shape) -> Taps:
    parts_out, parts_in, joints_out, joints = node.matrix.shape
    channels = in_shape[0] // parts_in
    j, i, out, at = np.nonzero(node.matrix)  # one synapse per channel where the matrix joins two joints
    c = np.arange(channels)[:, None]
    rows = (j * channels + c) * joints_out + out
    cols = (i * channels + c) * joints + at
    values = np.broadcast_to(node.matrix[j, i, out, at], rows.shape)
    size = channels * joints
    return {0: _entries(rows, cols, values, (parts_out * channels * joints_out, parts_in * size))}


@_rule(Reshape)
def _reshape(node: Reshape, in_shape: Shape) -> Taps:
    return {0: identity(math.prod(in_shape))}


@_rule(Permute)
def _permute(node: Permute, in_shape: Shape) -> Taps:
    source = np.arange(math.prod(in_shape)).reshape(in_shape).transpose(node.axes).reshape(-1)
    return {0: identity(len(source))[source]}


@_rule(Concat)
def _concat(node: Concat, in_shape: Shape, side: int) -> Taps:
    """The input's channels at their place among all."""
    places, before = math.prod(in_shape[1:]), sum(node.sizes[:side])
    at = np.arange(math.prod(in_shape))
    shape = (sum(node.sizes) * places, len(at))
    return {0: _entries(at + before * places, at, np.ones(len(at)), shape)}


@_rule(Slice)
def _slice(node: Slice, in_shape: Shape) -> Taps:
    places = math.prod(in_shape[1:])
    return {0: identity(in_shape[0] * places)[node.start * places : node.stop * places]}


@_rule(Delay)
def _delay(node: Delay, in_shape: Shape) -> Taps:
    return {node.steps: identity(math.prod(in_shape))}
