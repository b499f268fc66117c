"""Operations on every value alone, and softmax: sums, comparisons, activations.

    x + y               1 add an output (`residual_adds`), of two tensors; a weight or number added: a bias
    index_add, ...      1 add a value that is added (`residual_adds`)
    x > y               1 compare an output; the result is binary, its ones are spikes
    bernoulli(x)        the same: a random number below x
    relu, max(x, y)     1 compare, or of truth values x | y too;   abs, neg, not, where, round: nothing
    leaky relu          1 multiply, 1 compare
    x ** k              whole k: floor(log2 k) + (ones of k in binary) - 1 multiplies; 1 more for 1 / x, for a
                        root; else exp(k log x): 3, of a weight 2
    sigmoid, silu, ...  as FUNCTIONS says
    softmax of n        n - 1 compares, n subtractions, n exponentials, n - 1 adds, n divisions
    sort of n           log2(n!) compares, rounded up: no sort stays below; the largest k of n: n - 1, and
                        log2 n for each further one; a place among n bounds: log2(n + 1)
    complex values      sums twice, abs as sqrt(x x + y y)

An exponential, tanh, erf, logarithm, root or division is counted as ONE multiply: a lower bound, for no cost
table here prices them. So is a division that is rounded.

What the class of a result is: a sum of discrete values is integer, or a spike tensor where no two spikes met
(as `energy.operand`); a comparison is binary, a sign ternary, a rounding integer; everything else is real.
"""

from __future__ import annotations

import math

from torch import Tensor

from energy.operand import BINARY, INTEGER, REAL, TERNARY
from energy.torch_counts.moves import beside, made, widest
from energy.torch_counts.note import Cell, Note, carried
from energy.torch_counts.operand import per_step
from energy.torch_counts.record import Steady
from energy.torch_counts.rules import Rules
from energy.torch_counts.trace import Call

RULES = Rules()

FUNCTIONS: dict[str, tuple[int, int, int]] = {  # multiplies (functions with them), adds, compares an output
    "relu": (0, 0, 1), "relu6": (0, 0, 2), "hardtanh": (0, 0, 2), "clamp": (0, 0, 2), "clamp_min": (0, 0, 1),
    "clamp_max": (0, 0, 1), "threshold": (0, 0, 1), "leaky_relu": (1, 0, 1), "prelu": (1, 0, 1),
    "_prelu_kernel": (1, 0, 1), "elu": (2, 1, 1), "celu": (3, 1, 1), "selu": (2, 1, 1),
    "sigmoid": (2, 1, 0), "silu": (3, 1, 0), "tanh": (1, 0, 0), "gelu": (3, 1, 0), "erf": (1, 0, 0), "erfc":
    (1, 1, 0),
    "softplus": (2, 1, 1), "mish": (4, 1, 0), "hardsigmoid": (1, 1, 2), "hardswish": (2, 1, 2),
    "log_sigmoid_forward": (2, 1, 0), "glu": (3, 1, 0), "hardshrink": (0, 0, 1), "softshrink": (0, 1, 1),
    "logit": (2, 1, 0), "xlogy": (2, 0, 0), "nan_to_num": (0, 0, 3),
    "exp": (1, 0, 0), "expm1": (1, 1, 0), "exp2": (1, 0, 0), "log": (1, 0, 0), "log1p": (1, 1, 0), "log2": (1,
    0, 0),
    "log10": (1, 0, 0), "sqrt": (1, 0, 0), "rsqrt": (2, 0, 0), "reciprocal": (1, 0, 0),
    "square": (1, 0, 0),
    "sin": (1, 0, 0), "cos": (1, 0, 0), "tan": (1, 0, 0), "atan": (1, 0, 0), "atan2": (2, 0, 0), "asin": (1,
    0, 0),
    "acos": (1, 0, 0), "sinh": (1, 0, 0), "cosh": (1, 0, 0), "lerp": (1, 2, 0), "addcmul": (2, 1, 0),
    "addcdiv": (2, 1, 0),
    "fmod": (2, 1, 0), "remainder": (2, 1, 0), "hypot": (3, 1, 0), "frac": (0, 1, 0),
    "complex": (0, 0, 0), "angle": (2, 0, 0), "floor_divide": (1, 0, 0),
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


@RULES.operation("complex", "angle", complex_values=True)
@RULES.operation(*(name for name in FUNCTIONS if name not in ("complex", "angle", "floor_divide")))
def _function(call: Call) -> None:
    x, (out, *more) = call.args[0], [call.out] if isinstance(call.out, Tensor) else call.out
    steady(call, x, *(n * out.numel() for n in FUNCTIONS[call.name]))
    for other in more:  # kept for a gradient
        call.give(Note(Cell()), other)
    call.out = out
    passed(call, Cell())


@RULES.operation("pow")
def _power(call: Call) -> None:
    base, exponent = call.args[0], call.arg(1, "exponent")
    weighs = not isinstance(base, Tensor) or call.note(base).cell.constant
    multiplies = 2 if weighs else 3 if isinstance(exponent, Tensor) else power_ops(exponent)
    steady(call, _first(call), multiplies=multiplies * call.out.numel())
    passed(call, Cell())


def power_ops(k: float) -> int:
    """Multiplies of x ** k: squarings and products for the ones of k, a root, a reciprocal."""
    root = k != int(k)
    whole = int(abs(k) * 2) if root else int(abs(k))
    if root and whole != abs(k) * 2:
        return 3
    return root + max(0, whole.bit_length() + whole.bit_count() - 2) + (k < 0)


@RULES.operation("add", "sub", "rsub", complex_values=True)
def _add(call: Call) -> None:
    operands = [a for a in (call.args[0], call.arg(1, "other")) if isinstance(a, Tensor)]
    cells = [call.note(x).cell for x in operands]
    varying = [c for c in cells if not c.constant]
    size = call.out.numel() * (1 + all(x.is_complex() for x in operands))
    scaled = call.kwargs.get("alpha", 1) not in (1, -1)
    field = "residual_adds" if len(varying) == 2 else "bias_adds"
    x = next(x for x, c in zip(operands, cells, strict=True) if not c.constant)
    record = Steady(call.where(x), {field: size, **({"neuron_multiplies": size} if scaled else {})})
    call.record(record)
    if len(varying) == 2 and not scaled and call.name == "add":
        passed(call, _sum(cells, call.out, all(call.note(x).pooled is None for x in operands)))
    else:
        passed(call, Cell())


_PLACED = {"index_add": 3, "scatter_add": 3}  # place of what is added, among the arguments


@RULES.operation(*_PLACED)
def _added(call: Call) -> None:
    """Values added up at places of a tensor: one add each. A sum of discrete values is a whole number."""
    x, source = call.args[0], call.args[_PLACED[call.name]]
    scaled = call.kwargs.get("alpha", 1) not in (1, -1)
    size = source.numel()
    call.record(Steady(call.where(source), {"residual_adds": size, "neuron_multiplies": size * scaled}))
    wide = widest([beside(call, t) for t in (x, source)])
    pooled = call.note(source).pooled is not None
    for other in call.tensors():
        call.trace.read(call.note(other), None)
    cls = REAL if wide.cls == REAL or scaled or pooled else INTEGER
    spikes = wide.spikes and not scaled
    call.give(Note(Cell(cls, spikes=spikes, discrete=wide.discrete and cls != REAL, sums=spikes)))


def _sum(cells: list[Cell], out: Tensor, plain: bool) -> Cell:
    """Spikes that did not meet are spikes; of a silent sum nothing can be read."""
    wide = widest(cells)
    cls = REAL if wide.cls == REAL else INTEGER
    cell = Cell(cls, spikes=wide.spikes, discrete=wide.discrete and plain, sums=wide.spikes)
    if wide.cls <= TERNARY and not out.is_meta and float(out.abs().max() if out.numel() else 0) == 1.0:
        cell.cls = wide.cls
    return cell


@RULES.operation("gt", "ge", "lt", "le", "heaviside")
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


@RULES.operation("bernoulli")
def _drawn(call: Call) -> None:
    """Spikes by chance, of a rate that the sample gives: a comparison with a random number."""
    rates = [a for a in call.args[call.in_place :] if isinstance(a, Tensor)]
    if any(not call.note(rate).cell.constant for rate in rates):
        _threshold(call)
    else:
        made(call)


@RULES.operation("normal")
def _noisy(call: Call) -> None:
    """Mean and deviation of the sample's: one multiply, one add."""
    if any(not call.note(x).cell.constant for x in call.tensors()[call.in_place :]):
        steady(call, _first(call), multiplies=call.out.numel(), adds=call.out.numel())
        passed(call, Cell())
    else:
        made(call)


@RULES.operation("eq", "ne", "isnan", "isinf", "isfinite", "signbit")
def _test(call: Call) -> None:
    steady(call, _first(call), compares=call.out.numel())
    passed(call, Cell(BINARY, discrete=True))


@RULES.operation(
    "maximum", "minimum", "fmax", "fmin", "logical_or", "bitwise_or", "logical_xor", "bitwise_xor"
)
def _larger(call: Call) -> None:
    """Of truth values the larger is OR. AND is a product (`products`)."""
    steady(call, _first(call), compares=call.out.numel())
    passed(call, _of(call, call.tensors()))


@RULES.operation("sign", "sgn")
def _sign(call: Call) -> None:
    steady(call, call.args[0], compares=call.out.numel())
    passed(call, Cell(TERNARY, spikes=True, discrete=True))


@RULES.operation("round", "floor", "ceil", "trunc", "floor_divide")
def _round(call: Call) -> None:
    if call.name in FUNCTIONS:
        steady(call, _first(call), *(n * call.out.numel() for n in FUNCTIONS[call.name]))
    whole = min(call.note(_first(call)).cell.cls, INTEGER)
    passed(call, Cell(whole, discrete=True))


@RULES.operation("neg", "abs", "positive", complex_values=True)
def _signed(call: Call) -> None:
    """Free, but of complex values; a negative spike is a ternary one."""
    if call.name == "abs" and call.args[0].is_complex():
        steady(call, call.args[0], *(n * call.out.numel() for n in FUNCTIONS["hypot"]))
        passed(call, Cell())
        return
    cell = call.note(call.args[0]).cell
    cls = TERNARY if cell.cls == BINARY and call.name == "neg" else cell.cls
    passed(call, Cell(cls, spikes=cell.spikes, discrete=cell.discrete))


@RULES.operation("where", complex_values=True)
def _select(call: Call) -> None:
    """A select is a wire: the widest class of what may come through."""
    chosen = call.tensors()[1:]
    varies = any(not call.note(t).cell.constant for t in chosen)
    passed(call, _of(call, chosen) if varies else Cell())


@RULES.operation("logical_not", "bitwise_not")
def _not(call: Call) -> None:
    """A wire."""
    passed(call, _of(call, call.tensors()))


@RULES.operation(
    "one_hot", "argmax", "argmin", "argsort", "topk", "sort", "nonzero", "bucketize", "searchsorted"
)
def _choice(call: Call) -> None:
    """Order: values keep their class, places are whole numbers."""
    x = next(t for t in call.tensors() if not call.note(t).cell.constant)
    steady(call, x, compares=_compares(call))
    cell = call.note(x).cell
    for other in call.tensors():
        call.trace.read(call.note(other), None)
    outs = call.out if isinstance(call.out, tuple | list) else (call.out,)
    for out in outs:
        whole = Cell(INTEGER, discrete=True)
        call.give(Note(Cell(cell.cls, spikes=cell.spikes) if out.is_floating_point() else whole), out)


def _compares(call: Call) -> int:
    x = call.args[0]
    if call.name in ("one_hot", "nonzero"):
        return x.numel()
    if call.name in ("bucketize", "searchsorted"):
        bounds = call.arg(1, "boundaries") if call.name == "bucketize" else x
        return call.out.numel() * bounds.shape[-1].bit_length()
    given = [a for a in call.args[1:] if isinstance(a, int) and not isinstance(a, bool)]
    dims = given[1:] if call.name == "topk" else given  # the last axis, or all of argmax
    dim = call.kwargs.get("dim", dims[0] if dims else None)
    n = x.numel() if dim is None and call.name.startswith("arg") and call.name != "argsort" else 0
    n = n or (x.shape[-1 if dim is None else dim] if x.dim() else 1)
    rows = x.numel() // max(1, n)
    if call.name in ("argmax", "argmin"):
        return rows * (n - 1)
    k = min(n, call.arg(1, "k")) if call.name == "topk" else n
    return rows * min(sort_compares(n), max(0, n - 1 + (k - 1) * (n - 1).bit_length()))


def sort_compares(n: int) -> int:
    """ceil(log2(n!)): no order of n values is found with fewer compares."""
    return math.ceil(math.lgamma(n + 1) / math.log(2) - 1e-9) if n > 1 else 0


@RULES.operation("dropout", "native_dropout", "feature_dropout", "alpha_dropout")
def _dropout(call: Call) -> None:
    outs = call.out if isinstance(call.out, tuple | list) else (call.out,)
    for out in outs:
        call.give(call.note(call.args[0]), out)


@RULES.operation("_softmax", "_log_softmax", "_safe_softmax", "softmax", "log_softmax")
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
    wide = widest([beside(call, t) for t in tensors])
    return Cell(wide.cls, False, False, wide.spikes, wide.discrete)


def _first(call: Call) -> Tensor:
    return next(t for t in call.tensors())
