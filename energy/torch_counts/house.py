"""Layers of train/, counted whole, by the node of the graph that they become: `convert.torch_layers` gives
it.

Their kernels are hidden from dispatch (neurons run in compiled loops), or take another order of products than
the one that is counted (a graph convolution mixes channels first). The rules of a node are the graph side's:
`energy.fanout` and `energy.updates`. Tensors are [T, N, *shape], N = 1.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from convert.ir import ChannelScale, GraphConv, JointMean, Neuron, Node, WindowNode
from convert.torch_layers import HANDLERS, handler_of
from energy.fanout import Fanout, fanout, weighted
from energy.operand import BINARY, INTEGER, REAL
from energy.torch_counts.norms import running
from energy.torch_counts.note import Axis, Cell, Note
from energy.torch_counts.operand import Synapses, assumed, peak, summed, sums
from energy.torch_counts.pooling import mean_of
from energy.torch_counts.record import Numbers, Stage, Steady, Synaptic
from energy.torch_counts.rules import Rules
from energy.torch_counts.trace import Call
from energy.updates import neuron_ops
from train.stepwise import Stepwise

RULES = Rules()


def ours(module: nn.Module) -> bool:
    """Whether the module is a layer of train/ with a node of its own."""
    kind = next((c for c in type(module).__mro__ if c in HANDLERS), None)
    known = kind is not None and kind.__module__.startswith("train.") and kind is not Stepwise
    return known and handler_of(module, HANDLERS) is not None


@RULES.module(ours)
def _layer(call: Call) -> None:
    module, x = call.module, call.operand
    if isinstance(module, nn.BatchNorm1d):
        running(call, x, call.out, 2)
        return
    node = handler_of(module, HANDLERS)(call.trace.path, module, tuple(x.shape[2:]))
    if isinstance(node, type):  # a node without numbers
        node = node()
    if isinstance(node, JointMean):
        mean_of(call, x, (x.dim() - 1,))
    elif isinstance(node, Neuron):
        _neurons(call, node, x)
    elif node is not None and weighted(node):
        _weighted(call, node, x)


def _neurons(call: Call, node: Neuron, x: Tensor) -> None:
    steps = len(x)
    ops = {k: n * steps for k, n in neuron_ops(node, x[0].numel()).items()}
    record = Steady(call.where(x), ops)
    call.trace.read(call.note(x), None)
    call.record(record)
    if not node.spiking:
        time = Axis(0, steps) if call.out.dim() == x.dim() else None
        call.give(Note(Cell(), time=time if call.trace.steps else None))
        return
    time = Axis(0, steps) if call.trace.steps == steps else None
    if x.is_meta:
        record.counts["spikes_out"], record.known = x.numel(), False
        call.give(Note(Cell(BINARY, spikes=True, discrete=True), time=time))
        return
    spikes = torch.count_nonzero(call.out.flatten(1), dim=1).numpy()
    record.counts["spikes_out"] = int(spikes.sum())
    record.by_step = {"spikes_out": spikes.astype(np.int64)} if time else None
    call.give(Note(Cell(BINARY, spikes=True, discrete=True), time=time))


def _weighted(call: Call, node: Node, x: Tensor) -> None:
    note, steps = call.note(x), len(x)
    absorbs = not isinstance(node, GraphConv | ChannelScale | WindowNode)
    stages = [_stage(call, node, fan, x, note, absorbs) for fan in fanout(node, tuple(x.shape[2:]), steps)]
    biased = getattr(node, "bias", None) is not None
    record = Synaptic(
        call.where(x), stages, call.out.numel(), call.out.numel() if biased else 0,
        note.pooled.pool if note.pooled and absorbs else None, scale=isinstance(node, ChannelScale),
    )  # fmt: skip
    call.trace.read(note, record if absorbs else None)
    call.record(record)
    time = Axis(0, steps) if note.time == Axis(0, steps) and len(call.out) == steps else None
    channels = None if isinstance(node, ChannelScale) or call.out.dim() < 3 else Axis(2, call.out.shape[2])
    call.give(Note(Cell(), (record.users,), (record,), time, channels))


def _stage(call: Call, node: Node, fan: Fanout, x: Tensor, note: Note, absorbs: bool) -> Stage:
    behind, pooled = None, note.pooled
    if x.is_meta:
        inbounds = fan.inbounds(len(x))
        return Stage(fan.item, assumed(x, note.cell, Synapses(fan.dense, inbounds, 0, torch.empty(0))))
    plain = _numbers(call, fan, (x != 0).to(torch.int64), sums(x, note.cell), 1, note.cell, x)
    if pooled is not None and pooled.events is not None and pooled.sums is not None and absorbs:
        signed, size = map(summed, pooled.sums)
        behind = _numbers(call, fan, pooled.events, (signed, size), pooled.window, pooled.cell, x)
        behind.folded, behind.window = True, pooled.window
    return Stage(fan.item, plain, behind)


def _numbers(
    call: Call, fan: Fanout, events: Tensor, given: tuple[float, float], window: int, cell: Cell, x: Tensor
) -> Numbers:
    """As `energy.synapses`, of one sample; events: int64 [T, 1, *shape]."""
    steps = len(x)
    flat = events.reshape(steps, -1).numpy()
    if fan.lanes:  # an inner tensor: columns that any channel reaches
        flat = flat.reshape(steps, -1, fan.synapses.shape[1]).any(axis=1).astype(np.int64)
    sop, nonzero = (_dot(flat, m) for m in (fan.synapses, fan.nonzero))
    nnz = flat.sum(axis=1) * (fan.lanes or 1)
    skip = call.settings.skip_zero_adjacency if fan.item == "adjacency" else not call.settings.zero_weights
    values = x.numel() * window
    rate_values = steps * fan.synapses.shape[1] * fan.lanes if fan.lanes else values
    done = int((nonzero if skip else sop).sum())
    followed = call.trace.steps == steps and call.note(x).time == Axis(0, steps)
    found = Numbers(
        REAL if fan.lanes else cell.cls, cell.spikes, True, fan.dense, fan.inbounds(steps), int(sop.sum()),
        int(nonzero.sum()), done, int(nnz.sum()), rate_values, values, *given,
        {"nnz_in": nnz, "sop_exact": sop} if followed else None, sums=cell.sums,
        active=int(events.sum()), input_cls=cell.cls,
    )  # fmt: skip
    if cell.cls == INTEGER:
        pooled = call.note(x).pooled
        found.peak = pooled.peak if pooled and window > 1 else peak(x)
        sizes = pooled.sums[1] if pooled and pooled.sums and window > 1 else x.abs().double()
        charged = fan.nonzero if skip else fan.synapses
        sized = sizes.reshape(steps, -1).to(torch.int64).numpy()
        found.sized = int(_dot(sized, charged).sum()) if cell.sums and not fan.lanes else 0
    return found


def _dot(events: np.ndarray, synapses: np.ndarray) -> np.ndarray:
    """events [T, P], synapses [1 or T, P] -> int64 [T]."""
    return (events * synapses).sum(axis=1) if len(synapses) > 1 else events @ synapses[0]
