"""How many steps each node's tensor has: all T of the run, until a window node gives the flow other ones.

A graph is per step and says nothing of time; this is the only place where the length of a run is known to
its nodes. Neurons behind a window node start at rest and step over the new axis.
"""

from __future__ import annotations

from convert.ir.errors import ShapeError
from convert.ir.graph import Graph
from convert.ir.node import WindowNode


def steps(graph: Graph, run: int) -> dict[str, int]:
    """Node -> number of steps of its tensor, where every source has `run` steps.

    ShapeError for a node whose inputs differ, or a window node made for another length.
    """
    found: dict[str, int] = {}
    for name, node, inputs in graph:
        lengths = [found[i] for i in inputs] or [run]
        if len(set(lengths)) != 1:
            got = ", ".join(f"{i} has {n}" for i, n in zip(inputs, lengths, strict=True))
            raise ShapeError(name, expected="inputs of one number of steps", got=got)
        found[name] = lengths[0]
        if isinstance(node, WindowNode):
            found[name] = len(node.over(name, lengths[0]))
    return found
