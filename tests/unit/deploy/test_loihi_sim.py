"""loihi-sim against the equations of `convert.ir.program` and `convert.ir.loihi`, evaluated by plain loops.

Everything is an integer: the tolerance is zero throughout.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convert.ir import (
    BadInput,
    ConvWeights,
    DenseWeights,
    Input,
    LoihiIntegrator,
    LoihiLIF,
    Population,
    Program,
    Projection,
    SparseWeights,
    Unsupported,
)
from deploy.loihi_sim import LoihiSim

HALF = 1 << 23
QUIET = settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def shift(x: int, e: int) -> int:
    return x << e if e >= 0 else x >> -e


def dec(x: int, d: int) -> int:
    product = x * (4096 - d)
    return (abs(product) >> 12) * (1 if product >= 0 else -1)


def evaluate(program: Program, x: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """s, u, v [T, N, size] of every population: Python integers, one neuron after the other."""
    steps, samples = x.shape[:2]
    source = program.inputs()[0]
    got = {
        n: {k: np.zeros((steps, samples, p.size), object) for k in "suv"}
        for n, p in program.populations.items()
    }
    got[source]["s"][:] = (
        program.populations[source].model.encode(x).reshape(steps, samples, -1).astype(object)
    )
    into = {n: [(p, p.weights.to_dense().astype(object)) for p in program.into(n)] for n in program.neurons()}
    for t in range(steps):
        for name in program.neurons():
            for n in range(samples):
                step(program.populations[name], into[name], got, t, n)
    return got


def step(population: Population, into: list, got: dict, t: int, n: int) -> None:
    m, own = population.model, got[population.name]
    bias = np.broadcast_to(m.bias, population.shape).reshape(-1)
    a = [0] * population.size
    for p, w in into:
        if t - p.delay >= 0:
            sent = got[p.src]["s"][t - p.delay, n]
            a = [a_i + shift(sum(w_j * s_j for w_j, s_j in zip(row, sent, strict=True)), p.exp)
                 for a_i, row in zip(a, w, strict=True)]  # fmt: skip
    for i in range(population.size):
        u_old, v_old = (own["u"][t - 1, n, i], own["v"][t - 1, n, i]) if t else (0, 0)
        u = dec(u_old, m.du + 1) + (int(a[i]) << 6)
        u = u - 2 * HALF if u > HALF else u + 2 * HALF if u <= -HALF else u
        v = min(max(dec(v_old, m.dv) + u + int(bias[i]), -HALF + 1), HALF - 1)
        fired = v > m.vth << 6
        own["s"][t, n, i], own["u"][t, n, i], own["v"][t, n, i] = int(fired), u, 0 if fired else v


def lif(name: str, shape: tuple[int, ...], latency: int = 1, **how: object) -> Population:
    return Population(name, shape, LoihiLIF(**{"dv": 512, "vth": 40, **how}), latency)


def check(program: Program, x: np.ndarray, **how: object) -> dict[str, dict[str, np.ndarray]]:
    """Counts, rasters, outputs and states of every population equal the evaluation, which is returned."""
    want = evaluate(program, x)
    runner = LoihiSim(**how).compile(program)
    spiking = [n for n, p in program.populations.items() if not isinstance(p.model, LoihiIntegrator)]
    record = runner.run(x, rasters=spiking)
    shape = {n: p.shape for n, p in program.populations.items()}
    steps, samples = x.shape[:2]
    for name in spiking:
        s = want[name]["s"].astype(np.int64).reshape(steps, samples, *shape[name])
        np.testing.assert_array_equal(record.rasters[name], s, err_msg=name)
        if name in record.counts:
            assert record.counts[name].dtype == np.int64
            np.testing.assert_array_equal(record.counts[name], s.sum(0), err_msg=name)
    for name in program.outputs:
        readout = isinstance(program.populations[name].model, LoihiIntegrator)
        final = want[name]["v"][-1] if readout else want[name]["s"].sum(0)
        final = final.astype(np.int64).reshape(samples, *shape[name])
        np.testing.assert_array_equal(record.outputs[name], final, err_msg=name)
    for name in program.neurons():
        for key, state in zip("uv", runner.trace(x, name), strict=True):
            np.testing.assert_array_equal(state.reshape(want[name][key].shape), want[name][key], err_msg=name)
    runner.close()
    return want


def fired(got: dict[str, dict[str, np.ndarray]], *names: str) -> bool:
    return all(bool(got[n]["s"].any()) for n in names)


@st.composite
def models(draw: st.DrawFn, size: int, extreme: bool) -> LoihiLIF:
    mant = draw(st.one_of(st.none(), st.lists(st.integers(-4096, 4095), min_size=size, max_size=size)))
    return LoihiLIF(
        du=draw(st.sampled_from([0, 1, 200, 2048, 4095])), dv=draw(st.sampled_from([0, 1, 410, 4095, 4096])),
        vth=draw(st.sampled_from([0, 5, 60, 900, 131071] if extreme else [5, 60])),
        bias_mant=None if mant is None else np.array(mant), bias_exp=draw(st.sampled_from([0, 3, 7])),
    )  # fmt: skip


@st.composite
def matrices(draw: st.DrawFn, out: int, size: int, bits: int) -> DenseWeights | SparseWeights:
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    top = 1 << (bits - 1)
    low, high = draw(st.sampled_from([(-top, top - 1), (0, top - 1), (-top, 0), (top - 1, top - 1)]))
    w = rng.integers(low, high, (out, size), endpoint=True).astype(np.int8 if bits <= 8 else np.int16)
    if draw(st.booleans()):
        return DenseWeights(w)
    there = rng.random(w.shape) < 0.5
    w[rng.random(w.shape) < 0.2] = 0  # some of the synapses that exist hold a zero
    rows, cols = np.nonzero(there.T)[::-1]
    return SparseWeights(np.concatenate([[0], np.cumsum(there.sum(0))]), rows, w[rows, cols], w.shape)


@st.composite
def programs(draw: st.DrawFn) -> tuple[Program, np.ndarray]:
    """input -> a -> b -> readout, a residual from input and perhaps a loop from b to a."""
    extreme = draw(st.booleans())
    sizes = [draw(st.integers(1, 7)) for _ in range(4)]
    graded = draw(st.booleans())
    source = Input((sizes[0],), "graded", 1.0, 8) if graded else Input((sizes[0],), "binary")
    populations = {"in": Population("in", (sizes[0],), source)}
    for k, name in ((1, "a"), (2, "b")):
        populations[name] = Population(name, (sizes[k],), draw(models(sizes[k], extreme)), 4 * k)
    populations["out"] = Population(
        "out", (sizes[3],), LoihiIntegrator(dv=draw(st.sampled_from([0, 99]))), 12
    )
    ends = [("in", "a", 0, 1), ("a", "b", 1, 2), ("b", "out", 2, 3), ("in", "b", 0, 2), ("in", "out", 0, 3)]
    if draw(st.booleans()):
        ends += [("b", "a", 2, 1), ("b", "b", 2, 2)]
    projections = []
    for src, dst, i, j in ends:
        bits = draw(st.sampled_from([8, 8, 9, 16] if extreme else [8]))
        back = 7 if (src, dst) == ("b", "a") else 1
        delay = draw(st.integers(back, back + 2)) if j <= i else draw(st.integers(0, 4))
        exp = draw(st.sampled_from([-8, -1, 0, 3, 8] if extreme else [-2, 0, 1]))
        w = draw(matrices(sizes[j], sizes[i], bits))
        projections.append(Projection(f"{src}-{dst}", src, dst, w, exp, delay, bits))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    shape = (draw(st.integers(1, 12)), draw(st.integers(1, 3)), sizes[0])
    x = np.rint(rng.normal(0, 60, shape)) if graded else (rng.random(shape) < 0.5).astype(np.float64)
    return Program(populations, projections, ("out", "a")), x


SPIKES = {"seen": 0}


@QUIET
@given(programs(), st.sampled_from(["auto", "rows", "columns", "product"]), st.sampled_from([1, 2]))
def _random_programs(case: tuple[Program, np.ndarray], method: str, threads: int) -> None:
    want = check(*case, method=method, threads=threads)
    SPIKES["seen"] += int(want["b"]["s"].sum())


def test_random_programs_follow_the_equations():
    _random_programs()
    assert SPIKES["seen"] > 500


def test_threshold_is_strict():
    """One spike of weight 10 reaches v = 640 = 10 << 6 exactly: no spike; the second step goes above."""
    program = Program(
        {"in": Population("in", (1,), Input((1,), "binary")), "n": lif("n", (1,), dv=0, vth=10)},
        [Projection("p", "in", "n", DenseWeights(np.array([[10]], np.int8)))], ["n"],
    )  # fmt: skip
    want = check(program, np.ones((4, 1, 1)))
    assert want["n"]["s"][:, 0, 0].tolist() == [0, 1, 0, 1]


def test_current_wraps_once_and_leaves_24_bits():
    """255 spikes of weight 127 << 8 drive u past 2^24 + 2^23; +2^23 is not wrapped, -2^23 becomes +2^23."""
    w = np.full((3, 255), 127, np.int8)
    w[1], w[2] = 0, 0
    w[1, :8], w[2, :8] = 64, -64  # 8 * 64 << 8 << 6 = 2^23
    program = Program(
        {"in": Population("in", (255,), Input((255,), "binary")), "n": lif("n", (3,), vth=131071)},
        [Projection("p", "in", "n", DenseWeights(w), exp=8)], ["n"],
    )  # fmt: skip
    want = check(program, np.ones((3, 1, 255)))
    assert want["n"]["u"][0, 0].tolist() == [(255 * 127 << 14) - 2 * HALF, HALF, HALF]
    assert want["n"]["s"].any() and want["n"]["u"].max() > 2 * HALF


def test_states_saturate_without_wrapping():
    program = Program(
        {"in": Population("in", (2,), Input((2,), "binary")),
         "n": lif("n", (2,), dv=0, vth=131071, bias_mant=np.array([-4096, 4095]), bias_exp=7)},
        [Projection("p", "in", "n", DenseWeights(np.diag([-127, 127]).astype(np.int8)), exp=8)], ["n"],
    )  # fmt: skip
    want = check(program, np.ones((8, 1, 2)))
    assert want["n"]["v"].min() == -HALF + 1 and fired(want, "n")


@pytest.mark.parametrize("method", ["auto", "rows", "columns", "shared", "product"])
@pytest.mark.parametrize(
    ("in_shape", "out", "kernel", "stride", "padding", "dilation", "groups"),
    [
        ((2, 5, 4), 3, (3, 2), (1, 1), (1, 0), (1, 1), 1),
        ((4, 6, 3), 4, (2, 3), (2, 1), (0, 1), (1, 1), 2),
        ((2, 7, 5), 2, (2, 2), (1, 2), (2, 1), (2, 3), 1),
    ],
)
def test_convolution(in_shape, out, kernel, stride, padding, dilation, groups, method):
    rng = np.random.default_rng(1)
    k = rng.integers(-60, 128, (out, in_shape[0] // groups, *kernel)).astype(np.int8)
    size = [
        (n + 2 * p - d * (m - 1) - 1) // s + 1
        for n, p, d, m, s in zip(in_shape[1:], padding, dilation, kernel, stride, strict=True)
    ]
    w = ConvWeights(k, in_shape, (out, *size), stride, padding, dilation, groups)
    program = Program(
        {"in": Population("in", in_shape, Input(in_shape, "binary")),
         "n": lif("n", (out, *size), bias_mant=np.arange(out).reshape(-1, 1, 1))},
        [Projection("p", "in", "n", w, exp=-1)], ["n"],
    )  # fmt: skip
    x = (rng.random((6, 2, *in_shape)) < 0.4).astype(np.float64)
    assert fired(check(program, x, method=method), "n")


def wide_program(n: int, layers: int = 2, bits: int = 8, graded: bool = False) -> Program:
    """Wider than one block of outputs, more spikes than one int16 sum holds."""
    rng = np.random.default_rng(n)
    source = Input((n,), "graded", 1.0, 8) if graded else Input((n,), "binary")
    populations, projections = {"0": Population("0", (n,), source)}, []
    top = 1 << (bits - 1)
    for k in range(1, layers + 1):
        populations[str(k)] = lif(str(k), (n,), k, vth=10 * top if graded and k == 1 else top, du=1000 * k)
        w = rng.integers(-top, top, (n, n)).astype(np.int8 if bits <= 8 else np.int16)
        projections.append(Projection(f"p{k}", str(k - 1), str(k), DenseWeights(w), 0, k - 1, bits))
    return Program(populations, projections, (str(layers),))


def same(one: object, two: object) -> None:
    for name in one.counts:
        np.testing.assert_array_equal(one.counts[name], two.counts[name], err_msg=name)
        np.testing.assert_array_equal(one.rasters[name], two.rasters[name], err_msg=name)


@pytest.mark.parametrize(("bits", "graded"), [(8, False), (9, False), (16, False), (8, True)])
def test_wide_layers_layouts_threads_batches(bits, graded):
    n = 1100
    program = wide_program(n, bits=bits, graded=graded)
    rng = np.random.default_rng(5)
    x = rng.integers(-3, 4, (5, 7, n)) if graded else (rng.random((5, 7, n)) < 0.6)
    x = x.astype(np.float64)
    names = ("1", "2")
    base = LoihiSim(threads=1, method="columns").compile(program).run(x, names)
    assert all(0 < base.rate(name) < 1 for name in names)
    for how in ({"method": m, "threads": t} for m in ("auto", "rows", "product") for t in (1, 2)):
        same(base, LoihiSim(**how).compile(program).run(x, names))
    runner = LoihiSim(threads=2).compile(program)
    for sample in (0, 6):  # one sample: threads share the outputs instead
        alone = runner.run(x[:, sample : sample + 1], names)
        np.testing.assert_array_equal(alone.rasters["2"][:, 0], base.rasters["2"][:, sample])
    acc = np.zeros((5, 1, n), np.int64)
    w = program.projections[0].weights.to_dense()
    acc[:, 0] = x[:, 3].astype(np.int64) @ w.T
    u = runner.trace(x[:, 3:4], "1")[0]
    u_0 = acc[0] << 6
    wrapped = np.where(u_0 > HALF, u_0 - 2 * HALF, np.where(u_0 <= -HALF, u_0 + 2 * HALF, u_0))
    np.testing.assert_array_equal(u[0], wrapped)


def test_many_steps_cross_the_chunks():
    """600 steps of one sample and of several: longer than is advanced at once, delays across chunks."""
    rng = np.random.default_rng(2)
    w = [rng.integers(-40, 60, (4, 4)).astype(np.int8) for _ in range(3)]
    program = Program(
        {"in": Population("in", (4,), Input((4,), "binary")), "a": lif("a", (4,), du=300),
         "b": lif("b", (4,), 2)},
        [Projection("p", "in", "a", DenseWeights(w[0])), Projection("q", "a", "b", DenseWeights(w[1]), 0, 50),
         Projection("r", "in", "b", DenseWeights(w[2]), -1, 3)], ["b"],
    )  # fmt: skip
    assert fired(check(program, (rng.random((600, 1, 4)) < 0.3).astype(float)), "a", "b")
    assert fired(check(program, (rng.random((140, 3, 4)) < 0.3).astype(float), threads=2), "a", "b")


def test_integer_neuron_follows_its_float_twin():
    """v >> 6 follows v = v / 2 + a: decay 2048 / 4096, no current state; the tolerance is derived below."""
    steps, rng = 60, np.random.default_rng(3)
    program = Program(
        {"in": Population("in", (8,), Input((8,), "binary")), "n": lif("n", (5,), dv=2048, vth=131071)},
        [Projection("p", "in", "n", DenseWeights(rng.integers(-128, 128, (5, 8)).astype(np.int8)))], ["n"],
    )  # fmt: skip
    x = (rng.random((steps, 1, 8)) < 0.5).astype(float)
    _, v = LoihiSim().compile(program).trace(x, "n")
    a, twin = x[:, 0] @ program.projections[0].weights.to_dense().T, np.zeros(5)
    for t in range(steps):
        twin = twin / 2 + a[t]
        # each step loses below 1 / 64 count, halved ever after: 2 / 64 in all, and one for the shift
        assert np.abs((v[t, 0] >> 6) - twin).max() <= 1 + 2 / 64
    assert np.abs(v).max() > 1 << 6


def conv_program(value: int, exp: int = 0) -> Program:
    w = ConvWeights(
        np.full((1, 2, 181, 181), value, np.int16), (2, 181, 181), (1, 1, 1), (1, 1), (0, 0), (1, 1), 1
    )
    return Program(
        {"in": Population("in", (2, 181, 181), Input((2, 181, 181), "binary")), "n": lif("n", (1, 1, 1))},
        [Projection("p", "in", "n", w, exp, bits=9)], ["n"],
    )  # fmt: skip


@pytest.mark.parametrize("value", [120, 129])  # 2 * 181 * 181 * value: below 2^23, and above
def test_convolution_sums_are_exact_or_wrap_as_asked(value):
    """v = sum << 6, which a membrane clips; a wrapped sum is negative."""
    x = np.ones((1, 1, 2, 181, 181), np.int64)
    total = 2 * 181 * 181 * value
    for wrap in (False, True):
        program = conv_program(value)
        (p,) = program.projections
        p = replace(p, weights=replace(p.weights, wrap=wrap))
        runner = LoihiSim().compile(Program(program.populations, [p], program.outputs))
        wrapped = (total + (1 << 23)) % (1 << 24) - (1 << 23) if wrap else total
        u = runner.trace(x, "n")[0].item()
        assert u == (wrapped << 6) - (1 << 24) * (1 if wrapped > 0 else -1)


def test_loop_listed_against_its_latencies():
    """a feeds b at once, b feeds a two steps later; listed b first, it runs in the order of latency."""
    w = DenseWeights(np.array([[50]], np.int8))
    program = Program(
        {"in": Population("in", (1,), Input((1,), "binary")), "b": lif("b", (1,), 2), "a": lif("a", (1,), 1)},
        [Projection("p", "in", "a", w), Projection("q", "a", "b", w),
         Projection("r", "b", "a", w, 0, 2)], ["b"],
    )  # fmt: skip
    x = np.zeros((9, 1, 1))
    x[0] = 1
    got = LoihiSim().compile(program).run(x, ["a", "b"]).rasters
    assert got["a"][:, 0, 0].tolist() == got["b"][:, 0, 0].tolist() == [1, 0] * 4 + [1]


def test_refusals_say_node_reason_and_remedy():
    target = LoihiSim()
    far = Program({"x": Population("x", (1,), Input((1,), "binary")), "n": lif("n", (1,))}, [
        Projection("p", "x", "n", DenseWeights(np.full((1, 1), 1 << 15)), bits=17)], [])  # fmt: skip
    with pytest.raises(Unsupported, match=r"^p: int64 weights beyond 16 bits; quantise"):
        target.compile(far)
    real = Program({"x": Population("x", (1,), Input((1,)))}, [], [])
    assert target.supports(real) == [
        "x: real-valued input, a chip takes spikes or integers; quantise the graph"
    ]


def test_bad_input_is_one_line():
    runner = LoihiSim().compile(wide_program(3))
    for x, why in (
        (np.zeros((2, 1, 4)), "shape"),
        (np.zeros((0, 1, 3)), "no steps"),
        (np.full((2, 1, 3), np.nan), "NaN"),
        (np.full((2, 1, 3), 2.0), "expected 0 and 1"),
    ):
        with pytest.raises(BadInput, match=why):
            runner.run(x)
    with pytest.raises(BadInput, match="raster of 'z'"):
        runner.run(np.zeros((2, 1, 3)), ["z"])
    with pytest.raises(BadInput, match="method"):
        LoihiSim(method="fast")
