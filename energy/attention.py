"""Attention as two products: (Q K^T) V, which is Q (K^T V) where nothing but moves lies between them.

Then K^T V may come first, and a count of the pair is that of the cheaper operand of K^T V, and of Q:

    pairs = T heads N d d_v (fr_Q + min(fr_K, fr_V)) = nnz_Q d_v + min(nnz_K d_v, nnz_V d)

Q [*heads, N, d], K^T [*heads, d, N], V [*heads, N, d_v]. (Spikingformer's tool, where d_v = d.) A neuron on
the attention map is no move: such products do not pair, and each is counted by its own left operand.
"""

from __future__ import annotations

from dataclasses import dataclass

from convert.ir import Delay, Graph, Permute, Reshape, SpikeMatMul


@dataclass(frozen=True)
class Attention:
    """One pair of products; q, k, v: the nodes whose values they multiply; d, d_v: their inner sizes."""

    scores: str
    mixed: str
    q: str
    k: str
    v: str
    d: int
    d_v: int


def attentions(graph: Graph) -> tuple[Attention, ...]:
    """Every pair whose scores are read by its second product alone and are no output."""
    found = []
    for name, node, (*inputs,) in graph:
        if not isinstance(node, SpikeMatMul):
            continue
        for side, given in enumerate(inputs):
            scores = _source(graph, given)
            if scores is not None:
                q, k = graph.inputs_of(scores)
                v, d = inputs[1 - side], graph.shapes[q][-1]
                d_v = graph.shapes[v][-1] if side == 0 else graph.shapes[v][-2]
                found.append(Attention(scores, name, q, k, v, d, d_v))
                break
    return tuple(found)


def _source(graph: Graph, name: str) -> str | None:
    """The product behind `name` if only moves lie between and nobody else reads any of it."""
    while graph.users_of(name) and len(graph.users_of(name)) == 1 and name not in graph.outputs:
        if isinstance(graph.nodes[name], SpikeMatMul):
            return name
        if not isinstance(graph.nodes[name], Reshape | Permute | Delay):
            return None
        (name,) = graph.inputs_of(name)
    return None
