"""The rules: name of an ATen operation, or type of a module -> what it costs and what its result is.

An operation rule is `(call) -> None`: it records what was done and gives the result its note. A module rule
is `(call) -> None` of a whole call of the module, for what dispatch does not show or shows in another order;
the operations inside are then not looked at. What has no rule is recorded as missing, never passed over; so
is a call that its rule declines (`NotCounted`), and one of complex values where the rule does not say that
it knows them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convert.ir import GraphError

Rule = Callable[[Any], None]
RULES: dict[str, Rule] = {}
COMPLEX: set[str] = set()  # operations whose rules know complex values
MODULES: list[tuple[Callable[[Any], bool], Rule]] = []


class NotCounted(Exception):
    """Raised by a rule before it records anything: a call of a form that it does not count."""


def rule(*names: str, complex_values: bool = False) -> Callable[[Rule], Rule]:
    """Register the rule of operations, by name without overload; a second rule for one name is refused.

    complex_values: it counts real operations of complex values too.
    """

    def register(function: Rule) -> Rule:
        for name in names:
            if name in RULES:
                raise GraphError(f"aten.{name} has two counting rules; keep one")
            RULES[name] = function
        COMPLEX.update(names if complex_values else ())
        return function

    return register


def module_rule(known: Callable[[Any], bool]) -> Callable[[Rule], Rule]:
    """Register the rule of the modules that `known` names."""

    def register(function: Rule) -> Rule:
        MODULES.append((known, function))
        return function

    return register


def of_module(module: Any) -> Rule | None:
    """The rule of a module as a whole, or None: its operations are counted one by one."""
    return next((function for known, function in MODULES if known(module)), None)
