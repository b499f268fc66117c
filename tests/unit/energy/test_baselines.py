"""The same network without spikes, by hand; and relations that always hold."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from convert.ir import (
    LIF,
    Add,
    Affine,
    BadInput,
    Conv2d,
    Graph,
    GraphConv,
    Input,
    SpikeMatMul,
    StepConv,
    StepMean,
)
from energy.baselines import BAND, MEANS, VERDICTS, Twin, baselines, twin
from energy.bit_budget import Bits, bit_budget
from energy.costs import cost_table
from energy.counts import count
from energy.priced import Terms
from energy.report import Report

HOROWITZ = cost_table("horowitz45-fp32")
SCHEMA = Path(__file__).parents[3] / "energy" / "schema" / "summary-2.json"


def graph(nodes, *edges, outputs):
    return Graph(nodes, tuple(e.split(">") for e in edges), outputs, "folded")


def two_layers():
    """real 3 -> 4, spikes 4 -> 2."""
    nodes = {
        "x": Input((3,), "real"), "a": Affine(np.ones((4, 3))), "n": LIF(0.5), "b": Affine(np.ones((2, 4))),
    }  # fmt: skip
    return graph(nodes, "x>a", "a>n", "n>b", outputs=("b",))


def counted(spikes):
    """4 steps, one sample; `spikes` of the 16 of `n` are set."""
    n = np.zeros((4, 1, 4), np.uint8)
    n.reshape(-1)[:spikes] = 1
    return count(two_layers(), {"x": np.ones((4, 1, 3)), "n": n})


class TestTwin:
    def test_one_pass_or_one_a_frame(self):
        assert twin(two_layers(), 4, 1) == Twin(3 * 4 + 4 * 2, 3 * 4 + 4 * 2, 1, 4)
        assert twin(two_layers(), 4, 4) == Twin(4 * 20, 4 * 20, 4, 4)

    @pytest.mark.parametrize(
        "steps, bits", [(1, 1), (2, 2), (3, 2), (4, 3), (7, 3), (8, 4), (15, 4), (16, 5)]
    )
    def test_bits_hold_the_spikes_of_all_steps(self, steps, bits):
        assert Twin(1, 1, 1, steps).bits == bits
        assert Twin(1, 1, steps, steps).bits == 1

    def test_padding(self):
        # 3x3 taps on 4x4 with padding 1: 16 positions x 9 = 144, of which 100 inside
        made = graph({"x": Input((1, 4, 4), "binary"), "c": Conv2d(np.ones((1, 1, 3, 3)), padding=(1, 1))},
                     "x>c", outputs=("c",))  # fmt: skip
        assert (twin(made, 4, 1).dense, twin(made, 4, 1).inbounds) == (144, 100)

    def test_all_kinds_of_layers(self):
        nodes = {"x": Input((2, 3), "binary"), "g": GraphConv(np.ones((1, 2, 2)), np.ones((1, 3, 3))),
                 "n": LIF(0.5), "y": Input((3, 2), "binary"), "p": SpikeMatMul(),
                 "m": StepMean()}  # fmt: skip
        made = graph(nodes, "x>g", "g>n", "n>p", "y>p", "p>m", outputs=("m",))
        # mix 2 x 2 x 3 = 12, adjacency 2 x 3 x 3 = 18, product 2 x 2 x 3 = 12, mean 4 x 1
        assert twin(made, 4, 4).dense == 4 * (12 + 18 + 12 + 4)

    def test_passes_divide_the_steps(self):
        with pytest.raises(BadInput, match="3 passes of 4 steps; expected a divisor of 4"):
            twin(two_layers(), 4, 3)

    def test_a_tail_that_falls_after_the_run_is_out_of_bounds(self):
        made = graph({"x": Input((1,), "binary"), "c": StepConv(np.ones((1, 1, 3)))}, "x>c", outputs=("c",))
        assert (twin(made, 4, 4).dense, twin(made, 4, 4).inbounds) == (12, 3 + 3 + 2 + 1)


def test_by_hand():
    # 5 spikes x 2 synapses = 10 ACs of 4 x 8 possible; 4 x 12 real MACs; ANN: 20 MACs once
    found = baselines(counted(5), HOROWITZ, twin(two_layers(), 4, 1), Bits(8))
    assert found.ann_same_arch_pj[0] == found.ann_same_arch_dense_pj[0] == pytest.approx(20 * 4.6)
    assert found.firing_rate[0] == pytest.approx(10 / 32)
    assert found.spikes_per_synapse[0] == pytest.approx(10 / 8)
    assert VERDICTS[found.verdict[0]].startswith("within")
    assert found.break_even_rate[0] == 0.0  # its first layer alone, 48 MACs, costs more than the ANN
    # 3-bit activations, 8-bit weights: E = 3.1 x 24 / 1024 + 0.1 x 8 / 32
    assert found.qnn_bits == 3 and found.qnn_pj[0] == pytest.approx(20 * (3.1 * 24 / 1024 + 0.1 / 4))
    spiking = 10 * 0.1 * 8 / 32 + 48 * (3.1 * 8 * 32 / 1024 + 0.1)
    assert found.qnn_ratio[0] == pytest.approx(spiking / found.qnn_pj[0])


def test_break_even_is_where_both_cost_the_same():
    same = twin(two_layers(), 4, 4)
    found = baselines(counted(5), HOROWITZ, same, Bits(8))
    rate = found.break_even_rate[0]
    assert rate == pytest.approx((80 * 4.6 - 48 * 4.6) / (0.9 * 32))
    assert 48 * 4.6 + rate * 32 * 0.9 == pytest.approx(found.ann_same_arch_pj[0])


def test_spikes_alone_break_even_at_the_ratio_of_the_prices():
    made = graph({"x": Input((3,), "binary"), "a": Affine(np.ones((4, 3)))}, "x>a", outputs=("a",))
    counts = count(made, {"x": np.ones((4, 1, 3), int)})
    found = baselines(counts, HOROWITZ, twin(made, 4, 1), Bits(8))
    assert found.break_even_rate[0] == pytest.approx(4.6 / 0.9 / 4)  # k / T


@pytest.mark.parametrize("density, verdict", [(0.1, 0), (BAND[0], 1), (1.0, 1), (BAND[1], 1), (1.4, 2)])
def test_verdicts(density, verdict):
    # 100 inputs, one output, 100 steps of one repeated input: spikes / 100 each synapse
    made = graph({"x": Input((100,), "binary"), "a": Affine(np.ones((1, 100)))}, "x>a", outputs=("a",))
    x = np.zeros((100, 1, 100), np.int64)
    x.reshape(-1)[: round(density * 100)] = 1
    found = baselines(count(made, {"x": x}), HOROWITZ, twin(made, 100, 1), Bits(8))
    assert found.spikes_per_synapse[0] == pytest.approx(density) and found.verdict[0] == verdict


def test_persons_add_up():
    same = twin(two_layers(), 4, 1)
    one = baselines(counted(5), HOROWITZ, same, Bits(8))
    two = baselines(counted(5), HOROWITZ, same, Bits(8), np.array([2]))
    assert two.ann_same_arch_pj[0] == 2 * one.ann_same_arch_pj[0] and two.qnn_pj[0] == 2 * one.qnn_pj[0]


def test_a_chip_prices_no_mac_and_says_so():
    found = baselines(counted(5), cost_table("loihi1-davies2018"), twin(two_layers(), 4, 1), Bits(8))
    assert found.ann_same_arch_pj is None and found.break_even_rate is None
    assert found.reasons["ann_same_arch_pj"] == "loihi1-davies2018 prices no MAC"
    row = found.sample(0)
    assert row["ann_same_arch_pj"] is None and row["qnn_pj"] > 0 and row["verdict"].startswith("within")


def test_a_network_without_spikes_has_no_rate():
    made = graph({"x": Input((3,), "real"), "a": Affine(np.ones((4, 3)))}, "x>a", outputs=("a",))
    row = baselines(count(made, {"x": np.ones((1, 1, 3))}), HOROWITZ, twin(made, 1, 1), Bits(8)).sample(0)
    assert row["spikes_per_synapse"] is row["verdict"] is row["break_even_rate"] is row["firing_rate"] is None


class TestWhatIsNotKnown:
    """null, never 0, and the summary says why."""

    @staticmethod
    def summary(tmp_path, counts, table=HOROWITZ, **given):
        with Report(tmp_path, table, terms=Terms(**given)) as report:
            for one in counts:
                report.add(one, range(one.samples))
        body = json.loads((tmp_path / "summary.json").read_text())
        jsonschema.validate(body, json.loads(SCHEMA.read_text()))
        return body, report.table()

    def test_a_network_without_spikes(self, tmp_path):
        made = graph({"x": Input((3,), "real"), "a": Affine(np.ones((4, 3)))}, "x>a", outputs=("a",))
        counts = count(made, {"x": np.ones((1, 2, 3))})
        body, _ = self.summary(tmp_path, [counts], twin=twin(made, 1, 1), bits=Bits(8))
        rates = ("break_even_rate", "firing_rate", "spikes_per_synapse")
        assert [body["twins"][f] for f in rates] == [None] * 3 and body["twins"]["qnn_ratio"] > 0
        assert body["twins"]["reasons"] == dict.fromkeys(
            rates, "2 of 2 samples: no layer of them reads spikes"
        )
        assert body["absent"] == {}

    def test_a_mean_over_some_of_the_samples(self, tmp_path):
        """In the second sample two spikes meet: its layer reads a sum, and no other layer is there."""
        nodes = {
            "x": Input((2,), "binary"),
            "y": Input((2,), "binary"),
            "s": Add(),
            "a": Affine(np.ones((4, 2))),
        }
        made = graph(nodes, "x>s", "y>s", "s>a", outputs=("a",))
        counts = count(made, {"x": np.array([[[1, 0], [1, 0]]]), "y": np.array([[[0, 0], [1, 0]]])})
        body, _ = self.summary(tmp_path, [counts], twin=twin(made, 1, 1), bits=Bits(8))
        assert body["twins"]["firing_rate"] == 0.5
        assert body["twins"]["reasons"]["firing_rate"] == "1 of 2 samples: no layer of them reads spikes"
        assert "qnn_ratio" not in body["twins"]["reasons"]

    def test_a_chip_has_no_ann(self, tmp_path):
        nodes = {"x": Input((2,), "binary"), "a": Affine(np.ones((4, 2)))}
        made = graph(nodes, "x>a", outputs=("a",))
        counts = count(made, {"x": np.ones((1, 1, 2), int)})
        given = {"twin": twin(made, 1, 1), "bits": Bits(8)}
        body, _ = self.summary(tmp_path, [counts], cost_table("loihi1-davies2018"), **given)
        names = {"ann_same_arch_pj", "ann_same_arch_dense_pj", "break_even_rate"}
        assert body["twins"]["reasons"] == dict.fromkeys(names, "loihi1-davies2018 prices no MAC")
        assert {f for f in MEANS if body["twins"][f] is None} == names

    def test_neither_twin_nor_bits(self, tmp_path):
        body, printed = self.summary(tmp_path, [counted(5)], twin="no steps", bits="no weights")
        assert body["twins"] is body["bit_budget"] is None
        assert body["absent"] == {"twins": "no steps", "bit_budget": "no weights"}
        assert "twins: null: no steps" in printed and "bit_budget: null: no weights" in printed
        body, _ = self.summary(tmp_path, [counted(5)], twin=twin(two_layers(), 4, 1), bits="no weights")
        assert body["absent"] == {"twins": "no weights", "bit_budget": "no weights"}


class TestBitBudget:
    def test_by_hand(self):
        counts = counted(5)
        found = bit_budget(counts, Bits(8, real=16))
        lines = [line.name for line in counts.lines]
        assert lines == ["a", "n", "b"]
        assert found["ace"][:, 0].tolist() == [48 * 8 * 16, 0, 10 * 8]
        assert found["ace_dense"][:, 0].tolist() == [48 * 8 * 16, 0, 32 * 8]
        assert found["ace"].dtype == np.int64

    @pytest.mark.parametrize("operand, bits", [("binary", 1), ("graded", 5), ("real", 16)])
    def test_operands(self, operand, bits):
        made = graph({"x": Input((3,), operand), "a": Affine(np.ones((4, 3)))}, "x>a", outputs=("a",))
        x = np.ones((1, 1, 3), float if operand == "real" else int)
        found = bit_budget(count(made, {"x": x}), Bits(2, graded=5, real=16))
        assert found["ace"].tolist() == [[12 * 2 * bits]]

    def test_bits_are_checked(self):
        with pytest.raises(BadInput, match="bits of a weight value: found 0, expected 1 to 64"):
            Bits(0)
