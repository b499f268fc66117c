"""The reference from mathematics: rates, impulse responses, thresholds; and the float and integer twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.ir import (
    IF,
    LIF,
    Affine,
    BadInput,
    CubaLIF,
    Graph,
    Input,
    LeakyIntegrator,
    LoihiIntegrator,
    LoihiLIF,
    StageError,
    Unsupported,
)
from convert.passes.lower import lower
from deploy.calibration import calibrate
from deploy.reference import Reference, membrane, values
from deploy.reference_neurons import decayed
from deploy.target import TARGETS, check_input, kind, target


def drive(a, steps):
    """A constant current a for that many steps, one sample, one neuron."""
    return np.full((steps, 1, 1), a)


def times(node, a, steps=60):
    """Steps (from 1) at which the neuron spikes under a constant current."""
    return [t + 1 for t in np.flatnonzero(membrane(node, drive(a, steps))[0])]


@pytest.mark.parametrize(("a", "period"), [(0.25, 5), (0.3, 4), (0.5, 3), (1.0, 2), (1.5, 1)])
def test_the_rate_of_an_if_neuron(a, period):
    """v = n a; the first n with n a > 1, strictly: 4 * 0.25 is on the threshold and does not spike."""
    found = times(IF(1.0), a)
    assert found == list(range(period, 61, period))


@pytest.mark.parametrize(("a", "dv"), [(0.6, 0.5), (0.3, 0.25), (0.12, 0.1), (2.0, 0.5)])
def test_the_rate_of_a_lif_neuron(a, dv):
    """v_n = a (1 - (1 - dv)^n) / dv from rest; the first n above 1 is the period, exactly."""
    period = next(n for n in range(1, 100) if a * (1 - (1 - dv) ** n) / dv > 1)
    found = times(LIF(dv), a)
    assert found == list(range(period, 61, period))
    assert len(found) > 2, "vacuous case"


def test_below_the_fixed_point_a_lif_neuron_is_silent():
    """v tends to a / dv: at 1 exactly it never passes the threshold of 1."""
    assert times(LIF(0.5), 0.5) == []
    assert times(LIF(0.5), 0.51) != []


def test_the_impulse_response_of_a_current_state():
    """Impulse 1: u = (1/2)^t, v_t = sum of the halves = 2 - 2^-t without a leak: exact in binary."""
    a = np.zeros((6, 1, 1))
    a[0] = 1.0
    before = membrane(CubaLIF(0.5, 0.0, 9.0), a)[1]
    assert before.reshape(-1).tolist() == [2 - 2.0**-t for t in range(6)]


def test_the_reset_sets_v_to_zero_and_leaves_u():
    """Spike at step 1; then u = 1.5 / 2 alone is in v: a reset by subtraction would have left 0.5 more."""
    a = np.zeros((3, 1, 1))
    a[0] = 1.5
    out, before = membrane(CubaLIF(0.5, 0.0, 1.0), a)
    assert out.reshape(-1).tolist() == [1, 0, 1]
    assert before.reshape(-1).tolist() == [1.5, 0.75, 0.75 + 0.375]


def test_a_bias_acts_from_the_first_step_and_v_may_go_below_rest():
    out, before = membrane(LIF(0.5, bias=np.array(0.25)), np.array([-2.0, 0.0, 3.0]).reshape(3, 1, 1))
    assert before.reshape(-1).tolist() == [-1.75, -0.625, 2.9375]
    assert out.reshape(-1).tolist() == [0, 0, 1]


def test_a_readout_never_spikes():
    out, _ = membrane(LeakyIntegrator(0.5), drive(100.0, 3))
    assert out.reshape(-1).tolist() == [100.0, 150.0, 175.0]


def dec(x, d):
    """The docstring of convert.ir.loihi in Python integers, which never overflow."""
    product = x * (4096 - d)
    return (abs(product) >> 12) * (1 if product >= 0 else -1)


@given(st.integers(-(2**24), 2**24), st.integers(0, 4096))
def test_a_decay_truncates_toward_zero(x, d):
    got = int(decayed(np.array(x), d))
    assert got == dec(x, d) == -int(decayed(np.array(-x), d))
    assert abs(got) <= abs(x)


@given(st.lists(st.integers(-(2**18), 2**18), min_size=1, max_size=12), st.data())
def test_the_integer_neuron_by_its_docstring(drives, data):
    """Python integers, step by step, values up to where u wraps and v saturates."""
    du, dv = data.draw(st.integers(0, 4095)), data.draw(st.integers(0, 4096))
    vth, mant, exp = (
        data.draw(st.integers(0, 2**17 - 1)),
        data.draw(st.integers(-4096, 4095)),
        data.draw(st.integers(0, 7)),
    )
    out, before = membrane(LoihiLIF(dv, vth, du, np.array(mant), exp), np.array(drives).reshape(-1, 1, 1))
    u = v = 0
    for t, a in enumerate(drives):
        u = dec(u, du + 1) + a * 64
        u = u - 2**24 if u > 2**23 else u + 2**24 if u <= -(2**23) else u
        v = min(max(dec(v, dv) + u + mant * 2**exp, 1 - 2**23), 2**23 - 1)
        assert before[t].item() == v
        assert out[t].item() == (v > vth * 64)
        v = 0 if v > vth * 64 else v


def test_the_integer_neuron_meets_wrap_and_saturation_by_hand():
    """a = 2^17: a << 6 = 2^23, not above it: u stays, v saturates at 2^23 - 1. One more wraps to negative."""
    quiet = LoihiIntegrator(vth=131071)
    stay = membrane(quiet, np.array([[[1 << 17]]]))[1].item()
    wrap = membrane(quiet, np.array([[[(1 << 17) + 1]]]))[1].item()
    low = membrane(quiet, np.array([[[-(1 << 17)]]]))[1].item()
    assert (stay, wrap, low) == ((1 << 23) - 1, -(1 << 23) + 64, (1 << 23) - 1)


def test_the_integer_twin_shifted_is_the_float_one():
    """Halves decay exactly in both: v_int / 2^6 is v_float while 2^6 gives room for the fraction."""
    a = np.random.default_rng(0).integers(-50, 90, (6, 4, 5))
    out_i, before_i = membrane(LoihiLIF(dv=2048, vth=100), a)
    out_f, before_f = membrane(LIF(0.5, 100.0), a.astype(float))
    assert out_i.any(), "vacuous case"
    np.testing.assert_array_equal(before_i / 64, before_f)
    np.testing.assert_array_equal(out_i, out_f)


def test_permuting_neurons_permutes_the_outputs(graph_cases):
    """fc1 and fc2 of the dense net with the hidden layer in another order: the same readout to rounding."""
    graph, x = graph_cases["dense"].graph, graph_cases["dense"].x(20, 4)
    order = np.random.default_rng(1).permutation(8)
    fc1, fc2 = graph.nodes["fc1"], graph.nodes["fc2"]
    nodes = {
        **graph.nodes,
        "fc1": Affine(fc1.weight[order], fc1.bias[order]),
        "fc2": Affine(fc2.weight[:, order]),
    }
    a, b = values(graph, x), values(Graph(nodes, graph.edges, graph.outputs, graph.stage), x)
    assert a["lif1"].any(), "vacuous case"
    np.testing.assert_array_equal(b["lif1"], a["lif1"][..., order])
    np.testing.assert_array_equal(b["lif2"], a["lif2"])
    np.testing.assert_allclose(b["out"], a["out"], rtol=1e-12)


def test_values_have_the_types_they_promise(case, integer_of):
    integer = integer_of(case.name).graph
    for graph, wide in ((case.graph, np.float64), (integer, np.int64)):
        got = values(graph, case.x(4, 2))
        for name in graph.nodes:
            assert got[name].shape == (4, 2, *graph.shapes[name])
            if name in graph.spiking():
                assert got[name].dtype == np.uint8
            elif name not in graph.sources():
                assert got[name].dtype == wide, name


def test_an_integer_product_above_2_to_the_53_is_refused():
    weight = np.full((1, 1), 2**62)
    nodes = {"input": Input((1,), "binary"), "fc": Affine(weight), "lif": LoihiLIF(0, 1)}
    graph = Graph(nodes, (("input", "fc"), ("fc", "lif")), ("lif",), "integer")
    with pytest.raises(Unsupported, match=r"above 2.53"):
        values(graph, np.ones((1, 1, 1)))


def test_the_runner_counts_what_the_raster_shows(integer_case):
    graph = integer_case.graph
    x = integer_case.x(15, 3)
    got = Reference().compile(graph).run(x, [*graph.spiking(), graph.input()])
    for name in graph.spiking():
        np.testing.assert_array_equal(got.counts[name], got.rasters[name].sum(axis=0, dtype=np.int64))
    np.testing.assert_array_equal(got.rasters[graph.input()], integer_case.source.encode(x))
    assert got.steps == 15 and got.samples == 3 and got.wall_s >= 0


def test_the_reference_refuses_what_is_no_legal_graph(integer_of):
    program = lower(integer_of("dense").graph)
    assert Reference().supports(program)
    with pytest.raises(Unsupported):
        Reference().compile(program)
    nodes = {"input": Input((1,)), "fc": Affine([[np.nan]])}
    with pytest.raises(StageError, match=r"fc.weight: holds NaN"):
        Reference().compile(Graph(nodes, (("input", "fc"),), ("fc",)))


def test_calibration_by_hand():
    """Weight 2, threshold 3, no leak, input 1 1 1 0: v = 2, 4 (spike), 2, 2. Peak 4, rate 1/4, input 3/4."""
    nodes = {"input": Input((1,), "binary"), "fc": Affine([[2.0]]), "if": IF(3.0)}
    graph = Graph(nodes, (("input", "fc"), ("fc", "if")), ("if",), "folded")
    got = calibrate(graph, np.array([1, 1, 1, 0]).reshape(4, 1, 1))
    assert dict(got.peak) == {"input": 1.0, "if": 4.0}
    assert {n: r.tolist() for n, r in got.rate.items()} == {"input": [0.75], "if": [0.25]}
    below = {"input": 0.0, "if": 0.0}
    assert dict(calibrate(graph, np.zeros((4, 1, 1))).peak) == below


def test_calibration_sees_the_depth_of_a_negative_membrane():
    nodes = {"input": Input((1,)), "fc": Affine([[1.0]]), "if": IF(3.0)}
    graph = Graph(nodes, (("input", "fc"), ("fc", "if")), ("if",), "folded")
    assert calibrate(graph, np.array([-5.0, 1.0]).reshape(2, 1, 1)).peak["if"] == 5.0


def test_targets_by_name(case, integer_of):
    with pytest.raises(BadInput, match="'tpu' is unknown; known: reference, onnx, loihi-sim, lava"):
        target("tpu")
    integer = integer_of(case.name).graph
    assert (kind(case.graph), kind(integer), kind(lower(integer))) == ("float", "integer", "program")
    assert "reference" in TARGETS


@pytest.mark.parametrize("shape", [(0, 1, 3), (1, 0, 3), (1, 1, 4), (1, 3), (1, 1, 3, 1)])
def test_an_input_of_another_shape_is_refused(shape):
    with pytest.raises(BadInput, match="input has shape"):
        check_input(np.zeros(shape), (3,))
