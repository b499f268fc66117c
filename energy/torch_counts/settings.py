"""What may be counted one way or another on the torch side."""

from __future__ import annotations

from dataclasses import dataclass

from energy.line import Options


@dataclass(frozen=True)
class Settings(Options):
    """Options of the graph side, and two more.

    fold_norm: a batch norm of running statistics right behind weights that nothing else reads belongs to
    them: they get a bias. max_compares: a maximum over a window of k values costs k - 1 compares, else
    nothing.
    """

    fold_norm: bool = True
    max_compares: bool = True
