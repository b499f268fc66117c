"""Operand classes are inherited, per sample, and never read off an all-zero tensor."""

import gc
import weakref
from itertools import pairwise

import numpy as np
import pytest

from convert.ir import (
    LIF,
    Add,
    Affine,
    AvgPool2d,
    BadInput,
    ChannelScale,
    Conv2d,
    Delay,
    Graph,
    Input,
    JointMean,
    LoihiLIF,
    Permute,
    Reshape,
)
from energy.operand import CLASSES, Operands, plan


def chain(*nodes, stage="folded"):
    """x -> n0 -> n1 -> ..., named by position."""
    names = ["x", *(f"n{i}" for i in range(len(nodes) - 1))]
    edges = tuple(pairwise(names))
    return Graph(dict(zip(names, nodes, strict=True)), edges, (names[-1],), stage)


def classes(graph, name, **rasters):
    tensor = Operands(graph, rasters, plan(graph, fold_pool=True))[name]
    return [CLASSES[c] for c in tensor.classes]


def residual():
    """Two spike sources meet in an Add before an Affine."""
    nodes = {
        "a": Input((2,), "binary"),
        "b": Input((2,), "binary"),
        "sum": Add(),
        "fc": Affine(np.ones((3, 2))),
    }
    return Graph(nodes, (("a", "sum"), ("b", "sum"), ("sum", "fc")), ("fc",), "folded")


@pytest.mark.parametrize("x, want", [
    (Input((4,)), "real"), (Input((4,), "binary"), "binary"), (Input((4,), "graded", 0.1), "integer"),
    (Input((4,), "graded", 0.1, bits=2), "ternary"),
])  # fmt: skip
def test_input_says_what_it_lets_in_even_when_silent(x, want):
    graph = chain(x, Reshape((2, 2)), Delay(1), Affine(np.ones((1, 4))))
    silent = np.zeros((3, 2, 4), np.int64)
    assert classes(graph, "n1", x=silent) == [want, want]


def test_sum_of_spikes_is_refined_sample_by_sample():
    # sample 0: they meet -> integer; 1: they do not -> binary; 2: only b fires -> binary; 3: silent
    a = np.array([[[1, 0], [1, 0], [0, 0], [0, 0]]])
    b = np.array([[[1, 1], [0, 1], [0, 1], [0, 0]]])
    assert classes(residual(), "sum", a=a, b=b) == ["integer", "binary", "binary", "integer"]


def test_sum_with_ternary_keeps_the_wider_class():
    nodes = {"a": Input((2,), "graded", bits=2), "b": Input((2,), "binary"), "sum": Add()}
    graph = Graph(nodes, (("a", "sum"), ("b", "sum")), ("sum",), "folded")
    a, b = np.array([[[-1, 0], [1, 0]]]), np.array([[[0, 1], [1, 0]]])
    assert classes(graph, "sum", a=a, b=b) == ["ternary", "integer"]


def test_sum_with_a_graded_or_real_addend_is_not_refined():
    for operand, want in (("graded", "integer"), ("real", "real")):
        nodes = {"a": Input((2,), operand), "b": Input((2,), "binary"), "sum": Add()}
        graph = Graph(nodes, (("a", "sum"), ("b", "sum")), ("sum",), "folded")
        ones = np.array([[[1, 0]]])
        assert classes(graph, "sum", a=ones, b=1 - ones) == [want]


def test_weighted_values_are_not_computed():
    graph = chain(Input((2,), "binary"), Affine(np.ones((2, 2))), Affine(np.ones((2, 2))))
    tensor = Operands(graph, {"x": np.ones((1, 1, 2), int)}, plan(graph, True))["n0"]
    assert not tensor.known and CLASSES[tensor.classes[0]] == "real"
    with pytest.raises(ValueError, match="were not computed"):
        _ = tensor.values
    integer = chain(Input((2,), "binary"), Affine(np.ones((2, 2), int)), LoihiLIF(0, 1), stage="integer")
    assert classes(integer, "n0", x=np.ones((1, 1, 2), int), n1=np.ones((1, 1, 2), int)) == ["integer"]


def folds(*nodes):
    return sorted(plan(chain(*nodes), True).folded)


def test_what_folds_and_what_does_not():
    spikes, image = Input((2, 4, 4), "binary"), Input((2, 4, 4))
    pool, flat, fc = AvgPool2d((2, 2), (2, 2)), Reshape((8,)), Affine(np.ones((1, 8)))
    assert folds(spikes, pool, flat, fc) == ["n0"]
    assert folds(spikes, pool, Delay(1), flat, fc) == ["n0"]
    assert folds(spikes, pool, AvgPool2d((2, 2), (2, 2)), Conv2d(np.ones((1, 2, 1, 1)))) == ["n0", "n1"]
    assert folds(Input((8, 3), "binary"), JointMean(), fc) == ["n0"]
    assert folds(image, pool, flat, fc) == []  # real values gain nothing
    assert folds(spikes, pool, flat) == []  # an output is computed
    assert folds(spikes, pool, ChannelScale(np.ones(2)), flat, fc) == []
    assert folds(spikes, pool, LIF(0.5)) == []
    assert (
        folds(spikes, AvgPool2d((2, 2), (1, 1)), Conv2d(np.ones((1, 2, 1, 1)))) == []
    )  # overlapping windows


def test_a_pool_with_another_user_is_not_folded():
    nodes = {
        "x": Input((2, 4), "binary"),
        "mean": JointMean(),
        "fc": Affine(np.ones((1, 2))),
        "lif": LIF(0.5),
    }
    graph = Graph(nodes, (("x", "mean"), ("mean", "fc"), ("mean", "lif")), ("fc", "lif"), "folded")
    assert not plan(graph, True).folded


@pytest.mark.parametrize("raster, why", [
    (None, "x: no raster"),
    (np.zeros((2, 1, 3), int), "with|expected .steps, samples"),
    (np.full((2, 1, 2), 2), r"values 2..2, expected 0..1 \(binary\)"),
    (np.full((2, 1, 2), 0.5), "expected integers"),
    (np.zeros((0, 1, 2), int), "expected .steps, samples"),
])  # fmt: skip
def test_bad_rasters_are_named(raster, why):
    graph = chain(Input((2,), "binary"), Affine(np.ones((1, 2))))
    with pytest.raises(BadInput, match=why):
        Operands(graph, {} if raster is None else {"x": raster}, plan(graph, True))


def test_real_input_must_be_finite_and_runs_must_agree():
    graph = chain(Input((2,)), Affine(np.ones((1, 2))))
    with pytest.raises(BadInput, match="NaN"):
        Operands(graph, {"x": np.full((1, 1, 2), np.nan)}, plan(graph, True))
    with pytest.raises(BadInput, match=r"b: \(2, 1\) steps and samples, expected \(1, 1\) as a"):
        Operands(
            residual(), {"a": np.ones((1, 1, 2), int), "b": np.ones((2, 1, 2), int)}, plan(residual(), True)
        )


def test_what_was_only_moved_is_counted_where_it_was_made():
    """A Reshape behind a Permute has to copy: not before somebody asks for places."""
    graph = chain(
        Input((2, 3), "graded", 0.1), Permute((1, 0)), Reshape((6,)), Affine(np.ones((1, 6)))
    )  # fmt: skip
    x = np.random.default_rng(0).integers(-3, 4, (4, 5, 2, 3))
    held = Operands(graph, {"x": x}, plan(graph, True))
    moved = held["n1"]
    assert moved.events_by_step is held["x"].events_by_step and moved.sums is held["x"].sums
    assert moved.width == 6 and "values" not in vars(moved), "copied"
    assert moved.events_by_step.tolist() == (x != 0).sum(axis=(2, 3)).T.tolist()
    assert moved.values.tolist() == x.transpose(0, 1, 3, 2).reshape(4, 5, 6).tolist()


def test_a_pool_that_drops_values_keeps_its_own_counts():
    """5 joints in windows of 2: the last value belongs to no window."""
    pool = AvgPool2d((1, 2), (1, 2))
    graph = chain(Input((1, 1, 5), "binary"), pool, Reshape((2,)), Affine(np.ones((1, 2))))
    x = np.ones((1, 2, 1, 1, 5), np.int64)
    held = Operands(graph, {"x": x}, plan(graph, True))
    assert held["n1"].width == 4 and held["n1"].sums[0].tolist() == [4, 4]
    assert held["n1"].origin is held["n0"] and held["x"].sums[0].tolist() == [5, 5]


def test_nothing_of_a_batch_waits_for_the_collector():
    """The memory of its rasters is given to the next batch as soon as it is counted."""
    graph = chain(Input((2, 3), "binary"), Permute((1, 0)), Reshape((6,)), Affine(np.ones((1, 6))))
    gc.disable()
    try:
        held = Operands(graph, {"x": np.ones((4, 5, 2, 3), np.int64)}, plan(graph, True))
        seen = [weakref.ref(held[name]) for name in ("x", "n0", "n1")]
        assert held["n1"].sums[0].tolist() == [24] * 5 and held["n1"].width == 6
        del held
        assert [ref() for ref in seen] == [None] * 3
    finally:
        gc.enable()
