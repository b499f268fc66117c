"""Synaptic events of a program: dense, sparse and convolution projections, delays, populations."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.ir import (
    ConvWeights,
    DenseWeights,
    Input,
    LoihiIntegrator,
    LoihiLIF,
    LoihiSigmaDelta,
    LoihiTernaryLIF,
    Population,
    Program,
    Projection,
    SparseWeights,
    Unsupported,
)
from energy.counts import count_program, counter

CONV = ConvWeights(np.array([[[[1, 0, 2]]]]), (1, 1, 3), (1, 1, 3), (1, 1), (0, 1), (1, 1), 1)
SPARSE = SparseWeights(np.array([0, 2, 2, 3]), np.array([0, 1, 1]), np.array([5, 0, -3], np.int8), (2, 3))
DENSE = DenseWeights(np.array([[1, 0, 2], [0, 0, 3]], np.int8))


def program(weights, delay=0):
    size = weights.shape[0]
    populations = {
        "x": Population("x", (1, 1, 3), Input((1, 1, 3), "binary")),
        "lif": Population("lif", (size,), LoihiLIF(100, 5), 1),
    }
    return Program(populations, (Projection("x>lif", "x", "lif", weights, delay=delay),), ("lif",))


@pytest.mark.parametrize("weights, degree, nonzero, dense", [
    (DENSE, [2, 2, 2], [1, 0, 2], 6),
    (SPARSE, [2, 0, 1], [1, 0, 1], 3),  # a stored zero is a synapse, a structural one is not
    (CONV, [2, 3, 2], [1, 2, 1], 9),  # taps (1, 0, 2): the ends of the row miss one tap each
])  # fmt: skip
def test_out_degrees(weights, degree, nonzero, dense):
    for i in range(3):
        x = np.zeros((1, 1, 1, 1, 3), np.uint8)
        x[..., i] = 1
        rasters = {"x": x, "lif": np.ones((1, 1, weights.shape[0]), np.uint8)}
        c = count_program(program(weights), rasters)
        found = [c.total(f)[0] for f in ("ac", "sop_exact", "sop_nonzero", "dense_mac")]
        assert found == [degree[i], degree[i], nonzero[i], dense]


@pytest.mark.parametrize("weights", [DENSE, SPARSE, CONV])
def test_delays_drop_spikes_that_arrive_after_the_run(weights):
    x, lif = np.ones((5, 2, 3), np.uint8), np.ones((5, 2, weights.shape[0]), np.uint8)
    events = [count_program(program(weights, d), {"x": x, "lif": lif}).total("ac") for d in range(7)]
    once = events[4][0]
    assert once > 0 and [e.tolist() for e in events] == [[once * n] * 2 for n in (5, 4, 3, 2, 1, 0, 0)]


def test_populations_and_readouts():
    populations = {
        "x": Population("x", (3,), Input((3,), "graded", 0.1)),
        "lif": Population("lif", (2,), LoihiLIF(100, 5), 1),
        "out": Population("out", (2,), LoihiIntegrator(), 2),
    }
    p = Program(
        populations,
        (
            Projection("a", "x", "lif", DENSE),
            Projection("b", "lif", "out", DenseWeights(np.ones((2, 2), np.int8))),
        ),
        ("out",),
    )
    many = counter(p)
    assert many.rasters == ("x", "lif")
    c = many.count({"x": np.array([[[7, 0, -2]]]), "lif": np.array([[[1, 0]]], np.uint8)})
    assert (c.of(c["a"], "mac")[0], c.of(c["b"], "ac")[0]) == (4, 2)  # graded spikes multiply
    assert (c["a"].spike_input, c["b"].spike_input) == (False, True)
    assert c.total("neuron_steps")[0] == 4 and c.total("spikes_out")[0] == 1


def test_a_projection_from_a_readout_is_refused():
    populations = {
        "x": Population("x", (1,), LoihiIntegrator()), "i": Population("i", (1,), Input((1,), "binary")),
        "y": Population("y", (1,), LoihiLIF(0, 1), 1),
    }  # fmt: skip
    p = Program(populations, (Projection("p", "x", "y", DenseWeights(np.ones((1, 1), np.int8))),), ("y",))
    with pytest.raises(Unsupported, match="p: its source x does not spike"):
        count_program(p, {"i": np.ones((1, 1, 1), int), "y": np.ones((1, 1, 1), int)})


@pytest.mark.parametrize("model, field", [
    (LoihiTernaryLIF(0, 5, -5), "ac"),  # a signed spike is added or subtracted
    (LoihiSigmaDelta(5), "mac"),  # a graded one is multiplied
])  # fmt: skip
def test_signed_and_graded_messages(model, field):
    """Two synapses leave each neuron; three messages that are not 0 make six operations."""
    populations = {
        "x": Population("x", (2,), Input((2,), "binary")), "n": Population("n", (2,), model, 1),
        "out": Population("out", (2,), LoihiIntegrator(), 2),
    }  # fmt: skip
    weights = DenseWeights(np.ones((2, 2), np.int8))
    joined = Program(populations, (Projection("p", "n", "out", weights),), ("out",))
    top = 1 if field == "ac" else 70000
    sent = np.array([[[1, 0]], [[-1, top]]])
    c = count_program(joined, {"x": np.zeros((2, 1, 2), np.uint8), "n": sent})
    assert c.total(field).tolist() == [6] and c.total("sop_exact").tolist() == [6]
    assert c["n"].counts["spikes_out"].tolist() == [3]


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["dense", "sparse", "conv"]), delay=st.integers(0, 4), steps=st.integers(1, 4),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_every_synapse_by_loops(kind, delay, steps, seed):
    """One event for each spike and stored synapse that it passes within the run, at the step of the spike."""
    rng = np.random.default_rng(seed)
    if kind == "dense":
        weights = DenseWeights(rng.integers(-1, 2, (3, 4)).astype(np.int8))
        ends = [(i, o) for i in range(4) for o in range(3)]
    elif kind == "sparse":
        rows = [np.flatnonzero(rng.random(3) < 0.5) for _ in range(4)]
        starts = np.cumsum([0, *(len(r) for r in rows)])
        values = rng.integers(-1, 2, starts[-1]).astype(np.int8)
        weights = SparseWeights(starts, np.concatenate(rows).astype(np.int64), values, (3, 4))
        ends = [(i, o) for i, row in enumerate(rows) for o in row]
    else:
        weights = ConvWeights(
            rng.integers(-1, 2, (1, 1, 1, 3)), (1, 1, 4), (1, 1, 2), (1, 2), (0, 1), (1, 1), 1
        )
        ends = [(o * 2 + tap - 1, o) for o in range(2) for tap in range(3) if 0 <= o * 2 + tap - 1 < 4]
    populations = {
        "x": Population("x", (1, 1, 4), Input((1, 1, 4), "binary")),
        "lif": Population("lif", (weights.shape[0],), LoihiLIF(100, 5), 1),
    }
    made = Program(populations, (Projection("p", "x", "lif", weights, delay=delay),), ("lif",))
    x = (rng.random((steps, 2, 1, 1, 4)) < 0.6).astype(np.uint8)
    found = count_program(made, {"x": x, "lif": np.zeros((steps, 2, weights.shape[0]), np.uint8)})["p"]
    want = [[0] * steps for _ in range(2)]
    for (source, _), t, n in itertools.product(ends, range(steps), range(2)):
        want[n][t] += int(x[t, n, 0, 0, source]) * (t + delay < steps)
    assert found.by_step["sop_exact"].tolist() == want
    assert found.counts["sop_exact"].tolist() == found.counts["ac"].tolist() == [sum(w) for w in want]
    assert found.first and found.head
