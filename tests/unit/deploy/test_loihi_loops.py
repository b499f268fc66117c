"""The compiled loops of loihi-sim against numpy, and the loop for cycles against the general path.

Everything is an integer: the tolerance is zero throughout.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from convert.ir import (
    DenseWeights,
    Input,
    LoihiIntegrator,
    LoihiLIF,
    Population,
    Program,
    Projection,
    SparseWeights,
)
from deploy import loihi_costs, loihi_cycle
from deploy import loihi_kernels as kernels
from deploy import loihi_vectors as vectors
from deploy.loihi_sim import LoihiSim
from deploy.loihi_spikes import Desk
from deploy.loihi_synapses import paired


@pytest.mark.parametrize("size", [1, 7, 8, 9, 64, 300])
@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
def test_listed_spikes_are_the_places_of_ones(size, rate):
    raster = (np.random.default_rng(size).random((5, size)) < rate).astype(np.uint8)
    spikes = Desk(size, size).listed("any", raster)
    rows, places = np.nonzero(raster)
    assert len(spikes) == len(places)
    np.testing.assert_array_equal(spikes.places[: len(spikes)], places)
    np.testing.assert_array_equal(np.diff(spikes.starts), np.bincount(rows, minlength=5))
    assert len(spikes.rows(1, 4)) == raster[1:4].sum()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("acc_type", [np.int32, np.int64])
@pytest.mark.parametrize("exp", [0, 3, -2])
@pytest.mark.parametrize(
    ("out", "sources", "rate"), [(1, 3, 0.5), (128, 20, 0.3), (200, 700, 0.9), (256, 300, 1.0)]
)
def test_paired_rows_add_up(bits, acc_type, exp, out, sources, rate):
    """Extreme weights, partial strips, more rows than one sum of 16 bits holds (256)."""
    rng, top = np.random.default_rng(out), 1 << (bits - 1)
    w = rng.choice([-top, -1, 0, 1, top - 1], (out, sources)).astype(np.int8 if bits == 8 else np.int16)
    raster = (rng.random((6, sources)) < rate).astype(np.uint8)
    spikes, strips = Desk(sources, out).listed("any", raster), paired(w)
    assert strips.ctypes.data % 64 == 0
    wide = np.int32 if bits == 8 else np.int64
    scratch = np.zeros((2, 2 * strips.shape[2]), wide)
    acc = rng.integers(-9, 9, (6, out)).astype(acc_type)
    sums = raster.astype(np.int64) @ w.astype(np.int64).T
    want = acc + (sums << exp if exp >= 0 else sums >> -exp)
    assert np.abs(want).max() < 1 << 31 and sums.any()
    kernels.add_spikes(
        spikes.places, spikes.starts, acc, strips, (0, len(strips)), vectors.most_rows(bits), exp, *scratch
    )
    np.testing.assert_array_equal(acc, want)


def loop(n: int, exp: int, sparse: bool) -> Program:
    """input -> a <-> b, a -> a, b -> readout; latencies and delays of several steps."""
    rng = np.random.default_rng(n)

    def weights(out: int, size: int) -> DenseWeights | SparseWeights:
        w = rng.integers(-128, 128, (out, size)).astype(np.int8)
        if not sparse:
            return DenseWeights(w)
        there = rng.random(w.shape) < 0.1
        rows, cols = np.nonzero(there.T)[::-1]
        return SparseWeights(np.concatenate([[0], np.cumsum(there.sum(0))]), rows, w[rows, cols], w.shape)

    neuron = LoihiLIF(du=700, dv=512, vth=600, bias_mant=np.array(60), bias_exp=6)
    populations = {
        "in": Population("in", (n,), Input((n,), "binary")),
        "a": Population("a", (n,), neuron, 1),
        "b": Population("b", (n + 3,), LoihiLIF(dv=99, vth=500), 2),
        "out": Population("out", (5,), LoihiIntegrator(), 3),
    }
    ends = [
        ("in", "a", 0, 0),
        ("a", "b", 0, exp),
        ("b", "a", 2, exp),
        ("a", "a", 4, exp),
        ("in", "b", 1, 0),
        ("b", "out", 0, 0),
    ]
    made = [
        Projection(f"{s}-{d}", s, d, weights(populations[d].size, populations[s].size), e, k)
        for s, d, k, e in ends
    ]
    return Program(populations, made, ["out", "a"])


@pytest.mark.parametrize(
    ("n", "exp", "sparse"), [(40, 0, False), (40, -3, True), (300, -1, False), (300, 1, True)]
)
def test_a_cycle_in_one_loop_equals_the_general_path(n, exp, sparse, monkeypatch):
    """Steps cross the blocks; more than 256 of 300 neurons fire at once in some steps; two samples."""
    program = loop(n, exp, sparse)
    x = (np.random.default_rng(7).random((150, 2, n)) < 0.5).astype(np.float64)
    x[60:64] = 1
    fast = LoihiSim(threads=1).compile(program)
    assert fast.cycle(["a", "b"]) is not None
    got = fast.run(x, ["a", "b"])
    again = fast.run(x, ["a", "b"])  # memory is kept between runs, state is not
    monkeypatch.setattr("deploy.loihi_sim.fits", lambda *_: False)
    slow = LoihiSim(threads=1).compile(program)
    assert slow.cycle(["a", "b"]) is None
    want = slow.run(x, ["a", "b"])
    assert want.rasters["a"].any() and want.rasters["b"].any() and not want.rasters["b"].all()
    for name in ("a", "b"):
        np.testing.assert_array_equal(got.rasters[name], want.rasters[name], err_msg=name)
        np.testing.assert_array_equal(got.rasters[name], again.rasters[name], err_msg=name)
        np.testing.assert_array_equal(got.counts[name], want.counts[name], err_msg=name)
    for name in ("out", "a"):
        np.testing.assert_array_equal(got.outputs[name], want.outputs[name], err_msg=name)


def test_cycles_of_other_neurons_take_the_general_path():
    program = loop(4, 0, False)
    populations = dict(program.populations)
    populations["a"] = Population("a", (4,), LoihiLIF(dv=np.array([1, 2, 3, 4]), vth=9), 1)
    other = Program(populations, program.projections, program.outputs)
    assert LoihiSim(threads=1).compile(other).cycle(["a", "b"]) is None
    assert 2 * paired(np.zeros((1, 1), np.int8)).shape[2] == loihi_cycle.STRIP


def test_costs_are_kept_and_broken_ones_measured_anew(tmp_path, monkeypatch):
    measured = loihi_costs.Costs(row=0.5)
    monkeypatch.setattr(loihi_costs, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(loihi_costs, "measure", lambda: measured)
    file = tmp_path / loihi_costs.FILE
    assert loihi_costs.costs.__wrapped__() == measured and json.loads(file.read_text())["row"] == 0.5
    monkeypatch.setattr(loihi_costs, "measure", lambda: pytest.fail("measured again"))
    assert loihi_costs.costs.__wrapped__() == measured
    monkeypatch.setattr(loihi_costs, "measure", lambda: measured)
    for broken in ("", "[]", '{"mark": "other"}', '{"mark": 1, "no": 2}'):
        file.write_text(broken)
        assert loihi_costs.costs.__wrapped__() == measured
    monkeypatch.setattr(loihi_costs, "cache_folder", lambda: None)
    assert loihi_costs.costs.__wrapped__() == loihi_costs.Costs()


def test_measured_costs_are_of_a_processor():
    found = loihi_costs.measure()
    assert all(0 <= value < 1e4 for value in vars(found).values()) and found.row > 0 and found.column > 0


def test_a_raster_that_is_held_is_not_written_again():
    """Its memory serves the next run only when no view of it is left."""
    runner = LoihiSim(threads=1).compile(loop(16, 0, False))
    rng = np.random.default_rng(3)
    first, second = ((rng.random((20, 1, 16)) < rate).astype(float) for rate in (0.1, 0.6))
    held = runner.run(first, ["a"]).rasters["a"]
    part, before = held[3:9], held.copy()
    assert before[3:9].any() and not np.array_equal(runner.run(second, ["a"]).rasters["a"], before)
    np.testing.assert_array_equal(held, before)
    del held
    runner.run(second, ["a"])
    np.testing.assert_array_equal(part, before[3:9])


def test_memory_nobody_holds_is_used_again():
    desk = Desk(8, 8)
    made = desk.given("raster", (3, 4), np.uint8)
    place, part = made.ctypes.data, made[1:]
    del made
    assert desk.given("raster", (3, 4), np.uint8).ctypes.data != place
    again = desk.given("raster", (2, 4), np.uint8)
    place = again.ctypes.data
    del again, part
    assert desk.given("raster", (2, 4), np.uint8).ctypes.data == place
