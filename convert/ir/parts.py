"""Channels side by side, and apart again."""

from __future__ import annotations

from convert.ir.errors import GraphError, ShapeError
from convert.ir.node import LinearNode, Shape, node


@node
class Concat(LinearNode):
    """y[o_i + c, ...] = x_i[c, ...],  o_i = sizes[0] + ... + sizes[i - 1]: inputs side by side as channels.

    sizes: channels of each input, in order; the other axes of all inputs are equal. Legal in float graphs; in
    integers it is part of the weights of what reads it.
    """

    sizes: tuple[int, ...]
    inputs = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple(int(n) for n in self.sizes))
        if len(self.sizes) < 2 or min(self.sizes) < 1:
            raise GraphError(f"Concat: sizes {self.sizes}, expected the channels of two or more inputs")

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        rests = {shape[1:] for shape in in_shapes}
        if tuple(shape[:1] for shape in in_shapes) != tuple((n,) for n in self.sizes) or len(rests) != 1:
            want = ", ".join(f"({n}, ...)" for n in self.sizes)
            raise ShapeError(name, expected=f"{want} of one other shape", got=list(in_shapes))
        return (sum(self.sizes), *rests.pop())


@node
class Slice(LinearNode):
    """y[c, ...] = x[start + c, ...],  c < stop - start: some of the channels. Legal where Concat is."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise GraphError(f"Slice: channels {self.start}..{self.stop}, expected 0 <= start < stop")

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        if not in_shapes[0] or in_shapes[0][0] < self.stop:
            raise ShapeError(name, expected=f"({self.stop} or more channels, ...)", got=in_shapes[0])
        return (self.stop - self.start, *in_shapes[0][1:])
