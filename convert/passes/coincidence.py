"""A product of two spike tensors as coincidence neurons: each needs both of its inputs in the same step.

    LoihiLIF, du = dv = 4095, vth = 3; two projections, one synapse of weight 2 a neuron each, exponent 0:
    v = (2 + 2) << 6 > 3 << 6 exactly when both came; what one alone leaves, 128, decays to 0 in one step.

The population of  y[*batch, i, j] = sum_k a[*batch, i, k] b[*batch, k, j]  has the shape [*batch, m, n, k]:
neuron (i, j, k) is a[i, k] AND b[k, j]; the sum over k belongs to the weights of what follows. That of an AND
has the shape of its operands. Both operands must be spikes, 0 and 1, of one source each; between source and
product only moves may lie (Reshape, Permute, Delay).
"""

from __future__ import annotations

import math

import numpy as np
from scipy import sparse

from convert.ir import (
    Activation,
    Add,
    Delay,
    Graph,
    Input,
    LoihiLIF,
    Neuron,
    Node,
    Permute,
    Population,
    Projection,
    Reshape,
    SparseWeights,
    SpikeAnd,
    SpikeMatMul,
    Unsupported,
)
from convert.passes.region import Branch

MODEL = LoihiLIF(du=4095, dv=4095, vth=3)
WEIGHT = 2
MOVES = (Reshape, Permute, Delay)
_SIDES = ("left", "right")


def operand(graph: Graph, product: str, side: int) -> Branch:
    """The spiking source of one operand (0: left, 1: right) and the moves from it to the product."""
    chain: list[str] = []
    name = graph.inputs_of(product)[side]
    while isinstance(graph.nodes[name], MOVES):
        chain.insert(0, name)
        name = graph.inputs_of(name)[0]
    if why := _not_binary(graph.nodes[name], len(graph.inputs_of(name))):
        raise Unsupported(
            product,
            f"its {_SIDES[side]} operand {name} is {why}; a product on a chip takes spikes, 0 and 1, of one "
            "source",
            "put a spiking neuron before it",
        )
    return Branch(name, tuple(chain))


def _not_binary(node: Node, inputs: int) -> str | None:
    """What a value is that is no tensor of binary spikes; None if it is one."""
    if isinstance(node, Input):
        return None if node.operand == "binary" else f"a {node.operand} input"
    if isinstance(node, Neuron):
        if not node.spiking:
            return f"a readout ({type(node).__name__})"
        message = getattr(node, "message", "binary")
        return None if message == "binary" else f"a neuron of {message} spikes ({type(node).__name__})"
    if isinstance(node, SpikeAnd):
        return None
    if isinstance(node, SpikeMatMul):
        return "a count of coincidences (SpikeMatMul)"
    if isinstance(node, Add):
        return f"a sum of {inputs} tensors (Add)"
    if isinstance(node, Activation):
        return f"real values ({type(node).__name__})"
    return f"a linear map ({type(node).__name__})"


def coincidences(
    graph: Graph, name: str, populations: dict[str, Population], first: int
) -> tuple[Population, list[Projection]]:
    """The population of a product and its two projections, numbered from `first`."""
    sides = [operand(graph, name, side) for side in (0, 1)]
    latency = 1 + max(populations[b.source].latency for b in sides)
    shape, places = _places(graph, name, sides)
    projections = []
    for number, (branch, of) in enumerate(zip(sides, places, strict=True), first):
        source = populations[branch.source]
        delay = sum(n.steps for n in map(graph.nodes.get, branch.chain) if isinstance(n, Delay))
        weights = _one_synapse_each(of, source.size)
        projections.append(
            Projection(f"{number}:{source.name}->{name}", source.name, name, weights, 0, delay)
        )
    return Population(name, shape, MODEL, latency), projections


def _places(graph: Graph, name: str, sides: list[Branch]) -> tuple[tuple[int, ...], list[np.ndarray]]:
    """Shape of the population; per side the flat index of its source that each neuron listens to."""
    left, right = (moved(graph, b.chain, _indices(graph.shapes[b.source])) for b in sides)
    if isinstance(graph.nodes[name], SpikeMatMul):
        left, right = left[..., :, None, :], np.swapaxes(right, -1, -2)[..., None, :, :]
    left, right = np.broadcast_arrays(left, right)
    return left.shape, [left.reshape(-1), right.reshape(-1)]


def _indices(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(math.prod(shape)).reshape(shape)


def moved(graph: Graph, chain: tuple[str, ...], values: np.ndarray) -> np.ndarray:
    """Values of one step through moves; a delay moves them in time alone."""
    for node in map(graph.nodes.__getitem__, chain):
        if isinstance(node, Reshape):
            values = values.reshape(node.shape)
        elif isinstance(node, Permute):
            values = values.transpose(node.axes)
    return values


def _one_synapse_each(of: np.ndarray, sources: int) -> SparseWeights:
    """Neuron i listens to source of[i], with WEIGHT."""
    rows = np.argsort(of, kind="stable")
    starts = np.searchsorted(of[rows], np.arange(sources + 1))
    return SparseWeights(starts, rows, np.full(len(of), WEIGHT, np.int8), (len(of), sources))


def summed(graph: Graph, source: str, matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """A matrix over the values of a product as one over its coincidence neurons, which repeats its columns.

    Nothing is added up: each neuron belongs to one value, so every weight stays what it is.
    """
    if not isinstance(graph.nodes[source], SpikeMatMul):
        return matrix
    terms = graph.shapes[graph.inputs_of(source)[0]][-1]
    return matrix.tocsc()[:, np.repeat(np.arange(matrix.shape[1]), terms)].tocsr()
