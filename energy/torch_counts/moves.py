"""Operations that move values, or make none that depend on the sample: they cost nothing.

    kept        every value, elsewhere: class, steps, channels and a pool in front go along
    parts       some values, or several tensors side by side: a pool in front is not folded any more
    made        constants: zeros, ranges, random numbers
A cast to whole numbers makes integers of real values; other casts keep the class.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from energy.operand import BINARY, INTEGER, REAL, TERNARY
from energy.torch_counts.note import VIEWS, Cell, Note, carried, constant
from energy.torch_counts.rules import NotCounted, Rules
from energy.torch_counts.trace import Call

RULES = Rules()

_KEPT = (
    "view", "_unsafe_view", "reshape", "permute", "transpose", "t", "unsqueeze", "squeeze", "clone", "alias",
    "detach", "contiguous", "flip", "roll", "rot90", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle",
    "_reshape_alias",
    "_reshape_copy", "view_copy", "unsafe_chunk", "_conj", "view_as_real", "view_as_complex",
)  # fmt: skip


def moved(call: Call, x: Tensor, out: Tensor, keeps: bool) -> Note:
    """The note of `x` behind a move. keeps: each value is still there once."""
    note = call.note(x)
    cell = note.cell if call.name in VIEWS else replace(note.cell)
    time, channels = (
        carried(axis, call.name, call.args, x.shape, out.shape) for axis in (note.time, note.channels)
    )
    if keeps:
        pooled = note.pooled
        if pooled is not None and pooled.events is not None:
            pooled = pooled.moved(lambda values: _again(call, values, out))
        return Note(cell, note.users, note.makers, time, channels, pooled, note.scores)
    call.trace.read(note, None)
    return Note(cell, (), (), time, channels)


def _again(call: Call, values: Tensor, out: Tensor) -> Tensor:
    """The same move of other values."""
    if call.name in ("clone", "alias", "detach", "contiguous", "lift_fresh"):
        return values
    if call.name in ("view", "_unsafe_view", "_reshape_alias"):
        return values.reshape(out.shape)
    overload = "int" if call.name == "transpose" else None
    packet = getattr(torch.ops.aten, call.name)
    return (getattr(packet, overload) if overload else packet)(values, *call.args[1:], **call.kwargs)


@RULES.operation(*_KEPT, complex_values=True)
def _keep(call: Call) -> None:
    x = call.args[0]
    for out in _outs(call.out):
        call.give(moved(call, x, out, keeps=True), out)


@RULES.operation("lift_fresh", "lift", complex_values=True)
def _lift(call: Call) -> None:
    """A number of Python's, taken in. More than one value may be the sample's, by way of numpy or a list."""
    call.give(constant() if call.out.numel() <= 1 else call.note(call.args[0]))


@RULES.operation(
    "select", "slice", "expand", "as_strided", "split", "split_with_sizes", "unbind", "diagonal", "unfold",
    "chunk",
    "unsafe_split", "unsafe_split_with_sizes", "narrow", "gather", "index", "index_select", "masked_select",
    "take",
    "repeat", "tile", "repeat_interleave", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
    "replication_pad1d", "replication_pad2d", "replication_pad3d", "constant_pad_nd", "im2col",
    "upsample_nearest1d",
    "upsample_nearest2d", "upsample_nearest3d", "tril", "triu", "real", "imag", "masked_fill",
    complex_values=True,
)  # fmt: skip
def _part(call: Call) -> None:
    x = call.args[0]
    same = call.name == "expand" and call.out.shape == x.shape
    whole = call.name == "slice" and call.out.shape == x.shape
    others = call.tensors()[1:]
    for out in _outs(call.out):
        note = moved(call, x, out, keeps=same or whole)
        if call.name in ("masked_fill", "constant_pad_nd") and _number(call) not in (0, 1):
            note = replace(note, cell=Cell())  # filled with a real number
        if not all(call.note(other).cell.constant for other in others):
            note = replace(note, cell=_chosen(call, x, note.cell))
        call.give(note, out)
    for other in others:
        call.trace.read(call.note(other), None)


def _chosen(call: Call, x: Tensor, cell: Cell) -> Cell:
    """Of a weight, values that the sample chooses: no weight any more, nor spikes."""
    return replace(beside(call, x), constant=False, spikes=False) if cell.constant else cell


@RULES.operation("embedding")
def _rows_of_table(call: Call) -> None:
    """Rows that the sample's numbers choose: moves, no product with one-hot vectors."""
    table, places = call.args[:2]
    cell = _chosen(call, table, replace(call.note(table).cell))
    for x in (table, places):
        call.trace.read(call.note(x), None)
    call.give(Note(cell, time=call.note(places).time))


def _number(call: Call) -> float:
    value = call.arg(2, "value", 0)
    return float(value) if isinstance(value, int | float) else 0.5


@RULES.operation("cat", "stack", "hstack", "vstack", "concat", complex_values=True)
def _join(call: Call) -> None:
    """The widest class of the parts; still the output of weights, where every part is."""
    notes = [call.note(x) for x in call.args[0]]
    cell = widest([beside(call, x) for x in call.args[0]])
    for note in notes:
        if note.pooled is not None:
            call.trace.read(note, None)
    axes = []
    for which in ("time", "channels"):
        found = {
            carried(getattr(n, which), call.name, call.args, x.shape, call.out.shape)
            if call.name == "stack" else getattr(n, which)
            for n, x in zip(notes, call.args[0], strict=True)
        }  # fmt: skip
        axes.append(found.pop() if len(found) == 1 or which == "channels" else None)
    time, channels = axes
    along = int(call.arg(1, "dim", 0)) % call.out.dim()
    if time is not None and call.name == "cat" and along == time.at:
        time = None
    if channels is not None and along == channels.at and call.name == "cat":
        channels = replace(channels, length=call.out.shape[along])
    makers = tuple(m for n in notes for m in n.makers) if all(n.makers for n in notes) else ()
    users = tuple(u for n in notes if n.pooled is None for u in n.users)
    call.give(Note(cell, users, makers, time, channels))


def widest(cells: list[Cell]) -> Cell:
    """The cell of values of several tensors together; constants only where all are."""
    return Cell(
        max(c.cls for c in cells),
        all(c.constant for c in cells),
        any(c.fixed for c in cells),
        all(c.spikes for c in cells),
        all(c.discrete for c in cells),
        any(c.sums for c in cells),
    )


def beside(call: Call, x: Tensor) -> Cell:
    """The cell of a tensor that is put beside others: a weight widens them as far as its values do."""
    cell = call.note(x).cell
    if not cell.constant or x.is_meta:
        return cell
    cls = _class_of(x)
    return cell if cls == BINARY else replace(cell, cls=cls, spikes=False, discrete=cls != REAL)


def _class_of(x: Tensor) -> int:
    """The narrowest class that holds all values of a weight."""
    if x.is_complex() or bool((x != x.round()).any() if x.is_floating_point() else False):
        return REAL
    if bool(((x == 0) | (x == 1)).all()):
        return BINARY
    return TERNARY if bool((x.abs() <= 1).all()) else INTEGER


@RULES.operation("_to_copy", "to", "type_as", "float", "double", "int", "long", "bool", complex_values=True)
def _cast(call: Call) -> None:
    """A cast keeps the class; one to whole numbers makes integers, one to truth values binary ones."""
    x = call.args[0]
    note = moved(call, x, call.out, keeps=True)
    if not call.out.dtype.is_floating_point and not call.out.dtype.is_complex and x.dtype.is_floating_point:
        cls = BINARY if call.out.dtype == torch.bool else INTEGER
        note = replace(note, cell=replace(note.cell, cls=min(note.cell.cls, cls), discrete=True), pooled=None)
    call.give(note)


@RULES.operation(
    "zeros", "ones", "empty", "full", "arange", "linspace", "eye", "zeros_like", "ones_like", "empty_like",
    "full_like",
    "new_zeros", "new_ones", "new_empty", "new_full", "scalar_tensor", "empty_strided", "new_empty_strided",
    "tril_indices",
    "triu_indices", "rand", "randn", "rand_like", "randn_like", "randint", "uniform", "randperm",
    "hann_window", "zero",
    complex_values=True,
)  # fmt: skip
def made(call: Call) -> None:
    if call.in_place and not call.note(call.args[0]).cell.constant:
        return  # zeros in a part of it: what the rest holds stays
    unfilled = call.name if "empty" in call.name or "zeros" in call.name else ""
    for out in _outs(call.out):
        call.give(constant(fixed=True, unfilled=unfilled), out)


_SOURCE = {  # place of what is written, among the arguments
    "copy": 1, "fill": 1, "slice_scatter": 1, "select_scatter": 1, "index_put": 2, "masked_scatter": 2,
    "scatter": 3, "index_fill": 3, "index_copy": 3,
}  # fmt: skip


@RULES.operation(*_SOURCE, complex_values=True)
def _write(call: Call) -> None:
    """Values written into another tensor: their memory is then of both. What adds up there is no move."""
    if "reduce" in call.kwargs or (call.name == "index_put" and call.arg(3, "accumulate", False)):
        raise NotCounted
    x, at = call.args[0], _SOURCE[call.name]
    source = call.args[at] if len(call.args) > at else call.kwargs.get("value", call.kwargs.get("src"))
    cells, time = [beside(call, x)], None
    if isinstance(source, Tensor):
        cells, time = [*cells, beside(call, source)], call.note(source).time
    elif source not in (0, 1):
        cells.append(Cell())
    cell = widest(cells[1:] if call.name == "copy" else cells)
    if cell.constant:  # weights, at places that the sample chooses
        cell = replace(cell, spikes=False)
    for other in call.tensors()[1:]:
        call.trace.read(call.note(other), None)
    call.give(Note(replace(cell, constant=False), time=time))


@RULES.operation(
    "_local_scalar_dense", "equal", "is_nonzero", "item", "sym_size", "size", "stride", "is_same_size",
    "_assert_async", "_assert_tensor_metadata", "record_stream", "set", "resize", "random",
    complex_values=True,
)  # fmt: skip
def _nothing(call: Call) -> None:
    """No tensor comes out."""


def _outs(out: Any) -> list[Tensor]:
    return [o for o in (out if isinstance(out, tuple | list) else (out,)) if isinstance(o, Tensor)]
