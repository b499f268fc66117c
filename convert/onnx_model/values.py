"""A value of the spiking graph inside the ONNX graph: one meaning, several forms.

Tensors are [T, N, *tail]. Two memory orders exist for a value of shape (C, *rest):

    first   tail = (C, *rest)      the graph's own order; convolution over an image, flattening, outputs
    last    tail = (*rest, C)      channels last: mixing channels is one large matrix product without a copy

A value is turned into another order or number type where an operator asks for it, once. `low` and `high`
bound every element of an integer graph's value: they are the proofs that a number type is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from convert.ir import Shape, Unsupported
from convert.onnx_model.builder import DTYPES, Builder

# Every integer up to here in magnitude is exact in the type.
EXACT = {
    "bool": 1, "uint8": 2**8 - 1, "int32": 2**31 - 1, "int64": 2**63 - 1,
    "float32": 2**24, "float64": 2**53,
}  # fmt: skip


@dataclass
class Value:
    """Forms of one value: (order, dtype) -> tensor name; `order` and `dtype` are those it was made in."""

    shape: Shape
    order: str
    dtype: str
    low: int
    high: int
    forms: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def reach(self) -> int:
        """Largest magnitude an element can have."""
        return max(abs(self.low), abs(self.high))


def made(tensor: str, shape: Shape, order: str, dtype: str, low: int = 0, high: int = 0) -> Value:
    """A value in the form it was made in."""
    order = "first" if len(shape) < 2 else order  # one axis has one order
    return Value(shape, order, dtype, low, high, {(order, dtype): tensor})


def tail(shape: Shape, order: str) -> Shape:
    """Shape of a value after the axes T and N."""
    return shape if order == "first" or len(shape) < 2 else (*shape[1:], shape[0])


def form(b: Builder, value: Value, order: str | None = None, dtype: str | None = None) -> str:
    """The tensor [T, N, *tail] of a value in this order and type; made on the first request."""
    order = value.order if order is None or len(value.shape) < 2 else order
    dtype = value.dtype if dtype is None else dtype
    if (order, dtype) not in value.forms:
        if (order, value.dtype) not in value.forms:
            value.forms[order, value.dtype] = _turn(b, value, order)
        if dtype != value.dtype:
            value.forms[order, dtype] = b.op("Cast", value.forms[order, value.dtype], to=DTYPES[dtype])
    return value.forms[order, dtype]


def _turn(b: Builder, value: Value, order: str) -> str:
    rank = len(value.shape) + 2
    perm = [0, 1, *range(3, rank), 2] if order == "last" else [0, 1, rank - 1, *range(2, rank - 1)]
    return b.op("Transpose", value.forms[value.order, value.dtype], perm=perm)


def wide_enough(name: str, reach: int, *candidates: str) -> str:
    """The first of the number types that holds every integer up to `reach`."""
    for dtype in candidates:
        if reach <= EXACT[dtype]:
            return dtype
    raise Unsupported(
        name, f"its sums may reach {reach}, beyond {candidates[-1]}", "lower the weights or their exponent"
    )
