"""The errors of the spiking graph.

    BasaltError                 everything a user can cause; carries `exit_code` (LavaError, deploy/: 6)
    ├── BadInput                a file or value from outside is broken or not what it claims       (exit 3)
    │   └── ArtifactError       a stored graph, program or artifact is damaged, edited or foreign
    ├── GraphError              a graph is not well formed                                         (exit 3)
    │   ├── ShapeError          two shapes do not meet
    │   └── StageError          a node is not legal at the graph's stage
    └── Unsupported             this graph cannot be expressed there; says node, reason, remedy    (exit 4)
        └── LimitError          also a GraphError: well formed, but beyond what a chip holds       (exit 4)

Every message is one line: which node or file, what was found, what was expected, what to do.
"""

from __future__ import annotations


class BasaltError(Exception):
    """An error a user can cause and mend; the command line prints its one line and exits with its code."""

    exit_code = 1


class BadInput(BasaltError, ValueError):
    """A file or value from outside is missing, truncated or not what it claims to be."""

    exit_code = 3


class ArtifactError(BadInput):
    """A stored graph, program or artifact is damaged, was edited by hand or belongs to another tool."""


class GraphError(BasaltError, ValueError):
    """A graph is not well formed."""

    exit_code = 3


class ShapeError(GraphError):
    """Two shapes do not meet at a node."""

    def __init__(self, node: str, *, expected: object, got: object, hint: str = "") -> None:
        super().__init__(f"{node}: expected {expected}, got {got}" + (f"; {hint}" if hint else ""))
        self.node = node


class StageError(GraphError):
    """A node is not legal at the stage the graph claims."""


class Unsupported(BasaltError, ValueError):
    """A node cannot be expressed at the place asked for. Nothing is dropped or approximated instead."""

    exit_code = 4

    def __init__(self, node: str, reason: str, remedy: str) -> None:
        super().__init__(f"{node}: {reason}; {remedy}")
        self.node, self.reason, self.remedy = node, reason, remedy


class LimitError(Unsupported, GraphError):
    """A value of a graph or program is well formed, but beyond what a chip holds.

    Also a GraphError: such a graph or program cannot be made. `node` is the type where no name is known yet.
    """
