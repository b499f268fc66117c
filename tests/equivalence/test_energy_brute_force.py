"""Random small graphs, counted a second time by scalar loops over each node's equation."""

import itertools

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from convert.ir import (
    LIF,
    Add,
    Affine,
    AvgPool2d,
    ChannelMix,
    Conv2d,
    Delay,
    Graph,
    GraphConv,
    Input,
    Reshape,
    StepConv,
)
from energy.counts import count
from energy.line import Options


def routes(node, in_shape):
    """Every (tap, source) pair a node reads, per output and step: [(flat source, steps back)]."""
    at = np.arange(int(np.prod(in_shape))).reshape(in_shape)
    if isinstance(node, Affine):
        return [(s, 0) for _ in range(len(node.weight)) for s in at.reshape(-1)]
    if isinstance(node, ChannelMix):
        places = itertools.product(range(len(node.weight)), range(in_shape[0]), *map(range, in_shape[1:]))
        return [(at[(c, *rest)], 0) for _, c, *rest in places]
    if isinstance(node, StepConv):
        places = itertools.product(*map(range, node.weight.shape), *map(range, in_shape[1:]))
        return [(at[(c, *rest)], k) for _, c, k, *rest in places]
    return conv_routes(node, in_shape, at)


def conv_routes(node, in_shape, at):
    out = []
    outs, per, kh, kw = node.weight.shape
    for o, i, j in itertools.product(*map(range, node.out_shape("conv", in_shape))):
        for c, p, q in itertools.product(range(per), range(kh), range(kw)):
            y = i * node.stride[0] + p * node.dilation[0] - node.padding[0]
            x = j * node.stride[1] + q * node.dilation[1] - node.padding[1]
            if 0 <= y < in_shape[1] and 0 <= x < in_shape[2]:
                out.append((at[o // (outs // node.groups) * per + c, y, x], 0))
    return out


def loops(node, x):
    """x [T, N, *shape] -> operations per sample: one for each non-zero value read, step by step."""
    flat = x.reshape(*x.shape[:2], -1)
    total = [0] * x.shape[1]
    for t, n, (source, back) in itertools.product(
        range(len(x)), range(x.shape[1]), routes(node, x.shape[2:])
    ):
        if t - back >= 0 and flat[t - back, n, source] != 0:
            total[n] += 1
    return total


@st.composite
def weighted_node(draw):
    """(node, in_shape) of any kind with one stage."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    kind = draw(st.sampled_from(["affine", "mix", "step", "conv"]))
    c, high, wide = draw(st.tuples(st.sampled_from([2, 4]), st.integers(1, 4), st.integers(1, 4)))
    if kind == "affine":
        return Affine(rng.normal(size=(draw(st.integers(1, 3)), c * high * wide))), (c, high, wide)
    if kind == "mix":
        return ChannelMix(rng.normal(size=(3, c))), (c, high, wide)
    if kind == "step":
        return StepConv(rng.normal(size=(2, c, draw(st.integers(1, 4))))), (c, high)
    pair = st.tuples(st.integers(1, 2), st.integers(1, 2))
    kernel, stride, dilation = draw(st.tuples(st.tuples(st.integers(1, 3), st.integers(1, 3)), pair, pair))
    padding, groups = draw(st.tuples(st.integers(0, 1), st.integers(0, 2))), draw(st.sampled_from([1, 2]))
    fits = (
        n + 2 * p > d * (k - 1) for n, p, d, k in zip((high, wide), padding, dilation, kernel, strict=True)
    )
    assume(all(fits))
    return Conv2d(rng.normal(size=(2, c // groups, *kernel)), None, stride, padding, dilation, groups), (
        c,
        high,
        wide,
    )


@settings(max_examples=80, deadline=None)
@given(case=weighted_node(), delay=st.integers(0, 2), seed=st.integers(0, 999))
def test_residual_pair_into_any_node(case, delay, seed):
    """Two spiking layers, one delayed, summed, into a weighted node: integer or binary by sample."""
    node, shape = case
    nodes = {
        "x": Input(shape),
        "a": LIF(0.5),
        "b": LIF(0.5),
        "wait": Delay(delay),
        "sum": Add(),
        "node": node,
    }
    edges = (("x", "a"), ("x", "b"), ("b", "wait"), ("a", "sum"), ("wait", "sum"), ("sum", "node"))
    rng = np.random.default_rng(seed)
    a, b = ((rng.random((3, 2, *shape)) < 0.2).astype(np.uint8) for _ in range(2))
    late = np.zeros_like(b)
    for t in range(delay, 3):
        late[t] = b[t - delay]
    c = count(Graph(nodes, edges, ("node",), "folded"), {"x": np.ones((3, 2, *shape)), "a": a, "b": b})
    assert c.of(c["node"], "sop_exact").tolist() == loops(node, a.astype(int) + late)
    for n in range(2):
        total = a[:, n].astype(int) + late[:, n]
        want = "ac" if total.max() == 1 else "mac"
        assert c.of(c["node"], want)[n] == c.of(c["node"], "sop_exact")[n]
        assert c.of(c["node"], {"ac": "mac", "mac": "ac"}[want])[n] == 0


@settings(max_examples=40, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    gap=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    sides=st.tuples(st.integers(3, 6), st.integers(3, 6)), taps=st.integers(0, 2), seed=st.integers(0, 999),
)  # fmt: skip
def test_pool_before_weights(kernel, gap, sides, taps, seed):
    """Folded: spikes x outputs of the window they fall into. Not folded: windows that hold a spike."""
    pool = AvgPool2d(kernel, (kernel[0] + gap[0], kernel[1] + gap[1]))
    small = pool.out_shape("pool", (2, *sides))
    rng = np.random.default_rng(seed)
    size = int(np.prod(small))
    node = StepConv(rng.normal(size=(3, size, taps))) if taps else Affine(rng.normal(size=(3, size)))
    nodes = {"x": Input((2, *sides), "binary"), "pool": pool, "flat": Reshape((size,)), "node": node}
    names = list(nodes)
    graph = Graph(nodes, tuple(itertools.pairwise(names)), ("node",), "folded")
    x = (rng.random((3, 2, 2, *sides)) < 0.4).astype(int)
    spikes, held = np.zeros((3, 2, *small), int), np.zeros((3, 2, *small), int)
    for t, n, ch, i, j in itertools.product(range(3), range(2), *map(range, small)):
        window = x[t, n, ch, i * pool.stride[0] :, j * pool.stride[1] :][: kernel[0], : kernel[1]]
        spikes[t, n, ch, i, j], held[t, n, ch, i, j] = window.sum(), window.any()
    reach = np.array([3 * min(max(taps, 1), 3 - t) if taps else 3 for t in range(3)])
    folded = count(graph, {"x": x})
    real = count(graph, {"x": x}, Options(fold_pool=False))
    assert folded.total("ac").tolist() == [int((spikes[:, n].sum((1, 2, 3)) * reach).sum()) for n in range(2)]
    assert real.total("mac").tolist() == [int((held[:, n].sum((1, 2, 3)) * reach).sum()) for n in range(2)]
    assert folded.total("mac").tolist() == real.total("ac").tolist() == [0, 0]


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 3)] * 3), joints=st.integers(1, 5),
    frames=st.sampled_from([(), (1,), (3,)]), seed=st.integers(0, 999),
)  # fmt: skip
def test_graph_conv(sizes, joints, frames, seed):
    """A frame is a place: each counts as the graph convolution without frames does."""
    subsets, outs, channels = sizes
    rng = np.random.default_rng(seed)
    adjacency = rng.integers(0, 2, (subsets, joints, joints)).astype(float)
    nodes = {
        "x": Input((channels, joints, *frames), "binary"),
        "gc": GraphConv(np.ones((subsets, outs, channels)), adjacency),
    }
    graph = Graph(nodes, (("x", "gc"),), ("gc",), "folded")
    x = rng.integers(0, 2, (2, 2, channels, joints, *frames))
    mix, spread, links = [0, 0], [0, 0], [0, 0]
    places = [range(n) for n in (2, 2, subsets, outs, joints, *frames)]
    for t, n, k, _, u, *f in itertools.product(*places):
        mix[n] += int((x[(t, n, slice(None), u, *f)] != 0).sum())
        if x[(t, n, slice(None), u, *f)].any():  # z[k, o, u] is a real value: it meets every joint
            spread[n] += joints
            links[n] += int((adjacency[k, u] != 0).sum())
    c = count(graph, {"x": x})
    assert (c.total("ac").tolist(), c.total("mac").tolist()) == (mix, spread)
    assert count(graph, {"x": x}, Options(skip_zero_adjacency=True)).total("mac").tolist() == links
