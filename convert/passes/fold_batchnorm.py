"""Batch norm at inference is a scale and a shift per channel: fold both into the weights before it.

    g = gamma / sqrt(var + eps)         W' = g W        b' = g (b - mean) + beta

Cases: (1) the input is a node with output channels and nobody else uses it: its weights and bias take the
scale and shift; (2) the input is a Concat that nobody else uses, of such nodes: each takes its channels'
part; (3) otherwise (a spiking layer, an addition, a shared node before it) the batch norm becomes a
ChannelScale of its own, which lowering composes like any linear node. Nothing is lost in any.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from convert.ir import (
    Affine,
    BatchNorm,
    ChannelMix,
    ChannelScale,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Graph,
    GraphConv,
    Node,
    StepConv,
)
from convert.passes.base import Pass

_OUT_AXIS = {ChannelMix: 0, GraphConv: 1, StepConv: 0, Conv2d: 0, ConvTranspose2d: 0}


def _scaled(node: Node, scale: np.ndarray, shift: np.ndarray) -> Node:
    axis = 0 if isinstance(node, Affine) else _OUT_AXIS[type(node)]
    column = [1] * node.weight.ndim  # type: ignore[attr-defined]
    column[axis] = -1
    bias = shift if node.bias is None else node.bias * scale + shift  # type: ignore[attr-defined]
    weight = node.weight * scale.reshape(column)  # type: ignore[attr-defined]
    return dataclasses.replace(node, weight=weight, bias=bias)  # type: ignore[type-var]


def _absorbs(graph: Graph, name: str) -> bool:
    """Cases 1 and 2: one user, and channels that are the outputs of weights, or of several side by side."""
    node = graph.nodes[name]
    if len(graph.users_of(name)) != 1 or name in graph.outputs:
        return False
    if isinstance(node, Concat):
        return all(_absorbs(graph, i) for i in graph.inputs_of(name))
    return type(node) in _OUT_AXIS or (isinstance(node, Affine) and len(node.shape or ()) == 1)


def _absorb(graph: Graph, nodes: dict[str, Node], name: str, scale: np.ndarray, shift: np.ndarray) -> None:
    """Put scale and shift into the node, or (case 2) into those that it puts side by side."""
    node = nodes[name]
    if not isinstance(node, Concat):
        nodes[name] = _scaled(node, scale, shift)
        return
    ends = np.cumsum(node.sizes)[:-1]
    for source, g, b in zip(graph.inputs_of(name), np.split(scale, ends), np.split(shift, ends), strict=True):
        _absorb(graph, nodes, source, g, b)


def fold(graph: Graph) -> Graph:
    """A folded graph with the same values at every other node, to rounding."""
    nodes, gone = dict(graph.nodes), {}
    for name, node, inputs in graph:
        if not isinstance(node, BatchNorm):
            continue
        scale = node.gamma / np.sqrt(node.var + node.eps)
        shift = node.beta - node.mean * scale
        if _absorbs(graph, inputs[0]):
            _absorb(graph, nodes, inputs[0], scale, shift)
            del nodes[name]
            gone[name] = inputs[0]
        else:
            nodes[name] = ChannelScale(scale, shift)
    edges = tuple((gone.get(a, a), b) for a, b in graph.edges if b not in gone)
    outputs = tuple(gone.get(n, n) for n in graph.outputs)
    return Graph(nodes, edges, outputs, "folded", graph.dt_s, graph.meta)


FOLD_BATCHNORM = Pass("fold-batchnorm", "traced", "folded", fold)
