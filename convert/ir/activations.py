"""What a network of real values has in place of neurons: not linear, and without state.

A spiking graph has none between its layers; the networks it is compared with do. No chip of spikes holds one:
`convert.passes.partition` leaves it to the CPU, and a linear region ends at it.
"""

from __future__ import annotations

from typing import ClassVar

from convert.ir.errors import GraphError, ShapeError
from convert.ir.fields import image, pairs
from convert.ir.node import Activation, Shape, node


@node
class Relu(Activation):
    """y = max(x, 0), value by value."""

    gives: ClassVar[str] = "real values, no spikes"
    instead: ClassVar[str] = "put a spiking neuron before and after it"

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        return in_shapes[0]


@node
class MaxPool2d(Activation):
    """y[c, i, j] = max of x[c, i s0 - p0 : i s0 - p0 + k0, j s1 - p1 : j s1 - p1 + k1]  within the image.

    What lies beyond the border is no value, as if it were minus infinity; padding p < kernel k, so that every
    window holds one. Windows that reach over the end by more than p are left out. Of spikes it is their OR.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)
    gives: ClassVar[str] = "the largest of several values, no sum of spikes"
    instead: ClassVar[str] = "pool by means, or by a convolution with a stride"

    def __post_init__(self) -> None:
        pairs(self, kernel=1, stride=1, padding=0)
        if any(p >= k for p, k in zip(self.padding, self.kernel, strict=True)):
            raise GraphError(f"MaxPool2d: padding {self.padding} is not below the kernel {self.kernel}")

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        c, *sides = image(name, in_shapes[0])
        out = [
            (n + 2 * p - k) // s + 1
            for n, p, k, s in zip(sides, self.padding, self.kernel, self.stride, strict=True)
        ]
        if min(out) < 1:
            raise ShapeError(name, expected=f"at least {self.kernel}, padding included", got=in_shapes[0])
        return (c, *out)
