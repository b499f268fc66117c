"""Products: of a tensor with weights, and of two tensors.

    mm, bmm     a [.., m, k] b [.., k, n]: of weights b, each value of a passes n synapses; of weights a, each
                value of b passes m. Of two tensors: the pairs (a[i, k], b[k, j]) of which neither is zero.
    linear, einsum, tensordot, matmul    are these, after moves
    x * w       each value passes the weights that it meets; x * y: the pairs of which neither is zero
    + bias      one add an output: addmm, baddbmm; of a tensor of the sample a residual add, on a line of its
                own; 1 multiply an output for alpha that is not 1, and for beta of a tensor of the sample
    x & y       as x * y, of bits
    complex     4 MACs a product of two complex values (4 multiplies, each added up; of a product alone, which
                has 2 adds, an upper bound), 2 where one is real; 2 adds a bias. Division by one is not
                counted.

Two weights multiplied are a weight: worked out once, before any sample, it costs nothing.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from energy.operand import BINARY, INTEGER, REAL
from energy.torch_counts.note import Axis, Cell, Note, carried
from energy.torch_counts.operand import Synapses, behind_pool, numbers, peak, per_step, sums
from energy.torch_counts.record import Numbers, Scores, Stage, Steady, Synaptic, Users
from energy.torch_counts.rules import NotCounted, Rules
from energy.torch_counts.trace import Call

RULES = Rules()

MATRICES = ("mm", "bmm", "matmul")
ELEMENTWISE = ("mul", "div", "true_divide", "multiply", "divide", "logical_and", "bitwise_and")


def real_products(a: object, b: object) -> int:
    """Real products in one product of values of a and b: tensors or numbers."""
    return (1 + _is_complex(a)) * (1 + _is_complex(b))


def _is_complex(x: object) -> bool:
    return x.is_complex() if isinstance(x, Tensor) else isinstance(x, complex)


def weigh(
    call: Call,
    x: Tensor,
    fan: Synapses,
    time: Axis | None,
    channels: Axis | None,
    absorbs: bool = True,
) -> None:
    """Record `x` against weights, and give the result its note. absorbs: a pool in front may be folded in."""
    note, steps = call.note(x), call.trace.steps
    stage = Stage("", numbers(x, note, fan, steps), behind_pool(x, note, fan, steps) if absorbs else None)
    users, size = Users(), call.out.numel()
    pool = note.pooled.pool if note.pooled and absorbs else None
    record = Synaptic(call.where(x), (stage,), size, pool=pool, fixed=fan.fixed, users=users)
    call.trace.read(note, record if absorbs else None)
    call.record(record)
    call.give(Note(Cell(), (users,), (record,), time, channels))


def meet(
    call: Call,
    a: Tensor,
    b: Tensor,
    pairs: Tensor | None,
    dense: int,
    time: Axis | None,
    cell: Cell | None = None,
) -> None:
    """Record a product of two tensors.

    pairs: of which neither is zero, by place, float64, its first axes those of a; None where values are not
    known.  dense: all pairs.  cell: the result's.
    """
    each = real_products(a, b)
    dense, pairs = dense * each, None if pairs is None else pairs * each
    notes = [call.note(x) for x in (a, b)]
    cls = max(n.cell.cls for n in notes)
    spikes = all(n.cell.spikes for n in notes)
    found = _pair_numbers(call, a, b, pairs, dense, time)
    where = replace(call.where(a), type="Multiply" if call.name in ELEMENTWISE else "MatMul")
    record = Synaptic(where, (Stage("", found),), call.out.numel())
    scores = _attention(record, (a, b), notes) if call.name in MATRICES else None
    for note in notes:
        call.trace.read(note, record if note.scores is not None and note.scores is record.scores else None)
    call.record(record)
    discrete = all(n.cell.discrete for n in notes)
    own = Cell(cls if cls == REAL else INTEGER, spikes=spikes, discrete=discrete, sums=spikes)
    call.give(Note(cell or own, (record.users,), (), time, scores=scores))


def _attention(record: Synaptic, operands: tuple[Tensor, Tensor], notes: list[Note]) -> Scores:
    """A product of matrices as the first of an attention; if an operand is one, `record` is the second."""
    q, k = (x.numel() if x.is_meta else int(torch.count_nonzero(x)) for x in operands)
    for side, note in enumerate(notes):
        if note.scores is not None:
            v, d_v = (k, operands[1].shape[-1]) if side == 0 else (q, operands[0].shape[-2])
            record.scores = note.scores
            record.pairs_kv = note.scores.q * d_v + min(note.scores.k * d_v, v * note.scores.d)
            break
    return Scores(record, q, k, operands[0].shape[-1])


def _pair_numbers(
    call: Call, a: Tensor, b: Tensor, pairs: Tensor | None, dense: int, time: Axis | None
) -> Numbers:
    """What a product is, counted by its left operand."""
    notes = [call.note(x) for x in (a, b)]
    cls = max(n.cell.cls for n in notes)
    spikes, known = all(n.cell.spikes for n in notes), pairs is not None
    met, nnz, by_step = dense, a.numel(), None
    if pairs is not None:
        when = time if call.trace.steps and time == notes[0].time and pairs.dim() else None
        when = when if when is not None and when.at == 0 else None
        each, values = per_step(pairs, 1, when), per_step(a != 0, 1, when)
        met, nnz = int(each.sum()), int(values.sum())
        by_step = {"nnz_in": values, "sop_exact": each} if when is not None else None
    counting = spikes and any(n.cell.sums for n in notes)
    found = Numbers(
        cls, spikes, known, dense, dense, met, met, met, nnz, a.numel(), a.numel(),
        *(sums(a, Cell(cls, spikes=spikes)) if known else (math.nan, math.nan)), by_step,
        sums=counting, active=nnz, input_cls=cls, pairs=True,
    )  # fmt: skip
    if known and cls == INTEGER:
        found.peak = max(peak(x) for x, n in zip((a, b), notes, strict=True) if n.cell.cls <= INTEGER)
        found.sized = int(_met_sizes(a, b)) if counting else 0
    return found


def _met_sizes(a: Tensor, b: Tensor) -> float:
    """Pairs, each counted with the product of its sizes."""
    left, right = a.abs().double(), b.abs().double()
    if a.dim() >= 2 and a.dim() == b.dim() and a.shape[-1] == b.shape[-2] and a.shape[:-2] == b.shape[:-2]:
        return float((left.sum(-2) * right.sum(-1)).sum())
    return float((left * right).sum())


def _skips(call: Call, weight: Note) -> tuple[bool, bool]:
    """Whether zero weights are no synapses: asked for of all, or of adjacencies; whether this is one (weights
    with a fixed part)."""
    fixed = weight.cell.fixed
    return not call.settings.zero_weights or (call.settings.skip_zero_adjacency and fixed), fixed


@RULES.operation(*MATRICES, "mv", "dot", "addmm", "baddbmm", "addmv", "linear", complex_values=True)
def _matrix(call: Call) -> None:
    added = call.name.startswith(("add", "badd"))
    a, b = call.args[1:3] if added else call.args[:2]
    if call.name == "linear":
        b = b.t() if not b.is_meta else torch.empty_like(b).t()
    bias = call.args[0] if added else call.arg(2, "bias")
    tensors = [a, call.args[1] if call.name == "linear" else b]
    notes = [call.note(t) for t in tensors]
    if all(n.cell.constant for n in notes):  # worked out once: a bias of what is added to it
        ops = {
            "bias_adds": call.out.numel(),
            "neuron_multiplies": call.out.numel() * (call.kwargs.get("beta", 1) not in (0, 1)),
        }
        call.record(Steady(call.where(bias), ops))
        call.trace.read(call.note(bias), None)
        call.give(Note(Cell()))
        return
    left, right = _as_matrix(a, True), _as_matrix(b, False)
    m, k, n = left.shape[-2], left.shape[-1], right.shape[-1]
    dense = (
        call.out.numel() // max(1, m * n) * m * k * n
        if call.name not in ("mv", "dot", "addmv")
        else m * k * n
    )
    has_bias = bias is not None and (not added or call.kwargs.get("beta", 1) != 0)
    each, skips = real_products(a, b), _skips(call, notes[1] if notes[1].cell.constant else notes[0])
    if notes[1].cell.constant and not notes[0].cell.constant:
        fan = _times_real(each, Synapses(dense, dense, n, _filled(right, -1, n, a), *skips))
        weigh(
            call,
            a,
            fan,
            _rows(notes[0], a),
            Axis(call.out.dim() - 1, n) if call.out.dim() else None,
        )
    elif notes[0].cell.constant and not notes[1].cell.constant:
        fan = _times_real(each, Synapses(dense, dense, m, _filled(left, -2, m, b), *skips))
        weigh(call, b, fan, None, Axis(call.out.dim() - 2, m) if call.out.dim() > 1 else None)
    else:
        pairs = None if a.is_meta else _pairs(left, right)
        meet(call, a, b, pairs, dense, _rows(notes[0], a) if a.dim() == 3 else None)
    scaled = _factors(call, bias)
    if has_bias or scaled:
        _plus(call, bias if has_bias else None, scaled)


def _factors(call: Call, bias: Tensor | None) -> int:
    """Numbers by which outputs are multiplied: alpha the products; beta what is added, no weight."""
    varies = bias is not None and not call.note(bias).cell.constant
    names = ("alpha", "beta") if varies else ("alpha",)
    return sum(call.kwargs.get(name, 1) not in (0, 1) for name in names)


def _plus(call: Call, bias: Tensor | None, scaled: int = 0) -> None:
    """What is added to the products that were recorded last: a weight is their bias. scaled: products by
    numbers, of every output."""
    size = call.out.numel() * (1 + call.out.is_complex())
    own = {"neuron_multiplies": size * scaled} if scaled else {}
    made, note = call.trace.records[-1] if call.trace.records else None, call.note(call.out)
    if bias is not None and call.note(bias).cell.constant and isinstance(made, Synaptic):
        made.bias = size
    elif bias is not None:
        own["residual_adds"] = size
        call.trace.read(call.note(bias), None)
        call.give(replace(note, makers=()))  # a norm behind would have to scale what is added too
    if own:
        x = call.out if bias is None else bias
        call.record(Steady(call.trace.where("add", None, x, call.out), own))


def _times_real(each: int, fan: Synapses) -> Synapses:
    """Synapses as real products, `each` of one."""
    if each == 1:
        return fan
    return Synapses(
        fan.dense * each, fan.inbounds * each, fan.each * each, fan.nonzero * each, fan.skip, fan.fixed
    )


def _as_matrix(x: Tensor, left: bool) -> Tensor:
    return x if x.dim() > 1 else (x[None] if left else x[:, None])


def _rows(note: Note, a: Tensor) -> Axis | None:
    """Steps that lie along rows or batches stay where they are."""
    return note.time if note.time is not None and note.time.at != a.dim() - 1 else None


def _filled(weight: Tensor, axis: int, every: int, x: Tensor) -> int | Tensor:
    """Weights that are not zero, for each value of `x`: along the axis that x does not share."""
    if weight.is_meta or not bool((weight == 0).any()):
        return every
    count = torch.count_nonzero(weight, dim=axis).to(torch.float64)
    if axis == -1:  # x [.., m, k]: one number for each k
        return count.unsqueeze(-2) if x.dim() > 1 else count.reshape(x.shape)
    return count.unsqueeze(-1) if x.dim() > 1 else count.reshape(x.shape)


def _pairs(a: Tensor, b: Tensor) -> Tensor:
    """[batches]: sum over k of (values of a's column k) (values of b's row k), neither zero."""
    columns = torch.count_nonzero(a, dim=-2).to(torch.float64)
    rows = torch.count_nonzero(b, dim=-1).to(torch.float64)
    return (columns * rows).sum(-1).reshape(-1)


@RULES.operation("convolution", "_convolution", "convolution_overrideable", "mkldnn_convolution")
def _convolution(call: Call) -> None:
    x, weight, bias = call.args[:3]
    if not call.note(weight).cell.constant:
        _made_kernel(call, x, weight)
        if bias is not None:
            _plus(call, bias)
        return
    stride, padding, dilation, transposed, output_padding, groups = call.args[3:9]
    fan = conv_synapses(call, x, weight, (stride, padding, dilation, transposed, output_padding, groups))
    note = call.note(x)
    time = note.time if note.time is not None and note.time.at == 0 else None
    weigh(
        call,
        x,
        fan,
        time,
        Axis(call.out.dim() - weight.dim() + 1, call.out.shape[-weight.dim() + 1]),
    )
    if bias is not None:
        _plus(call, bias)


def conv_synapses(call: Call, x: Tensor, weight: Tensor, geometry: tuple) -> Synapses:
    """Fan-out of a convolution: the gradient, by its input, of the sum of its outputs, weights replaced by
    ones.

    Exact at borders, for every stride, dilation, group, number of axes, and transposed.
    """
    transposed, groups = geometry[3], geometry[5]
    places = tuple(x.shape[-(weight.dim() - 2) :])
    out_places = tuple(call.out.shape[-(weight.dim() - 2) :])
    per_group = weight.shape[1] if transposed else weight.shape[0] // groups
    batch = x.numel() // (x.shape[-weight.dim() + 1] * math.prod(places))
    dense = batch * weight.numel() * math.prod(places if transposed else out_places)
    ones = torch.ones(1, 1, *weight.shape[2:], dtype=torch.float64)
    each = _reached(ones, 1, places, out_places, geometry) * per_group
    inbounds = int(each.sum()) * batch * x.shape[-weight.dim() + 1]
    nonzero: Tensor = each
    if not weight.is_meta and bool((weight == 0).any()):
        filled = (weight != 0).to(torch.float64)
        if transposed:
            kernels = filled.sum(1, keepdim=True)
        else:
            grouped = filled.view(groups, weight.shape[0] // groups, *weight.shape[1:]).sum(1)
            kernels = grouped.reshape(-1, 1, *weight.shape[2:])
        nonzero = _reached(kernels, len(kernels), places, out_places, geometry)[0]
    return Synapses(
        dense, inbounds, each[0], each[0] if nonzero is each else nonzero, *_skips(call, call.note(weight))
    )


def _reached(kernels: Tensor, channels: int, places: tuple, out_places: tuple, geometry: tuple) -> Tensor:
    """[1, channels, *places]: sum of the kernel's taps that read each place for some output."""
    stride, padding, dilation, transposed, output_padding, _ = geometry
    blank = torch.zeros(1, channels, *places, dtype=torch.float64)
    given = torch.ones(1, channels, *out_places, dtype=torch.float64)
    grad, _, _ = torch.ops.aten.convolution_backward(
        given, blank, kernels, None, stride, padding, dilation, transposed, output_padding, channels,
        [True, False, False],
    )  # fmt: skip
    return grad


def _made_kernel(call: Call, x: Tensor, weight: Tensor) -> None:
    """A kernel that depends on the sample: pairs of two tensors, counted by a convolution of where they
    are."""
    geometry = call.args[3:9]
    dense = call.out.numel() * math.prod(weight.shape[1:])
    pairs = None
    if not x.is_meta:
        there = [(t != 0).to(torch.float64) for t in (x, weight)]
        pairs = torch.ops.aten.convolution(*there, None, *geometry).sum()
    meet(call, x, weight, pairs, dense, None)


@RULES.operation(*ELEMENTWISE, complex_values=True)
def _times(call: Call) -> None:
    """By a weight or a number: one synapse a value. Of two tensors: pairs, spikes by spikes are an AND."""
    a, b = call.args[0], call.arg(1, "other")
    if call.name.startswith(("div", "true")) and _is_complex(b):
        raise NotCounted
    if not isinstance(b, Tensor) or not isinstance(a, Tensor):
        x = a if isinstance(a, Tensor) else b
        w = a if x is b else b
        _scaled(call, x, 0 if w == 0 else 1, (False, False), real_products(x, w))
        return
    first, second = call.note(a), call.note(b)
    if second.cell.constant or first.cell.constant:
        x, w = (a, b) if second.cell.constant else (b, a)
        weight = call.note(w)
        filled = 1 if w.is_meta or not bool((w == 0).any()) else _against(w, x, call.out)
        _scaled(call, x, filled, _skips(call, weight), real_products(x, w))
        return
    size = call.out.numel()
    pairs = None if a.is_meta else ((a != 0) & (b != 0)).to(torch.float64)
    cell = Cell(
        max(first.cell.cls, second.cell.cls), spikes=first.cell.spikes and second.cell.spikes,
        discrete=first.cell.discrete and second.cell.discrete, sums=first.cell.sums or second.cell.sums,
    )  # fmt: skip
    if call.name.startswith(("div", "true")):
        cell = Cell()
    meet(call, a, b, pairs, size, _same_time(call, first, a) or _same_time(call, second, b), cell)


def _same_time(call: Call, note: Note, x: Tensor) -> Axis | None:
    return carried(note.time, call.name, (), x.shape, call.out.shape)


def _scaled(call: Call, x: Tensor, filled: int | Tensor, skips: tuple[bool, bool], real: int) -> None:
    """x times weights of one synapse a value, of `real` real products; where x is spread over a larger
    result, more of them. A bit and a bit of a weight stay a bit."""
    note, size = call.note(x), call.out.numel()
    each = size // max(1, x.numel())
    nonzero = filled * each if isinstance(filled, int) else filled
    time = _same_time(call, note, x)
    fan = _times_real(real, Synapses(size, size, each, nonzero, *skips))
    weigh(call, x, fan, time, None, absorbs=False)
    found = call.note(call.out)
    found.makers[0].scale = True
    bits = Cell(BINARY, spikes=note.cell.spikes, discrete=True)
    call.give(replace(found, makers=(), cell=bits if call.out.dtype == torch.bool else found.cell))


def _against(w: Tensor, x: Tensor, out: Tensor) -> Tensor:
    """Weights that are not zero that each value of x meets, in x's shape."""
    filled = (w != 0).to(torch.float64).expand(out.shape)
    lead = out.dim() - x.dim()
    spread = [d for d in range(out.dim()) if d < lead or x.shape[d - lead] != out.shape[d]]
    return filled.sum(spread, keepdim=True).reshape(x.shape) if spread else filled
