"""The rules: name of an ATen operation, or type of a module -> what it costs and what its result is.

An operation rule is `(call) -> None`: it records what was done and gives the result its note. A module rule
is `(call) -> None` of a whole call of the module, for what dispatch does not show or shows in another order;
the operations inside are then not looked at. What has no rule is recorded as missing, never passed over; so
is a call that its rule declines (`NotCounted`), and one of complex values where the rule does not say that
it knows them.

A file of rules has `RULES`; `energy.torch_counts.counter` joins them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from convert.ir import GraphError

Rule = Callable[[Any], None]


class NotCounted(Exception):
    """Raised by a rule before it records anything: a call of a form that it does not count."""


class RuleFailed(Exception):
    """A rule raised, by a defect of its own: neither the module nor its input is to blame."""


class Rules:
    """What a file of rules knows, or several together."""

    def __init__(self, parts: Iterable[Rules] = ()) -> None:
        """A GraphError for an operation of which two parts have rules."""
        self._operations: dict[str, tuple[Rule, bool]] = {}
        self._modules: list[tuple[Callable[[Any], bool], Rule]] = []
        for part in parts:
            for name, found in part._operations.items():
                self._add(name, *found)
            self._modules += part._modules

    def operation(self, *names: str, complex_values: bool = False) -> Callable[[Rule], Rule]:
        """Register the rule of operations, by name without overload; a second rule for one name is refused.

        complex_values: it counts real operations of complex values too.
        """

        def register(function: Rule) -> Rule:
            for name in names:
                self._add(name, function, complex_values)
            return function

        return register

    def module(self, known: Callable[[Any], bool]) -> Callable[[Rule], Rule]:
        """Register the rule of the modules that `known` names."""

        def register(function: Rule) -> Rule:
            self._modules.append((known, function))
            return function

        return register

    def of_operation(self, name: str, complex_values: bool) -> Rule | None:
        """The rule of an operation, of complex values or not; None where there is none."""
        function, knows = self._operations.get(name, (None, False))
        return function if knows or not complex_values else None

    def of_module(self, module: Any) -> Rule | None:
        """The rule of a module as a whole, or None: its operations are counted one by one."""
        return next((function for known, function in self._modules if known(module)), None)

    def _add(self, name: str, function: Rule, complex_values: bool) -> None:
        if name in self._operations:
            raise GraphError(f"aten.{name} has two counting rules; keep one")
        self._operations[name] = function, complex_values
