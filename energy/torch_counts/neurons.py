"""Neurons of other libraries, by the equation of their type and not by how their code happens to be written.

Known by name, so that none of them need be installed. One step of one neuron:

    spikingjelly  IFNode          v = v + x                                    1 add, 1 compare
                  LIFNode         v = v + (x - (v - v_reset)) / tau            1 multiply, 2 adds, 1 compare
                  ParametricLIF   the same, tau learned
    snntorch      Leaky           v = beta v + x                               1 multiply, 1 add, 1 compare
                  Synaptic        i = alpha i + x;  v = beta v + i             2 multiplies, 2 adds, 1 compare
    norse         LIF*, LIFBox*   as train.norse_neurons says: LIF 2, 3, 1; box 1, 2, 1

The reset is a select. Other neurons are counted operation by operation (`elementwise`), and so are classes
made from these and neurons of which a method was replaced: their code may differ. What comes out is spikes
where every value is 0 or 1, else real.
"""

from __future__ import annotations

from itertools import takewhile
from types import FunctionType

from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from energy.operand import BINARY
from energy.torch_counts.note import Cell, Note, carried
from energy.torch_counts.operand import per_step
from energy.torch_counts.record import Steady
from energy.torch_counts.rules import Rules
from energy.torch_counts.trace import Call

RULES = Rules()

EQUATIONS: dict[tuple[str, str], tuple[int, int, int]] = {  # (package, class): multiplies, adds, compares
    ("spikingjelly", "IFNode"): (0, 1, 1),
    ("spikingjelly", "LIFNode"): (1, 2, 1),
    ("spikingjelly", "ParametricLIFNode"): (1, 2, 1),
    ("snntorch", "Leaky"): (1, 1, 1),
    ("snntorch", "Synaptic"): (2, 2, 1),
    ("norse", "LIFCell"): (2, 3, 1),
    ("norse", "LIF"): (2, 3, 1),
    ("norse", "LIFBoxCell"): (1, 2, 1),
}


def equation(module: nn.Module) -> tuple[int, int, int] | None:
    """(multiplies, adds, compares) of one step of one neuron, or None for a module that is not known."""
    kind = type(module)
    package = kind.__module__.split(".")[0]
    found = EQUATIONS.get((package, kind.__name__))
    return None if found is None or _rewritten(module, package) else found


def _rewritten(module: nn.Module, package: str) -> bool:
    """Whether a method is no longer its package's: of the instance's own, or put into the class by others."""
    kinds = takewhile(lambda kind: kind is not nn.Module, type(module).__mro__)
    methods = {name: f for kind in kinds for name, f in vars(kind).items() if isinstance(f, FunctionType)}
    others = (f for f in methods.values() if f.__module__.split(".")[0] != package)
    return not vars(module).keys().isdisjoint(methods) or any(others)


@RULES.module(lambda module: equation(module) is not None)
def _neuron(call: Call) -> None:
    x = call.operand
    spikes, *states = (o for o in tree_flatten(call.out)[0] if isinstance(o, Tensor))
    found = equation(call.module) or (0, 0, 0)  # known, or this rule were not asked
    size = spikes.numel()
    fields = ("neuron_multiplies", "neuron_adds", "neuron_compares")
    counts = {"neuron_steps": size, **{f: n * size for f, n in zip(fields, found, strict=True)}}
    record = Steady(call.where(x), counts)
    call.trace.read(call.note(x), None)
    call.record(record)
    time = carried(call.note(x).time, call.name, (), x.shape, spikes.shape)
    for state in states:
        call.give(Note(Cell()), state)
    binary = spikes.is_meta or bool(((spikes == 0) | (spikes == 1)).all())
    call.give(Note(Cell(BINARY, spikes=True, discrete=True) if binary else Cell(), time=time), spikes)
    if not spikes.is_meta:
        fired = per_step(spikes != 0, 1, time)
        counts["spikes_out"] = int(fired.sum())
        record.by_step = None if time is None else {"spikes_out": fired}
