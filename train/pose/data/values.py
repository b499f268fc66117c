"""Values of annotation files, of the type that they must have: a DataError that says where, otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.data.errors import DataError


def load(path: Path, expected: str) -> Any:
    """The value in a JSON file; NaN and Infinity are numbers here, as what is not finite is left out."""
    do = "correct --data or --data-option annotations=FILE"
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DataError.of(
            path, found=f"no readable file ({error.strerror})", expected=expected, do=do
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError.of(path, found=f"no JSON ({error})", expected=expected, do="restore it") from error


def array(value: Any) -> NDArray[np.float64] | None:
    """float64 of a list of numbers, or of lists of as many; None where something in it is no number."""
    try:
        found = np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    return found.astype(np.float64) if found.dtype.kind in "iuf" else None


def numbers(value: Any, count: int, name: str, where: str) -> NDArray[np.float64]:
    """float64 [count]."""
    found = array(value)
    if found is None or found.shape != (count,):
        raise _wrong(value, name, f"{count} numbers", where)
    return found


def number(value: Any, name: str, where: str) -> float:
    """One number."""
    found = array(value) if isinstance(value, int | float) else None
    if found is None:
        raise _wrong(value, name, "a number", where)
    return float(found)


def key(value: Any, name: str, where: str) -> int | str:
    """What an image or an annotation is known by."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _wrong(value, name, "a whole number, or a text", where)
    return value


def _wrong(value: Any, name: str, expected: str, where: str) -> DataError:
    return DataError.of(where, found=f"{name} {value!r:.40}", expected=expected, do="correct the annotations")
