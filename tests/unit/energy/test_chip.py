"""Chips are paid by events; what is no event is paid by the host, or joules are refused."""

from dataclasses import replace

import numpy as np
import pytest

from convert.ir import (
    Affine,
    BadInput,
    DenseWeights,
    Graph,
    Input,
    LoihiLIF,
    Population,
    Program,
    Projection,
    SparseWeights,
)
from energy.bills import bills
from energy.chip import chip_bills
from energy.costs import cost_table
from energy.counts import count, count_program
from energy.layer import layers
from energy.movement import Machine
from energy.routing import CoreMap, hosted, sources

DAVIES, SANAFE, HOST = (cost_table(n) for n in ("loihi1-davies2018", "loihi1-sanafe", "horowitz45-int8"))


def program(operand="binary"):
    """x (2) -> a (3), dense -> b (2), two synapses."""
    sparse = SparseWeights(np.array([0, 1, 2, 2]), np.array([0, 1]), np.array([1, 1], np.int8), (2, 3))
    lif = LoihiLIF(dv=0, vth=1)
    populations = {
        "x": Population("x", (2,), Input((2,), operand)), "a": Population("a", (3,), lif, 1),
        "b": Population("b", (2,), lif, 2),
    }  # fmt: skip
    dense = DenseWeights(np.ones((3, 2), np.int8))
    return Program(
        populations, (Projection("in", "x", "a", dense), Projection("mid", "a", "b", sparse)), ("b",)
    )


def counted(operand="binary", level=1):
    """2 steps: x spikes 3 times (9 ops), a 3 times (neurons 0, 0 and 2: 2 ops), b once."""
    x, a, b = np.zeros((2, 1, 2), np.int64), np.zeros((2, 1, 3), np.uint8), np.zeros((2, 1, 2), np.uint8)
    x[0, 0, :], x[1, 0, 0] = level, level
    a[0, 0, 0] = a[1, 0, 0] = a[1, 0, 2] = 1
    b[1, 0, 1] = 1
    made = program(operand)
    return made, count_program(made, {"x": x, "a": a, "b": b})


def test_loihi_by_hand():
    _, counts = counted()
    found = chip_bills(counts, DAVIES, None)
    assert list(found) == ["exact", "exact-idle"]
    exact, idle = found["exact"], found["exact-idle"]
    assert exact.component("compute")[0] == pytest.approx((9 + 2) * 23.6)
    assert exact.component("neuron")[0] == pytest.approx((3 + 2) * 2 * 81)
    assert idle.component("neuron")[0] == pytest.approx(4 * 81 + 6 * 52)  # 4 updates ended in a spike
    assert exact.total() == exact.component("compute") + exact.component("neuron")
    assert not exact.component("host").any()


def test_synapses_pay_by_how_they_are_stored():
    _, counts = counted()
    exact = chip_bills(counts, SANAFE, None)["exact"]
    assert exact.pj["compute"][:2, 0].tolist() == pytest.approx([9 * 35.5, 2 * 33.6])
    assert exact.component("neuron")[0] == pytest.approx(10 * 72.8 + 4 * 69.3)


def test_a_neuron_without_a_figure_is_unpriced_and_one_within_another_figure_is_free():
    _, counts = counted()
    tianjic = chip_bills(counts, cost_table("tianjic"), None)
    assert list(tianjic) == ["exact"] and "neuron" not in tianjic["exact"].pj
    assert "no figure" in tianjic["exact"].unpriced["neuron"]
    truenorth = chip_bills(counts, cost_table("truenorth-26"), None)["exact"]
    assert truenorth.unpriced == {} and truenorth.total()[0] == pytest.approx(11 * 26)


def test_values_need_a_host():
    _, counts = counted("graded", 5)
    with pytest.raises(
        BadInput, match=r"energy refused: loihi1-davies2018 .* and in multiply values .*--host-table"
    ):
        chip_bills(counts, DAVIES, None)
    exact = chip_bills(counts, DAVIES, HOST)["exact"]
    assert exact.component("host")[0] == pytest.approx(9 * 0.23)
    assert exact.component("compute")[0] == pytest.approx(2 * 23.6)
    with pytest.raises(BadInput, match="horowitz45-int8 prices all operations itself"):
        bills(counts, HOST, host=HOST)
    with pytest.raises(BadInput, match="loihi1-davies2018: prices a chip; name an arithmetic table"):
        bills(counts, DAVIES, host=DAVIES)


def test_adds_of_a_graph_are_said():
    nodes = {"x": Input((3,), "binary"), "fc": Affine(np.ones((2, 3)), np.ones(2))}
    made = Graph(nodes, (("x", "fc"),), ("fc",), "folded")
    exact = chip_bills(count(made, {"x": np.ones((1, 1, 3), int)}), DAVIES, None)["exact"]
    assert "convert --to lava" in exact.unpriced["adds"]


PER_SPIKE = {
    "x": {"messages": 1.0, "hops_x": 2.0, "hops_y": 0.5},
    "a": {"messages": 3.0, "hops_x": 0.0, "hops_y": 1.0},
}
CORES = CoreMap("loihi1", "", "measured", PER_SPIKE, 0.0)


class TestRouting:
    def test_by_hand(self):
        made, counts = counted()
        machine = Machine(layers(made), CORES, sources(made))
        exact = bills(counts, DAVIES, machine)["exact"]
        x, a = 1 * 1.7 + 2 * 3.0 + 0.5 * 4.0, 3 * 1.7 + 1 * 4.0
        assert exact.component("routing")[0] == pytest.approx(3 * x + 3 * a)
        assert {"memory", "addressing"} == set(exact.unpriced)
        parts = ("compute", "neuron", "host", "routing")
        assert exact.total()[0] == pytest.approx(sum(exact.component(p)[0] for p in parts))

    def test_what_the_map_leaves_to_the_host_is_paid_by_the_host(self):
        made, counts = counted("graded", 5)
        cores = replace(CORES, outside=frozenset({"x", "a"}))
        assert hosted(made, cores) == {"in", "a"}
        machine = Machine(layers(made), cores, sources(made), hosted(made, cores))
        exact = bills(counts, DAVIES, machine, HOST)["exact"]
        assert exact.component("neuron")[0] == pytest.approx(2 * 2 * 81)  # b alone
        # 9 MACs, and 6 updates of a: a multiply, an add, a compare each
        assert exact.component("host")[0] == pytest.approx(9 * 0.23 + 6 * (0.2 + 2 * 0.03))
        assert exact.component("routing")[0] > 0  # a's spikes still enter the chip

    def test_without_a_map_it_is_unknown(self):
        made, counts = counted()
        exact = bills(counts, DAVIES, Machine(layers(made), None, sources(made)))["exact"]
        assert "--map" in exact.unpriced["routing"] and "routing" not in exact.pj

    def test_without_a_program_it_is_unknown(self):
        made, counts = counted()
        assert (
            "no program" in bills(counts, DAVIES, Machine(layers(made), CORES))["exact"].unpriced["routing"]
        )

    def test_silent_in_the_map(self):
        made, counts = counted()
        silent = CoreMap(
            "loihi1", "", "measured", {**PER_SPIKE, "a": dict.fromkeys(PER_SPIKE["a"], np.nan)}, 0.0
        )
        exact = bills(counts, DAVIES, Machine(layers(made), silent, sources(made)))["exact"]
        assert exact.unpriced["routing"].startswith("a: silent")

    def test_hops_between_chips_have_no_price(self):
        made, counts = counted()
        machine = Machine(layers(made), replace(CORES, crossings=2.0), sources(made))
        why = bills(counts, DAVIES, machine)["exact"].unpriced["routing"]
        assert why == "2 hops a sample go from chip to chip, at no published price"

    def test_chips_that_include_or_lack_it(self):
        made, counts = counted()
        machine = Machine(layers(made), CORES, sources(made))
        assert not bills(counts, cost_table("truenorth-26"), machine)["exact"].component("routing").any()
        why = bills(counts, cost_table("odin"), machine)["exact"].unpriced["routing"]
        assert why == "odin prices no message, hop_x, hop_y"
        assert "prices no message" in bills(counts, HOST, machine)["exact"].unpriced["routing"]

    def test_senders(self):
        assert sources(program()) == {"a": "a", "b": "b", "in": "x"}


class TestTotals:
    def test_lemaire_is_a_convention_of_its_own_and_memory_belongs_to_its_total(self):
        made, counts = counted()
        found = bills(counts, cost_table("lemaire2022-leat"), Machine(layers(made), None, sources(made)))
        assert list(found) == ["exact", "paper-spikformer", "lemaire2022"]
        exact, paper, lemaire = found.values()
        assert {"memory", "addressing"} <= set(exact.pj) and set(exact.unpriced) == {"routing"}
        assert exact.component("memory")[0] > exact.component("compute")[0] > 0
        assert set(paper.unpriced) == {"memory", "addressing", "routing"} and "memory" not in paper.pj
        assert lemaire.total()[0] == pytest.approx(sum(pj.sum() for pj in lemaire.pj.values()))

    def test_horowitz_prices_memory_beside_its_total(self):
        made, counts = counted()
        machine = Machine(layers(made), None, sources(made))
        alone, moved = bills(counts, HOST)["exact"], bills(counts, HOST, machine)["exact"]
        assert moved.total() == alone.total() and set(moved.beside) == {"memory", "addressing"}
        assert moved.beside["memory"].sum() > 0 and set(moved.unpriced) == {"routing"}

    def test_a_line_that_no_equation_covers(self):
        made, counts = counted()
        known = {**layers(made), "mid": "no published equation for it"}
        found = bills(counts, cost_table("lemaire2022-interp"), Machine(known, None, sources(made)))
        assert list(found) == ["exact", "paper-spikformer"]
        assert found["exact"].unpriced["memory"] == "mid: no published equation for it"
        assert "memory" not in {**found["exact"].pj, **found["exact"].beside}
