"""Layers over frames as convolutions: the same values, and what each case leaves."""

from __future__ import annotations

import numpy as np
import pytest

from convert.ir import (
    LIF,
    Add,
    ChannelMix,
    Conv2d,
    Graph,
    GraphConv,
    Input,
    JointMean,
    Permute,
    Reshape,
)
from convert.passes.images import as_images
from convert.passes.operators import applied, operator
from deploy.reference import values

FRAMES = (3, 4, 5)  # C, V, F


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


def graph_of(nodes, edges, *outputs):
    return Graph({"x": Input(FRAMES, "binary"), **nodes}, tuple(edges), outputs, "folded")


def same(graph):
    """The rewritten graph, after its outputs were found to be those of the graph."""
    made = as_images(graph)
    x = (np.random.default_rng(0).random((4, 2, *FRAMES)) < 0.4).astype(np.uint8)
    want, got = values(graph, x), values(made, x)
    for name in graph.outputs:
        assert want[name].any(), "vacuous case"
        # float64: sums of some tens of products in another order
        np.testing.assert_allclose(got[name], want[name], rtol=1e-12, atol=1e-12)
    return made


def test_a_graph_convolution_is_one_kernel():
    node = GraphConv(draw(2, 6, 3), draw(2, 4, 4), draw(6))
    made = same(graph_of({"g": node}, [("x", "g")], "g"))
    kinds = [type(n) for n in made.nodes.values()]
    assert kinds == [Input, Reshape, Conv2d, Reshape]
    assert made.nodes["g.joints"].weight.shape == (6 * 4, 3 * 4, 1, 1)


def test_joints_that_are_not_joined_get_no_synapse():
    adjacency = np.stack([np.eye(4), np.eye(4, k=1)])
    graph = graph_of({"g": GraphConv(draw(2, 6, 3), adjacency)}, [("x", "g")], "g")
    assert isinstance(same(graph).nodes["g"], GraphConv)


def test_means_and_mixes():
    """The mean stays for a second user that is no mix; without one it is gone."""
    nodes = {"mean": JointMean(), "a": ChannelMix(draw(2, 3), draw(2)), "b": ChannelMix(draw(4, 3))}
    edges = [("x", "mean"), ("mean", "a"), ("mean", "b")]
    made = same(graph_of(nodes, edges, "a", "b"))
    assert "mean" not in made.nodes and made.nodes["a.frames"].weight.shape == (2, 3, 1, 5)
    made = same(graph_of(nodes, edges, "a", "b", "mean"))
    assert isinstance(made.nodes["mean"], JointMean)
    made = same(graph_of({"mix": ChannelMix(draw(2, 3), draw(2))}, [("x", "mix")], "mix"))
    assert made.nodes["mix"].weight.shape == (2, 3, 1, 1)


def test_permutations_that_undo_each_other():
    nodes = {
        "there": Permute((0, 2, 1)), "back": Permute((0, 2, 1)), "turn": Permute((2, 0, 1)),
        "on": Permute((1, 0, 2)), "sum": Add(),
    }  # fmt: skip
    edges = [
        ("x", "there"), ("there", "back"), ("x", "turn"), ("turn", "on"), ("back", "sum"), ("x", "sum")
    ]  # fmt: skip
    made = same(graph_of(nodes, edges, "sum", "on"))
    assert made.inputs_of("sum") == ("x", "x")
    assert made.nodes["on"].axes == (0, 2, 1) and made.inputs_of("on") == ("x",)
    assert {"there", "back", "turn"}.isdisjoint(made.nodes)


def test_without_frames_nothing_changes():
    nodes = {"flat": Reshape((12, 5)), "mix": ChannelMix(draw(2, 12)), "lif": LIF(0.5)}
    graph = graph_of(nodes, [("x", "flat"), ("flat", "mix"), ("mix", "lif")], "lif")
    made = as_images(graph)
    assert {n: made.nodes[n] is graph.nodes[n] for n in graph.nodes} == dict.fromkeys(graph.nodes, True)


@pytest.mark.parametrize(
    "node",
    [
        Conv2d(draw(4, 3, 1, 1)),
        Conv2d(draw(4, 3, 1, 5)),
        Conv2d(draw(6, 1, 2, 3), None, (2, 1), (1, 2), (1, 2), 3, 1),
        Conv2d(draw(4, 3, 3, 3), None, (2, 2), (1, 1)),
        ChannelMix(draw(2, 3)),
    ],
)
def test_applied_is_the_operator(node):
    x = draw(*FRAMES)
    want = sum(m @ x.reshape(-1) for m in operator(node, FRAMES).values())
    # float64: sums of some tens of products in another order
    np.testing.assert_allclose(applied(node, x).reshape(-1), want, rtol=1e-12, atol=1e-12)
