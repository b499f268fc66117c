"""A graph that is not well formed is refused when it is built, by a message that names the node."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from convert.ir import (
    LIF,
    Add,
    Affine,
    AvgPool2d,
    BatchNorm,
    ChannelMix,
    Conv2d,
    CubaLIF,
    Delay,
    Graph,
    GraphConv,
    GraphError,
    Input,
    JointMean,
    LoihiLIF,
    Reshape,
    ShapeError,
    StageError,
    check,
)
from convert.ir.node import node


def chain(**nodes):
    names = list(nodes)
    return Graph(nodes, tuple(pairwise(names)), (names[-1],))


def test_order_is_topological_and_stable(traced_case):
    """Inputs stand before their users, and rebuilding from the nodes in any order keeps the inputs' order."""
    graph = traced_case.graph
    place = {name: k for k, name in enumerate(graph.nodes)}
    assert len(graph.edges) >= len(graph.nodes) - 1
    assert all(place[a] < place[b] for a, b in graph.edges)
    again = Graph(dict(reversed(graph.nodes.items())), graph.edges, graph.outputs)
    assert {n: i for n, _, i in again} == {n: i for n, _, i in graph}
    assert dict(again.shapes) == dict(graph.shapes)


def test_shape_inference_by_hand():
    """The field's formula on a case that is square in nothing: floor((n + 2p - d (k - 1) - 1) / s) + 1."""
    kernel = np.ones((4, 1, 3, 5))
    graph = chain(
        input=Input((2, 10, 12)),
        conv=Conv2d(kernel, None, (2, 1), (1, 0), (1, 2), 2),
        pool=AvgPool2d((2, 3), (2, 1)),
        flat=Reshape((16,)),
    )
    assert graph.shapes["conv"] == (4, 5, 4)  # (10 + 2 - 2 - 1) // 2 + 1,  12 - 8 - 1 + 1
    assert graph.shapes["pool"] == (4, 2, 2)  # the fifth row makes no whole window
    assert graph.shapes["flat"] == (16,)


@pytest.mark.parametrize(
    ("edges", "outputs"),
    [((("input", "ghost"),), ("fc",)), ((("ghost", "fc"),), ("fc",)), ((("input", "fc"),), ("ghost",))],
)
def test_an_edge_or_output_to_nowhere_is_refused(edges, outputs):
    with pytest.raises(GraphError, match=r"^ghost: .*no such node"):
        Graph({"input": Input((2,)), "fc": Affine(np.eye(2))}, edges, outputs)


def test_a_graph_without_outputs_is_refused():
    with pytest.raises(GraphError, match="output"):
        Graph({"input": Input((2,))}, (), ())


def test_a_missing_input_is_refused():
    with pytest.raises(ShapeError, match=r"^fc: expected 1 inputs, got 0"):
        Graph({"input": Input((2,)), "fc": Affine(np.eye(2))}, (), ("fc",))


def test_a_second_input_is_refused():
    nodes = {"input": Input((2,)), "other": Input((2,)), "fc": Affine(np.eye(2))}
    with pytest.raises(ShapeError, match=r"^fc: expected 1 inputs, got 2"):
        Graph(nodes, (("input", "fc"), ("other", "fc")), ("fc",))


def test_the_one_input_of_a_graph_with_two_is_refused():
    nodes = {"a": Input((2,)), "b": Input((2,)), "sum": Add()}
    graph = Graph(nodes, (("a", "sum"), ("b", "sum")), ("sum",))
    with pytest.raises(GraphError, match="2 inputs"):
        graph.input()


WRONG = {
    "affine": ((4,), Affine(np.ones((2, 3)))),
    "channels": ((4, 5), ChannelMix(np.ones((2, 3)))),
    "scalar channels": ((), ChannelMix(np.ones((2, 3)))),
    "graph": ((3, 4), GraphConv(np.ones((1, 2, 3)), np.ones((1, 5, 5)))),
    "groups": ((4, 8, 8), Conv2d(np.ones((4, 4, 3, 3)), groups=2)),
    "not an image": ((4, 8), Conv2d(np.ones((4, 4, 3, 3)))),
    "too small": ((1, 2, 8), Conv2d(np.ones((1, 1, 3, 3)))),
    "pool": ((1, 2, 2), AvgPool2d((3, 3), (1, 1))),
    "norm": ((4,), BatchNorm(np.ones(3), np.ones(3), np.ones(3), np.ones(3))),
    "mean": ((4,), JointMean()),
    "reshape": ((4,), Reshape((5,))),
    "add": ((4,), Add()),
}


@pytest.mark.parametrize("kind", list(WRONG))
def test_shapes_that_do_not_meet_name_the_node(kind):
    shape, wrong = WRONG[kind]
    with pytest.raises(ShapeError, match=r"^middle: expected .*, got ") as caught:
        chain(input=Input(shape), middle=wrong)
    assert caught.value.node == "middle"
    assert caught.value.exit_code == 3


BROKEN = {
    "LIF: dv": lambda: LIF(1.5),
    "LIF: threshold": lambda: LIF(0.5, 0.0),
    "LIF: du": lambda: LIF(0.5, du=0.5),
    "CubaLIF: du": lambda: CubaLIF(-0.1, 0.5),
    "Delay: steps": lambda: Delay(-1),
    "Input: operand": lambda: Input((2,), "ternary"),
    "LoihiLIF: vth": lambda: LoihiLIF(0, 1 << 17),
    "LoihiLIF: dv": lambda: LoihiLIF(4097, 1),
    "LoihiLIF: du": lambda: LoihiLIF(0, 1, du=4096),
    "LoihiLIF: bias_mant": lambda: LoihiLIF(0, 1, bias_mant=np.array([4096])),
    "LoihiLIF: bias_exp": lambda: LoihiLIF(0, 1, bias_exp=8),
    "Affine: shape": lambda: Affine(np.ones((4, 2)), shape=(3,)),
    "GraphConv: weight": lambda: GraphConv(np.ones((2, 3, 3)), np.ones((1, 4, 4))),
}


@pytest.mark.parametrize("start", list(BROKEN))
def test_fields_out_of_range_name_class_and_field(start):
    with pytest.raises(GraphError, match=f"^{start}"):
        BROKEN[start]()


def test_arrays_are_copies_that_cannot_be_written():
    """Neither the caller's array nor the node's own can change a graph behind its owner's back."""
    weight = np.ones((2, 2))
    graph = chain(input=Input((2,)), fc=Affine(weight, np.zeros(2)))
    weight[0, 0] = 7.0
    assert graph.nodes["fc"].weight[0, 0] == 1.0
    for held in (graph.nodes["fc"].weight, graph.nodes["fc"].bias):
        with pytest.raises(ValueError, match="read-only"):
            held[0] = 5.0


def test_every_array_of_every_node_is_frozen(traced_case, integer_of):
    arrays = [
        value
        for graph in (traced_case.graph, integer_of(traced_case.name).graph)
        for held in graph.nodes.values()
        for value in held.fields().values()
        if isinstance(value, np.ndarray)
    ]
    assert arrays
    assert not any(value.flags.writeable for value in arrays)


def test_a_graph_and_its_nodes_are_frozen(traced_case):
    graph = traced_case.graph
    with pytest.raises(TypeError):
        graph.nodes["new"] = Add()
    with pytest.raises(dataclasses.FrozenInstanceError):
        graph.stage = "integer"
    for held in graph.nodes.values():
        with pytest.raises(dataclasses.FrozenInstanceError):
            held.inputs = 3


def test_the_callers_dictionary_is_not_touched():
    """T15: construction adds nothing to what it is given, and later changes there do not reach the graph."""
    nodes = {"fc": Affine(np.eye(2)), "input": Input((2,))}
    graph = Graph(nodes, (("input", "fc"),), ("fc",))
    assert list(nodes) == ["fc", "input"]
    nodes["late"] = Add()
    assert "late" not in graph.nodes


def test_a_second_class_of_one_name_is_refused():
    with pytest.raises(GraphError, match="LIF is registered twice"):
        node(type("LIF", (Add,), {}))


def test_stages_say_what_is_legal(traced_case, integer_of):
    """Every corpus graph is legal at its own stage; a float neuron is not legal among the integers."""
    assert check(traced_case.graph) is traced_case.graph
    integer = integer_of(traced_case.name).graph
    assert check(integer) is integer
    claimed = dataclasses.replace(integer, stage="folded")
    with pytest.raises(StageError, match=r"Loihi.* is not legal in a graph of stage folded"):
        check(claimed)


STAGED = {
    "norm: BatchNorm": ("folded", {"norm": BatchNorm(*np.ones((4, 2)))}),
    "lif: LIF": ("integer", {"lif": LIF(0.5)}),
    "pool: JointMean": ("integer", {"pool": JointMean()}),
    "fc.weight: float64": ("integer", {"fc": Affine(np.eye(2))}),
    "fc.weight: holds NaN": ("traced", {"fc": Affine(np.full((2, 2), np.nan))}),
    "fc.bias: holds NaN": ("traced", {"fc": Affine(np.eye(2), np.array([0, np.inf]))}),
    "fc: a bias": ("integer", {"fc": Affine(np.eye(2, dtype=int), np.ones(2, int))}),
}


@pytest.mark.parametrize("start", list(STAGED))
def test_a_node_that_is_not_legal_is_named(start):
    stage, nodes = STAGED[start]
    name = next(iter(nodes))
    shape = (2, 2) if name == "pool" else (2,)
    graph = Graph({"input": Input(shape, "binary"), **nodes}, (("input", name),), (name,), stage)
    with pytest.raises(StageError, match=f"^{start}"):
        check(graph)


def test_a_real_input_is_not_legal_among_integers_and_an_unknown_stage_nowhere():
    graph = Graph({"input": Input((2,))}, (), ("input",), "integer")
    with pytest.raises(StageError, match=r"^input: real input"):
        check(graph)
    with pytest.raises(StageError, match="'baked' is none of traced, folded, integer"):
        check(dataclasses.replace(graph, stage="baked"))


def test_a_graded_input_rounds_half_to_even_and_clips():
    """q = clip(round_half_even(x / scale), -7, 7) for 4 bits: worked by hand."""
    source = Input((6,), "graded", 0.5, 4)
    x = np.array([0.25, 0.75, -0.25, 9.0, -9.0, 1.6])
    np.testing.assert_array_equal(source.encode(x), [0, 2, 0, 7, -7, 3])
    assert source.encode(x).dtype == np.int64
