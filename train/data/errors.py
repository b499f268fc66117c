"""The one error of the data sets.

ValueError
  DataError      a file, an array or a request for data that cannot be used (exit code 3)
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


class DataError(ValueError):
    """Data that cannot be used; the message is one line whatever it was made of."""

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(str(message).split()))

    @classmethod
    def of(cls, where: str | Path, *, found: str, expected: str, do: str) -> DataError:
        """Where it is, what was found there, what was expected and what to do about it."""
        return cls(f"{where}: found {found}; expected {expected}; {do}")
