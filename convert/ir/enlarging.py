"""Linear nodes that give a larger image than they take: the way up of an hourglass.

Both are legal in float graphs; in integers they are part of the weights of what they are composed with.
"""

from __future__ import annotations

import numpy as np

from convert.ir.errors import GraphError, ShapeError
from convert.ir.fields import channels, image, pairs, weights
from convert.ir.node import LinearNode, Shape, node


@node
class ConvTranspose2d(LinearNode):
    """y[o, i, j] = sum of W[o, c, p, q] x[c, a, b] over a s0 + p - p0 = i and b s1 + q - p1 = j, + b[o].

    Every value of x is spread over a kernel's width, s cells apart: the transposed (or "de"-) convolution,
    what a Conv2d of this geometry does to gradients. W [out, in, kh, kw], b [out] or None. `padding` cells
    are cut off at every side, `extra` < stride rows and columns are added below and on the right; cells that
    no kernel reaches are b. Pairs are (height, width). One group, no dilation.
    """

    weight: np.ndarray
    bias: np.ndarray | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    extra: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        weights(self, "out, in, kh, kw")
        pairs(self, stride=1, padding=0, extra=0)
        if any(e >= s for e, s in zip(self.extra, self.stride, strict=True)):
            raise GraphError(f"ConvTranspose2d: extra {self.extra} is not below the stride {self.stride}")

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        channels(name, self.weight.shape[1], in_shapes[0])
        _, *sides = image(name, in_shapes[0])
        out = [
            (n - 1) * s - 2 * p + k + e
            for n, s, p, k, e in zip(
                sides, self.stride, self.padding, self.weight.shape[2:], self.extra, strict=True
            )
        ]
        if min(out) < 1:
            raise ShapeError(name, expected="an output that padding leaves", got=in_shapes[0])
        return (self.weight.shape[0], *out)


@node
class Repeat2d(LinearNode):
    """y[c, i, j] = x[c, i // f0, j // f1]:  every value `times` = (f0, f1) times, side by side.

    Upsampling by whole factors to the nearest cell, where a cell is an area. Exact: nothing is interpolated.
    """

    times: tuple[int, int]

    def __post_init__(self) -> None:
        pairs(self, times=1)

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        c, *sides = image(name, in_shapes[0])
        return (c, *(n * f for n, f in zip(sides, self.times, strict=True)))
