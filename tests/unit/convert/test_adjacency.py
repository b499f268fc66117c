"""The forms of a learned adjacency: what pruning keeps, and that factoring changes nothing in float."""

from __future__ import annotations

import numpy as np
import pytest

from convert.ir import LIF, Graph, GraphConv, Input, LeakyIntegrator, Unsupported, check
from convert.passes.adjacency import apply, eps_keeping, factor, prune
from convert.passes.operators import operator
from deploy.reference import Reference


def net(adjacency, out=3, into=2, seed=0):
    """input -> graph convolution -> LIF, with a bias."""
    draw = np.random.default_rng(seed)
    conv = GraphConv(draw.normal(size=(len(adjacency), out, into)), adjacency, draw.normal(size=out) / 5)
    nodes = {
        "in": Input((into, adjacency.shape[1]), "binary"),
        "mix": conv,
        "spike": LIF(dv=0.5, threshold=1.0),
    }
    return Graph(nodes, (("in", "mix"), ("mix", "spike")), ("spike",), "folded")


def learned(k=2, v=4, seed=1):
    return np.random.default_rng(seed).normal(size=(k, v, v))


A = np.array([[[1.0, 0.05, 0.0], [0.2, -0.5, 0.02], [0.0, 0.1, 0.3]], np.full((3, 3), 0.01)])


def test_pruning_by_hand():
    """Largest 1.0, EPS 0.1: of 1, .05, .2, -.5, .02, .1, .3 five stay (0.1, at the border, does), of the nine
    .01 none. Two zeros of the first partition were joined by the second alone: 9 pairs before, 5 after."""
    graph, (told,) = prune(net(A), 0.1)
    kept = graph.nodes["mix"].adjacency
    assert kept[0].tolist() == [[1.0, 0.0, 0.0], [0.2, -0.5, 0.0], [0.0, 0.1, 0.3]]
    assert not kept[1].any()
    assert (told.entries, told.kept, told.pairs, told.kept_pairs) == (16, 5, 9, 5)
    assert (told.largest_dropped, told.largest) == (0.05, 1.0)
    assert told.weight_kept == pytest.approx(
        2.1 / (2.17 + 0.09), rel=1e-12
    )  # sums of floats in another order


def test_pruned_pairs_are_no_synapses():
    """The operator keeps 5 pairs of joints, all channels of both: 5 x 3 x 2 entries."""
    graph, _ = prune(net(A), 0.1)
    assert operator(graph.nodes["mix"], (2, 3))[0].nnz == 5 * 3 * 2


def test_eps_that_keeps_a_share():
    """Of 8, 4, 2, 1, 1 (sum 16): 8 + 4 = 75 %, 8 + 4 + 2 = 87.5 %."""
    values = np.array([[[8.0, 1.0], [4.0, 2.0]], [[1.0, 0.0], [0.0, 0.0]]])
    assert eps_keeping(values, 0.75) == 4 / 8
    assert eps_keeping(values, 0.76) == 2 / 8
    assert eps_keeping(values, 1.0) == 1 / 8


def test_pruning_everything_is_refused():
    with pytest.raises(Unsupported, match="mix: pruning leaves no joint connected"):
        prune(net(np.zeros((1, 3, 3))), 0.1)


def test_factoring_is_the_same_map():
    """Float sums in another order: relative 1e-12 per value, and the same spikes where none is that close."""
    whole = net(learned(), seed=4)
    parts = check(factor(whole))
    x = (np.random.default_rng(2).random((20, 3, 2, 4)) < 0.5).astype(np.uint8)
    from deploy.reference import values

    want, got = values(whole, x), values(parts, x)
    assert np.allclose(got["mix"], want["mix"], rtol=1e-12, atol=1e-12)
    assert 0.05 < want["spike"].mean() < 0.95
    assert np.array_equal(got["spike"], want["spike"])
    relays = [n for n, node in parts.nodes.items() if isinstance(node, LeakyIntegrator)]
    assert relays == ["mix.relay"]
    assert parts.shapes["mix.relay"] == (2 * 4, 2, 1)


def test_factoring_keeps_non_square_graphs():
    """3 input channels, 2 output channels, 1 partition, 5 joints."""
    whole = net(learned(1, 5), out=2, into=3)
    x = (np.random.default_rng(2).random((6, 2, 3, 5)) < 0.5).astype(np.uint8)
    want = Reference().compile(whole).run(x, ["spike"])
    got = Reference().compile(factor(whole)).run(x, ["spike"])
    assert want.rasters["spike"].any()
    assert np.array_equal(want.rasters["spike"], got.rasters["spike"])


@pytest.mark.parametrize(
    "form", ["prune", "prune:", "prune:-1", "prune:1.5", "prune:much", "sparse", "factor:2"]
)
def test_a_form_that_is_none_is_refused(form):
    with pytest.raises(ValueError, match="has no EPS" if form.startswith("prune") else "is no form"):
        apply(net(A), form)


def test_a_graph_without_graph_convolution_is_refused_but_for_dense():
    plain = Graph(
        {"in": Input((2,), "binary"), "s": LIF(dv=0.5, threshold=1.0)}, (("in", "s"),), ("s",), "folded"
    )
    assert apply(plain, "dense") == (plain, ())
    with pytest.raises(Unsupported, match="no graph convolution"):
        apply(plain, "factor")
