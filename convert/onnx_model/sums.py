"""Arithmetic on float32 tensors of an ONNX graph, written as it is read: numbers become constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from convert.onnx_model.builder import Builder

Term = str | float | np.ndarray


@dataclass(frozen=True, slots=True)
class Sums:
    """Every method appends operators to the builder and gives the name of the result."""

    b: Builder

    def constant(self, value: ArrayLike) -> str:
        """A float32 constant."""
        return self.b.const(value, "float32")

    def whole(self, value: ArrayLike) -> str:
        """An int64 constant."""
        return self.b.const(value, "int64")

    def binary(self, kind: str, x: Term, y: Term) -> str:
        """x kind y, broadcast."""
        names = [term if isinstance(term, str) else self.constant(term) for term in (x, y)]
        return self.b.op(kind, *names)

    def add(self, x: Term, y: Term) -> str:
        """x + y."""
        return self.binary("Add", x, y)

    def sub(self, x: Term, y: Term) -> str:
        """x - y."""
        return self.binary("Sub", x, y)

    def mul(self, x: Term, y: Term) -> str:
        """x y."""
        return self.binary("Mul", x, y)

    def div(self, x: Term, y: Term) -> str:
        """x / y."""
        return self.binary("Div", x, y)

    def sum(self, x: str, axes: Sequence[int], keep: bool = False) -> str:
        """Sum over axes."""
        return self.b.op("ReduceSum", x, self.whole(list(axes)), keepdims=int(keep))

    def clip(self, x: str, low: float | None = None, high: float | None = None) -> str:
        """x between two numbers."""
        ends = ["" if end is None else self.constant(end) for end in (low, high)]
        return self.b.op("Clip", x, *ends)

    def opened(self, x: str, axis: int) -> str:
        """A new axis of length 1."""
        return self.b.op("Unsqueeze", x, self.whole([axis]))

    def closed(self, x: str, axis: int) -> str:
        """Without an axis of length 1."""
        return self.b.op("Squeeze", x, self.whole([axis]))

    def shaped(self, x: str, shape: Sequence[int]) -> str:
        """Reshape; 0 keeps an axis, -1 takes what is left."""
        return self.b.op("Reshape", x, self.whole(list(shape)))

    def pick(self, x: str, index: int, axis: int) -> str:
        """One element of an axis, without the axis."""
        return self.b.op("Gather", x, self.whole(index), axis=axis)

    def stacked(self, parts: Sequence[str]) -> str:
        """Tensors side by side on a new last axis."""
        return self.b.op("Concat", *[self.opened(part, -1) for part in parts], axis=-1)

    def as_float(self, x: str) -> str:
        """Cast to float32."""
        return self.b.op("Cast", x, to=1)
