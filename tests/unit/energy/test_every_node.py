"""Every class of convert.ir's nodes is counted, by hand on two samples of it, or listed here with the reason.

A new node fails the first test until it has an example: it cannot be forgotten.
"""

from __future__ import annotations

import numpy as np
import pytest

import convert.ir as ir
from convert.ir import NODES, Graph, Input, Neuron, Population, Program
from energy.counts import count, count_program
from energy.line import COUNTS

T, N = 3, 2
FREE = {  # counted as no operation, and why
    "Input": "where values come from; encoding is not counted",
    "Reshape": "the same values in the same order", "Permute": "moves values", "Delay": "holds values back",
    "Concat": "puts values side by side", "Slice": "leaves values out",
    "Repeat2d": "the same values more often",
}  # fmt: skip
one = np.ones
SPIKES, REALS = Input((2, 2), "binary"), Input((2, 2))
# node -> (it, its input or inputs, counts of the whole run for inputs that are all 1: T = 3 steps, 4 values)
EXAMPLES = {
    "Input": (None, SPIKES, {}),
    "Reshape": (ir.Reshape((4,)), SPIKES, {}),
    "Permute": (ir.Permute((1, 0)), SPIKES, {}),
    "Delay": (ir.Delay(1), SPIKES, {}),
    "Concat": (ir.Concat((2, 2)), (SPIKES, SPIKES), {}),
    "Slice": (ir.Slice(0, 1), SPIKES, {}),
    "Affine": (ir.Affine(one((5, 4)), one(5)), SPIKES, {"ac": 3 * 20, "bias_adds": 15}),
    "ChannelMix": (ir.ChannelMix(one((5, 2))), SPIKES, {"ac": 3 * 4 * 5}),
    "ChannelScale": (ir.ChannelScale(one(2), one(2)), REALS, {"mac": 12, "bias_adds": 12}),
    "StepConv": (ir.StepConv(one((5, 2, 2))), SPIKES, {"ac": 4 * 5 * (2 + 2 + 1)}),
    "Conv2d": (ir.Conv2d(one((5, 1, 2, 2)), padding=(1, 1)), Input((1, 2, 2), "binary"), {"ac": 3 * 5 * 16}),
    "ConvTranspose2d": (
        ir.ConvTranspose2d(one((5, 1, 3, 3)), padding=(1, 1)), Input((1, 2, 2), "binary"), {"ac": 3 * 5 * 16},
    ),
    "Repeat2d": (ir.Repeat2d((2, 3)), Input((1, 2, 2), "binary"), {}),
    "MaxPool2d": (
        ir.MaxPool2d((2, 2), (1, 1), (1, 1)), Input((1, 2, 2)), {"neuron_compares": 3 * (4 + 4 * 2 + 4 - 9)},
    ),
    "GraphConv": (
        ir.GraphConv(one((1, 5, 2)), one((1, 2, 2))), SPIKES, {"ac": 3 * 4 * 5, "mac": 3 * 5 * 2 * 2},
    ),
    "JointMap": (ir.JointMap(np.array([[[[1.0, 0], [1, 1]]]])), SPIKES, {"ac": 3 * 2 * 3}),
    "StepMap": (ir.StepMap(np.array([[1.0, 1, 0]])), SPIKES, {"ac": 2 * 4}),
    "StepMean": (ir.StepMean(), SPIKES, {"ac": 3 * 4}),
    "SpikeMatMul": (ir.SpikeMatMul(), (SPIKES, SPIKES), {"ac": 3 * 8}),
    "SpikeAnd": (ir.SpikeAnd(), (SPIKES, SPIKES), {"ac": 3 * 4}),
    "Add": (ir.Add(), (SPIKES, SPIKES), {"residual_adds": 3 * 4}),
    "AvgPool2d": (ir.AvgPool2d((2, 2), (2, 2)), Input((1, 2, 2)), {"pool_adds": 3 * 3}),
    "JointMean": (ir.JointMean(), REALS, {"pool_adds": 3 * 2}),
    "BatchNorm": (ir.BatchNorm(*4 * (one(2),)), REALS, {"scale_macs": 12}),
    "Relu": (ir.Relu(), REALS, {"neuron_compares": 12}),
    **{
        name: (node, REALS, {
            "neuron_steps": 12, "neuron_multiplies": 12 * m, "neuron_adds": 12 * a, "neuron_compares": 12 * c,
            "spikes_out": 12 * node.spiking,
        })
        for name, node, m, a, c in (
            ("LIF", ir.LIF(0.5), 1, 1, 1), ("CubaLIF", ir.CubaLIF(0.5, 0.5), 2, 2, 1),
            ("IF", ir.IF(), 0, 1, 1), ("LeakyIntegrator", ir.LeakyIntegrator(), 1, 1, 0),
            ("LoihiLIF", ir.LoihiLIF(9, 5), 1, 1, 1), ("LoihiIntegrator", ir.LoihiIntegrator(), 1, 1, 1),
            ("LoihiLIFReset", ir.LoihiLIFReset(9, 5, 2), 1, 1, 1),
            ("LoihiTernaryLIF", ir.LoihiTernaryLIF(9, 5, -5), 1, 1, 2),
            ("LoihiLIFRefractory", ir.LoihiLIFRefractory(9, 5, 2), 1, 2, 2),
            ("LoihiDelta", ir.LoihiDelta(5), 0, 2, 1), ("LoihiSigma", ir.LoihiSigma(), 0, 1, 0),
            ("LoihiSigmaDelta", ir.LoihiSigmaDelta(5), 0, 3, 2),
            ("LoihiRF", ir.LoihiRF(9, 9, 5), 4, 4, 3), ("LoihiRFIZ", ir.LoihiRFIZ(9, 9, 5), 4, 4, 1),
        )
    },
}  # fmt: skip


def counted(node, given):
    """Counts of a graph of one node, every input value 1; of a program where only that can hold it."""
    given = given if isinstance(given, tuple) else (given,)
    nodes = {f"x{i}": source for i, source in enumerate(given)}
    if isinstance(node, ir.LoihiNeuron) and len(node.ports) > 1:
        shape = given[0].shape
        populations = {"x": Population("x", shape, given[0]), "node": Population("node", shape, node, 1)}
        ones = {n: one((T, N, *shape), int) for n in populations}
        return count_program(Program(populations, (), ("node",)), ones)
    edges = tuple((name, "node") for name in nodes)
    if node is not None:
        nodes["node"] = node
    stage = "integer" if isinstance(node, ir.LoihiNeuron) else "traced"
    graph = Graph(nodes, edges if node is not None else (), (list(nodes)[-1],), stage)
    seen = (*graph.sources(), *graph.spiking())
    return count(graph, {n: one((T, N, *graph.shapes[n]), int) for n in seen})


def test_every_node_has_an_example():
    assert len(NODES) >= 30 and set(EXAMPLES) == set(NODES)
    for name, (node, _, _) in EXAMPLES.items():
        assert node is None or type(node) is NODES[name]


@pytest.mark.parametrize("name", NODES)
def test_every_node_is_counted(name):
    node, given, want = EXAMPLES[name]
    counts = counted(node, given)
    assert counts.uncounted == (), "a node without a rule"
    operations = [f for f in COUNTS if f not in ("nnz_in", "sop_exact", "sop_nonzero")]
    found = {f: int(counts.total(f)[0]) for f in operations if not f.startswith("dense")}
    assert {f: n for f, n in found.items() if n} == {f: int(n) for f, n in want.items() if n}
    assert all(counts.total(f)[0] == counts.total(f)[1] for f in COUNTS)
    assert (name in FREE) == (not want), f"{name}: costs nothing; say why in FREE"


@pytest.mark.parametrize("name", sorted(FREE))
def test_what_costs_nothing_hands_its_input_on(name):
    """The layer behind it is counted as if it stood on the input: class and values pass through."""
    node, given, _ = EXAMPLES[name]
    if node is None:
        return
    given = given if isinstance(given, tuple) else (given,)
    nodes = {f"x{i}": source for i, source in enumerate(given)} | {"node": node}
    shape = node.out_shape(name, *(source.shape for source in given))
    nodes["fc"] = ir.Affine(one((1, int(np.prod(shape)))))
    edges = (*((x, "node") for x in list(nodes)[: len(given)]), ("node", "fc"))
    counts = count(Graph(nodes, edges, ("fc",), "folded"), {
        f"x{i}": one((T, N, *source.shape), int) for i, source in enumerate(given)
    })  # fmt: skip
    assert not counts["fc"].assumed_dense
    late = name == "Delay"  # its first step is empty
    assert counts.total("ac").tolist() == [(T - late) * int(np.prod(shape))] * N


def test_neurons_of_every_kind_are_here():
    neurons = {n for n, cls in NODES.items() if issubclass(cls, Neuron)}
    assert len(neurons) >= 14 and neurons <= set(EXAMPLES)
