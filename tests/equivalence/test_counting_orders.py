"""Counts do not depend on where values lie: any memory order or number type, products given or made anew."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.ir import (
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
    Permute,
    Reshape,
    Slice,
    SpikeAnd,
    SpikeMatMul,
    StepConv,
)
from deploy.cpu_onnx import OnnxCpu
from deploy.reference import Reference
from energy.counts import count, counter

T, N = 3, 2


def same(got, want):
    """Every number of every line: integers and the floats made of them alike, to the last bit."""
    assert [line.name for line in got.lines] == [line.name for line in want.lines]
    for a, b in zip(got.lines, want.lines, strict=True):
        for kind in ("counts", "by_step", "recounts", "measures"):
            ours, theirs = getattr(a, kind) or {}, getattr(b, kind) or {}
            assert ours.keys() == theirs.keys()
            for field, found in ours.items():
                np.testing.assert_array_equal(found, theirs[field], f"{a.name} {kind} {field}", strict=True)
        if b.classes is not None:
            np.testing.assert_array_equal(a.classes, b.classes, a.name)


def lying(rng, x):
    """The same array, the axes of a step in some other order in memory, and perhaps as bytes or bits."""
    axes = (0, 1, *(2 + rng.permutation(x.ndim - 2)))
    kind = rng.choice([np.uint8, np.bool_, np.int64])
    moved = np.ascontiguousarray(x.transpose(axes), kind)
    return moved.transpose(np.argsort(axes))


@settings(max_examples=60, deadline=None)
@given(
    heads=st.integers(1, 3), d=st.integers(1, 3), joints=st.integers(1, 4), frames=st.integers(1, 3),
    rate=st.sampled_from([0.0, 0.1, 0.5, 1.0]), seed=st.integers(0, 999),
)  # fmt: skip
def test_counts_of_any_memory_order_are_those_of_plain_integers(heads, d, joints, frames, rate, seed):
    """Rasters drawn, not run: counts are facts of rasters and graph, whatever gave the spikes."""
    rng = np.random.default_rng(seed)
    graph = read_all(rng, heads, d, joints, frames)
    plain = {
        n: (rng.random((T, N, *graph.shapes[n])) < rate).astype(np.int64) for n in counter(graph).rasters
    }
    want = count(graph, plain)
    assert rate < 1 or want.total("sop_exact").min() > 0, "vacuous case"
    for _ in range(2):
        same(count(graph, {name: lying(rng, x) for name, x in plain.items()}), want)
    q = plain["lif"].reshape(T, N, heads, d, -1)
    made = np.einsum("tnhdi,tnhdj->tnhij", q, q).astype(np.uint8)
    same(count(graph, {**plain, "map": made}), want)


def read_all(rng, heads, d, joints, frames):
    """A graph in which every kind of node that touches places reads spikes."""
    channels, places = heads * d, joints * frames
    shape = (channels, joints, frames)
    kernel = rng.integers(0, 2, (2, channels, 3, 1))
    chain = {  # node: its inputs
        "x": (Input(shape, "binary"),),
        "lif": (LoihiLIF(0, 1), "x"),
        "sum": (Add(), "x", "lif"),
        "turned": (Permute((0, 2, 1)), "sum"),
        "conv": (Conv2d(np.ones(kernel.shape, int), padding=(1, 0)), "turned"),
        "zeros": (Conv2d(kernel, padding=(1, 0)), "lif"),
        "step": (StepConv(rng.integers(-1, 2, (2, channels, 2))), "lif"),
        "graph": (GraphConv(np.ones((1, 2, channels), int), rng.integers(0, 2, (1, joints, joints))), "lif"),
        "mean": (JointMean(), "lif"),
        "mixed": (ChannelMix(rng.integers(0, 2, (2, channels))), "mean"),
        "heads": (Reshape((heads, d, places)), "lif"),
        "rows": (Permute((0, 2, 1)), "heads"),
        "map": (SpikeMatMul(), "rows", "heads"),
        "scale": (ChannelScale(np.arange(heads) % 2), "map"),
        "both": (SpikeMatMul(), "map", "rows"),
        "back": (Permute((0, 2, 1)), "both"),
        "merged": (Reshape(shape), "back"),
        "again": (ChannelMix(rng.integers(0, 2, (2, channels))), "merged"),
        "and": (SpikeAnd(), "lif", "x"),
        "late": (Delay(1), "and"),
        "late_step": (StepConv(np.ones((2, channels, 2), int)), "late"),
        "some": (Slice(0, 1), "lif"),
        "few": (ChannelMix(np.ones((2, 1), int)), "some"),
        "flat": (Reshape((math.prod(shape),)), "turned"),
        "head": (Affine(rng.integers(-1, 2, (2, math.prod(shape)))), "flat"),
    }
    edges = tuple((i, name) for name, (_, *inputs) in chain.items() for i in inputs)
    nodes = {name: node for name, (node, *_) in chain.items()}
    ends = tuple(n for n in nodes if not any(n == a for a, _ in edges))
    return Graph(nodes, edges, ends, "folded")


def test_counts_on_onnx_are_those_of_the_reference(integer_case):
    """The runtime's own rasters and products against plain ones of the reference, on each graph."""
    graph, x = integer_case.graph, integer_case.x()
    wanted = counter(graph)
    if OnnxCpu(1).supports(graph):
        return
    theirs = Reference().compile(graph).run(x, wanted.rasters).rasters
    plain = {name: np.ascontiguousarray(raster, np.int64) for name, raster in theirs.items()}
    same(wanted.count(OnnxCpu(1).compile(graph).run(x, wanted.rasters).rasters), counter(graph).count(plain))
