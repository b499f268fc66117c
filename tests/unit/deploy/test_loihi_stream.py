"""loihi-sim frame by frame against its whole-window runs, on random programs: integers, tolerance zero.

The whole-window runs follow the equations themselves (test_loihi_sim.py). After every frame, readouts and the
messages of outputs are compared; at the end u and v of every population, against `LoihiRunner.trace`.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from benchmarks.random_programs import MODELS, Case, random_case
from convert.ir import (
    ArtifactError,
    BadInput,
    ConvWeights,
    DenseWeights,
    Input,
    LoihiDelta,
    LoihiIntegrator,
    LoihiLIF,
    Population,
    Program,
    Projection,
    SparseWeights,
    Unsupported,
)
from deploy.loihi_sim import LoihiSim
from deploy.loihi_stream import LoihiStream
from deploy.loihi_stream_layout import COLUMNS, DENSE, GROUPED, KIND, Panels, form


def sparse(w: np.ndarray, there: np.ndarray) -> SparseWeights:
    """The entries of w [out, in] where `there`."""
    rows, cols = np.nonzero(there.T)[::-1]
    return SparseWeights(np.concatenate([[0], np.cumsum(there.sum(0))]), rows, w[rows, cols], w.shape)


def matrix(rng: np.random.Generator, out: int, size: int, bits: int) -> DenseWeights | SparseWeights:
    """Dense; sparse at random; block-diagonal up to an order; or an identity."""
    top = 1 << (bits - 1)
    w = rng.integers(-top, top, (out, size)).astype(np.int8 if bits <= 8 else np.int16)
    kind = rng.integers(4)
    if kind == 0:
        return DenseWeights(w)
    if kind == 1:
        return sparse(w, rng.random(w.shape) < 0.3)
    if kind == 2:
        return sparse(w, (np.arange(out) % 3)[:, None] == np.arange(size) % 3)
    return sparse(w, np.eye(out, size, dtype=bool))


def random_program(seed: int) -> tuple[Program, np.ndarray]:
    """input -> a -> b -> readout with residuals, sometimes loops; 8 or 16 bits; exponents of both signs."""
    rng = np.random.default_rng(seed)
    n, graded, bits = int(rng.integers(3, 40)), bool(rng.integers(2)), int(rng.choice([8, 8, 12]))
    source = Input((n,), "graded", 1.0, 8) if graded else Input((n,), "binary")

    def lif(name: str, latency: int) -> Population:
        du, dv = int(rng.choice([4095, 300])), int(rng.choice([0, 512, 4096]))
        mant = rng.integers(-200, 600, n)
        return Population(name, (n,), LoihiLIF(dv, 30 << (bits - 8), du, mant, 2), latency)

    populations = {"in": Population("in", (n,), source), "a": lif("a", 4), "b": lif("b", 8)}
    populations["out"] = Population("out", (5,), LoihiIntegrator(dv=int(rng.choice([0, 99]))), 12)
    ends = [("in", "a", 0), ("a", "b", 0), ("b", "out", 0), ("in", "b", 3), ("in", "out", 2), ("a", "b", 4)]
    if rng.integers(2):
        ends += [("b", "a", 7), ("b", "b", 2), ("a", "a", 1)]
    projections = [
        Projection(
            f"{k}", src, dst, matrix(rng, populations[dst].size, n, bits), int(rng.choice([-3, -1, 0, 1])),
            delay, bits,
        )
        for k, (src, dst, delay) in enumerate(ends)
    ]  # fmt: skip
    shape = (int(rng.integers(1, 25)), int(rng.integers(1, 4)), n)
    x = np.rint(rng.normal(0, 40, shape)) if graded else (rng.random(shape) < 0.4).astype(float)
    return Program(populations, tuple(projections), ("out", "b")), x


def check(program: Program, x: np.ndarray) -> int:
    """Every frame equal; the spikes of the outputs."""
    spiking = [n for n in program.outputs if not isinstance(program.populations[n].model, LoihiIntegrator)]
    readouts = [n for n in program.outputs if n not in spiking]
    runner = LoihiSim(threads=1).compile(program)
    rasters = runner.run(x, spiking).rasters
    want = {n: runner.trace(x, n) for n in program.neurons()}
    stream = LoihiStream(program, x.shape[1])
    for t, frame in enumerate(x):
        got = stream(frame)
        for name in spiking:
            np.testing.assert_array_equal(got[name], rasters[name][t], err_msg=f"{name} {t}")
            assert got[name].dtype == np.uint8
        for name in readouts:
            np.testing.assert_array_equal(got[name], want[name][1][t], err_msg=f"{name} {t}")
            assert got[name].dtype == np.int64
    held = stream.state()
    for name, (u, v) in want.items():
        np.testing.assert_array_equal(held[f"{name}.u"].reshape(u[-1].shape), u[-1], err_msg=name)
        np.testing.assert_array_equal(held[f"{name}.v"].reshape(v[-1].shape), v[-1], err_msg=name)
    return sum(int(rasters[n].sum()) for n in spiking)


def test_random_programs_stream_as_they_run():
    assert sum(check(*random_program(seed)) for seed in range(40)) > 2000


def streamed(case: Case) -> Counter[str]:
    """A program of any neurons against its meaning (`deploy.reference_program`): what each output gives at
    every frame, all states after the last; half way another stream goes on from the state of the first."""
    program, want = case.program, case.trace
    stream, other = (LoihiStream(program, case.x.shape[1]) for _ in range(2))
    held: Counter[str] = Counter()
    for t, frame in enumerate(case.x):
        if t == len(case.x) // 2:
            other.restore(stream.state())
            stream = other
        for name, value in stream(frame).items():
            np.testing.assert_array_equal(value, want.sent[name][t], err_msg=f"{name} {t}")
            held[type(program.populations[name].model).__name__] += int(np.count_nonzero(value))
    found = stream.state()
    for name, states in want.states.items():
        for key, state in states.items():
            got = found[f"{name}.{key}"].reshape(state[-1].shape)
            np.testing.assert_array_equal(got, state[-1], err_msg=f"{name}.{key}")
    return held


def test_every_kind_of_neuron_and_synapse_streams():
    """Programs that meet the edges of the arithmetic: graded and ternary messages, ports, wraps, cycles."""
    cases = [random_case(seed, MODELS[seed % len(MODELS)]) for seed in range(3 * len(MODELS))]
    held = sum((streamed(case) for case in cases), Counter())
    names = sum((Counter({type(p.model).__name__ for p in c.program.populations.values()}) for c in cases),
                Counter())  # fmt: skip
    assert all(names[m.__name__] > 2 for m in MODELS), names
    assert sum(held.values()) > 300, held


def test_a_message_too_large_stops_the_stream_until_it_is_reset():
    program = Program(
        {"in": Population("in", (1,), Input((1,), "graded", 1.0, 16)),
         "d": Population("d", (1,), LoihiDelta(vth=0, spike_exp=0, state_exp=0), 1)},
        (Projection("p", "in", "d", DenseWeights(np.array([[30000]], np.int16)), bits=16),), ("d",),
    )  # fmt: skip
    stream = LoihiStream(program)
    assert stream.frame(np.array([10.0]))["d"].tolist() == [300_000]
    with pytest.raises(Unsupported, match="d: a message of magnitude"):
        stream.frame(np.array([3000.0]))
    with pytest.raises(BadInput, match="reset or restore"):
        stream.frame(np.array([0.0]))
    with pytest.raises(BadInput, match="no state to save"):
        stream.state()
    stream.reset()
    assert stream.frame(np.array([10.0]))["d"].tolist() == [300_000]


@pytest.mark.parametrize("exp", [-2, 1])
def test_convolution_over_images(exp):
    rng = np.random.default_rng(3)
    w = ConvWeights(
        rng.integers(-60, 128, (4, 2, 3, 2)).astype(np.int8), (4, 6, 3), (4, 3, 2), (2, 1), (1, 0), (1, 1), 2
    )
    program = Program(
        {"in": Population("in", (4, 6, 3), Input((4, 6, 3), "binary")),
         "n": Population("n", (4, 3, 2), LoihiLIF(512, 40), 1)},
        (Projection("p", "in", "n", w, exp),), ("n",),
    )  # fmt: skip
    assert check(program, (rng.random((9, 2, 4, 6, 3)) < 0.4).astype(float)) > 20


@pytest.mark.parametrize(("bits", "graded"), [(8, False), (16, False), (8, True)])
def test_more_spikes_than_a_short_sum_holds(bits, graded):
    """700 sources at the peak weight: int16 sums of 8-bit rows end at 255 of them."""
    n, top = 700, (1 << (bits - 1)) - 1
    w = np.full((3, n), top, np.int8 if bits <= 8 else np.int16)
    w[1] = -top - 1
    source = Input((n,), "graded", 1.0, 8) if graded else Input((n,), "binary")
    program = Program(
        {"in": Population("in", (n,), source), "n": Population("n", (3,), LoihiIntegrator(dv=4096), 1)},
        (Projection("p", "in", "n", DenseWeights(w), -8, bits=bits),), ("n",),
    )  # fmt: skip
    x = np.full((3, 1, n), 100.0 if graded else 1.0)
    check(program, x)
    total = int(x[0, 0] @ w[0].astype(np.int64))
    assert LoihiStream(program).frame(x[0, 0])["n"][0] == min((total >> 8) << 6, (1 << 23) - 1)


def test_each_form_of_weights_is_used():
    """A graph convolution is dense, a convolution over steps has a panel a joint, an identity is columns."""
    rng = np.random.default_rng(0)
    w = rng.integers(-9, 9, (640, 640)).astype(np.int8)
    joint = np.arange(640) % 20
    mix = form(sparse(w, joint[:, None] == joint), 0.1)
    assert isinstance(mix, Panels) and len(mix.rows) == 20 and mix.rows[0].shape == (32, 32)
    assert form(DenseWeights(w), 0.1) == DENSE
    assert form(sparse(w, np.eye(640, dtype=bool)), 0.1) == COLUMNS


def test_a_shared_kernel_is_held_once():
    rng = np.random.default_rng(0)
    w = np.kron(rng.integers(-9, 9, (32, 32)), np.eye(20, dtype=int)).astype(np.int8)  # (channel, joint)
    joint = np.arange(640) % 20
    populations = {
        "in": Population("in", (640,), Input((640,), "binary")),
        "n": Population("n", (640,), LoihiLIF(512, 15), 1),
    }
    p = Projection("p", "in", "n", sparse(w, joint[:, None] == joint))
    stream = LoihiStream(Program(populations, (p,), ("n",)))
    assert stream.layout.table[0, KIND] == GROUPED
    assert stream.layout.weights.size < 2 * 32 * 32
    assert check(stream.plan.program, (rng.random((6, 1, 640)) < 0.2).astype(float)) > 50


def test_nothing_grows_with_the_frames():
    """The arrays of a stream are the same objects after many frames, more than any delay."""
    program, x = random_program(1)
    stream = LoihiStream(program, x.shape[1])
    before = {n: a.__array_interface__["data"] for n, a in stream._held().items()}
    for t in range(100):
        stream(x[t % len(x)])
    assert {n: a.__array_interface__["data"] for n, a in stream._held().items()} == before


def test_a_past_that_no_population_sends_is_refused():
    program, x = random_program(1)
    stream = LoihiStream(program, x.shape[1])
    state = stream.state()
    name = next(n for n in state if n.endswith(".past") and n != "in.past")
    state[name] = np.full_like(state[name], 7)
    with pytest.raises(ArtifactError, match="messages beyond 1"):
        stream.restore(state)


def test_latency_is_the_outputs():
    program, _ = random_program(0)
    assert LoihiStream(program).latency_steps == 12
