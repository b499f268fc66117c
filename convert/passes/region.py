"""The linear region before a neuron: the branches that reach it, each a chain from one spiking source.

    a_t = sum over branches, delays of  M_{branch, delay} s_{source, t-delay}  +  bias

A branch is a path of linear nodes from a source (an input, a neuron or a product) to the neuron; additions
and Concat split paths. The bias is what the region gives for zero input.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convert.ir import (
    Activation,
    Add,
    Affine,
    Concat,
    Graph,
    LinearNode,
    Neuron,
    Product,
    Reshape,
    Source,
    Unsupported,
)
from convert.passes.operators import Taps, identity, operator, product, total

_MAX_PATHS = 256


Sides = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Branch:
    """One path: the spiking source and the linear nodes from it to the neuron, in the order of the flow.

    sides: each Concat in the chain, and by which of its inputs the path comes in.
    """

    source: str
    chain: tuple[str, ...]
    sides: Sides = ()


def branches(graph: Graph, neuron: str) -> tuple[Branch, ...]:
    """All branches into a neuron, in the order of the graph's edges."""
    found: list[Branch] = []
    for path in _paths(graph, graph.inputs_of(neuron)[0], (), ()):
        if len(found) == _MAX_PATHS:
            raise Unsupported(
                neuron, f"more than {_MAX_PATHS} linear paths meet here", "put a neuron between additions"
            )
        found.append(path)
    return tuple(found)


def _paths(graph: Graph, name: str, after: tuple[str, ...], sides: Sides) -> Iterator[Branch]:
    node = graph.nodes[name]
    if isinstance(node, Source | Neuron | Product):
        yield Branch(name, after, sides)
        return
    if not isinstance(node, LinearNode):
        instead = node.instead if isinstance(node, Activation) else "put a spiking neuron before and after it"
        raise Unsupported(name, f"{type(node).__name__} is not linear", instead)
    chain = after if isinstance(node, Add) else (name, *after)
    for side, source in enumerate(graph.inputs_of(name)):
        here = ((name, side), *sides) if isinstance(node, Concat) else sides
        yield from _paths(graph, source, chain, here)


def compose(graph: Graph, branch: Branch) -> Taps:
    """The branch as one matrix per delay, biases left out."""
    shape = graph.shapes[branch.source]
    sides = dict(branch.sides)
    taps: Taps | None = None
    for name in branch.chain:
        node = graph.nodes[name]
        if not isinstance(node, Reshape):
            taps = _after(taps, operator(node, shape, sides.get(name, 0)))
        shape = graph.shapes[name]
    return {0: identity(math.prod(shape))} if taps is None else taps


def _after(first: Taps | None, second: Taps) -> Taps:
    """second applied to the result of first: matrices multiply, delays add."""
    if first is None:
        return second
    out: Taps = {}
    for d1, a in first.items():
        for d2, b in second.items():
            joined = product(b, a)
            out[d1 + d2] = total(out[d1 + d2], joined) if d1 + d2 in out else joined
    return out


def bias(graph: Graph, neuron: str) -> np.ndarray | None:
    """Constant current of the region into the neuron, of its shape; None if no node has a bias.

    A bias before a convolution over steps would not be constant in the first steps: refused.
    """
    total = _bias(graph, graph.inputs_of(neuron)[0])
    return None if total is None else total.reshape(graph.shapes[neuron])


def _bias(graph: Graph, name: str) -> np.ndarray | None:
    node = graph.nodes[name]
    if isinstance(node, Source | Neuron | Product):
        return None
    before = [_bias(graph, i) for i in graph.inputs_of(name)]
    parts = [_through(graph, name, side, b) for side, b in enumerate(before) if b is not None]
    total = sum(parts[1:], parts[0]) if parts else None
    own = getattr(node, "bias", None)
    if own is None:
        return total
    shape = graph.shapes[name]
    spread = own  # an Affine has one per value, the others one per channel
    if not isinstance(node, Affine):
        spread = np.broadcast_to(own.reshape(-1, *(1,) * (len(shape) - 1)), shape).reshape(-1)
    return spread.astype(np.float64) if total is None else total + spread


def _through(graph: Graph, name: str, side: int, constant: np.ndarray) -> np.ndarray:
    """What a constant that comes in by one input adds to the node's result, flat."""
    node = graph.nodes[name]
    if isinstance(node, Add):
        return constant
    taps = operator(node, graph.shapes[graph.inputs_of(name)[side]], side)
    if set(taps) != {0}:
        raise Unsupported(
            name,
            "a bias flows into a delay or a convolution over steps",
            "move the bias (or batch norm) behind it",
        )
    return taps[0] @ constant
