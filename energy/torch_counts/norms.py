"""Normalisations.

batch norm, running statistics    1 MAC a value (`scale_macs`), or nothing where it is folded into the weights
batch norm of the batch's own statistics, instance, layer, group norm, RMS norm, of groups of n values:
    mean n - 1 adds and 1 multiply; variance 2 n - 1 adds, n + 1 multiplies; 1 add and 1 root (a multiply);
    n multiplies by it; then 1 MAC a value where it is affine
"""

from __future__ import annotations

import math

from torch import Tensor

from energy.torch_counts.elementwise import steady
from energy.torch_counts.note import Axis, Cell, Note, carried
from energy.torch_counts.record import Norm
from energy.torch_counts.rules import Rules
from energy.torch_counts.trace import Call

RULES = Rules()


def running(call: Call, x: Tensor, out: Tensor, axis: int) -> None:
    """Batch norm of running statistics over channels that lie along `axis`."""
    note = call.note(x)
    here = note.channels == Axis(axis, x.shape[axis])
    record = Norm(call.where(x), {"scale_macs": x.numel()}, makers=note.makers if here else ())
    call.trace.read(note, record)
    call.record(record)
    time = carried(note.time, call.name, (), x.shape, out.shape)
    call.give(Note(Cell(), time=time, channels=Axis(axis, x.shape[axis])), out)


def own(call: Call, x: Tensor, out: Tensor, groups: int, affine: bool) -> None:
    """A norm by the statistics of the values themselves, of `groups` groups."""
    n = x.numel()
    record = steady(call, x, multiplies=2 * n + 3 * groups, adds=3 * n - groups)
    if affine:
        record.counts["scale_macs"] = n
    note = call.note(x)
    call.trace.read(note, None)
    call.give(Note(Cell(), time=carried(note.time, call.name, (), x.shape, out.shape)), out)


@RULES.operation(
    "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training",
    "cudnn_batch_norm", "miopen_batch_norm", "_native_batch_norm_legit_functional", "_batch_norm_no_update",
    "_batch_norm_with_update",
)  # fmt: skip
def _batch(call: Call) -> None:
    x, weight, mean = call.args[0], call.args[1], call.args[3] if len(call.args) > 3 else None
    at_rest = call.name.endswith(("no_training", "no_update"))
    training = False if at_rest else bool(call.args[5]) if len(call.args) > 5 else mean is None
    if call.name in ("_native_batch_norm_legit",) and not isinstance(mean, Tensor):
        training = True
    out = call.out[0]
    if training:
        own(call, x, out, x.shape[1], weight is not None)
    else:
        running(call, x, out, 1)
    for other in call.out[1:]:
        if isinstance(other, Tensor):
            call.give(Note(Cell()), other)


@RULES.operation("native_layer_norm", "native_group_norm", "_fused_rms_norm", "rms_norm")
def _group(call: Call) -> None:
    x = call.args[0]
    outs = call.out if isinstance(call.out, tuple) else (call.out,)
    if call.name == "native_group_norm":
        affine, groups = call.args[1] is not None, x.shape[0] * call.args[6]
    else:
        size = math.prod(call.args[1])
        affine, groups = call.arg(2, "weight") is not None, x.numel() // max(1, size)
    own(call, x, outs[0], groups, affine)
    for other in outs[1:]:
        if isinstance(other, Tensor):
            call.give(Note(Cell()), other)
