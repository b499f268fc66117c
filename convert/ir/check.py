"""What is legal at each stage of a graph; run after every pass.

traced    as it came from torch: batch norms are nodes of their own
folded    batch norms are in the weights; every bias is where the model had it
integer   integer weights with exponents, integer neurons; biases are the neurons'
"""

from __future__ import annotations

import numpy as np

from convert.ir import (
    activations,
    enlarging,
    linear,
    loihi,
    neurons,
    parts,
    products,
    sigma_delta,
    sources,
    window,
)  # fmt: skip
from convert.ir.errors import StageError
from convert.ir.graph import Graph
from convert.ir.node import Node

_SHAPING = (
    linear.JointMap, linear.JointMean, linear.AvgPool2d, enlarging.ConvTranspose2d, enlarging.Repeat2d,
    parts.Concat, parts.Slice,
)  # fmt: skip
_WINDOW = (window.StepMap, window.StepMean)
_WEIGHTED = (
    linear.Affine, linear.ChannelMix, linear.GraphConv, linear.StepConv, linear.Conv2d, linear.ChannelScale
)  # fmt: skip
_MOVING = (linear.Reshape, linear.Permute, linear.Delay, linear.Add)
_ACTIVATIONS = (activations.Relu, activations.MaxPool2d)
_PRODUCTS = (products.SpikeMatMul, products.SpikeAnd)
_FLOAT_NEURONS = (neurons.LIF, neurons.CubaLIF, neurons.IF, neurons.LeakyIntegrator)
_INTEGER_NEURONS = (  # resonators have two ports: they are populations of a program, no nodes of a graph
    loihi.LoihiLIF, loihi.LoihiIntegrator, loihi.LoihiLIFReset, loihi.LoihiTernaryLIF,
    loihi.LoihiLIFRefractory, sigma_delta.LoihiDelta, sigma_delta.LoihiSigma, sigma_delta.LoihiSigmaDelta,
)  # fmt: skip

LEGAL: dict[str, tuple[type[Node], ...]] = {
    "traced": (
        sources.Input,
        *_WEIGHTED,
        *_SHAPING,
        *_MOVING,
        *_PRODUCTS,
        *_WINDOW,
        *_ACTIVATIONS,
        linear.BatchNorm,
        *_FLOAT_NEURONS,
    ),
    "folded": (
        sources.Input,
        *_WEIGHTED,
        *_SHAPING,
        *_MOVING,
        *_PRODUCTS,
        *_WINDOW,
        *_ACTIVATIONS,
        *_FLOAT_NEURONS,
    ),
    "integer": (sources.Input, *_WEIGHTED, *_MOVING, *_PRODUCTS, *_INTEGER_NEURONS),
}


def check(graph: Graph) -> Graph:
    """The graph itself, if every node is legal at its stage and all its numbers are finite."""
    if graph.stage not in LEGAL:
        raise StageError(f"stage {graph.stage!r} is none of {', '.join(LEGAL)}")
    for name, node, _ in graph:
        if not isinstance(node, LEGAL[graph.stage]):
            raise StageError(f"{name}: {type(node).__name__} is not legal in a graph of stage {graph.stage}")
        for field, value in node.fields().items():
            if isinstance(value, np.ndarray):
                _check_array(f"{name}.{field}", value, graph.stage)
        if graph.stage == "integer":
            _check_integer(name, node)
    return graph


def _check_array(where: str, value: np.ndarray, stage: str) -> None:
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise StageError(f"{where}: holds NaN or infinity")
    if stage == "integer" and value.dtype.kind != "i":
        raise StageError(f"{where}: {value.dtype} in an integer graph; quantise first")


def _check_integer(name: str, node: Node) -> None:
    if isinstance(node, sources.Input) and node.operand == "real":
        raise StageError(f"{name}: real input in an integer graph; it must be binary or graded")
    if getattr(node, "bias", None) is not None and isinstance(node, _WEIGHTED):
        raise StageError(f"{name}: a bias in an integer graph belongs to the neuron")
