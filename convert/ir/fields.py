"""What nodes ask of their own fields, as they are made."""

from __future__ import annotations

from typing import Any

from convert.ir.errors import GraphError, ShapeError
from convert.ir.node import Shape, array


def freeze(self: object, **dtypes: object) -> None:
    """Arrays of a node by name, of these types (None: as they are), made read-only."""
    for name, dtype in dtypes.items():
        value = getattr(self, name)
        if value is not None:
            object.__setattr__(self, name, array(value, dtype))


def weights(self: Any, axes: str, name: str = "weight", out_axis: int = 0) -> None:
    """Freeze weights and bias; refuse weights without these axes, or a bias that is not [out]."""
    freeze(self, **{name: None, "bias": None})
    weight, bias = getattr(self, name), self.bias
    if weight.ndim != len(axes.split(", ")):
        raise GraphError(f"{type(self).__name__}: {name} has shape {weight.shape}, expected [{axes}]")
    if bias is not None and bias.shape != (weight.shape[out_axis],):
        raise GraphError(
            f"{type(self).__name__}: bias has shape {bias.shape}, expected ({weight.shape[out_axis]},)"
        )


def pairs(self: object, **least: int) -> None:
    """Pairs (height, width) of whole numbers, none below its least value."""
    for name, low in least.items():
        pair = tuple(int(n) for n in getattr(self, name))
        if len(pair) != 2 or min(pair) < low:
            raise GraphError(f"{type(self).__name__}: {name} {pair} is not a pair of numbers from {low} up")
        object.__setattr__(self, name, pair)


def channels(name: str, expected: int, in_shape: Shape) -> None:
    """ShapeError naming the node where its input has other channels."""
    if not in_shape or in_shape[0] != expected:
        raise ShapeError(name, expected=f"({expected}, ...)", got=in_shape, hint="channels do not meet")


def image(name: str, in_shape: Shape) -> tuple[int, int, int]:
    """(C, H, W); ShapeError naming the node where its input has other axes."""
    if len(in_shape) != 3:
        raise ShapeError(name, expected="(C, H, W)", got=in_shape)
    c, h, w = in_shape
    return c, h, w
