"""One arm of a quantised layer: a branch, the node that will hold its mantissas, and how it is wired in.

A branch with one weighted node keeps it, and every move of values before and after it (Reshape, Permute,
Delay); a branch of moves alone counts as a ChannelScale of ones. Any other branch is composed into one Affine
per delay, of exactly the synapses that its nodes join; that matrix is dense while it is made, and one beyond
DENSE entries is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from convert.ir import (
    Affine,
    ChannelMix,
    ChannelScale,
    Conv2d,
    Delay,
    Graph,
    Node,
    Permute,
    Reshape,
    Shape,
    StepConv,
    Unsupported,
)
from convert.passes.coincidence import MOVES, moved
from convert.passes.operators import applied
from convert.passes.region import Branch, compose

KEPT = (Affine, ChannelMix, StepConv, Conv2d, ChannelScale)
DENSE = 1 << 28  # entries of a composed matrix: 2 GiB


@dataclass(frozen=True, eq=False)
class Arm:
    """A branch, or one delay of a composed branch, in float.

    node: what is kept with other weights: the branch's own, or the Affine it was composed into, which takes
    and gives any shape.  before, after: moves around it.  weight: float64, as `node` holds it.
    """

    branch: Branch
    node: Node
    before: tuple[str, ...]
    after: tuple[str, ...]
    composed: bool = False
    delay: int = 0  # of a composed arm

    @property
    def weight(self) -> np.ndarray:
        held = self.node.scale if isinstance(self.node, ChannelScale) else self.node.weight  # type: ignore[attr-defined]
        return np.asarray(held, np.float64)

    def holding(self, weight: np.ndarray, exp: int = 0) -> Node:
        """The node with other weights, without a bias."""
        field = "scale" if isinstance(self.node, ChannelScale) else "weight"
        return replace(self.node, **{field: weight, "bias": None, "weight_exp": exp})  # type: ignore[type-var]

    def current(self, graph: Graph, weight: np.ndarray, rate: np.ndarray) -> np.ndarray:
        """Mean current of these weights at the source's mean values, flat, in the order of the neuron."""
        values = moved(graph, self.before, rate)
        node = self.holding(weight)
        total = applied(node, values)
        if self.composed:
            return total.reshape(-1)
        return moved(graph, self.after, total).reshape(-1)


def composed(graph: Graph, branch: Branch) -> str | None:
    """The node that makes the branch one that must be composed; None where it is kept or moves values alone.

    Raises Unsupported, naming that node, where the matrix would have more than DENSE entries.
    """
    weighted = [n for n in branch.chain if not isinstance(graph.nodes[n], MOVES)]
    odd = [n for n in weighted if not isinstance(graph.nodes[n], KEPT)]
    if not odd and len(weighted) < 2:
        return None
    name = (odd or weighted)[0]
    rows, columns = (math.prod(graph.shapes[n]) for n in (branch.chain[-1], branch.source))
    if rows * columns > DENSE:
        kind = type(graph.nodes[name]).__name__
        raise Unsupported(
            name, f"{kind}, composed with the linear nodes round it, is a matrix of {rows} x {columns}",
            "take a smaller input, or a network of convolutions with a neuron or ReLU behind each",
        )  # fmt: skip
    return name


def arms(graph: Graph, branch: Branch) -> list[Arm]:
    """The arms of a branch."""
    weighted = [k for k, n in enumerate(branch.chain) if not isinstance(graph.nodes[n], MOVES)]
    if not weighted:
        ones = ChannelScale(np.ones(graph.shapes[branch.source][0]))
        return [Arm(branch, ones, (), branch.chain)]
    if composed(graph, branch) is None:
        (at,) = weighted
        before, after = branch.chain[:at], branch.chain[at + 1 :]
        return [Arm(branch, graph.nodes[branch.chain[at]], before, after)]
    out = []
    taps = compose(graph, branch)
    silent = {d for d, m in taps.items() if not np.any(m.data)}
    for delay in sorted(set(taps) - silent or set(taps)):
        matrix = taps[delay]
        pairs = np.zeros(matrix.shape, np.int8)
        pairs[np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)), matrix.indices] = 1
        node = Affine(matrix.toarray(), None, None, 0, None if pairs.all() else pairs)
        out.append(Arm(branch, node, (), (), True, delay))
    return out


def attach(
    arm: Arm, node: Node, graph: Graph, neuron: str, nodes: dict[str, Node], edges: list[tuple[str, str]]
) -> tuple[str, str]:
    """Add the arm's integer node and the moves around it to the integer graph; its name, the last node's."""
    branch, before, after = arm.branch, arm.before, arm.after
    weighted = [n for n in branch.chain if not isinstance(graph.nodes[n], MOVES)]
    name = _free(weighted[-1] if weighted else f"{neuron}.residual", nodes)
    if isinstance(node, Affine):  # takes any shape, and gives what is asked for: reshapes around it go
        before = _without_reshapes(graph, before)
        if len(late := _without_reshapes(graph, after)) < len(after) or not after:
            node, after = replace(node, shape=graph.shapes[neuron]), late
    at = graph.shapes[branch.source]
    last = _moves(graph, before, branch.source, at, name, nodes, edges)
    nodes[name] = node
    edges.append((last, name))
    if arm.delay:
        late_name = _free(f"{name}.delay", nodes)
        nodes[late_name] = Delay(arm.delay)
        edges.append((name, late_name))
        return name, late_name
    at = node.out_shape(name, graph.shapes[before[-1]] if before else at)
    return name, _moves(graph, after, name, at, f"{name}.out", nodes, edges)


def copy_moves(graph: Graph, branch: Branch, nodes: dict[str, Node], edges: list[tuple[str, str]]) -> str:
    """The moves of a product's operand in the integer graph, under their own names; the last one's name."""
    at = branch.source
    for name in branch.chain:
        at = _copied(graph, name, at, nodes, edges)
    return at


def _without_reshapes(graph: Graph, moves: tuple[str, ...]) -> tuple[str, ...]:
    """Moves that remain where shapes are free; a permutation needs all of them."""
    if any(isinstance(graph.nodes[n], Permute) for n in moves):
        return moves
    return tuple(n for n in moves if not isinstance(graph.nodes[n], Reshape))


def _moves(
    graph: Graph,
    moves: tuple[str, ...],
    source: str,
    shape: Shape,
    name: str,
    nodes: dict[str, Node],
    edges: list[tuple[str, str]],
) -> str:
    """Chain moves behind `source`, of this shape: reshapes in a row are one, called after what they serve."""
    at = source
    for k, move in enumerate(moves):
        following = graph.nodes[moves[k + 1]] if k + 1 < len(moves) else None
        if not isinstance(graph.nodes[move], Reshape):
            at = _copied(graph, move, at, nodes, edges)
        elif isinstance(following, Reshape) or graph.shapes[move] == shape:
            continue
        else:
            at = _reshaped(graph, move, at, name, nodes, edges)
        shape = graph.shapes[move]
    return at


def _reshaped(
    graph: Graph, move: str, source: str, name: str, nodes: dict[str, Node], edges: list[tuple[str, str]]
) -> str:
    name = _free(f"{name}.reshape", nodes)
    nodes[name] = Reshape(graph.shapes[move])
    edges.append((source, name))
    return name


def _copied(
    graph: Graph, move: str, source: str, nodes: dict[str, Node], edges: list[tuple[str, str]]
) -> str:
    """The move behind `source`, shared with whoever put the same one there before."""
    if nodes.get(move) is graph.nodes[move] and (source, move) in edges:
        return move
    name = _free(move, nodes)
    nodes[name] = graph.nodes[move]
    edges.append((source, name))
    return name


def _free(name: str, nodes: Mapping[str, Node]) -> str:
    """A name not taken yet: a node shared by several paths appears once per path."""
    if name not in nodes:
        return name
    return next(f"{name}.{i}" for i in range(2, len(nodes) + 3) if f"{name}.{i}" not in nodes)
