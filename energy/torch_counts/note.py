"""What is known of a tensor beside its values: where it comes from decides what an operation on it costs.

    Cell    operand class, constant or not, spikes or not: shared by a tensor and its views, as memory is
    Note    a tensor's cell, where its steps and channels lie, and what stands before it that may be folded

Classes are `energy.operand`'s: inherited from the producer, never guessed from values. A constant (parameter,
buffer, or made of them alone) is a weight, whatever its values: it is never a spike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from energy.operand import BINARY, REAL

if TYPE_CHECKING:
    from energy.torch_counts.record import Pool, Scores, Synaptic, Users

Shape = Sequence[int]
VIEWS = frozenset((
    "view", "reshape", "permute", "transpose", "t", "unsqueeze", "squeeze", "alias", "detach", "select",
    "slice",
    "expand", "as_strided", "split", "split_with_sizes", "unbind", "diagonal", "unfold", "chunk",
    "_reshape_alias",
    "view_as_real", "view_as_complex", "_conj", "real", "imag", "narrow", "unsafe_split",
    "unsafe_split_with_sizes", "contiguous",
))  # fmt: skip
"""Operations whose result may share the memory of their input."""
WRITES = frozenset((
    "copy", "fill", "zero", "uniform", "normal", "bernoulli", "random", "exponential", "index_put",
    "index_copy", "index_fill", "masked_fill", "masked_scatter", "scatter",
))  # fmt: skip
"""Operations in place that write where they read nothing."""


@dataclass(eq=False)
class Cell:
    """cls: operand class of the sample.  constant: a weight.  fixed: a buffer has a part in it (an
    adjacency).  unfilled: memory that no operation has written into yet, by the name of what made it.

    By structure: spikes: spikes, or sums and means of them; sums: of these, sums; discrete: no real value;
    entering: what enters the model, no layer between; behind: the last layers in front of it.
    """

    cls: int = REAL
    constant: bool = False
    fixed: bool = False
    spikes: bool = False
    discrete: bool = False
    sums: bool = False
    entering: bool = False
    behind: frozenset[Synaptic] = frozenset()
    unfilled: str = ""

    def take(self, other: Cell, whole: bool) -> None:
        """Values of `other` are written into this memory; whole: all of it."""
        self.unfilled = ""
        if whole or self.constant:  # of a constant (zeros to be filled) nothing remains to be known
            self.cls, self.spikes, self.discrete, self.sums = (
                other.cls,
                other.spikes,
                other.discrete,
                other.sums,
            )
            self.constant, self.fixed = other.constant and whole, other.fixed
            return
        self.cls = max(self.cls, other.cls)
        self.spikes, self.discrete = self.spikes and other.spikes, self.discrete and other.discrete
        self.sums = self.sums or other.sums


@dataclass(frozen=True)
class Axis:
    """A logical axis of `length` inside a tensor's axis `at`: index = place * inner + rest."""

    at: int
    length: int
    inner: int = 1


@dataclass(frozen=True, eq=False)
class Pooled:
    """What lay before a pool whose windows do not overlap, in the shape of the pool's output.

    events: non-zero inputs of each window; sums: their sum of values and of sizes; window: inputs of one;
    peak: the largest size of an input.
    None where values are not known. cell: the input's; pool: the record that decides whether it is folded.
    """

    events: torch.Tensor | None
    sums: tuple[torch.Tensor, torch.Tensor] | None
    window: int
    cell: Cell
    pool: Pool
    peak: int = 1

    def moved(self, move: Callable[[torch.Tensor], torch.Tensor]) -> Pooled:
        """After a move of values, given as a function of one tensor."""
        if self.events is None or self.sums is None:
            return self
        return replace(self, events=move(self.events), sums=(move(self.sums[0]), move(self.sums[1])))


@dataclass(frozen=True, eq=False)
class Note:
    """users: who reads it, shared with whatever is merely moved from it.  makers: weighted operations whose
    outputs it is, all of them.  time, channels: where steps and output channels lie, None if not followed.
    scores: it is a product of matrices, moved at most."""

    cell: Cell
    users: tuple[Users, ...] = ()
    makers: tuple[Synaptic, ...] = ()
    time: Axis | None = None
    channels: Axis | None = None
    pooled: Pooled | None = None
    scores: Scores | None = None


def constant(fixed: bool = False, unfilled: str = "") -> Note:
    """The note of a weight. Its class is the narrowest, so that it widens nothing that it is put beside."""
    return Note(Cell(BINARY, constant=True, fixed=fixed, unfilled=unfilled, discrete=True, spikes=True))


def carried(axis: Axis | None, op: str, args: Sequence[Any], before: Shape, after: Shape) -> Axis | None:
    """Where `axis` lies behind the operation, or None if it is not followed there."""
    if axis is None:
        return None
    if op == "permute":
        return replace(axis, at=[d % len(before) for d in args[1]].index(axis.at))
    if op in ("transpose", "t"):
        a, b = (0, 1) if op == "t" else (d % len(before) for d in args[1:3])
        return replace(axis, at={a: b, b: a}.get(axis.at, axis.at)) if len(before) > 1 else axis
    if op in ("select", "unbind"):
        dim = int(args[1] if len(args) > 1 else 0) % len(before)
        return None if dim == axis.at else replace(axis, at=axis.at - (dim < axis.at))
    if op == "stack":
        dim = int(args[1] if len(args) > 1 else 0) % len(after)
        return replace(axis, at=axis.at + (dim <= axis.at))
    if math.prod(before) == math.prod(after) and tuple(before) != tuple(after):
        return _reshaped(axis, before, after)
    at = axis.at + len(after) - len(before)  # broadcast: aligned from the right
    return replace(axis, at=at) if at >= 0 and after[at] == before[axis.at] else None


def _reshaped(axis: Axis, before: Shape, after: Shape) -> Axis | None:
    """In memory order an index is (outer, place, inner); an axis that keeps both ends holds it."""
    outer = math.prod(before[: axis.at])
    inner = axis.inner * math.prod(before[axis.at + 1 :])
    for at, size in enumerate(after):
        here, left = math.prod(after[:at]), math.prod(after[at + 1 :])
        if here == outer and size % axis.length == 0 and size // axis.length * left == inner:
            return Axis(at, axis.length, size // axis.length)
    return None
