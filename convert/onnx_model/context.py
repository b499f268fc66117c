"""What the rules of the nodes share: the builder, the form being written, and the state it carries."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from convert.ir import LinearNode, Shape
from convert.onnx_model.builder import Builder
from convert.onnx_model.values import Value, form, made, tail, wide_enough

TO_END = 2**62


@dataclass(frozen=True)
class State:
    """One tensor a step graph carries from call to call; zero before the first step."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str
    axes: str  # which axes of the node's value the shape's last axes are: 'first' or 'last', see values.py


@dataclass
class Context:
    """stream: True for the step form (T = 1, state in and out), False for the scan form."""

    b: Builder
    stage: str
    stream: bool
    states: list[State] = field(default_factory=list)
    x: str = ""  # the input with its step axis, [T, N, *shape]

    @property
    def integer(self) -> bool:
        """Whether the graph computes with integers."""
        return self.stage == "integer"

    def state(self, name: str, shape: tuple[int | str, ...], dtype: str, axes: str) -> str:
        """Declare a state of the step form; its input tensor."""
        self.states.append(State(name, shape, dtype, axes))
        return self.b.take(name, dtype, shape)

    def padded(self, name: str, x: Value, steps: int, order: str | None, dtype: str) -> str:
        """x with the `steps` frames before it, zero before the first: [steps + T, N, *tail]."""
        b, order = self.b, order or x.order
        tensor = form(b, x, order, dtype)
        if steps == 0:
            return tensor
        rest = tail(x.shape, order)
        if not self.stream:
            pads = [steps, *[0] * (2 * len(rest) + 3)]
            return b.op("Pad", tensor, b.const(pads, "int64"))
        past = self.state(f"{name}.past", (steps, "N", *rest), dtype, order)
        whole = b.op("Concat", past, tensor, axis=0)
        b.give(f"{name}.past_next", self.frames(whole, 1, TO_END), dtype, (steps, "N", *rest))
        return whole

    def frames(self, tensor: str, start: int, end: int) -> str:
        """tensor[start:end] along the steps."""
        consts = [self.b.const([n], "int64") for n in (start, end, 0)]
        return self.b.op("Slice", tensor, *consts)

    def finish(self, name: str, node: LinearNode, y: Value) -> Value:
        """The weight exponent of an integer sum, or the bias of a float one; `weights` has the rest."""
        if self.integer:
            return self.shifted(name, y, node.weight_exp)  # type: ignore[attr-defined]
        bias = getattr(node, "bias", None)
        if bias is None or not np.any(bias):
            return y
        column = (-1,) if y.order == "last" else (-1, *[1] * (len(y.shape) - 1))
        return made(
            self.b.op("Add", form(self.b, y), self.b.const(bias.reshape(column), "float32", "bias")),
            y.shape, y.order, "float32",
        )  # fmt: skip

    def shifted(self, name: str, y: Value, exp: int) -> Value:
        """y << exp, or the floor shift y >> -exp, in a type that holds it."""
        if exp == 0:
            return y
        b = self.b
        if exp > 0:
            dtype = wide_enough(name, y.reach << exp, y.dtype, "float64", "int64")
            z = b.op("Mul", form(b, y, dtype=dtype), b.const(1 << exp, dtype))
            return made(z, y.shape, y.order, dtype, y.low << exp, y.high << exp)
        # In floating point a product with 2^exp is exact and Floor is the floor shift; integer Div would
        # truncate toward zero instead.
        dtype = wide_enough(name, y.reach, "float32", "float64")
        z = b.op("Floor", b.op("Mul", form(b, y, dtype=dtype), b.const(2.0**exp, dtype)))
        return made(z, y.shape, y.order, dtype, y.low >> -exp, y.high >> -exp)

    def weights(self, node: LinearNode) -> np.ndarray:
        """Weights as the product uses them: a float graph's exponent is in them, a power of two is exact."""
        if self.integer:
            return node.weight  # type: ignore[attr-defined]
        return node.weight * 2.0**node.weight_exp  # type: ignore[attr-defined]


def shape_of(shape: Shape, order: str) -> list[int]:
    """A Reshape target that keeps T and N and sets the rest."""
    return [0, 0, *tail(shape, order)]
