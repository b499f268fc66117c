"""Random programs: the interpreter, loihi-sim and real Lava give the same messages and states, ==."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.events import events, kinds
from benchmarks.lava_conformance import differences, simulator_differences
from benchmarks.random_programs import FIXED, MODELS, random_case
from convert.ir import LoihiDelta, LoihiLIFRefractory, Unsupported
from deploy.lava_sim import LavaSim
from deploy.lava_trace import lava_traces
from deploy.loihi_sim import LoihiSim
from deploy.loihi_synapses import LAYOUTS
from deploy.reference_program import record, run

PROGRAMS = 200
SEED = 10_000  # other programs than the recorded run's
HELD = (
    "Dense", "DelayDense", "Sparse", "DelaySparse", "Conv", "Conv with wrap", "recurrent",
    "negative exponent", "decays one a neuron",
)  # fmt: skip
MET = (
    "u wrapped", "v saturated", "v at its threshold", "v stood still", "resonator saturated",
    "resonator at its threshold", "delta at its threshold", "residue kept", "bits below state_exp",
    "convolution wrapped", "sigma read",
)  # fmt: skip


def test_the_simulator_is_the_interpreter():
    """Over a fixed set that meets every edge of the arithmetic."""
    held, met = Counter(), Counter()
    for seed in range(SEED, SEED + PROGRAMS):
        case = random_case(seed, MODELS[seed % len(MODELS)])
        assert simulator_differences(case) == [], f"seed {seed}"
        held += kinds(case.program)
        met += events(case.program, case.trace)
    assert all(held[m.__name__] > 10 for m in MODELS), held
    assert all(held[k] > 5 for k in HELD), held
    assert all(met[k] > 20 for k in MET), met


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 30), st.sampled_from(MODELS), st.integers(1, 20), st.integers(1, 5))
def test_the_simulator_is_the_interpreter_for_any_seed(seed, model, steps, samples):
    """hypothesis looks for a seed, a length and a batch where they differ, and shrinks it."""
    try:
        case = random_case(seed, model, steps, samples)
    except Unsupported:  # in one step many a program stays silent
        return
    assert simulator_differences(case) == []


@pytest.mark.parametrize("method", LAYOUTS)
def test_layouts_and_threads_do_not_matter(method):
    for seed in range(SEED, SEED + 30):
        case = random_case(seed, FIXED[seed % len(FIXED)], samples=3)
        spiking = [n for n in case.program.neurons() if case.program.populations[n].model.spiking]
        want = record(case.program, case.trace, spiking)
        got = LoihiSim(threads=2, method=method).compile(case.program).run(case.x, spiking)
        for name in spiking:
            assert np.array_equal(got.rasters[name], want.rasters[name]), (seed, name)
        for name, value in want.outputs.items():
            assert np.array_equal(got.outputs[name], value), (seed, name)


def test_a_seed_is_a_program():
    one, two = (random_case(3, LoihiDelta) for _ in range(2))
    assert np.array_equal(one.x, two.x) and list(one.trace.sent) == list(two.trace.sent)
    assert all(np.array_equal(one.trace.sent[n], two.trace.sent[n]) for n in one.trace.sent)
    other = random_case(4, LoihiDelta)
    assert other.x.shape != one.x.shape or not np.array_equal(one.x, other.x)


@pytest.mark.lava
def test_real_lava_agrees(lava):
    """One program for each model, the synapses in turn; `benchmarks.lava_conformance` runs hundreds."""
    cases = [random_case(SEED + k, model) for k, model in enumerate(FIXED)]
    held = sum((kinds(c.program) for c in cases), Counter())
    assert all(held[m.__name__] for m in FIXED)
    for case, got in zip(cases, lava_traces([c.program for c in cases], [c.x for c in cases]), strict=True):
        tally, wrong = differences(case, got)
        assert wrong == []
        assert tally["state values"] > 0


@pytest.mark.lava
def test_lavas_float_refractory_neuron_agrees(lava):
    """Decays of 0, 1/2 and 1, and values of which no bit falls off: there floats are exact."""
    cases = [random_case(SEED + k, LoihiLIFRefractory) for k in range(4)]
    met = sum((events(c.program, c.trace) for c in cases), Counter())
    assert met["v stood still"] > 20
    traces = lava_traces([c.program for c in cases], [c.x for c in cases], floating=True)
    assert [differences(c, got)[1] for c, got in zip(cases, traces, strict=True)] == [[]] * len(cases)


@pytest.mark.lava
def test_the_target_gives_the_same_record(lava):
    """Lines of delay instead of Lava's own delays, and everything a Record holds, for graded messages."""
    case = random_case(SEED + 7, LoihiDelta)
    spiking = [n for n in case.program.neurons() if case.program.populations[n].model.spiking]
    want = run(case.program, case.x, spiking)
    got = LavaSim().compile(case.program).run(case.x, spiking)
    for name in spiking:
        assert np.array_equal(got.rasters[name], want.rasters[name])
        assert np.array_equal(got.counts[name], want.counts[name])
    for name in want.outputs:
        assert np.array_equal(got.outputs[name], want.outputs[name])
