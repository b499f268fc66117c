"""The dense integer network of a sigma-delta graph: its values at every frame, without state and threshold.

    layer     y = floor(act(a + bias 2^state_exp) / 2^state_exp),   a = sum of W y of the layers before
    readout   y = a

With `carry` and vth = 0 the messages of a layer add up to y at every frame, exactly:
docs/pose-sigma-delta.md.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convert.ir import Graph, Input, LoihiDelta, LoihiSigma, LoihiSigmaDelta, Unsupported
from convert.ir.node import Neuron
from deploy.reference import combined


def dense_values(graph: Graph, x: np.ndarray) -> dict[str, np.ndarray]:
    """Every node's value, int64 [T, N, *shape]; Unsupported for a neuron that is no sigma-delta one."""
    got: dict[str, np.ndarray] = {}
    for name, node, inputs in graph:
        arrays = [got[i].astype(np.int64, copy=False) for i in inputs]
        if isinstance(node, Input):
            got[name] = node.encode(x)
        elif isinstance(node, LoihiSigma):
            got[name] = arrays[0]
        elif isinstance(node, LoihiDelta | LoihiSigmaDelta):
            got[name] = _layer(node, arrays[0])
        elif isinstance(node, Neuron):
            raise Unsupported(name, f"{type(node).__name__} has no dense form", "take a sigma-delta network")
        else:
            got[name] = combined(node, *arrays)
    return got


def _layer(node: LoihiDelta | LoihiSigmaDelta, a: np.ndarray) -> np.ndarray:
    shift = node.spike_exp + node.state_exp
    if isinstance(node, LoihiDelta):
        return (a << shift) >> node.state_exp
    x = a + (np.asarray(node.bias, np.int64) << shift)
    return (np.maximum(x, 0) if node.act == "relu" else x) >> node.state_exp


def without_thresholds(graph: Graph) -> Graph:
    """The same network, every change sent at once."""
    nodes = {
        name: replace(node, vth=0) if isinstance(node, LoihiDelta | LoihiSigmaDelta) else node
        for name, node in graph.nodes.items()
    }
    return replace(graph, nodes=nodes)
