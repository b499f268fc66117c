"""Fused scaled dot product attention, counted as what it computes.

    S = scale Q K^T      the pairs of which neither is zero, in the places a mask lets through
    P = softmax(S)       one of at most S values a query
    O = P V              each value of V once a query that sees it; P is real and nowhere zero

Items `scores`, `softmax`, `mixed` of the line of the module.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from energy.operand import REAL
from energy.torch_counts.note import Cell, Note
from energy.torch_counts.operand import summed
from energy.torch_counts.record import Numbers, Stage, Steady, Synaptic, Where
from energy.torch_counts.rules import Rules
from energy.torch_counts.trace import Call

RULES = Rules()


@RULES.operation("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention",
      "_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention",
      "_scaled_dot_product_fused_attention_overrideable", "scaled_dot_product_attention")  # fmt: skip
def _fused(call: Call) -> None:
    q, k, v = call.args[:3]
    out = call.out[0] if isinstance(call.out, tuple) else call.out
    seen = _seen(call, q, k)
    notes = [call.note(t) for t in (q, k, v)]
    rows = math.prod(q.shape[:-1])
    dense = rows * k.shape[-2]
    known = not q.is_meta
    groups = q.shape[-3] // k.shape[-3] if q.dim() > 2 else 1
    if known:
        there = [(t != 0).double() for t in (q, k, v)]
        there[1:] = [t.repeat_interleave(groups, -3) if groups > 1 else t for t in there[1:]]
        met = int(((there[0] @ there[1].transpose(-1, -2)) * seen).sum())
        mixed = int((seen.double() @ there[2].sum(-1, keepdim=True)).sum())
    else:
        met, mixed = dense * q.shape[-1], dense * v.shape[-1]
    cls = max(notes[0].cell.cls, notes[1].cell.cls)
    spikes = notes[0].cell.spikes and notes[1].cell.spikes
    _product(call, "scores", q, (cls, spikes), dense * q.shape[-1], met)
    allowed = int(seen.sum()) if known else dense
    counts = {  # softmax of n values: 2 n multiplies, 2 n - 1 adds, n - 1 compares; one multiply more scales
        "neuron_multiplies": 3 * allowed,
        "neuron_adds": 2 * allowed - rows,
        "neuron_compares": allowed - rows,
    }
    call.record(Steady(_at(call, "softmax", tuple(seen.shape), tuple(seen.shape)), counts))
    _product(call, "mixed", v, (REAL, False), dense * v.shape[-1], mixed)
    for note in notes:
        call.trace.read(note, None)
    for other in call.out[1:] if isinstance(call.out, tuple) else ():
        if isinstance(other, Tensor):
            call.give(Note(Cell()), other)
    call.give(Note(Cell()), out)


def _seen(call: Call, q: Tensor, k: Tensor) -> Tensor:
    """Which scores are looked at: 1 or 0, broadcast to [.., L, S]."""
    shape = (*q.shape[:-1], k.shape[-2])
    mask = call.kwargs.get("attn_mask")
    if mask is None:
        mask = call.kwargs.get("attn_bias", call.args[3] if _takes_bias(call) else None)
    causal = bool(call.arg(5 if _takes_bias(call) else 4, "is_causal", False))
    seen = torch.ones(shape, device="meta" if q.is_meta else None)
    if q.is_meta:
        return seen
    if isinstance(mask, Tensor):
        seen = seen * (mask if mask.dtype == torch.bool else mask > -math.inf)
    return seen.tril() if causal else seen


def _takes_bias(call: Call) -> bool:
    return "efficient" in call.name or "cudnn" in call.name or "overrideable" in call.name


def _product(call: Call, item: str, x: Tensor, kind: tuple[int, bool], dense: int, met: int) -> None:
    known = not x.is_meta
    nnz = int(torch.count_nonzero(x)) if known else x.numel()
    sums = (summed(x), summed(x.abs())) if known else (math.nan, math.nan)
    found = Numbers(
        *kind, known, dense, dense, met, met, met, nnz, x.numel(), x.numel(), *sums,
        active=nnz, input_cls=kind[0], pairs=True,
    )  # fmt: skip
    where = replace(_at(call, item, tuple(x.shape), tuple(x.shape)), type="MatMul")
    call.record(Synaptic(where, (Stage("", found),), x.numel()))


def _at(call: Call, item: str, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> Where:
    return replace(call.trace.where(item, None, None, None), in_shape=in_shape, out_shape=out_shape)
