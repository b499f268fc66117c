"""What a learned adjacency costs on a chip in its three forms: every pair, pruned, factored through relays.

Each graph convolution is laid out alone, on cores of its own, its source outside: cores and bits are those of
its own synapses and of the neurons behind it. Pruned: at the largest EPS that keeps `KEEP` of the sum of |A|.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from convert.ir import (
    ConvWeights,
    DenseWeights,
    Graph,
    GraphConv,
    Input,
    LoihiLIF,
    LoihiSigmaDelta,
    Population,
    Program,
    Projection,
    SparseWeights,
    Unsupported,
    Weights,
)
from convert.passes.adjacency import eps_keeping, graph_convs, keeps, kernels
from deploy.cores.chip import Chip
from deploy.cores.partition import partition

KEEP = 0.99
RELAY = LoihiSigmaDelta(vth=0, act="unit")


@dataclass(frozen=True)
class Form:
    """One form of one graph convolution. refused: why the chip cannot hold it, None if it can."""

    node: str
    form: str
    eps: float | None
    synapses: int
    bits: int | None
    cores: int | None
    refused: str | None


def forms(
    graph: Graph, chip: Chip, bits: int = 8, progress: Callable[[str], None] = lambda _: None
) -> list[dict]:
    """All forms of all graph convolutions of a float graph, as JSON takes them; over frames there is one."""
    found = []
    for name in graph_convs(graph):
        if len(graph.shapes[name]) > 2:
            continue
        progress(name)
        node: GraphConv = graph.nodes[name]  # type: ignore[assignment]
        eps = eps_keeping(node.adjacency, KEEP)
        everything = np.ones(node.adjacency.shape[1:], bool)
        found += [
            _form(name, "dense", None, _direct(node, everything, bits), chip),
            _form(name, "prune", eps, _direct(node, keeps(node.adjacency, eps).any(axis=0), bits), chip),
            _form(name, "factor", None, _factored(node, bits), chip),
        ]
    return [asdict(form) for form in found]


def _form(name: str, form: str, eps: float | None, program: Program, chip: Chip) -> Form:
    total = sum(p.weights.synapse_count() for p in program.projections)
    try:
        made = partition(program, chip)
    except Unsupported as error:
        return Form(name, form, eps, total, None, None, str(error))
    size = sum(b.bits for core in made.cores for b in core.blocks())
    return Form(name, form, eps, total, size, len(made.cores), None)


def _populations(node: GraphConv) -> dict[str, Population]:
    source = (node.weight.shape[2], node.adjacency.shape[1])
    target = (node.weight.shape[1], node.adjacency.shape[2])
    return {
        "source": Population("source", source, Input(source, "binary")),
        "target": Population("target", target, LoihiLIF(dv=0, vth=1), 1),
    }


def _direct(node: GraphConv, pairs: np.ndarray, bits: int) -> Program:
    """One matrix: all channels of joint u reach all channels of joint v where pairs[u, v]."""
    into, out = node.weight.shape[2], node.weight.shape[1]
    here, there = pairs.shape
    if pairs.all():
        full: Weights = DenseWeights(np.ones((out * there, into * here), np.int8))
        return Program(
            _populations(node), (Projection("direct", "source", "target", full, bits=bits),), ("target",)
        )
    joined = np.broadcast_to(pairs[None, :, None, :], (into, here, out, there)).reshape(
        into * here, out * there
    )
    source, target = np.nonzero(joined)
    starts = np.searchsorted(source, np.arange(into * here + 1))
    values = np.random.default_rng(0).integers(-127, 128, len(target), np.int8)  # any: no two lists alike
    weights = SparseWeights(starts, target, values, (out * there, into * here))
    projection = Projection("direct", "source", "target", weights, bits=bits)
    return Program(_populations(node), (projection,), ("target",))


def _factored(node: GraphConv, bits: int) -> Program:
    joints, channels = kernels(node)
    partitions, into, out = len(node.weight), node.weight.shape[2], node.weight.shape[1]
    here, there = node.adjacency.shape[1:]
    mixed = (partitions * there, into, 1)
    ends = _populations(node)
    populations = {
        "source": ends["source"],
        "relay": Population("relay", mixed, RELAY, 1),
        "target": Population("target", (out, there), LoihiLIF(dv=0, vth=1), 2),
    }
    first: Weights = _conv(joints, (1, into, here), mixed)
    second: Weights = _conv(channels, (partitions, there, into), (out, there, 1))
    projections = (
        Projection("joints", "source", "relay", first, bits=bits),
        Projection("channels", "relay", "target", second, bits=bits),
    )
    return Program(populations, projections, ("target",))


def _conv(kernel: np.ndarray, source: tuple[int, ...], target: tuple[int, ...]) -> ConvWeights:
    whole = np.rint(kernel / max(float(np.abs(kernel).max()), 1e-12) * 127.0).astype(np.int8)
    return ConvWeights(whole, source, target, (1, 1), (0, 0), (1, 1), 1)
