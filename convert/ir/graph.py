"""The spiking graph: named nodes, edges, stage. Immutable; every pass returns a new one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from convert.ir.errors import GraphError, LimitError, ShapeError
from convert.ir.node import Neuron, Node, Product, Shape, Source

Edge = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in an order in which every input comes before its user; time is implicit (one step).

    nodes: name -> node.  edges: (from, to), the order of a node's incoming edges is the order of its inputs.
    outputs: the nodes whose values the graph gives out.  stage: traced | folded | integer (`check.py`).
    dt_s: seconds per step, None where steps have no physical length.  meta: text kept beside the graph.
    """

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    outputs: tuple[str, ...]
    stage: str = "traced"
    dt_s: float | None = None
    meta: Mapping[str, str] = field(default_factory=dict)
    shapes: Mapping[str, Shape] = field(init=False)
    _inputs: Mapping[str, tuple[str, ...]] = field(init=False, repr=False)
    _users: Mapping[str, tuple[str, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        edges = tuple((str(a), str(b)) for a, b in self.edges)
        for end in {end for edge in edges for end in edge} | set(self.outputs):
            if end not in self.nodes:
                raise GraphError(f"{end}: an edge or output names it, but the graph has no such node")
        if not self.outputs:
            raise GraphError("a graph needs at least one output")
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "outputs", tuple(self.outputs))
        order = _order(self.nodes, edges)
        object.__setattr__(self, "nodes", MappingProxyType({n: self.nodes[n] for n in order}))
        object.__setattr__(self, "meta", MappingProxyType(dict(self.meta)))
        inputs: dict[str, list[str]] = {n: [] for n in order}
        users: dict[str, list[str]] = {n: [] for n in order}
        for a, b in edges:
            inputs[b].append(a)
            users[a].append(b)
        object.__setattr__(self, "_inputs", {n: tuple(ends) for n, ends in inputs.items()})
        object.__setattr__(self, "_users", {n: tuple(ends) for n, ends in users.items()})
        object.__setattr__(self, "shapes", MappingProxyType(_shapes(self)))

    def inputs_of(self, name: str) -> tuple[str, ...]:
        """Names of the nodes that feed `name`, in input order."""
        return self._inputs.get(name, ())

    def users_of(self, name: str) -> tuple[str, ...]:
        """Names of the nodes that `name` feeds."""
        return self._users.get(name, ())

    def sources(self) -> tuple[str, ...]:
        """Names of the nodes where values enter."""
        return tuple(n for n, node in self.nodes.items() if isinstance(node, Source))

    def neurons(self) -> tuple[str, ...]:
        """Names of all stateful nodes, readouts included, in order."""
        return tuple(n for n, node in self.nodes.items() if isinstance(node, Neuron))

    def spiking(self) -> tuple[str, ...]:
        """Names of the neurons that spike, in order."""
        return tuple(n for n in self.neurons() if self.nodes[n].spiking)  # type: ignore[attr-defined]

    def products(self) -> tuple[str, ...]:
        """Names of the nodes that multiply two tensors, in order."""
        return tuple(n for n, node in self.nodes.items() if isinstance(node, Product))

    def input(self) -> str:
        """The one source of a graph that has one; GraphError otherwise."""
        names = self.sources()
        if len(names) != 1:
            raise GraphError(f"the graph has {len(names)} inputs ({', '.join(names)}), one was expected")
        return names[0]

    def __iter__(self) -> Iterator[tuple[str, Node, tuple[str, ...]]]:
        """(name, node, names of its inputs), inputs before users."""
        for name, node in self.nodes.items():
            yield name, node, self._inputs[name]


def _order(nodes: Mapping[str, Node], edges: tuple[Edge, ...]) -> list[str]:
    """Topological order, stable in the order given; LimitError names the members of a cycle."""
    waiting = {n: sum(b == n for _, b in edges) for n in nodes}
    users: dict[str, list[str]] = {n: [] for n in nodes}
    for a, b in edges:
        users[a].append(b)
    ready = [n for n, count in waiting.items() if count == 0]
    done: list[str] = []
    while ready:
        name = ready.pop(0)
        done.append(name)
        for user in users[name]:
            waiting[user] -= 1
            if waiting[user] == 0:
                ready.append(user)
    if len(done) < len(nodes):
        raise _cycle([n for n, count in waiting.items() if count > 0], edges)
    return done


def _cycle(stuck: list[str], edges: tuple[Edge, ...]) -> LimitError:
    """What to say of a graph in which these nodes wait for each other, or for one that does."""
    before = {b: a for a, b in edges if a in stuck and b in stuck}  # each stuck node has one such input
    path = [stuck[0]]
    while before[path[-1]] not in path:
        path.append(before[path[-1]])
    cycle = path[path.index(before[path[-1]]) :][::-1]
    return LimitError(
        cycle[0],
        f"is in a cycle through {', '.join(cycle)}: a graph holds none, with a delay or without",
        "unroll it, or build a Program with a projection back, which takes a step",
    )


def _shapes(graph: Graph) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for name, node, inputs in graph:
        if node.inputs is not None and len(inputs) != node.inputs:
            raise ShapeError(
                name, expected=f"{node.inputs} inputs", got=f"{len(inputs)} ({', '.join(inputs)})"
            )
        shapes[name] = tuple(int(n) for n in node.out_shape(name, *(shapes[i] for i in inputs)))
        if min(shapes[name], default=1) < 1:
            raise ShapeError(name, expected="positive sides", got=shapes[name])
    return shapes
