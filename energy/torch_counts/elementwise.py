"""Operations on every value alone, and softmax: sums, comparisons, activations.

    x + y               1 add an output (`residual_adds`), of two tensors; a weight or number added: a bias
    x > y               1 compare an output; the result is binary, its ones are spikes
    relu, max(x, y)     1 compare;   abs, neg, where, round: nothing
    leaky relu          1 multiply, 1 compare
    sigmoid, silu, ...  as FUNCTIONS says
    softmax of n        n - 1 compares, n subtractions, n exponentials, n - 1 adds, n divisions

An exponential, tanh, erf, logarithm, root or division is counted as ONE multiply: a lower bound, for no cost
table here prices them.

What the class of a result is: a sum of discrete values is integer, or a spike tensor where no two spikes met
(as `energy.operand`); a comparison is binary, a sign ternary, a rounding integer; everything else is real.
"""

from __future__ import annotations

from torch import Tensor

from energy.operand import BINARY, INTEGER, REAL, TERNARY
from energy.torch_counts.moves import widest
from energy.torch_counts.note import Cell, Note, carried
from energy.torch_counts.operand import per_step
from energy.torch_counts.record import Steady
from energy.torch_counts.rules import rule
from energy.torch_counts.trace import Call

FUNCTIONS: dict[str, tuple[int, int, int]] = {  # multiplies (functions with them), adds, compares an output
    "relu": (0, 0, 1), "relu6": (0, 0, 2), "hardtanh": (0, 0, 2), "clamp": (0, 0, 2), "clamp_min": (0, 0, 1),
    "clamp_max": (0, 0, 1), "threshold": (0, 0, 1), "leaky_relu": (1, 0, 1), "prelu": (1, 0, 1),
    "_prelu_kernel": (1, 0, 1), "elu": (2, 1, 1), "celu": (3, 1, 1), "selu": (2, 1, 1),
    "sigmoid": (2, 1, 0), "silu": (3, 1, 0), "tanh": (1, 0, 0), "gelu": (3, 1, 0), "erf": (1, 0, 0), "erfc":
    (1, 1, 0),
    "softplus": (2, 1, 1), "mish": (4, 1, 0), "hardsigmoid": (1, 1, 2), "hardswish": (2, 1, 2),
    "log_sigmoid_forward": (2, 1, 0),
    "exp": (1, 0, 0), "expm1": (1, 1, 0), "exp2": (1, 0, 0), "log": (1, 0, 0), "log1p": (1, 1, 0), "log2": (1,
    0, 0),
    "log10": (1, 0, 0), "sqrt": (1, 0, 0), "rsqrt": (2, 0, 0), "reciprocal": (1, 0, 0), "pow": (1, 0, 0),
    "square": (1, 0, 0),
    "sin": (1, 0, 0), "cos": (1, 0, 0), "tan": (1, 0, 0), "atan": (1, 0, 0), "atan2": (2, 0, 0), "asin": (1,
    0, 0),
    "acos": (1, 0, 0), "sinh": (1, 0, 0), "cosh": (1, 0, 0), "lerp": (1, 2, 0), "addcmul": (2, 1, 0),
    "addcdiv": (2, 1, 0),
    "fmod": (2, 1, 0), "remainder": (2, 1, 0), "hypot": (3, 1, 0), "frac": (0, 1, 0), "complex": (0, 0, 0),
    "angle": (2, 0, 0),
}  # fmt: skip


def steady(
    call: Call, x: Tensor, multiplies: int = 0, adds: int = 0, compares: int = 0, **more: int
) -> Steady:
    """Record fixed numbers of an operation on `x`, under the fields of a neuron's arithmetic."""
    counts = {
        "neuron_multiplies": multiplies, "neuron_adds": adds, "neuron_compares": compares, **more,
    }  # fmt: skip
    record = Steady(call.where(x), {k: v for k, v in counts.items() if v})
    call.record(record)
    return record


def passed(call: Call, cell: Cell) -> None:
    """The result's note: of this cell, its steps where they were."""
    time = None
    for x in call.tensors():
        note = call.note(x)
        call.trace.read(note, None)
        time = time or carried(note.time, call.name, (), x.shape, call.out.shape)
    call.give(Note(cell, time=time))


@rule(*FUNCTIONS)
def _function(call: Call) -> None:
    x, out = call.args[0], call.out if isinstance(call.out, Tensor) else call.out[0]
    steady(call, x, *(n * out.numel() for n in FUNCTIONS[call.name]))
    if not isinstance(call.out, Tensor):
        call.out = out
    passed(call, Cell())


@rule("add", "sub", "rsub")
def _add(call: Call) -> None:
    operands = [a for a in (call.args[0], call.arg(1, "other")) if isinstance(a, Tensor)]
    cells = [call.note(x).cell for x in operands]
    size, varying = call.out.numel(), [c for c in cells if not c.constant]
    scaled = call.kwargs.get("alpha", 1) not in (1, -1)
    field = "residual_adds" if len(varying) == 2 else "bias_adds"
    x = next(x for x, c in zip(operands, cells, strict=True) if not c.constant)
    record = Steady(call.where(x), {field: size, **({"neuron_multiplies": size} if scaled else {})})
    call.record(record)
    if len(varying) == 2 and not scaled and call.name == "add":
        passed(call, _sum(cells, call.out, all(call.note(x).pooled is None for x in operands)))
    else:
        passed(call, Cell())


def _sum(cells: list[Cell], out: Tensor, plain: bool) -> Cell:
    """Spikes that did not meet are spikes; of a silent sum nothing can be read."""
    wide = widest(cells)
    cls = REAL if wide.cls == REAL else INTEGER
    cell = Cell(cls, spikes=wide.spikes, discrete=wide.discrete and plain, sums=wide.spikes)
    if wide.cls <= TERNARY and not out.is_meta and float(out.abs().max() if out.numel() else 0) == 1.0:
        cell.cls = wide.cls
    return cell


@rule("gt", "ge", "lt", "le", "heaviside")
def _threshold(call: Call) -> None:
    """A comparison: its ones are spikes."""
    size = call.out.numel()
    record = steady(call, _first(call), compares=size, neuron_steps=size)
    passed(call, Cell(BINARY, spikes=True, discrete=True))
    if not call.out.is_meta:
        time = call.note(call.out).time
        spikes = per_step(call.out != 0, 1, time)
        record.counts["spikes_out"] = int(spikes.sum())
        record.by_step = None if time is None else {"spikes_out": spikes}


@rule("eq", "ne", "isnan", "isinf", "isfinite", "signbit")
def _test(call: Call) -> None:
    steady(call, _first(call), compares=call.out.numel())
    passed(call, Cell(BINARY, discrete=True))


@rule("maximum", "minimum", "fmax", "fmin")
def _larger(call: Call) -> None:
    steady(call, _first(call), compares=call.out.numel())
    passed(call, _of(call, call.tensors()))


@rule("sign", "sgn")
def _sign(call: Call) -> None:
    steady(call, call.args[0], compares=call.out.numel())
    passed(call, Cell(TERNARY, spikes=True, discrete=True))


@rule("round", "floor", "ceil", "trunc", "floor_divide")
def _round(call: Call) -> None:
    whole = min(call.note(_first(call)).cell.cls, INTEGER)
    passed(call, Cell(whole, discrete=True))


@rule("neg", "abs", "positive")
def _signed(call: Call) -> None:
    """Free; a negative spike is a ternary one."""
    cell = call.note(call.args[0]).cell
    cls = TERNARY if cell.cls == BINARY and call.name == "neg" else cell.cls
    passed(call, Cell(cls, spikes=cell.spikes, discrete=cell.discrete))


@rule("where")
def _select(call: Call) -> None:
    """A select is a wire: the widest class of what may come through; constants do not widen it."""
    chosen = [t for t in call.tensors()[1:] if not call.note(t).cell.constant]
    passed(call, _of(call, chosen) if chosen else Cell())


@rule(
    "logical_and",
    "logical_or",
    "logical_not",
    "logical_xor",
    "bitwise_and",
    "bitwise_or",
    "bitwise_not",
    "bitwise_xor",
)
def _logic(call: Call) -> None:
    """One bit: nothing is counted for it."""
    passed(call, _of(call, call.tensors()))


@rule(
    "one_hot",
    "argmax",
    "argmin",
    "argsort",
    "topk",
    "sort",
    "nonzero",
    "bucketize",
    "searchsorted",
    "multinomial",
)
def _choice(call: Call) -> None:
    """Order: a compare a value; values keep their class, places are whole numbers."""
    x = call.args[0]
    steady(call, x, compares=x.numel())
    cell = call.note(x).cell
    call.trace.read(call.note(x), None)
    outs = call.out if isinstance(call.out, tuple | list) else (call.out,)
    for out in outs:
        whole = Cell(INTEGER, discrete=True)
        call.give(Note(Cell(cell.cls, spikes=cell.spikes) if out.is_floating_point() else whole), out)


@rule("dropout", "native_dropout", "feature_dropout", "alpha_dropout")
def _dropout(call: Call) -> None:
    outs = call.out if isinstance(call.out, tuple | list) else (call.out,)
    for out in outs:
        call.give(call.note(call.args[0]), out)


@rule("_softmax", "_log_softmax", "_safe_softmax", "softmax", "log_softmax")
def _softmax(call: Call) -> None:
    x = call.args[0]
    n = x.shape[call.arg(1, "dim")] if x.dim() else 1
    steady(call, x, *softmax_ops(x.numel() // max(1, n), n, "log" in call.name))
    passed(call, Cell())


def softmax_ops(rows: int, n: int, log: bool = False) -> tuple[int, int, int]:
    """(multiplies, adds, compares) of `rows` softmaxes of n values."""
    if log:  # x - max - log(sum(exp(x - max)))
        return rows * (n + 1), rows * (3 * n - 1), rows * (n - 1)
    return rows * 2 * n, rows * (2 * n - 1), rows * (n - 1)


def _of(call: Call, tensors: list[Tensor]) -> Cell:
    cells = [call.note(t).cell for t in tensors if not call.note(t).cell.constant]
    wide = widest(cells) if cells else Cell()
    return Cell(wide.cls, False, False, wide.spikes, wide.discrete)


def _first(call: Call) -> Tensor:
    return next(t for t in call.tensors())
