"""The one error of the pose side's settings.

ValueError
  PoseError      a codec, a crop or maps that cannot be what was asked for (exit code 3)
"""

from __future__ import annotations

from typing import ClassVar


class PoseError(ValueError):
    """A setting or an array that cannot be used; the message is one line."""

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(str(message).split()))
