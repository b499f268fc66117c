"""Operations on tensors that a traced forward may contain: what each is in the graph. Knows no torch.

A traced tensor is [T, N, *shape]; T and N are no axes of a graph, so an operation must leave both where they
are. Sizes that a forward reads (`x.shape`) are numbers, T and N aside, which stay symbols.

    matmul, @               SpikeMatMul of two tensors
    mul, *                  SpikeAnd of two tensors; a ChannelScale where one is a number; so is x / number
    reshape, view, flatten, unflatten, squeeze, unsqueeze      Reshape
    transpose, swapaxes, swapdims, permute, mT                 Permute
    cat, concat, concatenate along the channels                Concat
    x[:, :, a:b]            Slice
    relu                    Relu
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.ir import (
    ChannelScale,
    Concat,
    Node,
    Permute,
    Relu,
    Reshape,
    Shape,
    Slice,
    SpikeAnd,
    SpikeMatMul,
)

LEAD = 2  # axes T and N in front of a step's


class Refused(Exception):
    """An operation that has no node; says why in a few words."""


@dataclass(frozen=True)
class Axis:
    """The size of an axis that a graph does not have: T or N."""

    name: str


def sizes(shape: Shape) -> tuple[Axis | int, ...]:
    """What `x.shape` is for a traced tensor."""
    return (Axis("T"), Axis("N"), *shape)


_NUMBERS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        operator.add, operator.sub, operator.mul, operator.floordiv, operator.truediv, operator.mod,
        operator.neg, operator.pow,
    )
}  # fmt: skip


def number(kind: str, args: Sequence[Any]) -> Any:
    """The result of an operation on sizes alone; None if it has none here."""
    if kind == "getitem":
        return args[0][args[1]]
    if kind not in _NUMBERS:
        return None
    if not all(isinstance(a, int | float) for a in args):
        raise Refused("computes with the number of steps or samples")
    return _NUMBERS[kind](*args)


def product(kind: str) -> Node | None:
    """The node of an operation on two tensors; None if it has none."""
    return {"matmul": SpikeMatMul, "mul": SpikeAnd}.get(kind, lambda: None)()


SCALES = ("mul", "truediv", "div")


def scale(kind: str, factor: float, shape: Shape, first: bool = True) -> Node | None:
    """The node of a tensor times a number, or divided by it; None for a number divided by a tensor."""
    divides = kind in ("truediv", "div")
    if divides and not first:
        return None
    if not shape or (divides and factor == 0):
        raise Refused(f"by {factor} of {len(shape)} axes a step has no weights")
    return ChannelScale(np.full(shape[0], 1.0 / factor if divides else factor, np.float64))


JOINS = ("cat", "concat", "concatenate")


def joined(shapes: Sequence[Shape], args: Sequence[Any], options: Mapping[str, Any]) -> Node:
    """The node of tensors [T, N, *shape] put side by side."""
    given = [*args, *options.values()]
    if len(given) != 1 or set(options) - {"dim", "axis"} or _axis(shapes[0], given[0]) != 0:
        raise Refused(
            f"along {given[0] if given else 'the steps'} has no node: along the channels, axis 2, it has"
        )
    return Concat(tuple(shape[0] for shape in shapes))


_PARAMETERS = {
    "flatten": ("start_dim", "end_dim"), "unflatten": ("dim", "sizes"), "transpose": ("dim0", "dim1"),
    "swapaxes": ("axis0", "axis1"), "swapdims": ("dim0", "dim1"), "permute": ("dims",),
    "reshape": ("shape",), "view": ("size",), "squeeze": ("dim",), "unsqueeze": ("dim",), "mT": (),
    "getitem": ("index",), "relu": ("inplace",),
}  # fmt: skip


def move(kind: str, shape: Shape, args: Sequence[Any], options: Mapping[str, Any]) -> Node | None:
    """The node of an operation that moves values of a tensor [T, N, *shape], takes some of them or maps each
    alone; None if it is no such one."""
    if kind not in _PARAMETERS:
        return None
    names, defaults = _PARAMETERS[kind], _DEFAULTS.get(kind, ())
    if odd := set(options) - set(names[len(args) :]):
        raise Refused(f"with {', '.join(sorted(odd))} has no node")
    given = [*args]
    for name, default in list(zip(names, (*defaults, *[None] * len(names)), strict=False))[len(args) :]:
        given.append(options.get(name, default))
    return _MOVES[kind](shape, [a for a in given if a is not None])


_DEFAULTS = {"flatten": (0, -1)}


def _axis(shape: Shape, dim: Any, room: int = 0) -> int:
    """An axis of the tensor as one of a step, room: axes that may be behind the last."""
    rank = len(shape) + LEAD + room
    at = dim + rank if isinstance(dim, int) and dim < 0 else dim
    if not isinstance(at, int) or not LEAD <= at < rank:
        raise Refused(f"moves axis {dim} of a tensor [T, N, {', '.join(map(str, shape))}]")
    return at - LEAD


def _sizes(args: Sequence[Any]) -> list[Any]:
    """Sizes given one by one or as one tuple."""
    return list(args[0]) if len(args) == 1 and isinstance(args[0], tuple | list) else list(args)


def _filled(sizes_: Sequence[Any], size: int) -> Shape:
    """Sizes with their one -1 worked out."""
    known = math.prod(n for n in sizes_ if n != -1)
    out = tuple(size // max(known, 1) if n == -1 else n for n in sizes_)
    if not all(isinstance(n, int) for n in out) or math.prod(out) != size:
        raise Refused(f"gives {size} values of a step the shape {out}")
    return out


def _reshape(shape: Shape, args: Sequence[Any]) -> Node:
    steps, samples, *rest = [*_sizes(args), None, None][: max(2, len(_sizes(args)))]
    if (steps, samples) != (Axis("T"), Axis("N")):
        raise Refused("gives the axes of steps and samples another shape")
    return Reshape(_filled(rest, math.prod(shape)))


def _flatten(shape: Shape, args: Sequence[Any]) -> Node:
    low, high = (_axis(shape, dim) for dim in args)
    return Reshape((*shape[:low], math.prod(shape[low : high + 1]), *shape[high + 1 :]))


def _unflatten(shape: Shape, args: Sequence[Any]) -> Node:
    at = _axis(shape, args[0])
    return Reshape((*shape[:at], *_filled(_sizes(args[1:]), shape[at]), *shape[at + 1 :]))


def _squeeze(shape: Shape, args: Sequence[Any]) -> Node:
    if len(args) != 1:
        raise Refused("may drop the axis of steps or samples")
    at = _axis(shape, args[0])
    return Reshape(shape if shape[at] != 1 else (*shape[:at], *shape[at + 1 :]))


def _unsqueeze(shape: Shape, args: Sequence[Any]) -> Node:
    at = _axis(shape, args[0], room=1)
    return Reshape((*shape[:at], 1, *shape[at:]))


def _transpose(shape: Shape, args: Sequence[Any]) -> Node:
    a, b = (_axis(shape, dim) for dim in args)
    axes = list(range(len(shape)))
    axes[a], axes[b] = b, a
    return Permute(tuple(axes))


def _transposed(shape: Shape, args: Sequence[Any]) -> Node:
    return _transpose(shape, (-2, -1))


def _permute(shape: Shape, args: Sequence[Any]) -> Node:
    dims = [d + len(shape) + LEAD if d < 0 else d for d in _sizes(args)]
    if sorted(dims) != list(range(len(shape) + LEAD)) or dims[:LEAD] != [0, 1]:
        raise Refused(f"permutes the axes of steps and samples ({', '.join(map(str, dims))})")
    return Permute(tuple(d - LEAD for d in dims[LEAD:]))


def _getitem(shape: Shape, args: Sequence[Any]) -> Node:
    index = args[0] if isinstance(args[0], tuple) else (args[0],)
    whole = slice(None)
    if len(index) != 3 or index[:2] != (whole, whole) or not isinstance(index[2], slice):
        raise Refused("takes a part that is no range of channels, [:, :, a:b]")
    start, stop, step = index[2].indices(shape[0])
    if step != 1 or start >= stop:
        raise Refused(f"takes no channels or every {step}th")
    return Slice(start, stop)


def _relu(shape: Shape, args: Sequence[Any]) -> Node:
    return Relu()


_MOVES: dict[str, Callable[[Shape, Sequence[Any]], Node]] = {
    "reshape": _reshape, "view": _reshape, "flatten": _flatten, "unflatten": _unflatten,
    "squeeze": _squeeze, "unsqueeze": _unsqueeze, "transpose": _transpose, "swapaxes": _transpose,
    "swapdims": _transpose, "permute": _permute, "mT": _transposed,
    "getitem": _getitem, "relu": _relu,
}  # fmt: skip
