"""The compact form of coincidences: recognised by structure, equal to the general path, to the reference and
to real Lava, spike for spike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convert.ir import (
    Add,
    ChannelScale,
    Delay,
    DenseWeights,
    Graph,
    Input,
    LoihiLIF,
    Permute,
    Program,
    SpikeAnd,
    SpikeMatMul,
)
from convert.passes.lower import lower
from deploy.lava_sim import LavaRunner
from deploy.loihi_coincidence import coincidences
from deploy.loihi_sim import LoihiSim
from deploy.reference import Reference, values

BEHIND = LoihiLIF(dv=2048, vth=1)


def products(late=2):
    """Q K^T over two heads, with the second operand `late` steps late, and an AND of what follows."""
    nodes = {
        "input": Input((2, 5, 4), "binary"), "turned": Permute((0, 2, 1)), "late": Delay(late),
        "map": SpikeMatMul(), "m": BEHIND, "mix": SpikeMatMul(), "o": BEHIND, "gate": SpikeAnd(),
        "out": BEHIND,
    }  # fmt: skip
    edges = (
        ("input", "turned"), ("turned", "late"), ("input", "map"), ("late", "map"), ("map", "m"),
        ("m", "mix"), ("input", "mix"), ("mix", "o"), ("o", "gate"), ("input", "gate"), ("gate", "out"),
    )  # fmt: skip
    return Graph(nodes, edges, ("out",), "integer")


def spikes(rate, steps=15, samples=5):
    return (np.random.default_rng(3).random((steps, samples, 2, 5, 4)) < rate).astype(np.uint8)


@pytest.mark.parametrize("rate", [0.05, 0.4, 0.97])
@pytest.mark.parametrize("threads", [1, 2])
def test_compact_is_general_is_the_reference(rate, threads):
    graph = products()
    program, x = lower(graph), spikes(rate)
    names = [n for n in program.populations if n != "input"]
    compact = LoihiSim(threads).compile(program)
    assert set(compact.coincidences) == {"map", "mix", "gate"}
    general = LoihiSim(threads, compact=False).compile(program)
    assert not general.coincidences
    a, b, want = compact.run(x, names), general.run(x, names), values(graph, x)
    assert rate < 0.1 or all(a.rasters[n].any() for n in names), "vacuous case"
    for n in names:
        np.testing.assert_array_equal(a.rasters[n], b.rasters[n])
        np.testing.assert_array_equal(a.counts[n], b.counts[n])
    for n in ("m", "o", "out"):
        np.testing.assert_array_equal(a.rasters[n], want[n])
    np.testing.assert_array_equal(a.rasters["map"].sum(-1), want["map"])
    np.testing.assert_array_equal(a.rasters["mix"].sum(-1), want["mix"])
    np.testing.assert_array_equal(a.rasters["gate"], want["gate"])


def test_delays_past_the_run_leave_silence():
    x = spikes(0.9, steps=4)
    got = LoihiSim(1).compile(lower(products(late=9))).run(x, ["map", "gate"])
    assert not got.rasters["map"].any() and not got.counts["gate"].any()


def test_the_state_of_a_coincidence_can_still_be_watched():
    """A lone spike leaves v = 128, two reset it; u is what came, 2 << 6 each."""
    program, x = lower(products()), spikes(0.4)
    u, v = LoihiSim(1).compile(program).trace(x, "map")
    assert set(np.unique(u)) == {0, 128, 256} and set(np.unique(v)) == {0, 128}
    raster = LoihiSim(1).compile(program).run(x, ["map"]).rasters["map"]
    np.testing.assert_array_equal(raster, u == 256)


def changed(program, **fields):
    """The program with its population `gate` of another model, or its projections changed."""
    model = replace(program.populations["gate"].model, **fields.pop("model", {}))
    populations = {**program.populations, "gate": replace(program.populations["gate"], model=model)}
    own = [replace(p, **fields) if p.dst == "gate" else p for p in program.projections]
    return Program(populations, tuple(own), program.outputs)


@pytest.mark.parametrize(
    "fields",
    [{"model": {"vth": 2}}, {"model": {"dv": 4096}}, {"model": {"du": 4000}}, {"exp": 1},
     {"model": {"bias_mant": np.array(0)}}, {"weights": DenseWeights(np.full((40, 40), 2, np.int8))}],
)  # fmt: skip
def test_another_population_is_not_taken_for_one(fields):
    program = changed(lower(products()), **fields)
    assert set(coincidences(program)) == {"map", "mix"}


def test_a_third_projection_is_not_a_coincidence():
    program = lower(products())
    extra = replace(program.into("gate")[0], name="extra")
    more = Program(program.populations, (*program.projections, extra), program.outputs)
    assert set(coincidences(more)) == {"map", "mix"}


@pytest.mark.lava
def test_real_lava_relays_as_the_simulator_does(lava):
    """A delay of 70 steps in Lava's own delay synapses, of which none is longer than 62."""
    nodes = {
        "input": Input((3,), "binary"), "late": Delay(70), "w": ChannelScale(np.array([7, 5, 3], np.int8)),
        "now": ChannelScale(np.array([2, 3, 4], np.int8)), "sum": Add(), "lif": LoihiLIF(dv=2000, vth=6),
    }  # fmt: skip
    edges = (("input", "late"), ("late", "w"), ("input", "now"), ("w", "sum"), ("now", "sum"), ("sum", "lif"))
    graph = Graph(nodes, edges, ("lif",), "integer")
    program, x = lower(graph), (np.random.default_rng(0).random((90, 1, 3)) < 0.4).astype(np.uint8)
    got = LavaRunner(program, delays="synapse").run(x, ["input~1", "lif"]).rasters
    want = values(graph, x)["lif"]
    assert want[70:].any() and (want[70:] != values(graph, 0 * x)["lif"][70:]).any(), "vacuous case"
    np.testing.assert_array_equal(got["input~1"], x)
    np.testing.assert_array_equal(got["lif"], want)


@pytest.mark.lava
def test_real_lava_finds_the_same_coincidences(lava):
    """Two heads, three products, a delay of two steps: every population at every step."""
    graph = products()
    program, x = lower(graph), spikes(0.5, steps=6, samples=2)
    names = [n for n in program.populations if n != "input"]
    real = lava.compile(program).run(x, names)
    ours = LoihiSim(1).compile(program).run(x, names)
    for n in names:
        assert real.rasters[n].any(), "vacuous case"
        np.testing.assert_array_equal(real.rasters[n], ours.rasters[n])
    want = Reference().compile(graph).run(x, ["m", "o", "out"])
    for n in want.rasters:
        np.testing.assert_array_equal(real.rasters[n], want.rasters[n])
