"""Real values between layers: what an activation means, who computes it, and what it costs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from convert.ir import (
    LIF,
    Affine,
    Concat,
    Graph,
    GraphError,
    Input,
    LeakyIntegrator,
    Relu,
    ShapeError,
    Slice,
    Unsupported,
)
from convert.passes.partition import parted
from convert.passes.quantise import Quantise
from deploy.calibration import calibrate
from deploy.reference import values
from energy.counts import count


def chain(**named):
    """One node behind the other, by name; the last is the output."""
    return Graph(named, tuple(pairwise(named)), (list(named)[-1],), "folded")


def fc(out, size, seed=0):
    return Affine(np.random.default_rng(seed).normal(size=(out, size)))


def real():
    """No neuron but the readout."""
    return chain(
        input=Input((3,)), a=fc(5, 3), relu=Relu(), b=fc(2, 5), readout=LeakyIntegrator()
    )  # fmt: skip


def mixed():
    """Spikes, then real values behind them."""
    return chain(
        input=Input((3,), "binary"), a=fc(5, 3), lif=LIF(0.5), b=fc(4, 5, 1), relu=Relu(), c=fc(2, 4, 2),
        readout=LeakyIntegrator(),
    )  # fmt: skip


def test_its_values_by_hand():
    graph = chain(input=Input((3,)), relu=Relu())
    x = np.array([[[-1.0, 0.0, 2.5]]])
    assert values(graph, x)["relu"].tolist() == [[[0.0, 0.0, 2.5]]]


def test_a_network_of_real_values_has_no_part_for_a_chip():
    with pytest.raises(
        Unsupported, match=r"^relu: Relu gives real values, no spikes; so no node .* can be on"
    ) as no:
        parted(real())
    assert no.value.exit_code == 4
    graph = real()
    with pytest.raises(Unsupported, match="relu: Relu is not linear"):
        Quantise(calibrate(graph, np.ones((2, 1, 3))))(graph)


def test_behind_spikes_it_is_the_cpus():
    whole, split = mixed(), parted(mixed())
    assert split.cut == ("lif",) and split.outputs == ("readout",)
    assert split.reasons["relu"] == "Relu gives real values, no spikes"
    assert [split.place(n) for n in ("lif", "b", "relu", "readout")] == ["chip", "cpu", "cpu", "cpu"]
    x = (np.random.default_rng(0).random((9, 4, 3)) < 0.5).astype(np.int64)
    want = values(whole, x)
    assert 0 < want["lif"].mean() < 1 and want["relu"].any(), "vacuous case"
    host = values(split.host, {"lif": values(split.chip, x)["lif"]})
    np.testing.assert_array_equal(host["readout"], want["readout"])  # the same code on the same numbers


def test_what_follows_is_real_and_every_value_counts():
    """a: 15 MACs of the real input; relu: 5 compares; b: 10 MACs, zeros of the relu not looked for."""
    counts = count(real(), {"input": np.ones((1, 2, 3))})
    assert counts.total("mac").tolist() == [25, 25] and counts.total("ac").tolist() == [0, 0]
    assert counts.of(counts["relu"], "neuron_compares").tolist() == [5, 5]
    assert counts["b"].assumed_dense and not counts["b"].spike_input
    assert counts.uncounted == ()


def side(operand):
    nodes = {
        "x": Input((2, 2), "binary"), "y": Input((3, 2), operand), "side": Concat((2, 3)),
        "some": Slice(1, 4), "fc": Affine(np.ones((4, 6))),
    }  # fmt: skip
    edges = (("x", "side"), ("y", "side"), ("side", "some"), ("some", "fc"))
    return Graph(nodes, edges, ("fc",), "folded")


@pytest.mark.parametrize("operand, ops", [("binary", "ac"), ("real", "mac")])
def test_side_by_side_the_class_is_the_widest(operand, ops):
    """Of 6 values that are read: one of x's second channel and four of y's first two."""
    x, y = np.zeros((1, 1, 2, 2), np.int64), np.ones((1, 1, 3, 2), np.int64)
    x[0, 0, 1, 0] = x[0, 0, 0, 0] = 1
    counts = count(side(operand), {"x": x, "y": y})
    assert counts.total(ops).tolist() == [5 * 4]
    assert counts.of(counts["fc"], "sop_exact").tolist() == [20]
    assert counts["fc"].spike_input == (operand == "binary")


def test_parts_that_do_not_meet_are_refused():
    with pytest.raises(GraphError, match="Concat: sizes"):
        Concat((3,))
    with pytest.raises(GraphError, match=r"Slice: channels 2..2"):
        Slice(2, 2)
    for shapes in (((2, 2),), ((2, 2), (4, 2)), ((2, 2), (3, 5))):
        with pytest.raises(ShapeError, match=r"side: expected \(2, ...\), \(3, ...\)"):
            Concat((2, 3)).out_shape("side", *shapes)
    with pytest.raises(ShapeError, match="some: expected"):
        Slice(1, 4).out_shape("some", (3, 2))
