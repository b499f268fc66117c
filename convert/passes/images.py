"""Layers over frames as convolutions with one shared kernel, before a folded graph is quantised.

A value (C, V, F) is an image, and each of its frames is treated alike: what is linear between two neurons
there is a convolution, kept as one kernel instead of a matrix of (C V F)^2 entries. Exact; names of neurons
stay.

1. Two permutations in a row are one; one that moves nothing is gone.
2. A GraphConv over (C, V, F) whose joints are all joined is a 1x1 convolution of C V channels over F:
       W'[(o, v), (c, u)] = sum_k W[k, o, c] A[k, u, v]
   Where joints are not joined (a pruned adjacency) it stays: a kernel would add synapses.
3. A ChannelMix over (C, V, F) is a 1x1 convolution.
4. A ChannelMix behind the mean over frames is a convolution of 1 x F taps, each W / F.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convert.ir import ChannelMix, Conv2d, Graph, GraphConv, JointMean, Node, Permute, Reshape, Shape


def as_images(graph: Graph) -> Graph:
    """The graph with layers over frames as Conv2d; the graph itself where there are none."""
    work = _Work(dict(graph.nodes), {n: list(graph.inputs_of(n)) for n in graph.nodes}, graph)
    for name in graph.nodes:
        node, inputs = graph.nodes[name], graph.inputs_of(name)
        if isinstance(node, Permute):
            work.permute(name)
        elif isinstance(node, GraphConv | ChannelMix):
            shape = graph.shapes[inputs[0]]
            if len(shape) == 3:
                work.mix(name, node, shape)
            elif isinstance(node, ChannelMix) and isinstance(graph.nodes[inputs[0]], JointMean):
                work.behind_mean(name, node, inputs[0])
    return work.done()


class _Work:
    """Nodes and, for each, the names of its inputs; rewritten node by node in the order of the flow."""

    def __init__(self, nodes: dict[str, Node], inputs: dict[str, list[str]], graph: Graph) -> None:
        self.nodes, self.inputs, self.graph = nodes, inputs, graph

    def permute(self, name: str) -> None:
        """Case 1."""
        (before,) = self.inputs[name]
        node, first = self.nodes[name], self.nodes[before]
        if not isinstance(first, Permute):
            return
        axes = tuple(first.axes[a] for a in node.axes)  # type: ignore[attr-defined]
        self.nodes[name], self.inputs[name] = Permute(axes), list(self.inputs[before])
        if axes == tuple(range(len(axes))) and name not in self.graph.outputs:
            (origin,) = self.inputs.pop(name)
            del self.nodes[name]
            for user, inputs in self.inputs.items():
                self.inputs[user] = [origin if i == name else i for i in inputs]

    def mix(self, name: str, node: GraphConv | ChannelMix, shape: Shape) -> None:
        """Cases 2 and 3."""
        if isinstance(node, ChannelMix):
            self.nodes[name] = Conv2d(node.weight[:, :, None, None], node.bias)
        elif np.any(node.adjacency != 0, axis=0).all():
            matrix = np.einsum("koc,kuv->ovcu", node.weight, node.adjacency, optimize=True)
            out, joints = matrix.shape[:2]
            kernel = matrix.reshape(out * joints, -1, 1, 1)
            bias = None if node.bias is None else np.repeat(node.bias, joints)
            self._chain(
                name,
                {
                    f"{name}.image": Reshape((kernel.shape[1], 1, shape[2])),
                    f"{name}.joints": Conv2d(kernel, bias),
                    name: Reshape((out, joints, shape[2])),
                },
            )

    def behind_mean(self, name: str, node: ChannelMix, mean: str) -> None:
        """Case 4."""
        (source,) = self.graph.inputs_of(mean)
        shape = self.graph.shapes[source]
        if len(shape) != 3:
            return
        taps = np.repeat(node.weight[:, :, None, None] / shape[2], shape[2], axis=3)
        self.inputs[name] = list(self.inputs[mean])
        self._chain(name, {f"{name}.frames": Conv2d(taps, node.bias), name: Reshape((len(taps), shape[1]))})

    def _chain(self, name: str, chain: dict[str, Node]) -> None:
        """Put the chain where `name` was; its last node has the name, so that users stand as they are."""
        at = self.inputs[name]
        for link, node in chain.items():
            self.nodes[link], self.inputs[link] = node, at
            at = [link]

    def done(self) -> Graph:
        """The graph, without what nobody reads any more."""
        for name in reversed(list(self.graph.nodes)):
            read = {i for inputs in self.inputs.values() for i in inputs}
            gone = isinstance(self.graph.nodes[name], Permute | JointMean) and name not in read
            if gone and name in self.nodes and name not in self.graph.outputs:
                del self.nodes[name], self.inputs[name]
        edges = tuple((i, name) for name, inputs in self.inputs.items() for i in inputs)
        return replace(self.graph, nodes=self.nodes, edges=edges)
