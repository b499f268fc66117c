"""Linear nodes: everything that may stand between two spiking layers.

`weight_exp` is the integer stage's power of two: the result is `(W x) << weight_exp`, or a floor shift to
the right of the *sum* where it is negative, as Lava's Dense does. It is 0 in float graphs.
"""

from __future__ import annotations

import math

import numpy as np

from convert.ir.errors import GraphError, ShapeError
from convert.ir.fields import channels, freeze, image, pairs, weights
from convert.ir.node import LinearNode, Shape, node


@node
class Affine(LinearNode):
    """y = W x + b.  x is flattened in C order; W [out, in], b [out] or None; y has shape `shape`.

    The universal linear map of one step: a dense layer, and what a collapsed linear region becomes.
    synapses: int8 [out, in], 1 where a synapse joins a pair, 0 where W is zero because there is none; None if
    every pair is joined.
    """

    weight: np.ndarray
    bias: np.ndarray | None = None
    shape: Shape | None = None
    weight_exp: int = 0
    synapses: np.ndarray | None = None

    def __post_init__(self) -> None:
        weights(self, "out, in")
        freeze(self, synapses=np.int8)
        if self.synapses is not None and self.synapses.shape != self.weight.shape:
            raise GraphError(f"Affine: synapses {self.synapses.shape} of weights {self.weight.shape}")
        if self.synapses is not None and np.any(self.weight[self.synapses == 0]):
            raise GraphError("Affine: a weight that is not zero has no synapse")
        object.__setattr__(self, "shape", tuple(self.shape or (self.weight.shape[0],)))
        if math.prod(self.shape) != self.weight.shape[0]:
            raise GraphError(f"Affine: shape {self.shape} does not hold {self.weight.shape[0]} outputs")

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        if math.prod(in_shapes[0]) != self.weight.shape[1]:
            raise ShapeError(name, expected=f"{self.weight.shape[1]} values", got=in_shapes[0])
        return self.shape


@node
class ChannelMix(LinearNode):
    """y[o, ...] = sum_c W[o, c] x[c, ...] + b[o].   W [out, in], b [out] or None. A 1x1 convolution."""

    weight: np.ndarray
    bias: np.ndarray | None = None
    weight_exp: int = 0

    def __post_init__(self) -> None:
        weights(self, "out, in")

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        channels(name, self.weight.shape[1], in_shapes[0])
        return (self.weight.shape[0], *in_shapes[0][1:])


@node
class GraphConv(LinearNode):
    """y[o, v, ...] = sum_k sum_c sum_u W[k, o, c] x[c, u, ...] A[k, u, v] + b[o].

    W [K, out, in] channel weights, A [K, V, V] adjacency (fixed and learned part already added), b [out] or
    None. The graph convolution of ST-GCN and Base-SGN, kept factored: K (out in + V V) weights, not
    out in V V. Axes behind the joints (frames) are places that it treats alike.
    """

    weight: np.ndarray
    adjacency: np.ndarray
    bias: np.ndarray | None = None
    weight_exp: int = 0

    def __post_init__(self) -> None:
        weights(self, "K, out, in", out_axis=1)
        freeze(self, adjacency=None)
        if self.adjacency.ndim != 3 or len(self.weight) != len(self.adjacency):
            raise GraphError(
                f"GraphConv: weight {self.weight.shape} and adjacency {self.adjacency.shape} do not share K"
            )

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        want = (self.weight.shape[2], self.adjacency.shape[1])
        if in_shapes[0][:2] != want:
            raise ShapeError(name, expected=(*want, ...), got=in_shapes[0], hint="(channels, joints, ...)")
        return (self.weight.shape[1], self.adjacency.shape[2], *in_shapes[0][2:])


@node
class StepConv(LinearNode):
    """y_t[o, ...] = sum_k sum_c W[o, c, k] x_{t-k}[c, ...] + b[o],  x before the first step is 0.

    W [out, in, K]: tap k looks k steps back (causal). On a chip tap k is a delay of k steps.
    """

    weight: np.ndarray
    bias: np.ndarray | None = None
    weight_exp: int = 0

    def __post_init__(self) -> None:
        weights(self, "out, in, K")

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        channels(name, self.weight.shape[1], in_shapes[0])
        return (self.weight.shape[0], *in_shapes[0][1:])


@node
class Conv2d(LinearNode):
    """y[o, i, j] = sum_{c, p, q} W[o, c, p, q] x[g(o) + c, i s0 + p d0 - p0, j s1 + q d1 - p1] + b[o].

    Cross-correlation with zero padding, W [out, in / groups, kh, kw], b [out] or None; the field's
    convolution. Pairs are (height, width).
    """

    weight: np.ndarray
    bias: np.ndarray | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    weight_exp: int = 0

    def __post_init__(self) -> None:
        weights(self, "out, in / groups, kh, kw")
        pairs(self, stride=1, padding=0, dilation=1)
        if self.groups < 1 or self.weight.shape[0] % self.groups:
            raise GraphError(f"Conv2d: {self.weight.shape[0]} outputs do not part into {self.groups} groups")

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        channels(name, self.weight.shape[1] * self.groups, in_shapes[0])
        _, *sides = image(name, in_shapes[0])
        out = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(
                sides, self.padding, self.dilation, self.weight.shape[2:], self.stride, strict=True
            )
        ]
        if min(out) < 1:
            raise ShapeError(name, expected="an input larger than the kernel", got=in_shapes[0])
        return (self.weight.shape[0], *out)


@node
class AvgPool2d(LinearNode):
    """y[c, i, j] = mean of x[c, i s0 : i s0 + k0, j s1 : j s1 + k1];  no padding, whole windows only."""

    kernel: tuple[int, int]
    stride: tuple[int, int]

    def __post_init__(self) -> None:
        pairs(self, kernel=1, stride=1)

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        c, *sides = image(name, in_shapes[0])
        out = [(n - k) // s + 1 for n, k, s in zip(sides, self.kernel, self.stride, strict=True)]
        if min(out) < 1:
            raise ShapeError(name, expected=f"at least {self.kernel}", got=in_shapes[0])
        return (c, *out)


@node
class BatchNorm(LinearNode):
    """y[c, ...] = gamma[c] (x[c, ...] - mean[c]) / sqrt(var[c] + eps) + beta[c], with running statistics.

    Legal in traced graphs only: `fold_batchnorm` turns it into the weights before it.
    """

    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    eps: float = 1e-5

    def __post_init__(self) -> None:
        freeze(self, gamma=None, beta=None, mean=None, var=None)
        shapes = {n: getattr(self, n).shape for n in ("gamma", "beta", "mean", "var")}
        if len(set(shapes.values())) != 1 or self.gamma.ndim != 1:
            raise GraphError(f"BatchNorm: {shapes}, expected four arrays [C]")

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        channels(name, len(self.gamma), in_shapes[0])
        return in_shapes[0]


@node
class ChannelScale(LinearNode):
    """y[c, ...] = scale[c] x[c, ...] + bias[c];  scale [C], bias [C] or None. A residual's own weight."""

    scale: np.ndarray
    bias: np.ndarray | None = None
    weight_exp: int = 0

    def __post_init__(self) -> None:
        weights(self, "C", "scale")

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        channels(name, len(self.scale), in_shapes[0])
        return in_shapes[0]


@node
class JointMean(LinearNode):
    """y[c] = mean over the last axis of x[c, v]."""

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        if len(in_shapes[0]) < 2:
            raise ShapeError(name, expected="(C, ..., V)", got=in_shapes[0])
        return in_shapes[0][:-1]


@node
class JointMap(LinearNode):
    """y[j C + c, v'] = sum_i sum_v M[j, i, v', v] x[i C + c, v].   M [J, I, V', V], x [I C, V], y [J C, V'].

    A fixed linear map of the joints, the same for each of C channels. I and J count parts that lie stacked
    along the channels, as the real and imaginary part of a complex tensor do: a discrete Fourier transform
    of real joints has J = 2, I = 1, its inverse J = 1, I = 2; a window of one weight per joint is diagonal. A
    zero of M joins nothing and is no synapse.
    """

    matrix: np.ndarray

    def __post_init__(self) -> None:
        freeze(self, matrix=None)
        if self.matrix.ndim != 4:
            raise GraphError(f"JointMap: matrix has shape {self.matrix.shape}, expected [J, I, V', V]")

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        parts_out, parts_in, joints_out, joints = self.matrix.shape
        shape = in_shapes[0]
        if len(shape) != 2 or shape[1] != joints or shape[0] % parts_in:
            raise ShapeError(name, expected=f"({parts_in} C, {joints})", got=shape, hint="(channels, joints)")
        return (shape[0] // parts_in * parts_out, joints_out)


@node
class Reshape(LinearNode):
    """The same values in C order under another shape (Flatten is Reshape to one axis)."""

    shape: Shape

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        if math.prod(self.shape) != math.prod(in_shapes[0]):
            raise ShapeError(name, expected=f"{math.prod(self.shape)} values", got=in_shapes[0])
        return self.shape


@node
class Permute(LinearNode):
    """y[i_axes[0], i_axes[1], ...] = x[i_0, i_1, ...]: axis k of y is axis axes[k] of x, T, N apart."""

    axes: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", tuple(int(n) for n in self.axes))
        if sorted(self.axes) != list(range(len(self.axes))):
            raise GraphError(f"Permute: axes {self.axes} do not name each of {len(self.axes)} axes once")

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        if len(in_shapes[0]) != len(self.axes):
            raise ShapeError(name, expected=f"{len(self.axes)} axes", got=in_shapes[0])
        return tuple(in_shapes[0][axis] for axis in self.axes)


@node
class Delay(LinearNode):
    """y_t = x_{t - steps},  0 before the first step. `steps` >= 0."""

    steps: int

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise GraphError(f"Delay: steps {self.steps} is negative; a graph cannot look ahead")

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        return in_shapes[0]


@node
class Add(LinearNode):
    """y = x_1 + x_2 + ...   All inputs have one shape (residual addition)."""

    inputs = None

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        if len(in_shapes) < 2 or len(set(in_shapes)) != 1:
            raise ShapeError(name, expected="two or more inputs of one shape", got=list(in_shapes))
        return in_shapes[0]
