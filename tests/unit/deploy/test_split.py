"""A model in two parts on every exact target: the chip's spikes and the CPU's results are the reference's."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from convert.ir import IF, LIF, Affine, BadInput, Graph, Input, LeakyIntegrator, ShapeError, StepMap
from convert.passes.lower import lower
from convert.passes.partition import parted
from convert.passes.quantise import Quantise
from deploy.calibration import calibrate
from deploy.reference import values
from deploy.split import HOST_TOLERANCE, SplitRunner
from deploy.target import target
from deploy.verify import compare, compare_counts

STEPS = 6


def model():
    d = np.random.default_rng(3)
    nodes = {
        "input": Input((5,), "real"), "a": Affine(d.normal(0.3, 0.8, (8, 5))), "lif": LIF(0.5),
        "pairs": StepMap(np.kron(np.eye(3), [[0.5, 0.5]])), "b": Affine(d.normal(0.2, 1.0, (4, 8))),
        "if": IF(), "head": Affine(d.normal(size=(2, 4))), "out": LeakyIntegrator(),
    }  # fmt: skip
    return Graph(nodes, tuple(pairwise(nodes)), ("out", "if"), "folded")


@pytest.fixture(scope="module")
def made():
    split = parted(model())
    x = np.random.default_rng(1).normal(0.5, 1.0, (STEPS, 7, 5))
    return split, Quantise(calibrate(split.chip, x))(split.chip), x


def runner(name, split, integer):
    chip = target(name).compile(lower(integer) if name == "loihi-sim" else integer)
    return SplitRunner(chip, integer, split.host, split.outputs)


def test_the_cpu_computes_from_the_chips_own_spikes(made):
    """By the two interpreters, step by step: the integer chip's raster into the float host part."""
    split, integer, x = made
    record = runner("reference", split, integer).run(x, ["lif", "if", "input"])
    spikes = values(integer, x)["lif"]
    want = values(split.host, {"lif": spikes})
    assert 0.05 < spikes.mean() < 0.95 and want["if"].any(), "vacuous case"
    assert list(record.outputs) == ["out", "if"] and record.steps == STEPS
    np.testing.assert_array_equal(record.outputs["out"], want["out"][-1])
    np.testing.assert_array_equal(record.outputs["if"], want["if"].sum(axis=0))
    np.testing.assert_array_equal(record.rasters["lif"], spikes)
    assert record.rasters["if"].shape == (3, 7, 4) and set(record.counts) == {"lif"}
    assert record.rasters["input"].dtype == np.int64  # as the chip encodes it


@pytest.mark.parametrize("name", ["onnx", "loihi-sim"])
def test_targets_agree(made, name):
    split, integer, x = made
    want = runner("reference", split, integer).run(x, ["lif"])
    got = runner(name, split, integer).run(x, ["lif"])
    found = compare(name, True, ["lif"], want, got)
    assert found.passed and found.spikes > 20 and found.values == 7 * 2 + 7 * 4
    assert compare_counts(name, want, got).passed


def test_a_result_that_is_off_fails(made):
    """The tolerance forgives the order of a sum and nothing else; swapped sides give the same verdict."""
    split, integer, x = made
    want = runner("reference", split, integer).run(x, ["lif"])
    for factor, passed in ((1 + HOST_TOLERANCE / 2, True), (1 + 3 * HOST_TOLERANCE, False), (2.0, False)):
        off = {n: v * factor if v.dtype.kind == "f" else v for n, v in want.outputs.items()}
        got = type(want)(off, want.counts, want.steps, want.rasters)
        assert compare("x", True, ["lif"], want, got).passed is passed
        assert compare("x", True, ["lif"], got, want).passed is passed


def test_a_wrong_window_is_refused_before_the_chip_works(made):
    split, integer, x = made
    with pytest.raises(ShapeError, match="pairs: expected 6 steps, got 5"):
        runner("reference", split, integer).run(x[:5])


def test_parts_of_different_models_are_refused(made):
    split, integer, _ = made
    with pytest.raises(BadInput, match="gone: neither part of the model gives it"):
        SplitRunner(target("reference").compile(integer), integer, split.host, ("out", "gone"))
