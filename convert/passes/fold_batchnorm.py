"""Batch norm at inference is a scale and a shift per channel: fold both into the weights before it.

    g = gamma / sqrt(var + eps)         W' = g W        b' = g (b - mean) + beta

Cases: (1) the input is a node with output channels and nobody else uses it: its weights and bias take the
scale and shift; (2) otherwise (a spiking layer, an addition, a shared node before it) the batch norm becomes
a ChannelScale of its own, which lowering composes like any linear node. Nothing is lost in either.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from convert.ir import (
    Affine,
    BatchNorm,
    ChannelMix,
    ChannelScale,
    Conv2d,
    Graph,
    GraphConv,
    Node,
    StepConv,
)
from convert.passes.base import Pass

_OUT_AXIS = {ChannelMix: 0, GraphConv: 1, StepConv: 0, Conv2d: 0}


def _scaled(node: Node, scale: np.ndarray, shift: np.ndarray) -> Node:
    axis = 0 if isinstance(node, Affine) else _OUT_AXIS[type(node)]
    column = [1] * node.weight.ndim  # type: ignore[attr-defined]
    column[axis] = -1
    bias = shift if node.bias is None else node.bias * scale + shift  # type: ignore[attr-defined]
    weight = node.weight * scale.reshape(column)  # type: ignore[attr-defined]
    return dataclasses.replace(node, weight=weight, bias=bias)  # type: ignore[type-var]


def _absorbs(graph: Graph, name: str) -> bool:
    """Case 1: weights before the norm, one user, and channels that are the outputs of the weights."""
    node = graph.nodes[name]
    flat = isinstance(node, Affine) and len(node.shape or ()) == 1
    return (flat or type(node) in _OUT_AXIS) and len(graph.users_of(name)) == 1 and name not in graph.outputs


def fold(graph: Graph) -> Graph:
    """A folded graph with the same values at every other node, to rounding."""
    nodes, gone = dict(graph.nodes), {}
    for name, node, inputs in graph:
        if not isinstance(node, BatchNorm):
            continue
        scale = node.gamma / np.sqrt(node.var + node.eps)
        shift = node.beta - node.mean * scale
        if _absorbs(graph, inputs[0]):
            nodes[inputs[0]] = _scaled(nodes[inputs[0]], scale, shift)
            del nodes[name]
            gone[name] = inputs[0]
        else:
            nodes[name] = ChannelScale(scale, shift)
    edges = tuple((gone.get(a, a), b) for a, b in graph.edges if b not in gone)
    outputs = tuple(gone.get(n, n) for n in graph.outputs)
    return Graph(nodes, edges, outputs, "folded", graph.dt_s, graph.meta)


FOLD_BATCHNORM = Pass("fold-batchnorm", "traced", "folded", fold)
