"""JSON from outside: read with one clear line for whatever is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from convert.ir import BadInput


def load(path: Path) -> Any:
    """The value in a JSON file. BadInput where there is none, or one that is no JSON: NaN, Infinity."""

    def refuse(name: str) -> None:
        raise BadInput(f"{path}: holds {name}; coordinates, boxes and scores must be finite numbers")

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BadInput(f"{path}: there is no such file") from error
    except IsADirectoryError as error:
        raise BadInput(f"{path}: is a folder; expected one JSON file") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is no text; expected JSON") from error
    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}: is no JSON ({error.msg}, line {error.lineno})") from error
    except RecursionError as error:
        raise BadInput(f"{path}: is nested too deeply for a file of poses") from error


def part(value: Any, key: str, kind: type, where: str) -> Any:
    """value[key], which must be of that kind."""
    if not isinstance(value, Mapping) or key not in value:
        raise BadInput(f"{where}: has no {key!r}")
    found = value[key]
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise BadInput(f"{where}: {key!r} is {_short(found)}; expected {_KINDS.get(kind, kind.__name__)}")
    return found


_KINDS = {list: "a list", dict: "an object", int: "a whole number", str: "a text"}


def numbers(value: Any, count: int | None, where: str) -> np.ndarray:
    """float64 [count]: a list of finite numbers; of any length where count is None."""
    try:
        found = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"{where}: is {_short(value)}; expected a list of numbers") from None
    if found.ndim != 1 or (count is not None and len(found) != count):
        shape = f"{len(found)} numbers" if found.ndim == 1 else f"an array of shape {found.shape}"
        raise BadInput(f"{where}: found {shape}, expected {'a list' if count is None else count}")
    if not np.isfinite(found).all():
        raise BadInput(f"{where}: holds a number that is not finite")
    return found


def number(value: Any, where: str) -> float:
    """One finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInput(f"{where}: is {_short(value)}; expected a number")
    return float(numbers([value], 1, where)[0])


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
