"""Factored adjacencies in integers: relays send what they get, and every exact target gives the same."""

from __future__ import annotations

import numpy as np
import pytest

from convert.ir import (
    LIF,
    Add,
    Affine,
    ChannelMix,
    Graph,
    GraphConv,
    Input,
    LeakyIntegrator,
    LoihiSigmaDelta,
    Unsupported,
)
from convert.passes.adjacency import factor
from convert.passes.lower import lower
from convert.passes.partition import partition
from convert.passes.quantise import Quantise
from deploy.calibration import calibrate
from deploy.loihi_sim import LoihiSim
from deploy.reference import Reference, values

K, OUT, INTO, V = 2, 6, 4, 5


@pytest.fixture(scope="module")
def made():
    """(float graph, factored, integer, x): a graph convolution with a residual beside it, and a readout."""
    draw = np.random.default_rng(0)
    mix = GraphConv(
        draw.normal(size=(K, OUT, INTO)) * 0.5, draw.normal(size=(K, V, V)) * 0.6, draw.normal(size=OUT) / 5
    )
    nodes = {
        "in": Input((INTO, V), "binary"), "mix": mix,
        "residual": ChannelMix(draw.normal(size=(OUT, INTO)) * 0.3),
        "add": Add(), "spike": LIF(dv=0.5, threshold=1.0), "head": Affine(draw.normal(size=(3, OUT * V)) / 5),
        "out": LeakyIntegrator(dv=0.0),
    }  # fmt: skip
    edges = (("in", "mix"), ("in", "residual"), ("mix", "add"), ("residual", "add"), ("add", "spike"),
             ("spike", "head"), ("head", "out"))  # fmt: skip
    whole = Graph(nodes, edges, ("out",), "folded")
    x = (draw.random((30, 8, INTO, V)) < 0.4).astype(np.uint8)
    parts = factor(whole)
    return whole, parts, Quantise(calibrate(parts, x))(parts), x


def test_a_relay_sends_what_it_gets(made):
    """In integers: its message of a step is exactly the joint mixing of that step's spikes."""
    _, _, integer, x = made
    assert integer.nodes["mix.relay"].fields() == LoihiSigmaDelta(vth=0, act="unit").fields()
    got = values(integer, x)
    assert np.abs(got["mix.joints"]).max() > 1
    assert np.array_equal(got["mix.relay"], got["mix.joints"])


def test_the_program_gives_the_same_spikes(made):
    """Two convolutions, the residual waiting a step for the relay; loihi-sim equals the reference, ==."""
    _, _, integer, x = made
    program = lower(integer)
    kinds = [type(p.weights).__name__ for p in program.projections]
    assert kinds.count("ConvWeights") == 2
    late = next(p for p in program.projections if (p.src, p.dst) == ("in", "spike"))
    assert program.chip_delay(late) == 1
    names = ["mix.relay", "spike"]
    want = Reference().compile(integer).run(x, names)
    got = LoihiSim(threads=1).compile(program).run(x, names)
    assert want.counts["spike"].sum() > 100
    for name in names:
        assert np.array_equal(want.rasters[name], got.rasters[name])
    assert np.array_equal(want.outputs["out"], got.outputs["out"])


def test_rounding_apart_stays_close_to_the_float_graph(made):
    """At most 1 of 50 spikes elsewhere than in float (0.2 % here): A and W have 8 bits each, the readout's
    decision stays."""
    whole, _, integer, x = made
    want, got = values(whole, x), values(integer, x)
    assert (want["spike"] != got["spike"]).mean() < 0.02 * want["spike"].mean() * 2
    assert np.array_equal(want["out"][-1].argmax(1), got["out"][-1].argmax(1))


def test_a_relay_with_a_bias_is_refused(made):
    _, parts, _, x = made
    nodes = dict(parts.nodes)
    nodes["mix.joints"] = type(nodes["mix.joints"])(nodes["mix.joints"].weight, np.ones(K * V))
    broken = Graph(nodes, parts.edges, parts.outputs, "folded")
    with pytest.raises(Unsupported, match=r"mix\.relay: a relay has a bias"):
        Quantise(calibrate(broken, x))(broken)


def test_a_relay_that_is_an_output_too_is_refused(made):
    """A readout gives its last value; the relay's integer twin would give the sum of its messages."""
    _, parts, _, x = made
    both = Graph(parts.nodes, parts.edges, ("mix.relay", "out"), "folded")
    with pytest.raises(Unsupported, match=r"mix\.relay: is an output and is read by others"):
        Quantise(calibrate(both, x))(both)


def test_a_chip_holds_relays(made):
    """The partition leaves nothing of the factored graph to the CPU."""
    split = partition(made[1])
    assert split.host is None
    assert split.chip is made[1]
