"""The comparison itself: it sees every difference, says where the first is, never passes by not looking."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from deploy.record import Record, joined
from deploy.reference import Reference
from deploy.verify import compare, float_divergence, together

ORDER = ("a", "b")


def record(a, b, v):
    rasters = {"a": np.asarray(a, np.uint8), "b": np.asarray(b, np.uint8)}
    counts = {n: r.sum(axis=0, dtype=np.int64) for n, r in rasters.items()}
    return Record({"out": np.asarray(v)}, counts, len(rasters["a"]), rasters)


@pytest.fixture
def want():
    """Two layers of three neurons, 8 steps, 2 samples."""
    draw = np.random.default_rng(0)
    return record(*(draw.random((8, 2, 3)) < 0.4 for _ in ORDER), [[5, -7], [1, 2]])


def changed(want, name, raster):
    return replace(want, rasters={**want.rasters, name: np.asarray(raster, np.uint8)})


def test_equal_records_pass(want):
    result = compare("t", True, ORDER, want, want)
    assert result.passed and result.first is None
    assert (result.mismatching, result.values_off, result.populations) == (0, 0, 2)
    assert result.spikes == sum(int(r.sum()) for r in want.rasters.values()) > 10
    assert (result.places, result.values) == (2 * 8 * 2 * 3, 4)
    assert json.loads(json.dumps(result.as_json()))["passed"] is True


def test_one_flipped_spike_is_found_and_named(want):
    """T4, T5: the smallest difference there is fails, at its layer, step, sample and neuron."""
    raster = want.rasters["b"].copy()
    raster[5, 1, 2] ^= 1
    result = compare("t", True, ORDER, want, changed(want, "b", raster))
    first = result.first
    assert not result.passed
    assert result.mismatching == 1
    assert (first.layer, first.step, first.sample, first.neuron) == ("b", 5, 1, (2,))
    assert (first.expected, first.got) == (want.rasters["b"][5, 1, 2], raster[5, 1, 2])
    assert "layer b, step 5, sample 1, neuron (2,)" in str(first)


def test_all_against_nothing_fails_and_swapping_changes_no_verdict(want):
    silent = record(np.zeros((8, 2, 3)), np.zeros((8, 2, 3)), [[0, 0], [0, 0]])
    there, back = compare("t", True, ORDER, want, silent), compare("t", True, ORDER, silent, want)
    assert not there.passed and not back.passed
    assert there.mismatching == back.mismatching == there.spikes
    assert back.spikes == 0
    assert there.values_off == back.values_off == 4
    assert "silent" in there.first.cause


def test_values_that_are_no_numbers_or_too_few_are_off(want):
    """Both would pass a comparison by distance: NaN is never far, one column is broadcast over all."""
    whole = replace(want, outputs={"out": np.array([[0.5, 0.5], [0.5, 0.5]])})
    for broken in (np.full((2, 2), np.nan), np.full((2, 1), 0.5)):
        result = compare("t", True, ORDER, whole, replace(whole, outputs={"out": broken}))
        assert not result.passed and result.values_off == 4
    assert compare("t", True, ORDER, whole, whole).values_off == 0


def test_populations_without_a_spike_are_named(want):
    """They agree with everything that is silent too."""
    quiet = changed(want, "b", np.zeros((8, 2, 3)))
    assert compare("t", True, ORDER, quiet, quiet).silent == ("b",)
    assert compare("t", True, ORDER, want, quiet).silent == ()


def test_the_first_layer_counts_before_the_first_step(want):
    """A later layer that parts earlier in time is a consequence, not the cause."""
    a, b = want.rasters["a"].copy(), want.rasters["b"].copy()
    a[6, 0, 0] ^= 1
    b[1, 0, 0] ^= 1
    result = compare("t", True, ORDER, want, changed(changed(want, "a", a), "b", b))
    assert (result.first.layer, result.first.step, result.mismatching) == ("a", 6, 2)


def test_a_shift_in_time_is_told_from_other_causes(want):
    raster = want.rasters["a"]
    late, early = np.zeros_like(raster), np.zeros_like(raster)
    late[1:], early[:-1] = raster[:-1], raster[1:]
    assert "one step late" in compare("t", True, ORDER, want, changed(want, "a", late)).first.cause
    assert "one step early" in compare("t", True, ORDER, want, changed(want, "a", early)).first.cause
    assert "weights" in compare("t", True, ORDER, want, changed(want, "a", 1 - raster)).first.cause


def test_a_readout_off_by_one_fails(want):
    result = compare("t", True, ORDER, want, replace(want, outputs={"out": np.array([[5, -7], [1, 3]])}))
    assert not result.passed
    assert (result.mismatching, result.values_off) == (0, 1)


def test_only_a_broken_promise_fails(want):
    silent = changed(want, "a", np.zeros((8, 2, 3)))
    assert not compare("t", True, ORDER, want, silent).passed
    assert compare("t", False, ORDER, want, silent).passed
    assert compare("t", False, ORDER, want, silent).first is not None


def test_nothing_passes_by_being_absent_or_broadcast(want):
    """A raster or a readout that is not there, and one sample that would be compared with both."""
    with pytest.raises(KeyError, match="target t gave no raster or output of b"):
        compare("t", True, ORDER, want, replace(want, rasters={"a": want.rasters["a"]}))
    with pytest.raises(KeyError, match="out"):
        compare("t", True, ORDER, want, replace(want, outputs={}))
    with pytest.raises(ValueError, match="raster of shape"):
        compare("t", True, ORDER, want, changed(want, "a", want.rasters["a"][:, :1]))


def test_the_first_divergence_from_float_is_reported_with_both_membranes(graph_cases, integer_of):
    """Where the integers part from the float graph, the two membranes lie on both sides of the threshold."""
    case, integer = graph_cases["step-conv"], integer_of("step-conv").graph
    x = case.x(40, 16, seed=8)
    want = Reference().compile(integer).run(x, integer.spiking())
    result, membranes = float_divergence(integer, case.graph, x, want)
    assert result.passed and not result.exact
    assert result.first is not None, "vacuous case: 8 bits flipped no spike"
    assert 0 < result.mismatching < 0.05 * result.places
    spiked = membranes["float_membrane"] > membranes["threshold"]
    assert spiked != (membranes["integer_membrane"] > membranes["threshold"])
    assert abs(membranes["float_membrane"] - membranes["integer_membrane"]) < 0.1


def test_batches_join(want):
    both = joined([want, want])
    assert both.samples == 4
    assert both.rate("a") == want.rate("a") == want.rasters["a"].mean()
    np.testing.assert_array_equal(both.rasters["b"][:, 2:], want.rasters["b"])
    np.testing.assert_array_equal(both.outputs["out"][2:], want.outputs["out"])


@pytest.mark.parametrize(
    "places", [[], [("b", 2, 0)], [("b", 2, 0), ("b", 1, 1)], [("b", 0, 0), ("a", 5, 1)]]
)
def test_samples_compared_one_after_the_other_are_compared_together(want, places):
    """Whatever differs where: the same counts, and the same first difference."""
    got = want
    for layer, step, sample in places:
        spikes = got.rasters[layer].copy()
        spikes[step, sample, 1] ^= 1
        got = changed(got, layer, spikes)

    def of(source, sample):
        values = {"out": source.outputs["out"][[sample]]}
        return record(*(source.rasters[n][:, [sample]] for n in ORDER), values["out"])

    parts = []
    for sample in (0, 1):
        part = compare("t", True, ORDER, of(want, sample), of(got, sample))
        parts.append(part if part.first is None else replace(part, first=replace(part.first, sample=sample)))
    whole, all_at_once = together(parts, ORDER), compare("t", True, ORDER, want, got)
    assert whole.mismatching == len(places) and whole.passed == (not places)
    same = whole.first is not None and replace(whole.first, cause=all_at_once.first.cause)
    assert replace(whole, first=same or None) == all_at_once
