"""One run of a module, watched: every ATen operation goes by its rule, under the path of the module it is in.

What dispatch would hide is opened: the fused path of `nn.MultiheadAttention` is switched off while counting
(the same products, one by one); a fused attention and a fused LSTM have rules of their own. Layers of train/
are counted whole, by the node of the graph they become.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.weak import WeakTensorKeyDictionary

from convert.ir import BasaltError, Unsupported
from energy.torch_counts.literals import Literals
from energy.torch_counts.note import VIEWS, WRITES, Cell, Note, constant
from energy.torch_counts.record import FAILED, OUT_OF_SIGHT, Missing, Record, Steady, Synaptic, Where
from energy.torch_counts.rules import NotCounted, Rule, RuleFailed, Rules
from energy.torch_counts.settings import Settings

ROOT = "model"
LIFTED = ("lift_fresh", "lift")  # of a number of Python's


@dataclass(eq=False)
class Scope:
    """A module being called. running: its forward is, and none of the hooks around it; rule: by which that is
    counted whole; seen: how often each operation came up in this call."""

    path: str
    module: nn.Module
    running: bool = False
    rule: Rule | None = None
    seen: Counter[str] = field(default_factory=Counter)


@dataclass(eq=False)
class Call:
    """One operation, or one call of a module, with what came in and what came out."""

    trace: Trace
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Any
    module: nn.Module | None = None
    in_place: bool = False

    def arg(self, at: int, name: str, default: Any = None) -> Any:
        """An argument by place or name."""
        return self.args[at] if len(self.args) > at else self.kwargs.get(name, default)

    @property
    def operand(self) -> Any:
        """The first argument, however it was given."""
        return self.args[0] if self.args else next(iter(self.kwargs.values()))

    def note(self, tensor: Tensor) -> Note:
        """What is known of an operand."""
        return self.trace.note(tensor)

    def tensors(self) -> list[Tensor]:
        """All tensors that came in, lists opened."""
        return [a for a in tree_flatten((self.args, self.kwargs))[0] if isinstance(a, Tensor)]

    def give(self, note: Note, out: Tensor | None = None) -> None:
        """The note of the result."""
        self.trace.give(self.out if out is None else out, note, self.in_place)

    def where(self, x: Tensor | None = None) -> Where:
        """The line this belongs to; x: the operand whose shape it shows."""
        return self.trace.where(self.name, self.module, x, self.out)

    def record(self, record: Record) -> None:
        """Keep what was done."""
        self.trace.records.append(record)

    @property
    def settings(self) -> Settings:
        """How to count."""
        return self.trace.settings


class Trace(TorchDispatchMode):
    """`with trace.watching(): model(x)`; then `trace.records`. Of one sample."""

    def __init__(self, model: nn.Module, rules: Rules, settings: Settings, steps: int | None) -> None:
        """steps: length of the time axis, the first of the input; None where the model has none."""
        super().__init__()
        self.model, self.rules, self.settings, self.steps = model, rules, settings, steps
        self.records: list[Record] = []
        self.values = 0  # outputs of operations that are no mere moves
        self.failure: Exception | None = None  # raised while counting, whatever the model made of it
        self._hooked = {m for m in model.modules() if m._forward_hooks or m._forward_pre_hooks}
        self._notes = WeakTensorKeyDictionary()
        self._stack: list[Scope] = [Scope("", model, running=True)]
        self._hidden = 0  # depth inside a module that is counted whole
        self._numbers = False  # numbers of Python's are being taken in
        for module in model.modules():
            for tensor in vars(module).values():
                if isinstance(tensor, Tensor):
                    self._notes[tensor] = constant(fixed=True)
            for tensor in module._buffers.values():
                if tensor is not None:
                    self._notes[tensor] = constant(fixed=True)
            for tensor in module._parameters.values():
                if tensor is not None:
                    self._notes[tensor] = constant()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks in place, gradients off; everything as it was found afterwards. Unsupported where a hook of
        all modules lies between a module counted whole and what is seen of it."""
        self._check()
        fast = torch.backends.mha.get_fastpath_enabled()
        with ExitStack() as stack:
            for name, module in self.model.named_modules():
                enter, begin, end, leave = self._hooks(name)
                for handle in (
                    module.register_forward_pre_hook(enter, prepend=True),
                    module.register_forward_pre_hook(begin),
                    module.register_forward_hook(end, prepend=True, with_kwargs=True),
                    module.register_forward_hook(leave, always_call=True),
                ):
                    stack.callback(handle.remove)
            torch.backends.mha.set_fastpath_enabled(False)
            stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
            with torch.no_grad(), self, Literals(self):
                yield

    def _check(self) -> None:
        if not nn.modules.module._global_forward_hooks:
            return
        for name, module in self.model.named_modules():
            if self._whole(module) is not None:
                raise Unsupported(
                    name or ROOT,
                    "is counted whole, and a hook of all modules (register_module_forward_hook) may change "
                    "what it gives before that is seen",
                    "remove the hook, or register it on the modules themselves",
                )

    def _whole(self, module: nn.Module) -> Rule | None:
        """By which rule a module is counted whole: none inside another, none where hooks lie inside it."""
        inside = (m for m in module.modules() if m is not module)
        return (
            None if self._hidden or any(m in self._hooked for m in inside) else self.rules.of_module(module)
        )

    def _hooks(self, path: str) -> tuple[Any, Any, Any, Any]:
        """Of one module: the first and the last before its forward, the first and the last behind it. What
        other hooks do between them is counted, operation by operation."""

        def enter(module: nn.Module, args: Any) -> None:
            self._stack.append(Scope(path, module))

        def begin(module: nn.Module, args: Any) -> None:
            scope = self._stack[-1]
            scope.running = True
            scope.rule = self._whole(module)
            self._hidden += scope.rule is not None

        def end(module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
            scope = self._stack[-1]
            if scope.rule is not None:
                rule, scope.rule = scope.rule, None
                self._hidden -= 1
                self._apply(rule, Call(self, type(module).__name__, args, kwargs, out, module))
            scope.running = False

        def leave(module: nn.Module, args: Any, out: Any) -> None:
            if self._stack[-1].module is not module:  # a hook of all modules raised before it was entered
                return
            scope = self._stack.pop()
            if scope.rule is not None:  # it raised, and what it had done until then is not known
                self._hidden -= 1
                self.records.append(Missing(Where(path or ROOT, "", "call that failed", (), ()), 0, FAILED))

        return enter, begin, end, leave

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if self._hidden:
            return out
        name = func.overloadpacket.__name__
        if func.namespace != "aten":  # of the same name, but not the same operation
            name = f"{func.namespace}.{name}"
        in_place = name.endswith("_") and not name.startswith("_") and bool(args)
        name = name.rstrip("_") if in_place else name
        call = Call(self, name, tuple(args), kwargs, out, in_place=in_place)
        complex_values = any(
            isinstance(t, Tensor) and t.is_complex() for t in tree_flatten((args, kwargs, out))[0]
        )
        self._apply(self.rules.of_operation(name, complex_values), call)
        return out

    def _apply(self, rule: Rule | None, call: Call) -> None:
        try:
            self._look(rule, call)
        except BasaltError as error:  # says itself who is to mend what
            self.failure = error
            raise
        except Exception as error:  # whatever it is, the model did not raise it
            self.failure = RuleFailed(f"counting {call.name} of {self.path}: a defect of its rule")
            raise self.failure from error

    def _look(self, rule: Rule | None, call: Call) -> None:
        outs = [o for o in tree_flatten(call.out)[0] if isinstance(o, Tensor)]
        ins = [] if call.name in LIFTED else call.tensors()
        for x in _read(call, ins, outs):
            self.known(x)
        if ins and call.name not in VIEWS and all(self.note(t).cell.constant for t in ins):
            for out in outs:  # made of weights alone: worked out once, before any sample
                self.give(out, constant(any(self.note(t).cell.fixed for t in ins)), call.in_place)
            return
        before = len(self.records)
        try:
            if rule is None:
                raise NotCounted
            with self.aside():
                rule(call)
        except NotCounted:
            self._missing(call, ins, outs)
        self._ends(ins, outs, self.records[before:])
        if len(self.records) > before:
            self.values += sum(o.numel() for o in outs)

    def _missing(self, call: Call, ins: list[Tensor], outs: list[Tensor]) -> None:
        """No rule: listed, and nothing is known of the results."""
        values = sum(o.numel() for o in outs)
        self.records.append(Missing(call.where(ins[0] if ins else None), values))
        for tensor in ins:
            self.read(self.note(tensor), None)
        for out in outs:
            self.give(out, Note(Cell()), call.in_place)

    def _ends(self, ins: list[Tensor], outs: list[Tensor], done: list[Record]) -> None:
        """Which layers lie at the two ends: a norm, a scale, a sum or an activation is none, a neuron ends
        it."""
        cells = [self.note(t).cell for t in ins]
        behind = frozenset().union(*(c.behind for c in cells))
        entering = any(c.entering for c in cells)
        layers = [r for r in done if isinstance(r, Synaptic)]
        for layer in layers:
            layer.first = entering
        if any(not layer.scale for layer in layers):
            for before in behind:
                before.head = False
            behind, entering = frozenset(layers), False
        elif layers:
            behind |= frozenset(layers)
        if any(isinstance(r, Steady) and r.counts.get("neuron_steps") for r in done):
            entering = False
        for out in outs:
            cell = self.note(out).cell
            cell.behind, cell.entering = cell.behind | behind, entering

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Operations of a rule itself: not looked at."""
        self._hidden += 1
        try:
            yield
        finally:
            self._hidden -= 1

    @property
    def aloof(self) -> bool:
        """Whether what happens is not looked at: inside a module counted whole, inside a rule."""
        return self._hidden > 0

    @contextmanager
    def taking_numbers(self) -> Iterator[None]:
        """Tensors that no operation gave are constants: made of numbers that are none of the sample's."""
        self._numbers = True
        try:
            yield
        finally:
            self._numbers = False

    def __contains__(self, tensor: Tensor) -> bool:
        return tensor in self._notes

    def note(self, tensor: Tensor) -> Note:
        """What is known of a tensor. One that no operation gave was made where dispatch does not look."""
        found = self._notes.get(tensor)
        if found is None:
            found = self._notes[tensor] = constant() if self._numbers else Note(Cell())
            if not self._numbers:
                self._untracked(tensor)
        return found

    def known(self, tensor: Tensor) -> Note:
        """What is known of a tensor whose values are read. Memory that nothing seen here has filled, but
        zeros that still are, was filled where dispatch does not look: by a compiled kernel, through numpy."""
        note = self.note(tensor)
        unfilled = note.cell.unfilled
        if unfilled and ("empty" in unfilled or (not tensor.is_meta and bool(tensor.any()))):
            note.cell.take(Cell(), whole=True)
            self._untracked(tensor)
        return note

    def _untracked(self, tensor: Tensor) -> None:
        where = Where(self.path, "", "untracked tensor", (), tuple(tensor.shape))
        self.records.append(Missing(where, tensor.numel(), OUT_OF_SIGHT))
        self.values += tensor.numel()

    def give(self, out: Tensor, note: Note, in_place: bool = False) -> None:
        """The note of a result; one written in place changes what its other views are."""
        if in_place and (old := self._notes.get(out)) is not None:
            base = out._base
            whole = base is None or base.numel() == out.numel()
            old.cell.take(note.cell, whole)
            note = replace(note, cell=old.cell) if whole else Note(old.cell, time=note.time)
        self._notes[out] = note

    def source(self, tensor: Tensor, note: Note) -> None:
        """The note of an input of the model."""
        self._notes[tensor] = note

    def read(self, note: Note, record: Record | None) -> None:
        """`record` reads a tensor; None: an operation into which nothing is folded."""
        for users in note.users:
            users.readers.append(record)

    def where(self, name: str, module: nn.Module | None, x: Tensor | None, out: Any) -> Where:
        """Line of an operation: path of the module; the item says which operation of it, and the
        how-manieth."""
        scope = self._stack[-1]
        outs = [o for o in tree_flatten(out)[0] if isinstance(o, Tensor)]
        shapes = (tuple(x.shape) if x is not None else (), tuple(outs[0].shape) if outs else ())
        own = module is not None or (scope.running and _single(scope.module))
        if own and not scope.seen[""]:
            scope.seen[""] += 1
            return Where(self.path, "", type(scope.module).__name__, *shapes)
        scope.seen[name] += 1
        item = name if scope.seen[name] == 1 else f"{name}{scope.seen[name]}"
        return Where(self.path, item, name, *shapes)

    @property
    def path(self) -> str:
        """Path of the module that is being called."""
        return self._stack[-1].path or ROOT


def _read(call: Call, ins: list[Tensor], outs: list[Tensor]) -> list[Tensor]:
    """Those of `ins` whose values the call reads: not their shape alone, nor memory that it writes into."""
    if call.name in VIEWS or call.name.startswith("new_") or call.name.endswith("_like"):
        return []
    written = outs if not call.in_place or call.name in WRITES else []
    return [x for x in ins if all(x is not out for out in written)]


_SINGLE = (
    "activation",
    "adaptive",
    "batchnorm",
    "conv",
    "instancenorm",
    "linear",
    "normalization",
    "pooling",
    "sparse",
)


def _single(module: nn.Module) -> bool:
    """Whether the module is one operation of torch.nn, so that its line needs no item."""
    if isinstance(module, nn.MultiheadAttention):
        return False
    base = next((c for c in type(module).__mro__ if c.__module__.startswith("torch.nn.modules.")), None)
    plain = base is not None and base is not nn.Module and type(module).forward is base.forward
    return plain and base.__module__.rsplit(".", 1)[1] in _SINGLE
