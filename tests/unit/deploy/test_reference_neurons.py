"""Every Loihi neuron by hand-sized examples; wherever a step runs, loihi-sim must give the same."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from convert.ir import (
    Affine,
    DenseWeights,
    Graph,
    GraphError,
    Input,
    LoihiDelta,
    LoihiIntegrator,
    LoihiLIF,
    LoihiLIFRefractory,
    LoihiLIFReset,
    LoihiRF,
    LoihiRFIZ,
    LoihiSigma,
    LoihiSigmaDelta,
    LoihiTernaryLIF,
    Population,
    Program,
    Projection,
    Unsupported,
)
from convert.passes.lower import lower
from convert.to_onnx import scan_model
from deploy.loihi_sim import LoihiSim
from deploy.reference import Reference, membrane, values
from deploy.reference_program import record, run, trace


def driven(model, *series):
    """One neuron, a graded input a port with weight 1; its trace, checked against loihi-sim."""
    x = np.array(series).T[:, None, :]
    source = Input((len(series),), "graded", bits=24)
    populations = {"x": Population("x", source.shape, source), "n": Population("n", (1,), model, 1)}
    projections = [
        Projection(port, "x", "n", DenseWeights(np.eye(len(series), dtype=np.int8)[k : k + 1]), port=port)
        for k, port in enumerate(model.ports)
    ]
    program = Program(populations, projections, ("n",))
    found = trace(program, x)
    kept = ("n",) if model.spiking else ()
    want, runner = record(program, found, kept), LoihiSim(threads=1).compile(program)
    got = runner.run(x, kept)
    assert np.array_equal(got.outputs["n"], want.outputs["n"])
    for name in kept:
        assert np.array_equal(got.rasters[name], want.rasters[name])
        assert got.rasters[name].dtype == want.rasters[name].dtype
        assert np.array_equal(got.counts[name], want.counts[name])
    for key, state in runner.states(x, "n").items():
        assert np.array_equal(state, found.states["n"][key]), key
    return found


def sent(model, *series):
    return driven(model, *series).sent["n"].reshape(-1).tolist()


def test_ternary_spikes_have_signs_and_equality_is_silent():
    assert sent(LoihiTernaryLIF(dv=4096, vth_hi=5, vth_lo=-3), [5, 6, -3, -4, 0]) == [0, 1, 0, -1, 0]


def test_reset_forgets_before_its_step():
    """v = sum of inputs, emptied before steps 2 and 5: 10, 20 | 10, 20, 30 | 10."""
    model = LoihiLIFReset(dv=0, vth=25, reset_interval=3, reset_offset=2)
    found = driven(model, [10] * 6)
    assert (found.states["n"]["v"].reshape(-1) >> 6).tolist() == [10, 20, 10, 20, 0, 10]
    assert found.sent["n"].reshape(-1).tolist() == [0, 0, 0, 0, 1, 0]


def test_refractory_neuron_stands_still_for_as_many_steps():
    """Without leak or current: a spike each time v passes 15, and two steps of rest behind it."""
    model = LoihiLIFRefractory(dv=0, vth=15, refractory=2)
    assert sent(model, [10] * 9) == [0, 1, 0, 0, 0, 1, 0, 0, 0]


def test_current_flows_on_while_the_membrane_rests():
    found = driven(LoihiLIFRefractory(dv=4096, du=2047, vth=15, refractory=1), [16, 0, 0, 0])
    assert found.states["n"]["u"].reshape(-1).tolist() == [1024, 512, 256, 128]
    assert found.states["n"]["v"].reshape(-1).tolist() == [0, 0, 256, 128]


def test_a_resonator_spikes_once_a_turn():
    """A quarter turn a step, no loss; pushed once, (real, imag) go (8, 0), (0, 8), (-8, 0), (0, -8)."""
    push = [8] + [0] * 11
    found = driven(LoihiRF(sin_decay=4096, cos_decay=0, vth=8, state_exp=6), push, [0] * 12)
    assert (found.states["n"]["imag"].reshape(-1) >> 6).tolist() == [0, 8, 0, -8] * 3
    assert np.flatnonzero(found.sent["n"]).tolist() == [4, 8]  # real = vth meets it: >=
    assert sent(LoihiRF(sin_decay=4096, cos_decay=0, vth=9), push, [0] * 12) == [0] * 12


def test_a_resonator_truncates_toward_zero():
    """5 * 2048 / 4096 is 2, of -5 it is -2."""
    model = LoihiRF(sin_decay=0, cos_decay=2048, vth=100, state_exp=0)
    states = driven(model, [5, 0], [-5, 0]).states["n"]
    assert states["real"].reshape(-1).tolist() == [5, 2] and states["imag"].reshape(-1).tolist() == [-5, -2]


def test_izhikevich_resonator_resets_one_below_its_threshold():
    found = driven(LoihiRFIZ(sin_decay=0, cos_decay=4096, vth=3, state_exp=2), [9, 0], [3, 0])
    assert found.sent["n"].reshape(-1).tolist() == [1, 0]  # imag = 12 = vth << 2: >=
    assert found.states["n"]["imag"].reshape(-1).tolist() == [11, 11]
    assert found.states["n"]["real"].reshape(-1).tolist() == [0, 0]


def test_delta_sends_changes_that_reach_its_threshold():
    found = driven(LoihiDelta(vth=3, spike_exp=1, state_exp=1), [2, 3, 3, 9, 4])
    assert found.sent["n"].reshape(-1).tolist() == [0, 6, 0, 12, -10]  # in counts << spike_exp
    assert found.states["n"]["residue"].reshape(-1).tolist() == [8, 0, 0, 0, 0]


def test_lost_bits_are_carried_or_forgotten():
    """7 quarters: 1 goes out, 3 are kept; with one more they are a whole count."""
    kept = driven(LoihiSigmaDelta(vth=0, state_exp=2, carry=True), [7, 1, 0, -1])
    assert kept.sent["n"].reshape(-1).tolist() == [1, 1, 0, -1]  # sums: floor of 7, 8, 8, 7 quarters
    assert kept.states["n"]["residue"].reshape(-1).tolist() == [3, 0, 0, 3]
    lost = driven(LoihiSigmaDelta(vth=0, state_exp=2), [7, 1, 0, -1])
    assert lost.sent["n"].reshape(-1).tolist() == [1, 0, 0, -1]


def test_delta_with_accumulated_error():
    """Errors 2, 4: at 4 the change (2 + residue 0...) goes out and the error starts anew."""
    found = driven(LoihiDelta(vth=5, cum_error=True), [2, 2, 2, 2])
    assert found.sent["n"].reshape(-1).tolist() == [0, 0, 2, 0]  # errors 2, 4, 6 -> sent
    assert found.states["n"]["error"].reshape(-1).tolist() == [2, 4, 0, 0]


def test_sigma_restores_what_delta_took_apart():
    """A slow sine through Delta, a synapse and Sigma comes back to within the threshold."""
    series = np.rint(1000 * np.sin(np.arange(60) / 9)).astype(np.int64)
    populations = {
        "x": Population("x", (1,), Input((1,), "graded", bits=16)),
        "delta": Population("delta", (1,), LoihiDelta(vth=50), 1),
        "sigma": Population("sigma", (1,), LoihiSigma(), 2),
    }  # fmt: skip
    one = DenseWeights(np.array([[1]], np.int8))
    way = (Projection("a", "x", "delta", one), Projection("b", "delta", "sigma", one))
    program = Program(populations, way, ("sigma",))
    x = series.reshape(-1, 1, 1)
    found = trace(program, x)
    off = np.abs(found.sent["sigma"].reshape(-1) - series)
    assert 0 < off.max() < 50
    assert 5 < np.count_nonzero(found.sent["delta"]) < 50
    assert LoihiSim().compile(program).run(x).outputs["sigma"].item() == found.sent["sigma"][-1].item()


def test_sigma_delta_rectifies_or_not():
    assert sent(LoihiSigmaDelta(vth=1, bias=2), [-5, 0, 5, 0]) == [0, 0, 2, 0]
    assert sent(LoihiSigmaDelta(vth=1, bias=2, act="unit"), [-5, 0, 5, 0]) == [-3, 0, 5, 0]
    assert sent(LoihiSigmaDelta(vth=1, state_exp=3, act="unit"), [-9, 0, 0, 0]) == [
        -2,
        0,
        0,
        0,
    ]  # floor shift


def test_messages_no_spike_carries_are_refused_alike():
    """8388607 is 2^23 - 1. The second value steps over it."""
    model, series = LoihiDelta(vth=1, spike_exp=1), [[4194303, -4194303]]
    said = "n: a message of magnitude 16777212 at step 1, above 8388607"
    x = np.array(series).T[:, None, :]
    source = Input((1,), "graded", bits=24)
    populations = {"x": Population("x", (1,), source), "n": Population("n", (1,), model, 1)}
    program = Program(
        populations, (Projection("p", "x", "n", DenseWeights(np.array([[1]], np.int8))),), ("n",)
    )
    for attempt in (lambda: run(program, x), lambda: LoihiSim().compile(program).run(x)):
        with pytest.raises(Unsupported, match=said):
            attempt()
    with pytest.raises(Unsupported, match=said):
        values(Graph({"x": source, "n": model}, (("x", "n"),), ("n",), "integer"), x)
    assert run(program, x[:1]).outputs["n"].item() == 8388606


def test_decays_one_a_channel_are_each_their_own():
    """A channel (row of the shape) each: what one population does, two with one decay each do apart."""
    rng = np.random.default_rng(4)
    x = rng.integers(-300, 400, (30, 2, 3))
    mixed = LoihiLIF(dv=np.array([[100], [3000]]), vth=300, du=np.array([[4095], [700]]))
    apart = [LoihiLIF(dv=100, vth=300), LoihiLIF(dv=3000, vth=300, du=700)]
    got = membrane(mixed, np.stack([x, x], axis=2))[0]
    for k, model in enumerate(apart):
        want = membrane(model, x)[0]
        assert want.any() and np.array_equal(got[:, :, k], want)


def test_a_graph_of_graded_neurons_is_its_program():
    rng = np.random.default_rng(8)
    nodes = {
        "x": Input((6,), "graded", 0.1, 10), "delta": LoihiDelta(vth=4, spike_exp=1),
        "fc": Affine(rng.integers(-9, 12, (5, 6)), weight_exp=-2), "sd": LoihiSigmaDelta(vth=9, bias=3),
        "fc2": Affine(rng.integers(-9, 12, (4, 5))),
        "ternary": LoihiTernaryLIF(dv=300, vth_hi=90, vth_lo=-80),
        "fc3": Affine(rng.integers(-9, 12, (2, 4))), "out": LoihiSigma(),
    }  # fmt: skip
    names = list(nodes)
    graph = Graph(nodes, tuple(pairwise(names)), ("out", "ternary", "sd"), "integer")
    x = rng.normal(0, 20, (25, 3, 6))
    want = Reference().compile(graph).run(x, ("delta", "sd", "ternary"))
    assert all(np.unique(want.rasters[n]).size > 2 for n in want.rasters), "vacuous"
    assert {-1, 0, 1} == set(np.unique(want.rasters["ternary"]).tolist())
    program = lower(graph)
    for got in (
        run(program, x, tuple(want.rasters)),
        LoihiSim().compile(program).run(x, tuple(want.rasters)),
    ):
        for name, raster in want.rasters.items():
            assert np.array_equal(got.rasters[name], raster), name
            assert np.array_equal(got.counts[name], want.counts[name]), name
        for name, value in want.outputs.items():
            assert np.array_equal(got.outputs[name], value), name


@pytest.mark.parametrize("make, said", [
    (lambda: LoihiTernaryLIF(0, 1, 2), "vth_lo 2 is above vth_hi 1"),
    (lambda: LoihiLIFReset(0, 1, 3, 3), "reset_offset 3 >= reset_interval 3"),
    (lambda: LoihiLIFRefractory(0, 1, 0), "refractory = 0 is outside"),
    (lambda: LoihiRF(5000, 0, 1), "sin_decay = 5000 is outside"),
    (lambda: LoihiSigmaDelta(1, act="gelu"), "act 'gelu' is neither relu nor unit"),
    (lambda: LoihiLIF(np.array([0, 5000]), 1), "dv = 5000 is outside"),
    (lambda: LoihiIntegrator(du=-1), "du = -1 is outside"),
])  # fmt: skip
def test_fields_that_do_not_fit_are_refused(make, said):
    with pytest.raises(GraphError, match=said):
        make()


def test_sums_that_may_pass_64_bits_are_refused():
    """Weights of 15 bits and messages of 24: 2^38 a neuron and step, 6 times in the worst case."""
    weights = DenseWeights(np.full((1, 64), -(1 << 15), np.int16))
    populations = {
        "x": Population("x", (64,), Input((64,), "graded", bits=24)),
        "n": Population("n", (1,), LoihiSigma(), 1),
    }
    runner = LoihiSim(threads=1).compile(
        Program(populations, (Projection("p", "x", "n", weights, 8, bits=16),), ("n",))
    )
    assert runner.plan.steps == ((1 << 62) - (1 << 40)) // (6 * (8388607 << 29))
    with pytest.raises(Unsupported, match="may pass 64 bits in 200 steps; run at most 170"):
        runner.run(np.zeros((200, 1, 64)))


def test_onnx_refuses_what_has_no_function():
    """Node, reason, remedy."""
    decays = LoihiLIF(dv=np.array([1, 2]), vth=5)
    for model, said in ((LoihiDelta(5), "LoihiDelta has no ONNX form"), (decays, "its decays differ")):
        graph = Graph({"x": Input((2,), "binary"), "n": model}, (("x", "n"),), ("n",), "integer")
        with pytest.raises(Unsupported, match=f"n: {said}.*; run the integer graph on `reference`"):
            scan_model(graph)
