"""A projection and its neurons in one pass of loihi-sim against the loops that do one after the other.

Everything is an integer: the tolerance is zero throughout.
"""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from convert.ir import DenseWeights, Input, LoihiLIF, Population, Program, Projection
from deploy import loihi_lif
from deploy.loihi_groups import CURRENT_MAX, GROUP, THRESHOLD_MAX, step_group, step_group_now
from deploy.loihi_sim import LoihiSim

TOP = 1 << 23


@njit
def _group(row, u, v, bias, counts, raster, keep_u, keep_v, threshold):
    if keep_u == 0:
        step_group_now(row, 0, u, v, bias, counts, 0, 0, raster, 0, keep_u, keep_v, threshold)
    else:
        step_group(row, 0, u, v, bias, counts, 0, 0, raster, 0, keep_u, keep_v, threshold)


@pytest.mark.parametrize("keep_u", [0, 1, 3685, 4095])
@pytest.mark.parametrize("keep_v", [0, 1, 2048, 4095, 4096])
@pytest.mark.parametrize("threshold", [1 << 6, 90_000 << 6, THRESHOLD_MAX])
def test_a_group_is_the_plain_loop(keep_u, keep_v, threshold):
    """States and currents at their ends and where u wraps, v saturates and a decay truncates."""
    rng = np.random.default_rng(keep_u + keep_v)
    edges_u = np.array([-TOP + 1, TOP, -4097, -4096, -1, 0, 1, 4095, 4096, TOP - 1])
    edges_a = np.array([-CURRENT_MAX, CURRENT_MAX, -(1 << 17), 1 << 17, (1 << 17) + 1, -1, 0, 1])
    fired = 0
    for _ in range(60):
        a = np.where(rng.random(GROUP) < 0.5, rng.choice(edges_a, GROUP), rng.integers(-9000, 9000, GROUP))
        u = np.where(rng.random(GROUP) < 0.5, rng.choice(edges_u, GROUP), rng.integers(-TOP + 1, TOP, GROUP))
        v = rng.choice([-TOP + 1, -TOP + 2, -4096, -1, 0, 1, 4097, min(threshold, TOP - 2)], GROUP)
        bias = rng.choice([-(1 << 19), 0, 1 << 19], GROUP)
        a, u, v, bias = (x.astype(np.int32) for x in (a, u, v, bias))
        counts, spikes = rng.integers(0, 9, GROUP).astype(np.int32), np.empty((2, GROUP), np.uint8)
        constants = np.int32(keep_u), np.int32(keep_v), np.int32(threshold)
        want = [u.copy()[None], v.copy()[None], counts.copy()[None]]
        loihi_lif.step_neurons(a[None], spikes[:1], want[2], *want[:2], bias, *constants)
        _group(a, u, v, bias, counts, spikes[1], *constants)
        for got, expected in zip((u, v, counts, spikes[1]), (*want, spikes[0]), strict=True):
            np.testing.assert_array_equal(got, expected.reshape(-1))
        fired += int(spikes[0].sum())
    assert fired


def _program(size: int, du: int, exp: int, delays: list[int], top: int = 127) -> Program:
    rng = np.random.default_rng(size)
    bias = rng.integers(-4, 5, size)
    model = LoihiLIF(du=du, dv=700, vth=max(1, round(900 * 2.0**exp)), bias_mant=bias, bias_exp=6)
    populations = {"in": Population("in", (300,), Input((300,), "binary")),
                   "lif": Population("lif", (size,), model, 1)}  # fmt: skip
    made = [
        Projection(f"p{k}", "in", "lif", DenseWeights(rng.integers(-top, top + 1, (size, 300))), exp, d)
        for k, d in enumerate(delays)
    ]
    return Program(populations, made, ("lif",))


@pytest.mark.parametrize("size", [32, 128, 160])
@pytest.mark.parametrize("du", [4095, 600])
@pytest.mark.parametrize(("exp", "delays"), [(0, [0]), (0, [2]), (1, [0, 3]), (-2, [1, 0, 40])])
@pytest.mark.parametrize("threads", [1, 2])
def test_one_pass_is_two(size, du, exp, delays, threads):
    """Partial strips, delays beyond the run, several projections, samples, more rows than a sum holds."""
    program = _program(size, du, exp, delays)
    x = (np.random.default_rng(1).random((30, 3, 300)) < np.array([0.05, 0.3, 0.95])[:, None]).astype(float)
    runner, plain = (LoihiSim(threads=threads, method="rows").compile(program) for _ in range(2))
    assert runner.lasts and x.sum(2).max() > 256
    plain.lasts = {}
    got, want = runner.run(x, ["lif"]), plain.run(x, ["lif"])
    np.testing.assert_array_equal(got.rasters["lif"], want.rasters["lif"])
    np.testing.assert_array_equal(got.counts["lif"], want.counts["lif"])
    for a, b in zip(runner.trace(x, "lif"), plain.trace(x, "lif"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert want.counts["lif"].any(axis=(1,)).all()


def test_what_the_group_cannot_hold_takes_two_passes():
    """Sizes beside the group, currents that may wrap twice, 16-bit weights."""
    assert not LoihiSim().compile(_program(33, 600, 0, [0])).lasts
    assert not LoihiSim().compile(_program(32, 600, 7, [0])).lasts
    program = _program(32, 600, 0, [0], top=600)
    x = (np.random.default_rng(2).random((9, 2, 300)) < 0.2).astype(float)
    runner, plain = (LoihiSim(method=m).compile(program) for m in ("rows", "columns"))
    got, want = runner.run(x, ["lif"]), plain.run(x, ["lif"])
    assert want.counts["lif"].any()
    np.testing.assert_array_equal(got.rasters["lif"], want.rasters["lif"])


def test_a_raster_that_is_held_is_not_written_again():
    runner = LoihiSim(threads=1).compile(_program(32, 600, 0, [0]))
    rng = np.random.default_rng(3)
    first, second = ((rng.random((20, 1, 300)) < rate).astype(float) for rate in (0.1, 0.4))
    held = runner.run(first, ["lif"]).rasters["lif"]
    part, before = held[3:5], held.copy()
    after = runner.run(second, ["lif"]).rasters["lif"]
    assert not np.array_equal(after, before)
    np.testing.assert_array_equal(held, before)
    del held
    runner.run(second, ["lif"])
    np.testing.assert_array_equal(part, before[3:5])
