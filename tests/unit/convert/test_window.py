"""Window nodes: how many steps a tensor has, what they compute, and who refuses them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from convert.ir import (
    IF,
    LIF,
    Add,
    Affine,
    Graph,
    GraphError,
    Input,
    LeakyIntegrator,
    ShapeError,
    StepMap,
    StepMean,
    Unsupported,
    load_graph,
    save_graph,
    steps,
    text,
)
from convert.passes.lower import lower
from convert.passes.quantise import Quantise
from convert.to_onnx import step_model
from deploy.calibration import calibrate
from deploy.reference import Reference, values

HALVES = np.kron(np.eye(3), [[0.5, 0.5]])  # [3, 6]: the mean of each pair of steps


def windowed():
    """A spiking layer, means of pairs of steps, a spiking layer over the pairs, and back to a mean."""
    nodes = {
        "input": Input((2,), "binary"), "fc": Affine(np.eye(2)), "lif": LIF(0.5, 0.75),
        "pairs": StepMap(HALVES), "if": IF(0.9), "mean": StepMean(), "out": LeakyIntegrator(),
    }  # fmt: skip
    return Graph(nodes, tuple(pairwise(nodes)), ("out",), "folded")


def test_steps_behind_a_window_are_its_own():
    found = steps(windowed(), 6)
    assert found == {"input": 6, "fc": 6, "lif": 6, "pairs": 3, "if": 3, "mean": 1, "out": 1}


def test_the_reference_runs_a_window_by_hand():
    """Spikes at 1 of 0.75: every active step. Pairs of one neuron: 1, 0.5, 0; of the other: 1, 1, 1. The IF
    of threshold 0.9 starts at rest, fires at the first pair of each; the second neuron at all three."""
    x = np.array([[1, 1], [1, 1], [1, 1], [0, 1], [0, 1], [0, 1]])[:, None]
    got = values(windowed(), x)
    np.testing.assert_array_equal(got["pairs"][:, 0], [[1, 1], [0.5, 1], [0, 1]])
    np.testing.assert_array_equal(got["if"][:, 0], [[1, 1], [0, 1], [0, 1]])
    np.testing.assert_allclose(got["out"][:, 0], [[1 / 3, 1]], rtol=1e-15)  # one division
    record = Reference().compile(windowed()).run(x, ["lif", "if"])
    assert record.steps == 6 and record.counts["if"].tolist() == [[1, 3]]
    assert record.rasters["if"].shape == (3, 1, 2)


def test_another_length_names_the_node_and_what_to_do():
    with pytest.raises(
        ShapeError, match=r"pairs: expected 6 steps, got 8; its matrix .* feed that many"
    ) as got:
        Reference().compile(windowed()).run(np.zeros((8, 1, 2)))
    assert got.value.exit_code == 3


def test_inputs_of_different_lengths_do_not_meet():
    nodes = {"input": Input((2,), "binary"), "mean": StepMean(), "sum": Add()}
    graph = Graph(nodes, (("input", "mean"), ("mean", "sum"), ("input", "sum")), ("sum",), "folded")
    with pytest.raises(
        ShapeError, match="sum: expected inputs of one number of steps, got mean has 1, input has 4"
    ):
        steps(graph, 4)
    assert steps(graph, 1) == {"input": 1, "mean": 1, "sum": 1}


@pytest.mark.parametrize("shape", [(3,), (0, 4), (2, 3, 4)])
def test_a_map_is_a_matrix(shape):
    with pytest.raises(GraphError, match="StepMap: matrix has shape"):
        StepMap(np.zeros(shape))


def test_who_works_step_by_step_refuses_and_names_the_remedy():
    graph = windowed()
    for refused in (
        lambda: lower(graph),
        lambda: Quantise(calibrate(graph, np.ones((6, 1, 2))))(graph),
        lambda: step_model(graph),
    ):
        with pytest.raises(
            Unsupported, match=r"pairs: StepMap needs the whole window, .*; part the graph first"
        ):
            refused()


def test_a_window_is_written_and_read(tmp_path):
    save_graph(tmp_path / "g.npz", windowed())
    again = load_graph(tmp_path / "g.npz")
    assert text(again) == text(windowed())
    np.testing.assert_array_equal(again.nodes["pairs"].matrix, HALVES)
