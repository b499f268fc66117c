"""A pickle reader that cannot run foreign code.

A pickle names callables, and loading it calls them. This reader knows the few that rebuild numpy arrays
and refuses every other by name; dict, list, tuple, str, bytes, int, float, bool and None need no name.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

from train.data.errors import DataError

try:  # numpy 2
    from numpy._core import multiarray as _multiarray
    from numpy._core import numeric as _numeric
except ImportError:  # numpy 1
    from numpy.core import multiarray as _multiarray
    from numpy.core import numeric as _numeric


def _reconstruct(kind: type, shape: tuple[int, ...], code: bytes) -> np.ndarray:
    """An empty array to be filled; of plain arrays only, not of what a subclass may do."""
    if kind is not np.ndarray:
        raise DataError(f"pickle: array of type {kind!r}; expected numpy.ndarray")
    return _multiarray._reconstruct(kind, shape, code)


def _latin1(text: str, encoding: str) -> bytes:
    """Bytes, as protocols 0 to 2 write them: text and the name of an encoding."""
    if encoding != "latin1":
        raise DataError(f"pickle: bytes encoded as {encoding!r}; expected latin1")
    return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
}
# numpy renamed numpy.core to numpy._core in version 2; files of both are about
for _package in ("numpy.core", "numpy._core"):
    _ADMITTED[f"{_package}.multiarray", "_reconstruct"] = _reconstruct
    _ADMITTED[f"{_package}.multiarray", "scalar"] = _multiarray.scalar
    _ADMITTED[f"{_package}.numeric", "_frombuffer"] = _numeric._frombuffer


class _Reader(pickle.Unpickler):
    """An unpickler that finds admitted names alone."""

    def find_class(self, module: str, name: str) -> object:
        """The admitted callable of that name."""
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise DataError(
                f"the pickle asks for {module}.{name}; found a foreign object, expected dict, list, "
                "tuple, str, int, float and numpy arrays only; it was not opened, for that could run "
                "code: have it written again as plain arrays"
            ) from None

    def persistent_load(self, pid: object) -> object:
        """Persistent ids point outside the file."""
        raise DataError(f"the pickle points to an outside object {pid!r}; expected plain data only")


def read(path: Path) -> object:
    """The plain data of a pickle file, or a DataError that names the file."""
    try:
        with path.open("rb") as stream:
            return _Reader(stream).load()
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # a broken pickle may fail in any way whatever
        raise DataError.of(
            path,
            found=f"a broken pickle ({type(error).__name__}: {error})",
            expected="one whole pickle of plain data",
            do="download it again",
        ) from error
