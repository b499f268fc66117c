"""What the equations of memory and addressing need to know of a line beside its counts: its form and sizes.

    conv     Conv2d, ConvWeights; ChannelMix and ChannelScale as 1x1 kernels, StepConv as a kernel over steps,
             the channel mix of a GraphConv as a 1x1 kernel of K C_out channels
    fc       Affine, DenseWeights
    events   whatever else is added up operation by operation: SparseWeights, an Affine of named synapses, the
             adjacency product of a GraphConv, products of two tensors (their right operand is what is read
             as a parameter), maps of joints and of the window, pools that are not folded, batch norms
    neurons  populations and neuron nodes

Nodes of no work of their own (Add, moves, a folded pool; Relu and MaxPool2d, which compare values as they
are written) have no entry. A line may have a reason instead of a layer: why its sizes are not known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convert.ir import (
    Affine,
    AvgPool2d,
    BatchNorm,
    ChannelMix,
    ChannelScale,
    Conv2d,
    ConvWeights,
    DenseWeights,
    Graph,
    GraphConv,
    Input,
    JointMean,
    Neuron,
    Node,
    Product,
    Program,
    Projection,
    Shape,
    SparseWeights,
    StepConv,
)
from energy.fanout import weighted
from energy.updates import biased, memories

Layers = Mapping[str, "Layer | str"]  # line -> layer, or why it has none


@dataclass(frozen=True)
class Layer:
    """Sizes in words, one step.

    fan: outputs of one input value in one tap: C_out of a group (conv), N_out (fc).  kernel, stride: (height,
    width).  channels_out: C_out.  inputs, outputs: values of the operand and of the result.  weights: stored
    weights and biases.  macs: MACs of one step, padding included.  states: memories of a neuron.  biased: a
    neuron that adds a bias each step.  whole: its operand is a tensor in memory, whatever class it has, and
    no queue of spikes.
    """

    form: str
    inputs: int
    outputs: int
    weights: int = 0
    macs: int = 0
    fan: int = 0
    channels_out: int = 0
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    states: int = 0
    biased: bool = False
    whole: bool = False


def layers(*models: Graph | Program | None, whole: bool = False) -> dict[str, Layer | str]:
    """Layers of all lines of a model; of one in two parts give both. whole: of a model that sends no spikes,
    its integers are values as real ones are."""
    found: dict[str, Layer | str] = {}
    for model in models:
        if isinstance(model, Program):
            found |= _of_program(model)
        elif model is not None:
            found |= _of_graph(model)
    if whole:
        return {n: x if isinstance(x, str) else replace(x, whole=True) for n, x in found.items()}
    return found


def _of_program(program: Program) -> dict[str, Layer | str]:
    found: dict[str, Layer | str] = {p.name: _projection(program, p) for p in program.projections}
    for name, population in program.populations.items():
        if not isinstance(population.model, Input):
            found[name] = _neurons(population.model, population.size)
    return found


def _projection(program: Program, p: Projection) -> Layer:
    source, target, w = program.populations[p.src], program.populations[p.dst], p.weights
    size = (source.size, target.size, w.stored.size)
    if isinstance(w, ConvWeights):
        macs = w.kernel.size * math.prod(w.out_shape[1:])
        fan, taps = w.out_shape[0] // w.groups, (w.kernel.shape[2], w.kernel.shape[3])
        return Layer("conv", *size, macs, fan, w.out_shape[0], taps, (w.stride[0], w.stride[1]))
    if isinstance(w, DenseWeights):
        return Layer("fc", *size, w.matrix.size, target.size, target.size)
    return Layer("events", *size, len(w.rows) if isinstance(w, SparseWeights) else 0)


def _of_graph(graph: Graph) -> dict[str, Layer | str]:
    found: dict[str, Layer | str] = {}
    for name, node, inputs in graph:
        if isinstance(node, Neuron):
            found[name] = _neurons(node, math.prod(graph.shapes[name]))
        elif type(node) in _FORMS:
            found |= _FORMS[type(node)](name, node, graph.shapes[inputs[0]], graph.shapes[name])
        elif weighted(node) or isinstance(node, AvgPool2d | JointMean | BatchNorm | Product):
            found[name] = _added(node, [graph.shapes[i] for i in inputs], graph.shapes[name])
    return found


def _added(node: Node, sources: list[Shape], target: Shape) -> Layer:
    """Of operations that are added up one by one; a mean has no parameters."""
    stored = sum(value.size for value in vars(node).values() if isinstance(value, np.ndarray))
    read = math.prod(sources[1]) if isinstance(node, Product) else stored
    return Layer("events", math.prod(sources[0]), math.prod(target), read)


def _neurons(model: Neuron, size: int) -> Layer | str:
    states, adds = memories(model), biased(model)
    if states is None:
        return f"memories of a {type(model).__name__} are not known"
    return Layer("neurons", size, size, weights=size if adds else 0, states=states, biased=adds)


def _affine(name: str, node: Affine, source: Shape, target: Shape) -> dict[str, Layer | str]:
    inputs, outputs = math.prod(source), math.prod(target)
    form = "fc" if node.synapses is None else "events"
    stored = node.weight.size if node.synapses is None else int(node.synapses.sum(dtype=np.int64))
    return {name: Layer(form, inputs, outputs, stored + _biases(node), node.weight.size, outputs, outputs)}


def _mix(name: str, node: ChannelMix, source: Shape, target: Shape) -> dict[str, Layer | str]:
    return {name: _conv(source, target, node.weight.shape[0], node.weight.size + _biases(node))}


def _scale(name: str, node: ChannelScale, source: Shape, target: Shape) -> dict[str, Layer | str]:
    return {name: _conv(source, target, 1, node.scale.size)}


def _step_conv(name: str, node: StepConv, source: Shape, target: Shape) -> dict[str, Layer | str]:
    out, _, taps = node.weight.shape
    return {name: _conv(source, target, out, node.weight.size + _biases(node), (taps, 1))}


def _conv2d(name: str, node: Conv2d, source: Shape, target: Shape) -> dict[str, Layer | str]:
    taps, fan = (node.weight.shape[2], node.weight.shape[3]), target[0] // node.groups
    return {name: _conv(source, target, fan, node.weight.size + _biases(node), taps, node.stride)}


def _graph_conv(name: str, node: GraphConv, source: Shape, target: Shape) -> dict[str, Layer | str]:
    """The mix writes K C_out values a joint; the adjacency product reads each that is not zero."""
    k, out, _ = node.weight.shape
    inner = (k * out, *source[1:])
    spread = math.prod(inner) * node.adjacency.shape[2]
    adjacency = Layer(
        "events", math.prod(inner), math.prod(target), node.adjacency.size + _biases(node), spread
    )
    return {f"{name}.mix": _conv(source, inner, k * out, node.weight.size), f"{name}.adjacency": adjacency}


def _conv(
    source: Shape,
    target: Shape,
    fan: int,
    weights: int,
    kernel: tuple[int, int] = (1, 1),
    stride: tuple[int, int] = (1, 1),
) -> Layer:
    macs = fan * source[0] * math.prod(target[1:]) * kernel[0] * kernel[1]
    sizes = (math.prod(source), math.prod(target), weights, macs)
    return Layer("conv", *sizes, fan, target[0], kernel, stride)


def _biases(node: Node) -> int:
    bias = getattr(node, "bias", None)
    return 0 if bias is None else bias.size


Form = Callable[[str, Any, Shape, Shape], dict[str, "Layer | str"]]  # of a node of one type
_FORMS: dict[type[Node], Form] = {
    Affine: _affine, ChannelMix: _mix, ChannelScale: _scale, StepConv: _step_conv, Conv2d: _conv2d,
    GraphConv: _graph_conv,
}  # fmt: skip
