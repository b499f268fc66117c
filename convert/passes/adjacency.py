"""Three forms of a learned adjacency on a chip: dense, pruned, factored.

A graph convolution  y[o, v] = sum_{k, c, u} W[k, o, c] A[k, u, v] s[c, u]  is one matrix between the spikes s
and the neurons behind it: C_out V x C_in V synapses, all of them if A is learned.

prune    A[k, u, v] = 0 where |A[k, u, v]| < eps max |A| of the node: pairs of joints that no k joins any more
         are no synapses. Not exact; what was dropped is reported.
factor   the sum is taken in two steps with a population of relays between them:
             m[k, v, c] = sum_u A[k, u, v] s[c, u]             relay: sends m on, whole, as a graded message
             y[o, v]    = sum_{k, c} W[k, o, c] m[k, v, c]
         K C_in V V + K C_out C_in V synapses, both steps shared convolutions. Exact in the float graph (up to
         the order of the sums); in integers A and W are rounded apart, the dense form rounds their product.

A relay is a LeakyIntegrator with dv = 1, which forgets at once: v = a. Its integer twin is a LoihiSigmaDelta
with vth = 0 and act = 'unit': it sums up what comes and sends every change, which is what came.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from convert.ir import (
    Conv2d,
    Graph,
    GraphConv,
    LeakyIntegrator,
    Node,
    Reshape,
    Unsupported,
)

FORMS = ("dense", "prune", "factor")


@dataclass(frozen=True)
class Pruned:
    """What pruning left of one adjacency: entries A[k, u, v], and pairs (u, v) that any k joins."""

    node: str
    entries: int
    kept: int
    pairs: int
    kept_pairs: int
    largest_dropped: float
    largest: float
    weight_kept: float  # sum |A| kept over sum |A|


def graph_convs(graph: Graph) -> tuple[str, ...]:
    """Names of the graph convolutions."""
    return tuple(n for n, node in graph.nodes.items() if isinstance(node, GraphConv))


def relays(graph: Graph) -> tuple[str, ...]:
    """Names of the relays: leaky integrators that forget at once and are read by others."""
    return tuple(
        n
        for n, node in graph.nodes.items()
        if isinstance(node, LeakyIntegrator) and node.dv == 1.0 and node.bias is None and graph.users_of(n)
    )


def apply(graph: Graph, form: str) -> tuple[Graph, tuple[Pruned, ...]]:
    """The graph in the form 'dense', 'prune:EPS' or 'factor', and what pruning did."""
    kind, eps = parsed(form)
    if kind == "prune":
        return prune(graph, eps)
    return (factor(graph), ()) if kind == "factor" else (graph, ())


def parsed(form: str) -> tuple[str, float]:
    """(kind, EPS) of a form; ValueError if it is none. EPS is 0 where the kind has none."""
    kind, colon, number = form.partition(":")
    if kind not in FORMS or (colon and kind != "prune"):
        raise ValueError(f"{form!r} is no form; use dense, prune:EPS or factor")
    if kind != "prune":
        return kind, 0.0
    try:
        eps = float(number)
    except ValueError:
        eps = -1.0
    if not 0.0 <= eps < 1.0:
        raise ValueError(f"{form!r} has no EPS of at least 0 and below 1; use for example prune:0.02")
    return kind, eps


def prune(graph: Graph, eps: float) -> tuple[Graph, tuple[Pruned, ...]]:
    """Adjacency entries below eps times the node's largest become structural zeros."""
    _some(graph)
    nodes, report = dict(graph.nodes), []
    for name in graph_convs(graph):
        node: GraphConv = graph.nodes[name]  # type: ignore[assignment]
        kept = keeps(node.adjacency, eps)
        if not kept.any():
            raise Unsupported(name, "pruning leaves no joint connected", "use a smaller EPS")
        report.append(_told(name, node.adjacency, kept))
        nodes[name] = replace(node, adjacency=np.where(kept, node.adjacency, 0.0))
    return Graph(nodes, graph.edges, graph.outputs, graph.stage, graph.dt_s, graph.meta), tuple(report)


def keeps(adjacency: np.ndarray, eps: float) -> np.ndarray:
    """Which entries pruning keeps: bool [K, V, V]."""
    size = np.abs(adjacency)
    return (size >= eps * size.max()) & (size > 0.0)


def eps_keeping(adjacency: np.ndarray, share: float) -> float:
    """The largest EPS that keeps at least `share` of the sum of |A|."""
    size = np.sort(np.abs(adjacency).reshape(-1))[::-1]
    total = np.cumsum(size)
    last = int(np.searchsorted(total, share * total[-1] * (1.0 - 1e-12)))
    return float(size[min(last, len(size) - 1)] / size[0])


def _told(name: str, adjacency: np.ndarray, kept: np.ndarray) -> Pruned:
    size = np.abs(adjacency)
    return Pruned(
        name, int((size > 0).sum()), int(kept.sum()), int((size > 0).any(axis=0).sum()),
        int(kept.any(axis=0).sum()), float(size[~kept].max(initial=0.0)), float(size.max()),
        float(size[kept].sum() / size.sum()),
    )  # fmt: skip


def factor(graph: Graph) -> Graph:
    """Every graph convolution as joint mixing, relays, channel mixing; its name stays with the last."""
    _some(graph)
    nodes: dict[str, Node] = {}
    edges = list(graph.edges)
    for name, node in graph.nodes.items():
        if not isinstance(node, GraphConv):
            nodes[name] = node
            continue
        (source,) = graph.inputs_of(name)
        if len(graph.shapes[name]) > 2:
            raise Unsupported(
                name, "a graph convolution over frames has no factored form", "convert it dense or pruned"
            )
        chain = _chain(name, node)
        nodes |= chain
        names = [source, *chain]
        edges = [e for e in edges if e != (source, name)] + list(pairwise(names))
        # the last of the chain has the node's old name, so edges out of it stand as they are
    return Graph(nodes, tuple(edges), graph.outputs, graph.stage, graph.dt_s, graph.meta)


def _chain(name: str, node: GraphConv) -> dict[str, Node]:
    joints, channels = kernels(node)
    partitions, into, out = len(node.weight), node.weight.shape[2], node.weight.shape[1]
    here, there = node.adjacency.shape[1:]
    return {
        f"{name}.image": Reshape((1, into, here)),
        f"{name}.joints": Conv2d(joints),
        f"{name}.relay": LeakyIntegrator(dv=1.0),
        f"{name}.rows": Reshape((partitions, there, into)),
        f"{name}.channels": Conv2d(channels, node.bias),
        name: Reshape((out, there)),
    }


def kernels(node: GraphConv) -> tuple[np.ndarray, np.ndarray]:
    """(joint mixing [K V, 1, 1, V], channel mixing [C_out, K, 1, C_in]) as kernels of `Conv2d`.

    The first sees s as one image [1, C_in, V] and gives [K V, C_in, 1]; the second sees [K, V, C_in].
    """
    joints = np.swapaxes(node.adjacency, 1, 2).reshape(-1, 1, 1, node.adjacency.shape[1])
    channels = np.transpose(node.weight, (1, 0, 2))[:, :, None, :]
    return joints, channels


def _some(graph: Graph) -> None:
    if not graph_convs(graph):
        raise Unsupported(
            "--adjacency", "the model has no graph convolution", "convert it without --adjacency"
        )
