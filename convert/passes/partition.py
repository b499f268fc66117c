"""Part a folded graph into what a chip holds and what the CPU computes, behind the chip's spikes.

The chip gets the largest set of neurons all of whose ancestors it can hold, with the linear nodes between
them. The host gets the rest, as a float graph whose inputs are the cut: spiking populations of the chip, as
binary inputs of the same name, and the graph's own inputs, as they are. Cases of a node on the host:

1. it needs the whole window (`WindowNode`);
2. it is a product of what is no binary spike of one source (`passes.coincidence`), an activation, whose
   values are real, or of a kind unknown here;
3. it reads a neuron that does not spike: values, not spikes, would have to leave that neuron (a relay of
   `passes/adjacency.py` may be read: it sends its values as graded messages);
4. it reads a neuron or a whole-window node that is on the host: behind (1)-(3);
5. it is linear or a product and what reads it is on the host, or it leaves the graph: its region goes there
   whole, since sums are no spikes. A node that a chip's neuron reads as well is computed on both sides; a
   relay that no such neuron reads is not on the chip at all, nor is any other neuron that no output needs.

A graph without such nodes is its own chip part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from convert.ir import (
    Activation,
    Graph,
    Input,
    LinearNode,
    LoihiSigma,
    Neuron,
    Product,
    Source,
    StageError,
    Unsupported,
    WindowNode,
    check,
)
from convert.passes.adjacency import relays
from convert.passes.coincidence import operand


@dataclass(frozen=True, eq=False)
class Split:
    """chip: the part of the chip, its outputs first the graph's own, then the cut; host: the part of the CPU.

    Either is None where nothing is left for it. reasons: node -> why the host computes it (too). outputs: the
    graph's own, in its order.
    """

    chip: Graph | None
    host: Graph | None
    reasons: Mapping[str, str]
    outputs: tuple[str, ...]

    @property
    def cut(self) -> tuple[str, ...]:
        """Spiking populations of the chip whose spikes the host reads."""
        return () if self.host is None or self.chip is None else cut(self.chip, self.host)

    def place(self, name: str) -> str:
        """'chip', 'cpu', 'chip, cpu' for a sum that both need, 'unused' for a node no output needs."""
        here = [where for where, part in (("chip", self.chip), ("cpu", self.host)) if self._holds(part, name)]
        return ", ".join(here) or "unused"

    def _holds(self, part: Graph | None, name: str) -> bool:
        """A cut population is an input of the host, but it is the chip that computes it."""
        return part is not None and name in part.nodes and not (part is self.host and name in self.cut)


def cut(chip: Graph, host: Graph) -> tuple[str, ...]:
    """Populations of the chip that are inputs of the host: spiking ones, and sums that are read out."""
    sums = {n for n in chip.outputs if isinstance(chip.nodes[n], LoihiSigma)}
    return tuple(n for n in host.sources() if n in chip.spiking() or n in sums)


def partition(graph: Graph) -> Split:
    """The two parts of a folded graph."""
    if check(graph).stage != "folded":
        raise StageError(f"partition: needs a folded graph, got {graph.stage}; fold batch norms first")
    reasons = _blocked(graph)
    speaking = {*graph.spiking(), *relays(graph)}
    for name in graph.neurons():
        if name not in reasons and name not in speaking and graph.users_of(name):
            reasons[name] = f"{graph.users_of(name)[0]} reads its value, which is no spike"
    held = _needed(graph, [n for n in graph.neurons() if n not in reasons], frozenset())
    reasons |= _regions(graph, reasons, held)
    ends = [n for n in graph.outputs if n in reasons]
    spikes = frozenset(n for n in held if n in graph.spiking())
    behind = _needed(graph, ends, spikes)
    given = _given(graph, held, behind)
    kept = _needed(graph, given, frozenset())
    for name in behind & held:
        if name not in kept:
            reasons[name] = "only the CPU reads it"
        elif isinstance(graph.nodes[name], LinearNode | Product):
            reasons.setdefault(name, "its sum is read on the CPU too")
    if not reasons:
        return Split(graph, None, {}, graph.outputs)
    chip = _part(graph, kept, tuple(given), {}) if given else None
    host = _host(graph, behind, ends, spikes)
    return Split(chip, host, {n: reasons[n] for n in graph.nodes if n in reasons}, graph.outputs)


def parted(graph: Graph) -> Split:
    """The parts of a graph of which a chip holds some; Unsupported where it would hold nothing."""
    split = partition(graph)
    if why := refusal(graph, split):
        raise why
    return split


def refusal(graph: Graph, split: Split) -> Unsupported | None:
    """Why a chip would hold nothing of a graph: what stands first in its way; None if it holds some."""
    if split.chip is not None or not split.reasons:
        return None
    name = next(iter(_blocked(graph) or split.reasons))  # what no chip holds, before what waits for it
    reason = f"{split.reasons[name]}; so no node of the graph can be on a chip"
    return Unsupported(name, reason, "put a spiking neuron before it")


def _blocked(graph: Graph) -> dict[str, str]:
    """Cases 1 to 4: what a chip cannot hold, whatever reads it."""
    found: dict[str, str] = {}
    speaking = {*graph.spiking(), *relays(graph)}
    for name, node, inputs in graph:
        silent = [i for i in inputs if isinstance(graph.nodes[i], Neuron) and i not in speaking]
        behind = [i for i in inputs if i in found]
        if isinstance(node, WindowNode):  # 1
            found[name] = f"{type(node).__name__} needs the whole window"
        elif behind:  # 4
            root = found[behind[0]]
            found[name] = root if root.startswith("behind ") else f"behind {behind[0]}"
        elif isinstance(node, Activation):  # 2
            found[name] = f"{type(node).__name__} gives real values, no spikes"
        elif not isinstance(node, Source | LinearNode | Neuron | Product):  # 2
            found[name] = f"{type(node).__name__} is a product of values, no sum of spikes"
        elif isinstance(node, Product) and (why := _no_coincidence(graph, name)):  # 2
            found[name] = why
        elif silent:  # 3
            found[name] = f"{silent[0]} does not spike: its value is read"
    return found


def _no_coincidence(graph: Graph, name: str) -> str | None:
    """Why a chip has no neurons for the product; None if it has."""
    try:
        for side in (0, 1):
            operand(graph, name, side)
    except Unsupported as error:
        return error.reason
    return None


def _needed(graph: Graph, ends: list[str], stop: frozenset[str]) -> set[str]:
    """`ends` and all they depend on, not looking behind `stop`, whose nodes are given."""
    found: set[str] = set()
    waiting = list(ends)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += () if name in stop else graph.inputs_of(name)
    return found


def _regions(graph: Graph, reasons: Mapping[str, str], held: set[str]) -> dict[str, str]:
    """Case 5: linear nodes that leave the graph, or that no neuron of the chip needs."""
    found = {}
    for name, node in graph.nodes.items():
        users = graph.users_of(name)
        if not isinstance(node, LinearNode | Product) or name in reasons:
            continue
        if name in graph.outputs:
            found[name] = "its sum leaves the graph, and is no spike"
        elif users and name not in held:
            found[name] = f"{users[0]} reads its sum, which is no spike"
    return found


def _given(graph: Graph, held: set[str], behind: set[str]) -> list[str]:
    """Outputs of the chip's part: the graph's own, then the cut."""
    own = [n for n in graph.outputs if n in held and not isinstance(graph.nodes[n], LinearNode | Product)]
    return [*own, *(n for n in graph.spiking() if n in held & behind and n not in own)]


def _host(graph: Graph, behind: set[str], ends: list[str], spikes: frozenset[str]) -> Graph | None:
    given = {n: Input(graph.shapes[n], "binary") for n in spikes & behind}
    return _part(graph, behind, tuple(ends), given) if ends else None


def _part(graph: Graph, kept: set[str], outputs: tuple[str, ...], sources: Mapping[str, Input]) -> Graph:
    nodes = {n: sources.get(n, node) for n, node in graph.nodes.items() if n in kept}
    edges = tuple((a, b) for a, b in graph.edges if a in kept and b in kept and b not in sources)
    return replace(graph, nodes=nodes, edges=edges, outputs=outputs)
