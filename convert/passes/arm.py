"""One arm of a quantised layer: a branch, the node that will hold its mantissas, and how it is wired in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from convert.ir import (
    Affine,
    ChannelMix,
    ChannelScale,
    Conv2d,
    Graph,
    Node,
    Reshape,
    Shape,
    StepConv,
    Unsupported,
)
from convert.passes.region import Branch, compose

KEPT = (Affine, ChannelMix, StepConv, Conv2d, ChannelScale)


@dataclass(frozen=True, eq=False)
class Arm:
    """kind: the node kept with other weights, None where the branch becomes one dense matrix."""

    branch: Branch
    kind: Node | None
    mantissa: np.ndarray
    exp: int


def kept(graph: Graph, branch: Branch) -> Node | None:
    """The one weighted node of a branch that may stay as it is; a bare residual counts as a ChannelScale."""
    weighted = _weighted(graph, branch)
    if not weighted:
        return ChannelScale(np.ones(graph.shapes[branch.source][0]))
    node = graph.nodes[weighted[0]]
    return node if len(weighted) == 1 and isinstance(node, KEPT) else None


def weight_of(graph: Graph, branch: Branch, kind: Node | None) -> np.ndarray:
    """The float weights of a branch, in the form its integer node holds them."""
    if kind is not None:
        return np.asarray(kind.scale if isinstance(kind, ChannelScale) else kind.weight, np.float64)
    taps = compose(graph, branch)
    if set(taps) != {0}:
        raise Unsupported(
            branch.chain[-1],
            "several linear maps with delays among them have no integer node",
            "put a spiking neuron before the convolution over steps",
        )
    return taps[0].toarray()


def with_weight(kind: Node | None, weight: np.ndarray, exp: int = 0) -> Node:
    """The node that holds `weight` in the place of the branch's own, without a bias."""
    if kind is None:
        return Affine(weight, None, None, exp)
    if isinstance(kind, ChannelScale):
        return replace(kind, scale=weight, bias=None, weight_exp=exp)
    return replace(kind, weight=weight, bias=None, weight_exp=exp)  # type: ignore[type-var]


def source_shape(graph: Graph, branch: Branch) -> Shape:
    """Shape in which the branch's weighted node sees its source (reshapes before it applied)."""
    weighted = _weighted(graph, branch)
    return graph.shapes[graph.inputs_of(weighted[0])[0]] if weighted else graph.shapes[branch.source]


def attach(arm: Arm, graph: Graph, neuron: str, nodes: dict[str, Node], edges: list[tuple[str, str]]) -> str:
    """Add the arm's node and the reshapes it needs to the integer graph; the name of its last node."""
    branch, target = arm.branch, graph.shapes[neuron]
    weighted = _weighted(graph, branch)
    name = _free(weighted[-1] if weighted else f"{neuron}.residual", nodes)
    node = with_weight(arm.kind, arm.mantissa, arm.exp)
    if isinstance(node, Affine):  # takes and gives any shape
        nodes[name] = replace(node, shape=target)
        edges.append((branch.source, name))
        return name
    nodes[name] = node
    seen = source_shape(graph, branch)
    edges.append((_reshaped(branch.source, graph.shapes[branch.source], seen, name, nodes, edges), name))
    return _reshaped(name, node.out_shape(name, seen), target, f"{name}.out", nodes, edges)


def _weighted(graph: Graph, branch: Branch) -> list[str]:
    return [n for n in branch.chain if not isinstance(graph.nodes[n], Reshape)]


def _reshaped(
    source: str, at: Shape, wanted: Shape, name: str, nodes: dict[str, Node], edges: list[tuple[str, str]]
) -> str:
    if at == wanted:
        return source
    name = _free(f"{name}.reshape", nodes)
    nodes[name] = Reshape(wanted)
    edges.append((source, name))
    return name


def _free(name: str, nodes: Mapping[str, Node]) -> str:
    """A name not taken yet: a node shared by several paths appears once per path."""
    if name not in nodes:
        return name
    return next(f"{name}.{i}" for i in range(2, len(nodes) + 3) if f"{name}.{i}" not in nodes)
