"""Folding batch norms changes no value. Tolerance 1e-12 of a node's largest value: g (W x - m) + b and
(g W) x + (b - g m) differ by a few roundings of 2^-53 each, over sums of at most a hundred products."""

from __future__ import annotations

import numpy as np
import pytest

from convert.ir import (
    LIF,
    Add,
    Affine,
    BatchNorm,
    ChannelMix,
    ChannelScale,
    Concat,
    Conv2d,
    Graph,
    GraphConv,
    Input,
    StageError,
    StepConv,
)
from convert.passes.base import Pass, run
from convert.passes.fold_batchnorm import FOLD_BATCHNORM
from deploy.reference import values

RTOL = 1e-12


def norm(channels, seed=0):
    d = np.random.default_rng(seed)
    return BatchNorm(
        d.normal(size=channels), d.normal(size=channels), d.normal(size=channels), d.random(channels)
    )


def near(got, want):
    np.testing.assert_allclose(got, want, rtol=0, atol=RTOL * max(1.0, np.abs(want).max()))


def test_no_value_changes(traced_case):
    """Every node of the folded graph has the value it, or the batch norm it took in, had before."""
    traced, folded = traced_case.graph, FOLD_BATCHNORM(traced_case.graph)
    x = traced_case.x(15, 4)
    before, after = values(traced, x), values(folded, x)
    taken = {i: n for n, node, (i, *_) in ((n, k, i or ("",)) for n, k, i in traced) if n not in folded.nodes}
    assert folded.stage == "folded"
    assert not any(isinstance(node, BatchNorm) for node in folded.nodes.values())
    for name in folded.nodes:
        near(after[name], before[taken.get(name, name)])
    for name in folded.spiking():
        assert before[name].any(), "vacuous case"
        np.testing.assert_array_equal(after[name], before[name])
    assert folded.outputs == traced.outputs


def test_the_equation_by_hand():
    """gamma 2, var 3 (eps 1): g = 1; W' = W, b' = (b - mean) + beta = 1 - 5 + 0.5."""
    bn = BatchNorm([2.0], [0.5], [5.0], [3.0], eps=1.0)
    nodes = {"input": Input((2,)), "fc": Affine([[1.0, 2.0]], [1.0]), "bn": bn}
    folded = FOLD_BATCHNORM(Graph(nodes, (("input", "fc"), ("fc", "bn")), ("bn",)))
    assert list(folded.nodes) == ["input", "fc"]
    np.testing.assert_array_equal(folded.nodes["fc"].weight, [[1.0, 2.0]])
    np.testing.assert_array_equal(folded.nodes["fc"].bias, [-3.5])
    assert folded.outputs == ("fc",)


ABSORBING = {
    "affine": ((5,), lambda d: Affine(d.normal(size=(4, 5)), d.normal(size=4))),
    "mix": ((5, 3), lambda d: ChannelMix(d.normal(size=(4, 5)), d.normal(size=4))),
    "graph": (
        (5, 3),
        lambda d: GraphConv(d.normal(size=(2, 4, 5)), d.normal(size=(2, 3, 3)), d.normal(size=4)),
    ),
    "steps": ((5, 3), lambda d: StepConv(d.normal(size=(4, 5, 3)))),
    "conv": ((6, 4, 3), lambda d: Conv2d(d.normal(size=(4, 3, 2, 1)), d.normal(size=4), groups=2)),
}


@pytest.mark.parametrize("kind", list(ABSORBING))
def test_case_1_the_weights_before_it_take_it_in(kind):
    shape, make = ABSORBING[kind]
    d = np.random.default_rng(3)
    nodes = {"input": Input(shape), "linear": make(d), "bn": norm(4)}
    graph = Graph(nodes, (("input", "linear"), ("linear", "bn")), ("bn",))
    folded = FOLD_BATCHNORM(graph)
    assert list(folded.nodes) == ["input", "linear"]
    x = d.normal(size=(5, 2, *shape))
    near(values(folded, x)["linear"], values(graph, x)["bn"])


def _behind_a_neuron():
    nodes = {"input": Input((4, 3)), "lif": LIF(0.5), "bn": norm(4)}
    return Graph(nodes, (("input", "lif"), ("lif", "bn")), ("bn",))


def _behind_an_addition():
    nodes = {"input": Input((4, 3)), "mix": ChannelMix(np.eye(4)), "sum": Add(), "bn": norm(4)}
    edges = (("input", "mix"), ("input", "sum"), ("mix", "sum"), ("sum", "bn"))
    return Graph(nodes, edges, ("bn",))


def _side_by_side(shared=False):
    """Two mixes side by side, a norm behind them; shared: one of them is read by another too."""
    nodes = {
        "input": Input((3, 2)), "a": ChannelMix(np.eye(3) * 2), "b": ChannelMix(np.ones((2, 3)), np.ones(2)),
        "side": Concat((3, 2)), "bn": norm(5), "lif": LIF(0.5),
    }  # fmt: skip
    edges = [("input", "a"), ("input", "b"), ("a", "side"), ("b", "side"), ("side", "bn"), ("bn", "lif")]
    if shared:
        nodes["other"] = LIF(0.5)
        edges.append(("a", "other"))
    return Graph(nodes, tuple(edges), ("bn", "lif", *(["other"] if shared else [])))


def _side_by_side_shared():
    return _side_by_side(shared=True)


def test_case_2_each_of_a_concat_takes_its_part():
    graph = _side_by_side()
    folded = FOLD_BATCHNORM(graph)
    assert [type(n) for n in folded.nodes.values()] == [Input, ChannelMix, ChannelMix, Concat, LIF]
    x = np.random.default_rng(4).normal(size=(6, 2, 3, 2)) + 0.5
    near(values(folded, x)["side"], values(graph, x)["bn"])


def _shared():
    nodes = {
        "input": Input((4, 3)),
        "mix": ChannelMix(np.eye(4) * 2),
        "bn": norm(4),
        "lif": LIF(0.5),
        "sum": Add(),
    }
    edges = (("input", "mix"), ("mix", "bn"), ("mix", "lif"), ("bn", "sum"), ("lif", "sum"))
    return Graph(nodes, edges, ("sum",))


def _read_out():
    """The weights are a result themselves: they must not change."""
    nodes = {"input": Input((4, 3)), "mix": ChannelMix(np.eye(4) * 2), "bn": norm(4)}
    return Graph(nodes, (("input", "mix"), ("mix", "bn")), ("mix", "bn"))


def _two_norms():
    nodes = {"input": Input((4, 3)), "mix": ChannelMix(np.eye(4) * 2), "bn": norm(4), "bn2": norm(4, 1)}
    edges = (("input", "mix"), ("mix", "bn"), ("bn", "bn2"))
    return Graph(nodes, edges, ("bn2",))


def _of_channels_behind_a_dense_layer():
    nodes = {"input": Input((5,)), "fc": Affine(np.ones((12, 5)), shape=(4, 3)), "bn": norm(4)}
    return Graph(nodes, (("input", "fc"), ("fc", "bn")), ("bn",))


@pytest.mark.parametrize(
    "make",
    [
        _behind_a_neuron,
        _behind_an_addition,
        _side_by_side_shared,
        _shared,
        _read_out,
        _two_norms,
        _of_channels_behind_a_dense_layer,
    ],
)
def test_case_3_it_becomes_a_scale_of_its_own(make):
    graph = make()
    folded = FOLD_BATCHNORM(graph)
    assert any(isinstance(node, ChannelScale) for node in folded.nodes.values())
    x = np.random.default_rng(4).normal(size=(6, 2, *graph.shapes["input"])) + 0.5
    before, after = values(graph, x), values(folded, x)
    for a, b in zip(graph.outputs, folded.outputs, strict=True):
        near(after[b], before[a])
    if "mix" in graph.outputs:
        np.testing.assert_array_equal(after["mix"], before["mix"])


def test_a_pass_needs_its_stage_and_keeps_its_promise(graph_cases, traced_case):
    with pytest.raises(StageError, match="fold-batchnorm: needs a traced graph, got folded"):
        FOLD_BATCHNORM(graph_cases["dense"].graph)
    liar = Pass("liar", "traced", "folded", lambda graph: graph)
    with pytest.raises(StageError, match="liar: promised a folded graph, gave traced"):
        run(traced_case.graph, [liar])
    assert run(traced_case.graph, [FOLD_BATCHNORM]).stage == "folded"
