"""Sigma-delta networks of random convolutional graphs: exact on the simulator, integer ReLU networks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.ir import (
    LIF,
    Add,
    AvgPool2d,
    Conv2d,
    Delay,
    Graph,
    Input,
    Permute,
    Relu,
    Reshape,
    StageError,
    Unsupported,
)
from convert.passes.lower import lower
from convert.passes.sigma_delta import Ranges, SigmaDelta
from deploy import reference_program
from deploy.calibration import ranges
from deploy.dense import dense_values, without_thresholds
from deploy.lava_limits import limits
from deploy.loihi_sim import LoihiSim
from deploy.reference import values
from deploy.stream import open_stream

SIM = LoihiSim(threads=1)


def network(rng, channels=3, size=6, stride=2, residual=True, cells=True):
    """A stem, a residual block, cells of channels (up-sampling) joined with the input's size, two heads."""

    def conv(out, into, kernel, scale, **more):
        weight = rng.normal(size=(out, into, kernel, kernel)) * scale
        return Conv2d(weight, rng.normal(size=out) * 0.3, padding=(kernel // 2,) * 2, **more)

    nodes = {
        "x": Input((2, size, size)),
        "stem": conv(channels, 2, 3, 0.4, stride=(stride, stride)),
        "r1": Relu(),
    }
    edges = [("x", "stem"), ("stem", "r1")]
    at, small = "r1", -(-size // stride)
    if residual:
        nodes |= {"mix": conv(channels, channels, 3, 0.3), "sum": Add(), "r2": Relu()}
        edges += [("r1", "mix"), ("mix", "sum"), ("r1", "sum"), ("sum", "r2")]
        at = "r2"
    if cells:
        wide = {
            "widen": conv(4 * channels, channels, 1, 0.7), "cells": Reshape((channels, 2, 2, small, small)),
            "turn": Permute((0, 3, 1, 4, 2)), "up": Reshape((channels, 2 * small, 2 * small)), "r3": Relu(),
        }  # fmt: skip
        nodes |= wide
        edges += list(zip([at, *wide], wide, strict=False))
        at = "r3"
    nodes |= {"heat": conv(2, channels, 1, 1.0), "offset": conv(4, channels, 3, 0.1)}
    edges += [(at, "heat"), (at, "offset")]
    return Graph(nodes, tuple(edges), ("heat", "offset"), "folded")


def film(rng, graph, steps=5, people=2, moving=0.3):
    shape = (steps, people, *graph.shapes["x"])
    return rng.normal(size=shape[1:]) + np.cumsum(rng.normal(size=shape) * moving, axis=0)


def made(graph, x, threshold=0.0, **more):
    build = SigmaDelta(ranges(graph, [x]), threshold, **more)
    integer, host = build(graph)
    return integer, host, build.report


cases = st.tuples(
    st.integers(0, 10**6), st.integers(1, 5), st.integers(4, 8), st.integers(1, 2), st.booleans(),
    st.booleans(),
)  # fmt: skip


def drawn(case):
    seed, *form = case
    rng = np.random.default_rng(seed)
    graph = network(rng, *form)
    return graph, film(rng, graph)


@settings(max_examples=15)
@given(cases, st.sampled_from([0.0, 0.02, 0.3]), st.booleans())
def test_reference_program_and_simulator_send_the_same_messages(case, threshold, carry):
    graph, x = drawn(case)
    integer, _, _ = made(graph, x, threshold, carry=carry)
    program = lower(integer)
    want, by_graph = reference_program.trace(program, x).sent, values(integer, x)
    names = (*integer.spiking(), *integer.outputs)
    found = SIM.compile(program).run(x, names)
    for name in names:
        np.testing.assert_array_equal(found.rasters[name], want[name])
        np.testing.assert_array_equal(by_graph[name], want[name])
        assert found.rasters[name].any()
    for name in integer.outputs:
        np.testing.assert_array_equal(found.outputs[name], want[name][-1])


@settings(max_examples=15)
@given(cases)
def test_without_a_threshold_it_is_the_integer_relu_network_at_every_frame(case):
    graph, x = drawn(case)
    integer, _, _ = made(graph, x)
    got, want = values(integer, x), dense_values(integer, x)
    for name in integer.outputs:
        np.testing.assert_array_equal(got[name], want[name])
    for name in integer.spiking():  # messages sum to what the dense layer gives, floor included
        np.testing.assert_array_equal(np.cumsum(got[name], axis=0), want[name])
    assert any(integer.nodes[n].state_exp for n in integer.spiking())  # bits were lost, and sent later


def test_without_carry_it_is_exact_only_where_no_bits_are_lost():
    """Lava 0.10.0: a message loses up to a count and nothing comes back; the first frame is the same."""
    rng = np.random.default_rng(3)
    graph = network(rng)
    x = film(rng, graph, steps=40)
    integer, _, _ = made(graph, x, carry=False)
    got, want = values(integer, x), dense_values(integer, x)
    np.testing.assert_array_equal(got["heat.sigma"][0], want["heat.sigma"][0])
    off = np.cumsum(got["r1"], axis=0) - want["r1"]
    assert off.max() <= 0 and off[-1].mean() < off[5].mean() < 0  # always downward, ever further
    stem = network(rng, residual=False, cells=False)
    integer, _, _ = made(stem, x, carry=False)
    whole = dataclasses.replace(integer.nodes["r1"], state_exp=0)
    lossless = Graph({**integer.nodes, "r1": whole}, integer.edges, integer.outputs, "integer")
    for name in integer.outputs:
        np.testing.assert_array_equal(values(lossless, x)[name], dense_values(lossless, x)[name])


@settings(max_examples=10)
@given(cases)
def test_maps_are_the_float_graphs_to_the_rounding_of_its_weights(case):
    graph, x = drawn(case)
    integer, host, report = made(graph, x, input_bits=12)
    want, got = values(graph, x), values(integer, x)
    maps = values(host, {n: got[n].astype(np.float64) for n in integer.outputs})
    assert all(layer.weight_error < 0.02 for layer in report)  # 8 bits: a step is 1/127 of the largest weight
    for name in graph.outputs:
        # four layers of at most 2 % each, of the largest value
        assert np.abs(maps[name] - want[name]).max() < 0.08 * np.abs(want[name]).max()


def test_a_threshold_bounds_what_a_layer_holds_back():
    rng = np.random.default_rng(5)
    graph = network(rng)
    x = film(rng, graph, steps=12, moving=0.1)
    plain, held = (made(graph, x, threshold)[0] for threshold in (0.0, 0.2))
    many, few = (np.count_nonzero(values(g, x)["r1"]) for g in (plain, held))
    assert 0 < few < 0.7 * many
    got = values(held, x)
    node = held.nodes["r1"]
    from_changes = values(held, x)["stem"].cumsum(axis=0)  # what r1's sigma holds
    exact = np.maximum(from_changes + (node.bias << node.state_exp), 0)
    off = exact - (np.cumsum(got["r1"], axis=0) << node.state_exp)
    assert node.vth > 0 and np.abs(off).max() < node.vth << node.state_exp


def test_nothing_travels_where_nothing_moves():
    rng = np.random.default_rng(6)
    graph = network(rng)
    x = np.repeat(film(rng, graph, steps=1), 4, axis=0)
    got = values(made(graph, x)[0], x)
    for name in ("x.delta", "r1", "r2", "r3"):
        assert got[name][0].any() and not got[name][1:].any()


def test_a_stream_gives_every_frames_sums():
    rng = np.random.default_rng(7)
    graph = network(rng)
    x = film(rng, graph, people=1)
    integer, _, _ = made(graph, x, 0.05)
    program = lower(integer)
    rasters = SIM.compile(program).run(x, integer.outputs).rasters
    stream = open_stream("loihi-sim", program)
    for t, frame in enumerate(x[:, 0]):
        for name, value in stream.frame(frame).items():
            np.testing.assert_array_equal(value, rasters[name][t, 0])


def test_a_branch_of_zeros_is_left_out_and_said():
    rng = np.random.default_rng(8)
    graph = network(rng)
    still = dataclasses.replace(graph.nodes["mix"], weight=np.zeros_like(graph.nodes["mix"].weight))
    graph = Graph({**graph.nodes, "mix": still}, graph.edges, graph.outputs, "folded")
    integer, _, report = made(graph, film(rng, graph))
    assert "mix" not in integer.nodes
    assert next(r for r in report if r.neuron == "r2").dropped == ("r1",)


def test_a_branch_too_fine_beside_the_others_is_left_out_and_said():
    """Beside the identity its weights are below half a mantissa at 27 bits of sigma."""
    rng = np.random.default_rng(8)
    graph = network(rng)
    mix = graph.nodes["mix"]
    graph = Graph({**graph.nodes, "mix": dataclasses.replace(mix, weight=mix.weight * 1e-7)}, graph.edges,
                  graph.outputs, "folded")  # fmt: skip
    x = film(rng, graph)
    integer, host, report = made(graph, x, input_bits=12)
    assert "mix" not in integer.nodes
    assert next(r for r in report if r.neuron == "r2").dropped == ("r1",)
    got = values(integer, x)
    maps = values(host, {n: got[n].astype(np.float64) for n in integer.outputs})["heat"]
    want = values(graph, x)["heat"]
    assert np.abs(maps - want).max() < 0.08 * np.abs(want).max()  # as above: its bias stays


def chain(node, shape=(2, 4, 4), stage="folded", operand="real"):
    nodes = {"x": Input(shape, operand), "n": node, "y": Conv2d(np.ones((1, shape[0], 1, 1)))}
    return Graph(nodes, (("x", "n"), ("n", "y")), ("y",), stage)


FLAT = Ranges({"x": 1.0}, {"x": 1.0})


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (chain(LIF(0.5)), "n: LIF is neither linear nor a ReLU"),
        (chain(Delay(1)), "reaches back in steps"),
        (chain(Relu(), operand="binary"), "x: an input of binary values"),
        (chain(Conv2d(np.zeros((2, 2, 1, 1)))), "all weights into it are zero"),
    ],
)
def test_what_it_cannot_hold_is_refused_by_name(graph, said):
    with pytest.raises(Unsupported, match=said):
        SigmaDelta(FLAT)(graph)


def test_bias_that_differs_by_place_and_odd_settings_are_refused():
    rng = np.random.default_rng(0)
    inner = Conv2d(rng.normal(size=(2, 2, 1, 1)), np.ones(2))
    outer = Conv2d(rng.normal(size=(1, 2, 3, 3)), padding=(1, 1))
    edges = (("x", "n"), ("n", "y"))
    graph = Graph({"x": Input((2, 4, 4)), "n": inner, "y": outer}, edges, ("y",), "folded")
    with pytest.raises(Unsupported, match="not the same at all places"):
        SigmaDelta(FLAT)(graph)
    for more in ({"bits": 9}, {"input_bits": 1}, {"threshold": -0.1}, {"message_bits": 24}):
        with pytest.raises(Unsupported, match=f"{next(iter(more))} = "):
            SigmaDelta(FLAT, **more)
    with pytest.raises(StageError, match="needs a folded graph, got traced"):
        SigmaDelta(FLAT)(chain(Relu(), stage="traced"))


def test_pools_are_part_of_the_weights_behind_them():
    rng = np.random.default_rng(9)
    graph = chain(AvgPool2d((2, 2), (2, 2)))
    x = rng.normal(size=(2, 1, 2, 4, 4))
    integer, host, _ = made(graph, x)
    maps = values(host, {"y.sigma": values(integer, x)["y.sigma"].astype(np.float64)})["y"]
    np.testing.assert_allclose(maps, values(graph, x)["y"], atol=0.02)  # 8 bits of input below 3


def test_without_thresholds_only_the_thresholds_differ():
    rng = np.random.default_rng(3)
    graph = network(rng)
    x = film(rng, graph)
    integer, plain = (made(graph, x, threshold)[0] for threshold in (0.3, 0.0))
    assert any(integer.nodes[n].vth for n in integer.spiking())
    bare = without_thresholds(integer)
    for name in bare.nodes:
        for field, value in bare.nodes[name].fields().items():
            np.testing.assert_array_equal(value, getattr(plain.nodes[name], field))


def test_a_spiking_network_has_no_dense_form():
    graph = Graph({"x": Input((2,), "binary"), "lif": LIF(dv=0.5)}, (("x", "lif"),), ("lif",), "folded")
    with pytest.raises(Unsupported, match="LIF has no dense form"):
        dense_values(graph, np.zeros((1, 1, 2)))


def test_lava_0_10_is_told_that_it_has_no_carry():
    rng = np.random.default_rng(1)
    graph = network(rng)
    x = film(rng, graph)
    assert any("no `carry`" in reason for reason in limits(lower(made(graph, x)[0])))
    assert not any("carry" in reason for reason in limits(lower(made(graph, x, carry=False)[0])))


@pytest.mark.lava
def test_lava_0_10_sends_the_same_messages(lava):
    """The form without carry, narrow enough for Lava's 32-bit words."""
    rng = np.random.default_rng(0)
    graph = network(rng, 2, 4, 1, cells=False)
    x = film(rng, graph, steps=4)
    integer, _, _ = made(graph, x, 0.1, carry=False, bits=5, input_bits=4, message_bits=9)
    program, names = lower(integer), integer.spiking()
    runner = lava.compile(program)
    found, want = runner.run(x, names), SIM.compile(program).run(x, names)
    runner.close()
    for name in names:
        np.testing.assert_array_equal(found.rasters[name], want.rasters[name])
        assert want.rasters[name].any()
    for name in integer.outputs:
        np.testing.assert_array_equal(found.outputs[name], want.outputs[name])
