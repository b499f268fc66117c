"""Relays of signed spikes: the same messages in the graph, the program, frame by frame, and in the counts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from convert.ir import Affine, Delay, Graph, Input, LoihiIntegrator, LoihiTernaryLIF
from convert.passes.lower import lower
from deploy.loihi_sim import LoihiSim
from deploy.reference import values
from deploy.reference_program import run
from deploy.stream import open_stream
from energy.counts import count_program

STEPS, LATE = 90, 70


@pytest.fixture(scope="module")
def made():
    """graded input -> ternary neurons -> 70 steps -> readout; (graph, program, x, values of the graph)."""
    draw = np.random.default_rng(0)
    nodes = {
        "in": Input((4,), "graded", bits=8), "w": Affine(draw.integers(-9, 10, (5, 4))),
        "signs": LoihiTernaryLIF(dv=2048, vth_hi=90, vth_lo=-80), "late": Delay(LATE),
        "head": Affine(draw.integers(-9, 10, (3, 5))), "out": LoihiIntegrator(),
    }  # fmt: skip
    graph = Graph(nodes, tuple(pairwise(nodes)), ("out",), "integer")
    x = draw.integers(-20, 21, (STEPS, 2, 4))
    got = values(graph, x)
    assert set(np.unique(got["signs"][: STEPS - LATE])) == {-1, 0, 1} and got["out"][-1].all(), "vacuous case"
    return graph, lower(graph), x, got


def test_relays_send_signs_and_the_readout_is_the_graphs(made):
    _, program, x, got = made
    assert [n for n in program.populations if "~" in n] == ["signs~1"]
    for record in (run(program, x, ["signs~1"]), LoihiSim(1).compile(program).run(x, ["signs~1"])):
        np.testing.assert_array_equal(record.rasters["signs~1"], got["signs"])
        np.testing.assert_array_equal(record.outputs["out"], got["out"][-1])


def test_a_stream_waits_as_long(made):
    _, program, x, got = made
    stream = open_stream("loihi-sim", program, samples=2)
    for t, frame in enumerate(x):
        np.testing.assert_array_equal(stream(frame)["out"], got["out"][t])


def test_a_relay_is_counted_as_the_neurons_it_is(made):
    """Each message passes one synapse into the relay; from there only those that arrive within the run."""
    _, program, x, _ = made
    names = list(program.populations)
    rasters = LoihiSim(1).compile(program).run(x, [n for n in names if n != "out"]).rasters
    found = count_program(program, rasters)
    sent = np.abs(rasters["signs"]).sum(axis=(0, 2))
    early = np.abs(rasters["signs"][: STEPS - LATE]).sum(axis=(0, 2))
    (into,), (behind,) = program.into("signs~1"), program.into("out")
    np.testing.assert_array_equal(found[into.name].counts["ac"], sent)
    np.testing.assert_array_equal(found[behind.name].counts["ac"], 3 * early)
    np.testing.assert_array_equal(found["signs~1"].counts["neuron_steps"], 5 * STEPS)
