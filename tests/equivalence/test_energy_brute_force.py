"""Random small graphs, counted a second time by scalar loops over each node's equation, step by step."""

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
    ChannelScale,
    Conv2d,
    Delay,
    Graph,
    GraphConv,
    Input,
    JointMap,
    Reshape,
    SpikeMatMul,
    StepConv,
    StepMap,
    StepMean,
)
from energy.counts import count
from energy.line import Options

T, N = 3, 2


def reads(node, in_shape):
    """Every operation of a run of T steps, as the value it reads: [(step, flat source)]."""
    at = np.arange(int(np.prod(in_shape))).reshape(in_shape)
    if isinstance(node, StepMap):
        ends = itertools.product(range(node.matrix.shape[0]), range(T), at.reshape(-1))
        return [(t, source) for out, t, source in ends if node.matrix[out, t]]
    if isinstance(node, StepMean):
        return list(itertools.product(range(T), at.reshape(-1)))
    return [(t - back, source) for t in range(T) for source, back in routes(node, in_shape, at) if t >= back]


def routes(node, in_shape, at):
    """Every weight of one output step: [(flat source, steps back)]."""
    if isinstance(node, Affine):
        return [(s, 0) for _ in range(len(node.weight)) for s in at.reshape(-1)]
    if isinstance(node, ChannelMix):
        places = itertools.product(range(len(node.weight)), range(in_shape[0]), *map(range, in_shape[1:]))
        return [(at[(c, *rest)], 0) for _, c, *rest in places]
    if isinstance(node, StepConv):
        places = itertools.product(*map(range, node.weight.shape), *map(range, in_shape[1:]))
        return [(at[(c, *rest)], k) for _, c, k, *rest in places]
    if isinstance(node, ChannelScale):
        return [(s, 0) for s in at.reshape(-1)]
    if isinstance(node, JointMap):
        channels = in_shape[0] // node.matrix.shape[1]
        entries = itertools.product(*map(range, node.matrix.shape), range(channels))
        return [(at[i * channels + c, v], 0) for j, i, w, v, c in entries if node.matrix[j, i, w, v]]
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
    """x [T, N, *shape] -> operations [N][T]: one for each value that is not zero, at the value's own step."""
    flat = x.reshape(T, N, -1)
    total = [[0] * T for _ in range(N)]
    for (t, source), n in itertools.product(reads(node, x.shape[2:]), range(N)):
        total[n][t] += bool(flat[t, n, source] != 0)
    return total


@st.composite
def weighted_node(draw):
    """(node, in_shape) of any kind with one stage."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    kinds = ("affine", "mix", "step", "conv", "scale", "joints", "steps", "mean")
    kind = draw(st.sampled_from(kinds))
    c, high, wide = draw(st.tuples(st.sampled_from([2, 4]), st.integers(1, 4), st.integers(1, 4)))
    if kind == "conv":
        return draw(conv(rng, (c, high, wide)))
    node = {
        "affine": lambda: Affine(rng.normal(size=(draw(st.integers(1, 3)), c * high))),
        "mix": lambda: ChannelMix(rng.normal(size=(3, c))),
        "step": lambda: StepConv(rng.normal(size=(2, c, draw(st.integers(1, 4))))),
        "scale": lambda: ChannelScale(rng.normal(size=c)),
        "joints": lambda: JointMap(rng.integers(0, 2, (draw(st.integers(1, 2)), 2, wide, high))),
        "steps": lambda: StepMap(rng.integers(0, 2, (wide, T))),
        "mean": StepMean,
    }[kind]()
    return node, (c, high)


@st.composite
def conv(draw, rng, shape):
    """A convolution of any stride, padding, dilation and grouping that fits the shape."""
    pair = st.tuples(st.integers(1, 2), st.integers(1, 2))
    kernel, stride, dilation = draw(st.tuples(st.tuples(st.integers(1, 3), st.integers(1, 3)), pair, pair))
    padding, groups = draw(st.tuples(st.integers(0, 1), st.integers(0, 2))), draw(st.sampled_from([1, 2]))
    fits = (n + 2 * p > d * (k - 1) for n, p, d, k in zip(shape[1:], padding, dilation, kernel, strict=True))
    assume(all(fits))
    weight = rng.normal(size=(2, shape[0] // groups, *kernel))
    return Conv2d(weight, None, stride, padding, dilation, groups), shape


def spikes(rng, *shape, rate=0.3):
    return (rng.random((T, N, *shape)) < rate).astype(np.uint8)


def late(x, steps):
    """x, `steps` later."""
    out = np.zeros_like(x)
    out[steps:] = x[: T - steps]
    return out


def assert_counted(line, by_step):
    """Totals and steps of a line are these, all of them."""
    assert line.by_step["sop_exact"].tolist() == by_step
    assert line.counts["sop_exact"].tolist() == [sum(steps) for steps in by_step]


@settings(max_examples=120, deadline=None)
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
    a, b = (spikes(rng, *shape, rate=0.2) for _ in range(2))
    total = a.astype(int) + late(b, delay)
    c = count(Graph(nodes, edges, ("node",), "folded"), {"x": np.ones((T, N, *shape)), "a": a, "b": b})
    line = c["node"]
    assert_counted(line, loops(node, total))
    assert line.by_step["nnz_in"].tolist() == (total != 0).reshape(T, N, -1).sum(axis=2).T.tolist()
    for n in range(N):
        want = "ac" if total[:, n].max() == 1 else "mac"
        assert c.of(line, want)[n] == c.of(line, "sop_exact")[n]
        assert c.of(line, {"ac": "mac", "mac": "ac"}[want])[n] == 0


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 3)] * 4), seed=st.integers(0, 999), delay=st.integers(0, 1),
)  # fmt: skip
def test_attention(sizes, seed, delay):
    """Q K^T, then times V: coincidences, then pairs of a count and a spike; every pair by loops."""
    heads, tokens, inner, wide = sizes
    shapes = {"q": (heads, tokens, inner), "k": (heads, inner, tokens), "v": (heads, tokens, wide)}
    rng = np.random.default_rng(seed)
    given_ = {name: spikes(rng, *shape, rate=0.5) for name, shape in shapes.items()}
    nodes = {name: Input(shape, "binary") for name, shape in shapes.items()}
    nodes |= {"qk": SpikeMatMul(), "wait": Delay(delay), "out": SpikeMatMul()}
    edges = (("q", "qk"), ("k", "qk"), ("qk", "wait"), ("wait", "out"), ("v", "out"))
    c = count(Graph(nodes, edges, ("out",), "folded"), given_)
    scores = np.zeros((T, N, heads, tokens, tokens), int)
    first, second = ([[0] * T for _ in range(N)] for _ in range(2))
    for t, n, h, i, j, d in np.ndindex(T, N, heads, tokens, tokens, inner):
        met = int(given_["q"][t, n, h, i, d]) * int(given_["k"][t, n, h, d, j])
        scores[t, n, h, i, j] += met
        first[n][t] += met
    held = late(scores, delay)
    for t, n, h, i, j, d in np.ndindex(T, N, heads, tokens, tokens, wide):
        second[n][t] += bool(held[t, n, h, i, j]) * int(given_["v"][t, n, h, j, d])
    assert_counted(c["qk"], first)
    assert_counted(c["out"], second)
    assert c.of(c["qk"], "ac").tolist() == [sum(steps) for steps in first]
    assert c.of(c["out"], "mac").tolist() == [sum(steps) for steps in second]  # counts are integers


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
    inside, held = np.zeros((3, 2, *small), int), np.zeros((3, 2, *small), int)
    for t, n, ch, i, j in itertools.product(range(3), range(2), *map(range, small)):
        window = x[t, n, ch, i * pool.stride[0] :, j * pool.stride[1] :][: kernel[0], : kernel[1]]
        inside[t, n, ch, i, j], held[t, n, ch, i, j] = window.sum(), window.any()
    reach = np.array([3 * min(max(taps, 1), 3 - t) if taps else 3 for t in range(3)])
    folded = count(graph, {"x": x})
    real = count(graph, {"x": x}, Options(fold_pool=False))
    assert_counted(folded["node"], (inside.sum((2, 3, 4)).T * reach).tolist())
    assert_counted(real["node"], (held.sum((2, 3, 4)).T * reach).tolist())
    assert folded.total("ac").tolist() == folded.total("sop_exact").tolist()
    assert real.total("mac").tolist() == real.total("sop_exact").tolist()
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
    x = spikes(rng, channels, joints, *frames, rate=0.5)
    mix, spread, links = ([[0] * T for _ in range(N)] for _ in range(3))
    places = [range(n) for n in (T, N, subsets, outs, joints, *frames)]
    for t, n, k, _, u, *f in itertools.product(*places):
        mix[n][t] += int((x[(t, n, slice(None), u, *f)] != 0).sum())
        if x[(t, n, slice(None), u, *f)].any():  # z[k, o, u] is a real value: it meets every joint
            spread[n][t] += joints
            links[n][t] += int((adjacency[k, u] != 0).sum())
    c = count(graph, {"x": x})
    assert_counted(c["gc.mix"], mix)
    assert_counted(c["gc.adjacency"], spread)
    assert c.total("ac").tolist() == [sum(steps) for steps in mix]
    assert c.total("mac").tolist() == [sum(steps) for steps in spread]
    skipped = count(graph, {"x": x}, Options(skip_zero_adjacency=True))
    assert skipped.total("mac").tolist() == [sum(steps) for steps in links]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), depth=st.integers(1, 4), seed=st.integers(0, 999))
def test_deep_residual_graphs(data, depth, seed):
    """Layers of spikes, each reading the sum of some of those before it: the whole graph, and each line."""
    rng = np.random.default_rng(seed)
    shape = (2, 3)
    nodes, edges = {"l0": Input(shape, "binary")}, []
    seen = {"l0": spikes(rng, *shape)}
    operands = {}
    for level in range(1, depth + 1):
        kind = data.draw(st.sampled_from(["mix", "step", "affine", "joints"]))
        node = {
            "mix": ChannelMix(rng.normal(size=(2, 2))), "step": StepConv(rng.normal(size=(2, 2, 2))),
            "affine": Affine(rng.normal(size=(6, 6)), shape=shape),
            "joints": JointMap(rng.integers(0, 2, (1, 1, 3, 3))),
        }[kind]  # fmt: skip
        before = data.draw(st.sets(st.integers(0, level - 1), min_size=1, max_size=3).map(sorted))
        source = f"l{before[0]}"
        if len(before) > 1:
            source = f"sum{level}"
            nodes[source] = Add()
            edges += [(f"l{b}", source) for b in before]
        nodes |= {f"w{level}": node, f"l{level}": LIF(0.5)}
        edges += [(source, f"w{level}"), (f"w{level}", f"l{level}")]
        operands[f"w{level}"] = (node, sum(seen[f"l{b}"].astype(int) for b in before))
        seen[f"l{level}"] = spikes(rng, *shape)
    c = count(Graph(nodes, tuple(edges), (f"l{depth}",), "folded"), seen)
    want = {name: loops(node, x) for name, (node, x) in operands.items()}
    for name, by_step in want.items():
        assert_counted(c[name], by_step)
    whole = [sum(sum(by_step[n]) for by_step in want.values()) for n in range(N)]
    assert c.total("sop_exact").tolist() == (c.total("mac") + c.total("ac")).tolist() == whole
    for name, x in seen.items():
        if name != "l0":
            assert c[name].by_step["spikes_out"].tolist() == x.sum(axis=(2, 3)).T.tolist()
