"""A linear region is branches with delays and a bias: proven equal to the reference on random graphs."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.ir import (
    LIF,
    Add,
    Affine,
    ChannelMix,
    ChannelScale,
    Conv2d,
    Delay,
    Graph,
    GraphConv,
    Input,
    JointMean,
    LoihiLIF,
    Reshape,
    StepConv,
    Unsupported,
)
from convert.passes.lower import lower
from convert.passes.region import Branch, bias, branches, compose
from deploy.reference import values

SHAPE = (2, 3, 2)  # channels, rows, columns; every node below keeps it
LAGGING = (Delay, StepConv)


def layer(kind, d, whole, biased):
    """A node that maps SHAPE to SHAPE. whole: small integers, for an integer graph."""

    def w(*shape):
        return d.integers(-2, 3, shape) if whole else d.normal(size=shape)

    b = d.normal(size=2) if biased and not whole else None
    return {
        "affine": lambda: Affine(w(12, 12), None if b is None else np.repeat(b, 6), SHAPE),
        "mix": lambda: ChannelMix(w(2, 2), b),
        "scale": lambda: ChannelScale(w(2), b),
        "conv": lambda: Conv2d(w(2, 1, 3, 1), b, padding=(1, 0), groups=2),
        "steps": lambda: StepConv(w(2, 2, 3), b),
        "delay": lambda: Delay(int(d.integers(0, 4))),
    }[kind]()


KINDS = st.lists(st.sampled_from(["affine", "mix", "scale", "conv", "steps", "delay"]), max_size=3)


@st.composite
def regions(draw, whole=False):
    """Input and a neuron feed paths of linear nodes; paths are summed, sent on, and summed again."""
    d = np.random.default_rng(draw(st.integers(0, 2**31)))
    first = LoihiLIF(1000, 1) if whole else LIF(0.5, 0.6)
    last = LoihiLIF(2048, 20) if whole else LIF(0.5)
    nodes, edges = {"input": Input(SHAPE, "binary"), "first": first}, [("input", "first")]

    def path(source, kinds, name):
        at = source
        for k, kind in enumerate(kinds):
            nodes[f"{name}{k}"] = layer(kind, d, whole, draw(st.booleans()))
            edges.append((at, f"{name}{k}"))
            at = f"{name}{k}"
        return at

    ends = [path(draw(st.sampled_from(["input", "first"])), draw(KINDS), f"p{k}") for k in range(3)]
    nodes["sum"] = Add()
    edges += [(end, "sum") for end in ends]
    tail = path("sum", draw(KINDS)[:1], "q")
    nodes["sum2"] = Add()
    edges += [(tail, "sum2"), (draw(st.sampled_from(["first", "sum"])), "sum2")]
    nodes["last"] = last
    edges.append(("sum2", "last"))
    return Graph(nodes, tuple(edges), ("last",), "integer" if whole else "folded")


def spikes(seed, steps=9, samples=2):
    return (np.random.default_rng(seed).random((steps, samples, *SHAPE)) < 0.4).astype(np.uint8)


def bias_may_lag(graph):
    """Whether a node with a bias stands before a delay or a convolution over steps."""
    lagging = {n for n, node, _ in graph if isinstance(node, LAGGING) and getattr(node, "steps", 1) > 0}
    held = {n for n, node, _ in graph if getattr(node, "bias", None) is not None}
    for name, node, inputs in graph:
        if any(i in held for i in inputs) and not isinstance(node, LIF):
            if name in lagging:
                return True
            held.add(name)
    return False


@given(regions())
def test_the_sum_of_its_branches(graph):
    """sum over branches and delays of M s[t - delay] + bias is what the reference gives into the neuron.

    Tolerance 1e-10 of the largest value: products of up to five matrices in another order, float64.
    """
    if bias_may_lag(graph):
        with pytest.raises(Unsupported, match="a bias flows into"):
            bias(graph, "last")
        return
    x = spikes(1)
    got = values(graph, x)
    assert got["input"].any() and got["first"].any(), "vacuous case"
    constant = bias(graph, "last")
    total = np.zeros((9, 2, math.prod(SHAPE))) + (0.0 if constant is None else constant.reshape(-1))
    for branch in branches(graph, "last"):
        source = got[branch.source].reshape(9, 2, -1)
        for delay, matrix in compose(graph, branch).items():
            total[delay:] += source[: 9 - delay] @ matrix.toarray().T
    want = got["sum2"].reshape(total.shape)
    np.testing.assert_allclose(total, want, rtol=0, atol=1e-10 * max(1.0, np.abs(want).max()))


@given(regions(whole=True))
def test_any_region_becomes_projections_with_delays(graph):
    """Integers, so exact: the projections' sums are the neuron's input at every step. A product that leaves
    8 bits is refused, and then is one."""
    try:
        program = lower(graph)
    except Unsupported as error:
        assert "does not fit 8 bits" in str(error)
        tops = [
            np.abs(m.data).max(initial=0) for b in branches(graph, "last") for m in compose(graph, b).values()
        ]
        assert max(tops) > 127
        return
    got = values(graph, spikes(2))
    assert got["first"].any(), "vacuous case"
    total = np.zeros((9, 2, math.prod(SHAPE)), np.int64)
    for p in program.into("last"):
        source = got[p.src].reshape(9, 2, -1).astype(np.int64)
        shifted = source @ p.weights.to_dense().T << p.exp
        total[p.delay :] += shifted[: 9 - p.delay]
        assert program.chip_delay(p) >= 0
    np.testing.assert_array_equal(total, got["sum2"].reshape(total.shape))


def test_a_bias_before_a_convolution_over_steps_is_refused_by_name():
    """It would not be constant in the first steps, when the taps reach back before step 0."""
    nodes = {"input": Input((2, 3), "binary"), "mix": ChannelMix(np.eye(2), np.ones(2)),
             "steps": StepConv(np.ones((2, 2, 2))), "lif": LIF(0.5)}  # fmt: skip
    graph = Graph(nodes, (("input", "mix"), ("mix", "steps"), ("steps", "lif")), ("lif",), "folded")
    with pytest.raises(Unsupported, match=r"^steps: a bias flows into a delay") as caught:
        bias(graph, "lif")
    assert caught.value.exit_code == 4


def test_a_bias_behind_a_convolution_over_steps_is_itself():
    nodes = {"input": Input((2, 3), "binary"), "steps": StepConv(np.ones((2, 2, 2)), np.array([3.0, 4.0])),
             "mean": JointMean(),
             "scale": ChannelScale(np.array([2.0, 10.0]), np.array([0.5, 0.0])), "lif": LIF(0.5)}  # fmt: skip
    names = list(nodes)
    graph = Graph(nodes, tuple(pairwise(names)), ("lif",), "folded")
    np.testing.assert_array_equal(bias(graph, "lif"), [6.5, 40.0])


def test_no_bias_is_none():
    nodes = {
        "input": Input((2, 3), "binary"),
        "graph": GraphConv(np.ones((1, 2, 2)), np.ones((1, 3, 3))),
        "lif": LIF(0.5),
    }
    graph = Graph(nodes, (("input", "graph"), ("graph", "lif")), ("lif",), "folded")
    assert bias(graph, "lif") is None


def test_branches_stand_in_the_order_of_the_edges():
    """A diamond: input -> a -> sum, input -> b -> reshape -> sum; sum -> c -> lif."""
    nodes = {"input": Input((4,)), "a": Affine(np.eye(4)), "b": Affine(np.eye(4)), "r": Reshape((4,)),
             "sum": Add(),
             "c": Affine(np.eye(4)), "lif": LIF(0.5)}  # fmt: skip
    edges = (
        ("input", "a"),
        ("input", "b"),
        ("b", "r"),
        ("a", "sum"),
        ("r", "sum"),
        ("sum", "c"),
        ("c", "lif"),
    )
    graph = Graph(nodes, edges, ("lif",), "folded")
    assert branches(graph, "lif") == (Branch("input", ("a", "c")), Branch("input", ("b", "r", "c")))


def test_too_many_paths_are_refused():
    """Nine additions of a thing to itself are 512 paths: refused, not unrolled."""
    nodes, edges = {"input": Input((1,))}, []
    for k in range(9):
        nodes[f"sum{k}"] = Add()
        edges += [("input" if k == 0 else f"sum{k - 1}", f"sum{k}")] * 2
    nodes["lif"] = LIF(0.5)
    graph = Graph(nodes, (*edges, ("sum8", "lif")), ("lif",), "folded")
    with pytest.raises(Unsupported, match=r"^lif: more than 256 linear paths"):
        branches(graph, "lif")
