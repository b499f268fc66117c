"""The two ends of a graph: weighted nodes that read what enters, and those that make what leaves.

    first   fed by an Input, with nothing between but moves, sums, means and scales of channels
    head    followed by no other weighted node or product, scales of channels apart

A norm or a scale of channels is part of a layer, not one of its own, so the search goes through it.
"""

from __future__ import annotations

from convert.ir import ChannelScale, Graph, Neuron, Node, Product, Program
from energy.fanout import weighted


def first_layers(graph: Graph) -> frozenset[str]:
    """Weighted nodes and products that read an Input."""
    entering: set[str] = set(graph.sources())
    found: set[str] = set()
    for name, node, inputs in graph:
        if not entering.intersection(inputs):
            continue
        if _synaptic(node):
            found.add(name)
        if not _ends(node):
            entering.add(name)
    return frozenset(found)


def heads(graph: Graph) -> frozenset[str]:
    """Weighted nodes and products behind which there is no other."""
    ahead: dict[str, bool] = {}  # node -> whether a layer comes behind it
    for name in reversed(graph.nodes):
        users = graph.users_of(name)
        ahead[name] = any(ahead[u] or _layer(graph.nodes[u]) for u in users)
    return frozenset(n for n, node in graph.nodes.items() if _synaptic(node) and not ahead[n])


def program_heads(program: Program) -> frozenset[str]:
    """Projections into populations that send nothing on."""
    sending = {p.src for p in program.projections}
    return frozenset(p.name for p in program.projections if p.dst not in sending)


def _synaptic(node: Node) -> bool:
    return weighted(node) or isinstance(node, Product)


def _layer(node: Node) -> bool:
    return _synaptic(node) and not isinstance(node, ChannelScale)


def _ends(node: Node) -> bool:
    return _layer(node) or isinstance(node, Neuron)
