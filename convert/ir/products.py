"""Products of two tensors: what multiplies spikes by spikes, and is neither linear nor a neuron.

A product of two spikes is a coincidence: 1 where both spiked in the same step. On a chip each is a neuron
without memory that needs both of its inputs (`convert.passes.coincidence`); in a graph it stays one node.
"""

from __future__ import annotations

from convert.ir.errors import ShapeError
from convert.ir.node import Product, Shape, node


@node
class SpikeMatMul(Product):
    """y[..., i, j] = sum_k a[..., i, k] b[..., k, j].   a [*batch, m, k], b [*batch, k, n], y [*batch, m, n].

    Batch axes (attention heads) are equal; nothing is broadcast. For spikes y counts coincidences, 0..k:
    spiking attention's Q K^T and M V. Each step is multiplied with itself only.
    """

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        a, b = in_shapes
        if len(a) < 2 or len(a) != len(b) or a[:-2] != b[:-2] or a[-1] != b[-2]:
            raise ShapeError(
                name, expected="(*batch, m, k) and (*batch, k, n)", got=f"{a} and {b}",
                hint="batch axes must be equal, nothing is broadcast",
            )  # fmt: skip
        return (*a[:-1], b[-1])


@node
class SpikeAnd(Product):
    """y = a b, element by element. For spikes the logical AND: a Hadamard product.

    a, b have as many axes; an axis of 1 in one of them is repeated as often as the other's is long (a gate of
    one value for all joints).
    """

    def out_shape(self, name: str, *in_shapes: Shape) -> Shape:
        a, b = in_shapes
        if len(a) != len(b) or any(m != n and 1 not in (m, n) for m, n in zip(a, b, strict=True)):
            raise ShapeError(
                name, expected="two inputs of one shape, or with axes of 1 in one", got=f"{a} and {b}",
                hint="no other axis is broadcast",
            )  # fmt: skip
        return tuple(max(m, n) for m, n in zip(a, b, strict=True))
