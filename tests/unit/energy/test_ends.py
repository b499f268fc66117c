"""Which layers read what enters, which make what leaves, which products are one attention."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from convert.ir import (
    LIF,
    Add,
    Affine,
    BatchNorm,
    ChannelScale,
    Concat,
    DenseWeights,
    Graph,
    Input,
    LeakyIntegrator,
    LoihiIntegrator,
    LoihiLIF,
    Permute,
    Population,
    Program,
    Projection,
    SpikeAnd,
    SpikeMatMul,
)
from energy.attention import attentions
from energy.ends import first_layers, heads, program_heads

ONE, FC = np.ones(2), Affine(np.ones((2, 2)))


def graph(nodes, *edges, outputs, stage="traced"):
    return Graph(nodes, tuple(e.split(">") for e in edges), outputs, stage)


def test_a_norm_before_the_first_layer_is_part_of_it():
    nodes = {
        "x": Input((2,)), "bn": BatchNorm(*4 * (ONE,)), "scale": ChannelScale(ONE), "one": FC,
        "lif": LIF(0.5), "two": FC, "out": LeakyIntegrator(),
    }  # fmt: skip
    made = graph(nodes, "x>bn", "bn>scale", "scale>one", "one>lif", "lif>two", "two>out", outputs=("out",))
    assert first_layers(made) == {"scale", "one"} and heads(made) == {"two"}


def test_branches_have_ends_of_their_own():
    # x -> a -> lif -> head1; x with lif -> both -> lif2 -> head2; the product reads spikes alone
    nodes = {
        "x": Input((2,)), "a": FC, "lif": LIF(0.5), "head1": FC, "beside": Concat((2, 2)),
        "both": Affine(np.ones((2, 4))), "lif2": LIF(0.5), "and": SpikeAnd(), "sum": Add(),
        "head2": FC, "scale": ChannelScale(ONE),
    }  # fmt: skip
    made = graph(
        nodes, "x>a", "a>lif", "lif>head1", "x>beside", "lif>beside", "beside>both", "both>lif2", "lif>and",
        "lif2>and", "and>sum", "lif>sum", "sum>head2", "head2>scale", outputs=("head1", "scale"),
    )  # fmt: skip
    assert first_layers(made) == {"a", "both"}
    assert heads(made) == {"head1", "head2", "scale"}  # a scale is part of the layer before it


def test_a_layer_on_a_layer_does_not_read_the_input():
    made = graph({"x": Input((2,)), "one": FC, "two": FC}, "x>one", "one>two", outputs=("two",))
    assert first_layers(made) == {"one"} and heads(made) == {"two"}


def test_heads_of_a_program():
    populations = {
        "x": Population("x", (2,), Input((2,), "binary")), "lif": Population("lif", (2,), LoihiLIF(9, 5), 1),
        "out": Population("out", (2,), LoihiIntegrator(), 2),
    }  # fmt: skip
    eye = DenseWeights(np.eye(2, dtype=np.int8))
    joined = (
        Projection("a", "x", "lif", eye),
        Projection("b", "lif", "out", eye),
        Projection("c", "x", "out", eye),
    )
    assert program_heads(Program(populations, joined, ("out",))) == {"b", "c"}


def products(**between):
    shapes = {"q": (1, 2, 3), "k": (1, 3, 2), "v": (1, 2, 4)}
    nodes = {n: Input(shape, "binary") for n, shape in shapes.items()}
    nodes |= {"qk": SpikeMatMul(), **between, "av": SpikeMatMul()}
    chain = ["qk", *between, "av"]
    edges = ["q>qk", "k>qk", *(f"{a}>{b}" for a, b in pairwise(chain)), "v>av"]
    return nodes, edges


def test_attention_pairs():
    nodes, edges = products()
    (pair,) = attentions(graph(nodes, *edges, outputs=("av",)))
    assert (pair.scores, pair.mixed, pair.q, pair.k, pair.v) == ("qk", "av", "q", "k", "v")
    assert (pair.d, pair.d_v) == (3, 4)
    nodes, edges = products(turn=Permute((0, 1, 2)))
    assert len(attentions(graph(nodes, *edges, outputs=("av",)))) == 1
    assert attentions(graph(nodes, *edges, outputs=("av", "qk"))) == ()  # the map itself is asked for
    nodes, edges = products(lif=LIF(0.5))
    assert attentions(graph(nodes, *edges, outputs=("av",))) == ()  # no longer linear
    nodes, edges = products()
    assert attentions(graph(nodes | {"lif": LIF(0.5)}, *edges, "qk>lif", outputs=("av", "lif"))) == ()


def test_attention_from_the_other_side():
    """V^T A^T: the scores are the right operand, d_v is the left one's rows."""
    nodes = {
        "q": Input((1, 2, 3), "binary"), "k": Input((1, 3, 2), "binary"), "v": Input((1, 4, 2), "binary"),
        "qk": SpikeMatMul(), "turn": Permute((0, 2, 1)), "va": SpikeMatMul(),
    }  # fmt: skip
    made = graph(nodes, "q>qk", "k>qk", "qk>turn", "v>va", "turn>va", outputs=("va",))
    (pair,) = attentions(made)
    assert (pair.v, pair.d, pair.d_v) == ("v", 3, 4)
