"""Integer graph to program: the same spikes, by an evaluator written from the docstrings of
`convert.ir.program` and `convert.ir.loihi` alone. Everything is an integer: the tolerance is zero."""

from __future__ import annotations

import numpy as np
import pytest

from convert.ir import (
    LIF,
    Add,
    Affine,
    ChannelMix,
    Conv2d,
    ConvWeights,
    DenseWeights,
    Graph,
    GraphError,
    Input,
    LoihiIntegrator,
    LoihiLIF,
    Population,
    Program,
    Projection,
    SparseWeights,
    SpikeMatMul,
    StageError,
    StepConv,
    Unsupported,
)
from convert.passes.lower import lower
from deploy.reference import values


def shift(x, e):
    return x << e if e >= 0 else x >> -e


def dec(x, d):
    product = x * (4096 - d)
    return abs(product) >> 12 if product >= 0 else -(abs(product) >> 12)


def neuron(model, u, v, a, bias):
    """One neuron, one step, Python integers: u, v, whether it spikes."""
    u = dec(u, model.du + 1) + (a << 6)
    if u > 2**23:
        u -= 2**24
    elif u <= -(2**23):
        u += 2**24
    v = min(max(dec(v, model.dv) + u + bias, -(2**23) + 1), 2**23 - 1)
    spike = v > model.vth << 6
    return u, 0 if spike else v, spike


def evaluate(program, x):
    """{population: its value at every step [T, N, size]}: spikes, or v of a readout."""
    (source,) = program.inputs()
    steps, samples = x.shape[:2]
    got = {source: program.populations[source].model.encode(x).reshape(steps, samples, -1).tolist()}
    for name in program.neurons():
        population = program.populations[name]
        bias = np.broadcast_to(population.model.bias, population.shape).reshape(-1).tolist()
        into = [(p, p.weights.to_dense().tolist()) for p in program.into(name)]
        out = np.zeros((steps, samples, population.size), np.int64)
        for n in range(samples):
            u, v = [0] * population.size, [0] * population.size
            for t in range(steps):
                for i in range(population.size):
                    a = 0
                    for p, weights in into:
                        if t >= p.delay:
                            sent = got[p.src][t - p.delay][n]
                            a += shift(sum(w * s for w, s in zip(weights[i], sent, strict=True) if s), p.exp)
                    u[i], v[i], spike = neuron(population.model, u[i], v[i], a, bias[i])
                    out[t, n, i] = v[i] if isinstance(population.model, LoihiIntegrator) else spike
        got[name] = out.tolist()
    return {name: np.array(value) for name, value in got.items()}


@pytest.mark.parametrize(("steps", "samples"), [(7, 2), (1, 1)])
def test_the_program_is_the_graph(integer_case, steps, samples):
    graph, x = integer_case.graph, integer_case.x(steps, samples, seed=7)
    program = lower(graph)
    want, got = values(graph, x), evaluate(program, x)
    assert set(got) == {graph.input(), *graph.products(), *graph.neurons()}
    assert steps == 1 or all(want[n].any() for n in graph.spiking()), "vacuous case"
    for name in got:
        if isinstance(graph.nodes[name], SpikeMatMul):  # its neurons (i, j, k), added up over k
            shape = program.populations[name].shape
            got[name] = got[name].reshape(*got[name].shape[:2], *shape).sum(-1)
            want[name] = want[name].reshape(got[name].shape)
        np.testing.assert_array_equal(got[name], want[name].reshape(got[name].shape))


def test_latency_is_the_longest_path_and_no_delay_is_negative(integer_case):
    """One chip step per layer; a shorter path waits: chip delay = latency difference - 1 + delay."""
    graph = integer_case.graph
    program = lower(graph)
    depth = {}
    for name, node, inputs in graph:
        before = max((depth[i] for i in inputs), default=0)
        depth[name] = before + (name in (*graph.neurons(), *graph.products()))
        if name in program.populations:
            assert program.populations[name].latency == depth[name]
        if name in program.populations and name not in graph.products():
            assert program.populations[name].shape == graph.shapes[name]
            assert program.populations[name].model is node
    assert program.projections
    for p in program.projections:
        gap = program.populations[p.dst].latency - program.populations[p.src].latency
        assert program.chip_delay(p) == gap - 1 + p.delay >= 0
    assert (program.outputs, list(program.meta)) == (graph.outputs, list(graph.meta))
    assert len({p.name for p in program.projections}) == len(program.projections)


def test_a_shorter_branch_waits(integer_of):
    """two-outputs: lif1 meets lif2 one layer later, so its direct way into lif3 waits one step."""
    program = lower(integer_of("two-outputs").graph)
    waits = {p.src: program.chip_delay(p) for p in program.into("lif3")}
    assert waits == {"lif1": 1, "lif2": 0}
    assert program.populations["lif3"].latency == 3


def test_a_convolution_stays_shared(integer_of):
    """The kernel is stored once: 8 x 2 x 3 x 2 values for some hundred synapses."""
    (p,) = lower(integer_of("conv").graph).into("lif1")
    assert isinstance(p.weights, ConvWeights)
    assert p.weights.kernel.shape == (8, 2, 3, 2)
    assert p.weights.groups == 2
    target, source, value = p.weights.synapses()
    assert len(target) > 5 * p.weights.kernel.size
    assert len({*zip(target.tolist(), source.tolist(), strict=True)}) == len(target)
    dense = np.zeros(p.weights.shape, np.int64)
    dense[target, source] = value
    np.testing.assert_array_equal(dense, p.weights.to_dense())


def test_taps_over_steps_become_delays(integer_of):
    """int-delay: three taps of a StepConv and a residual reach lif2; a delay of 2 stands before lif1."""
    program = lower(integer_of("int-delay").graph)
    assert sorted(p.delay for p in program.into("lif2")) == [0, 0, 1, 2]
    assert sorted((p.delay, p.exp) for p in program.into("lif1")) == [(0, 2), (2, 1)]


def small(node, shape, neuron, operand="binary"):
    nodes = {"input": Input(shape, operand), "linear": node, "lif": neuron}
    return Graph(nodes, (("input", "linear"), ("linear", "lif")), ("lif",), "integer")


def test_explicit_zeros_stay_synapses():
    """A zero weight exists and costs: dense rows keep it, and so do compressed columns."""
    matrix = np.zeros((4, 4), np.int8)
    matrix[0, 0] = 1
    (p,) = lower(small(Affine(matrix), (4,), LoihiLIF(0, 1))).projections
    assert isinstance(p.weights, DenseWeights)
    assert p.weights.matrix.size == 16
    kernel = np.array([[1, 0], [0, 0]], np.int8)
    (p,) = lower(small(ChannelMix(kernel), (2, 8), LoihiLIF(0, 1))).projections
    assert isinstance(p.weights, SparseWeights)
    assert len(p.weights.values) == 2 * 2 * 8
    assert np.count_nonzero(p.weights.values) == 8
    np.testing.assert_array_equal(p.weights.to_dense(), np.kron(kernel, np.eye(8)))
    assert all(np.all(np.diff(r) > 0) for r in np.split(p.weights.rows, p.weights.starts[1:-1]))


def test_dense_only_where_every_pair_is_joined():
    """kron(W, 1_n) joins 1 / n of the pairs: for one joint it is held dense, for two in columns."""
    for places, kind in ((1, DenseWeights), (2, SparseWeights)):
        (p,) = lower(small(ChannelMix(np.ones((2, 2), np.int8)), (2, places), LoihiLIF(0, 1))).projections
        assert isinstance(p.weights, kind)
    assert len(p.weights.values) == 8


def composed(first, second, exps=(0, 0)):
    a, b = (
        Affine(np.array([[w]], np.int8), weight_exp=e) for w, e in zip((first, second), exps, strict=True)
    )
    nodes = {"input": Input((1,), "binary"), "a": a, "b": b, "lif": LoihiLIF(0, 1)}
    return Graph(nodes, (("input", "a"), ("a", "b"), ("b", "lif")), ("lif",), "integer")


def test_a_product_that_leaves_8_bits_is_refused():
    """11 * 12 = 132 and -13 * 10 = -130 do not fit; 127 and -128 just do."""
    for first, second in ((11, 12), (-13, 10)):
        with pytest.raises(
            Unsupported, match=r"^lif: weights of (0\.\.132|-130\.\.0) do not fit 8 bits"
        ) as caught:
            lower(composed(first, second))
        assert caught.value.exit_code == 4
    for first, second in ((127, 1), (-64, 2)):
        (p,) = lower(composed(first, second)).projections
        assert p.weights.to_dense().tolist() == [[first * second]]


def test_exponents_add_and_one_that_rounds_inside_is_refused():
    (p,) = lower(composed(3, 4, (1, 2))).projections
    assert (p.exp, p.weights.to_dense().tolist()) == (3, [[12]])
    with pytest.raises(Unsupported, match=r"^lif: a negative exponent inside a chain"):
        lower(composed(3, 4, (-1, 2)))
    steps = StepConv(np.ones((2, 2, 2), np.int8), weight_exp=-1)
    with pytest.raises(Unsupported, match=r"^lif: a negative weight exponent over several delays"):
        lower(small(steps, (2, 2), LoihiLIF(0, 1)))


def test_a_single_negative_exponent_floors_the_sum():
    """-3 >> 1 is -2, not -1: the sum is shifted, not its terms (-1 >> 1 three times would be -3)."""
    graph = small(Affine(np.full((1, 3), -1, np.int8), weight_exp=-1), (3,), LoihiLIF(dv=0, vth=1000))
    x = np.ones((1, 1, 3), np.uint8)
    assert values(graph, x)["linear"].item() == -2
    program = lower(graph)
    readout = Program(
        {**program.populations, "lif": Population("lif", (1,), LoihiIntegrator(), 1)},
        program.projections,
        ("lif",),
    )
    assert evaluate(readout, x)["lif"].item() == -2 << 6


def test_only_an_integer_graph_is_lowered(case):
    with pytest.raises(StageError, match="lower: needs an integer graph, got folded"):
        lower(case.graph)


def program(**changes):
    parts = {
        "weights": DenseWeights(np.ones((2, 3), np.int8)), "src": "in", "dst": "out",
        "exp": 0, "delay": 0, **changes
    }  # fmt: skip
    populations = {
        "in": Population("in", (3,), Input((3,), "binary")),
        "out": Population("out", (2,), LoihiLIF(0, 1), 1),
    }
    return Program(populations, (Projection("p", **parts),), parts.pop("outputs", ("out",)))


def test_a_program_that_is_not_well_formed_is_refused_by_name():
    assert program().chip_delay(program().projections[0]) == 0
    for words, change in {
        "^p: there is no population ghost": {"src": "ghost"},
        "^p: weights .*2, 2.* between populations of .*2, 3": {"weights": DenseWeights(np.ones((2, 2)))},
        "^p: weight exponent 9": {"exp": 9},
        "^p: chip delay 63": {"delay": 63},
        "^p: chip delay -1": {"delay": -1},
    }.items():
        with pytest.raises(GraphError, match=words):
            program(**change)
    with pytest.raises(GraphError, match=r"^ghost: named as an output"):
        Program(program().populations, (), ("ghost",))
    with pytest.raises(GraphError, match="SparseWeights: 2 starts for 2 sources"):
        SparseWeights(np.zeros(2), np.zeros(0), np.zeros(0, np.int8), (1, 2))


def test_an_exponent_beyond_a_chip_is_refused():
    graph = small(Affine(np.full((1, 3), 1, np.int8), weight_exp=9), (3,), LoihiLIF(dv=0, vth=1000))
    with pytest.raises(Unsupported, match=r"^lif: the weights from input have exponent 9, outside -8\.\.8"):
        lower(graph)


def test_an_identity_branch_is_a_projection_of_ones():
    """An addition of a spiking layer itself, without a weight of its own."""
    nodes = {
        "input": Input((3,), "binary"),
        "fc": Affine(np.full((3, 3), 2, np.int8)),
        "sum": Add(),
        "lif": LoihiLIF(0, 5),
    }
    graph = Graph(
        nodes, (("input", "fc"), ("fc", "sum"), ("input", "sum"), ("sum", "lif")), ("lif",), "integer"
    )
    weights = [p.weights.to_dense() for p in lower(graph).projections]
    np.testing.assert_array_equal(weights[0], np.full((3, 3), 2))
    np.testing.assert_array_equal(weights[1], np.eye(3))


def test_two_convolutions_in_one_branch_are_composed_exactly():
    """Two convolutions in one branch are no shared kernel; their product is a matrix."""
    d = np.random.default_rng(0)
    nodes = {"input": Input((1, 4, 4), "binary"), "a": Conv2d(d.integers(0, 4, (2, 1, 2, 2))),
             "b": Conv2d(d.integers(-1, 4, (1, 2, 2, 1))), "lif": LoihiLIF(0, 9)}  # fmt: skip
    graph = Graph(nodes, (("input", "a"), ("a", "b"), ("b", "lif")), ("lif",), "integer")
    (p,) = lower(graph).projections
    assert not isinstance(p.weights, ConvWeights)
    x = d.integers(0, 2, (5, 3, 1, 4, 4)).astype(np.uint8)
    want = values(graph, x)
    assert want["lif"].any(), "vacuous case"
    np.testing.assert_array_equal(evaluate(lower(graph), x)["lif"], want["lif"].reshape(5, 3, -1))


def test_float_neurons_do_not_reach_a_program():
    nodes = {"input": Input((1,), "binary"), "lif": LIF(0.5)}
    with pytest.raises(StageError, match=r"^lif: LIF is not legal"):
        lower(Graph(nodes, (("input", "lif"),), ("lif",), "integer"))
