"""What a module holds beside its parameters, before and after it was traced: hidden state shows here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def held(module: Any) -> dict[str, Any]:
    """A module's own attributes; of lists and dictionaries their content."""
    return {k: type(v)(v) if type(v) in (list, dict, set) else v for k, v in vars(module).items()}


def changed(module: Any, before: Mapping[str, Any]) -> list[str]:
    """Names of the attributes that are not what `held` found before."""
    return [k for k, v in held(module).items() if not _same(before.get(k, vars), v)]


def restore(module: Any, before: Mapping[str, Any], names: Collection[str]) -> None:
    """Leave the module as it was found."""
    for key in names:
        if key in before:
            vars(module)[key] = before[key]
        else:
            del vars(module)[key]


def _same(a: Any, b: Any) -> bool:
    """The same object, or two containers of the same objects."""
    if a is b or type(a) is not type(b) or type(a) not in (list, dict, set):
        return a is b
    if isinstance(a, dict):
        return list(a) == list(b) and all(a[k] is b[k] for k in a)
    return len(a) == len(b) and {id(v) for v in a} == {id(v) for v in b}
