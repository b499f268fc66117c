"""What a pass is: a function from graph to graph with a stage before and a stage after, and a runner."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from convert.ir import Graph, StageError, check


@dataclass(frozen=True)
class Pass:
    """A rewrite. `requires` and `ensures` are graph stages; both are checked by the runner."""

    name: str
    requires: str
    ensures: str
    call: Callable[[Graph], Graph]

    def __call__(self, graph: Graph) -> Graph:
        if graph.stage != self.requires:
            raise StageError(f"pass {self.name}: needs a {self.requires} graph, got {graph.stage}")
        out = check(self.call(graph))
        if out.stage != self.ensures:
            raise StageError(f"pass {self.name}: promised a {self.ensures} graph, gave {out.stage}")
        return out


def run(graph: Graph, passes: Iterable[Pass]) -> Graph:
    """Apply passes in order, checking the graph before the first and after each."""
    graph = check(graph)
    for step in passes:
        graph = step(graph)
    return graph
