"""Integer graph to program: every linear region becomes projections with delays, a product coincidences.

A branch with one Conv2d keeps its shared kernel; any other becomes one matrix per delay, dense where every
pair is joined, in compressed columns otherwise: what is stored are the synapses, neither more nor fewer.
Latency of a population: one chip step per projection on the longest path from the input. Delays beyond a
chip's go through relays (`passes/relays.py`), products of spikes through coincidence neurons
(`passes/coincidence.py`). Weights stay what they are: a product of two integer matrices that leaves 8 bits is
refused, quantise composes such regions before rounding.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from convert.ir import (
    Conv2d,
    ConvWeights,
    DenseWeights,
    Graph,
    Input,
    LoihiNeuron,
    Neuron,
    Population,
    Product,
    Program,
    Projection,
    Reshape,
    SparseWeights,
    SpikeMatMul,
    StageError,
    Unsupported,
    Weights,
    check,
    refuse_windows,
)
from convert.ir.program import EXP_MAX, EXP_MIN
from convert.passes.coincidence import coincidences, summed
from convert.passes.operators import conv_weights
from convert.passes.region import Branch, branches, compose
from convert.passes.relays import relayed


def lower(graph: Graph, bits: int = 8) -> Program:
    """The program of an integer graph; population names are the names of its inputs and neurons.

    bits: width of a weight, as quantise was told; a weight that does not fit is refused.
    """
    refuse_windows(graph, "a chip")
    if check(graph).stage != "integer":
        raise StageError(f"lower: needs an integer graph, got {graph.stage}; quantise first")
    populations = {n: _population(graph, n, 0) for n in graph.sources()}
    projections: list[Projection] = []
    for name, node, _ in graph:
        if isinstance(node, Product):
            populations[name], pair = coincidences(graph, name, populations, len(projections))
            projections += pair
        elif isinstance(node, Neuron):
            found = branches(graph, name)
            latency = 1 + max(populations[b.source].latency for b in found)
            populations[name] = _population(graph, name, latency)
            for branch in found:
                projections += _projections(graph, branch, name, len(projections), bits)
    _check_outputs(graph)
    populations, projections = relayed(populations, projections)
    return Program(populations, tuple(projections), graph.outputs, graph.meta)


def _check_outputs(graph: Graph) -> None:
    for name in graph.outputs:
        if isinstance(graph.nodes[name], Product):
            raise Unsupported(name, "is an output but no neuron", "end the model in a neuron")


def _population(graph: Graph, name: str, latency: int) -> Population:
    node = graph.nodes[name]
    if not isinstance(node, Input | LoihiNeuron):
        raise Unsupported(name, f"{type(node).__name__} is no population of a program", "quantise the graph")
    return Population(name, graph.shapes[name], node, latency)


def _projections(graph: Graph, branch: Branch, neuron: str, first: int, bits: int) -> list[Projection]:
    exp = _exponent(graph, branch, neuron)
    if not EXP_MIN <= exp <= EXP_MAX:
        raise Unsupported(
            neuron,
            f"the weights from {branch.source} have exponent {exp}, outside {EXP_MIN}..{EXP_MAX}",
            "quantise the float graph",
        )
    shared = _shared(graph, branch)
    if shared is not None:
        _check_weights(shared.kernel, branch, neuron, bits)
        return [Projection(f"{first}:{branch.source}->{neuron}", branch.source, neuron, shared, exp, 0, bits)]
    taps = compose(graph, branch)
    if exp < 0 and len(taps) > 1:
        raise Unsupported(
            neuron,
            "a negative weight exponent over several delays rounds per delay on a chip",
            "quantise with more headroom",
        )
    for matrix in taps.values():
        matrix.data = matrix.data * 2.0**-exp  # compose applied the exponent: back to mantissas
    _check_weights(np.concatenate([matrix.data for matrix in taps.values()]), branch, neuron, bits)
    out = []
    for delay, matrix in sorted(taps.items()):
        weights = _weights(summed(graph, branch.source, matrix))
        name = f"{first + len(out)}:{branch.source}->{neuron}"
        out.append(Projection(name, branch.source, neuron, weights, exp, delay, bits))
    return out


def _exponent(graph: Graph, branch: Branch, neuron: str) -> int:
    exps = [graph.nodes[n].weight_exp for n in branch.chain if hasattr(graph.nodes[n], "weight_exp")]
    if min(exps, default=0) < 0 and len(exps) > 1:
        raise Unsupported(
            neuron,
            "a negative exponent inside a chain of linear maps rounds in the middle",
            "quantise composes such chains first",
        )
    return sum(exps)


def _shared(graph: Graph, branch: Branch) -> ConvWeights | None:
    """The branch as one shared kernel, if it is one Conv2d and moves of values in C order."""
    if isinstance(graph.nodes[branch.source], SpikeMatMul):
        return None  # its sums are in the weights: one kernel entry may stand for several neurons
    at = graph.shapes[branch.source]
    kernel: ConvWeights | None = None
    for name in branch.chain:
        node = graph.nodes[name]
        if isinstance(node, Conv2d) and kernel is None:
            kernel = conv_weights(node, at)
        elif not isinstance(node, Reshape):
            return None
        at = graph.shapes[name]
    return kernel


def _check_weights(values: np.ndarray, branch: Branch, neuron: str, bits: int) -> None:
    """All mantissas of a branch: each within its bits, and not all of them zero."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    least, most = values.min(initial=0.0), values.max(initial=0.0)
    if least < low or most > high:
        raise Unsupported(
            neuron,
            f"weights of {least:.0f}..{most:.0f} do not fit {bits} bits ({low}..{high})",
            "quantise the float graph",
        )
    if least == most == 0:
        found = f"the weights from {branch.source} are all zero ({values.size} of {values.size})"
        raise Unsupported(neuron, found, "remove the branch, or train it")


def _weights(matrix: sparse.csr_matrix) -> Weights:
    if matrix.nnz == matrix.shape[0] * matrix.shape[1]:
        return DenseWeights(matrix.toarray().astype(np.int8))
    columns = matrix.tocsc()
    columns.sort_indices()
    return SparseWeights(columns.indptr, columns.indices, columns.data.astype(np.int8), matrix.shape)
