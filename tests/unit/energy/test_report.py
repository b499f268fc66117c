"""Files whole or not at all, streaming sums that equal the sum of the lines, the printed table."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from convert.ir import LIF, Affine, BadInput, Graph, Input
from convert.ir.node import LinearNode
from energy.costs import cost_table
from energy.counts import counter
from energy.digits import quantity
from energy.line import COUNTS
from energy.report import Report

TABLE = cost_table("horowitz45-fp32")
FILES = ["report.html", "samples.jsonl", "samples.parquet", "summary.json"]


def net(extra=None):
    nodes = {"x": Input((3,), "binary"), "fc": Affine(np.ones((2, 3)), np.ones(2)), "lif": LIF(0.5)}
    edges = [("x", "fc"), ("fc", "lif")]
    if extra is not None:
        nodes["swirl"] = extra
        edges.append(("lif", "swirl"))
    return Graph(nodes, tuple(edges), (list(nodes)[-1],), "folded")


def rasters(samples, seed=3):
    rng = np.random.default_rng(seed)
    return {"x": rng.integers(0, 2, (4, samples, 3)), "lif": rng.integers(0, 2, (4, samples, 2), np.uint8)}


def write(out, graph=None, cuts=((0, 5),)):
    count, data = counter(graph or net()), rasters(5)
    with Report(out, TABLE, {"model": "three-two"}) as report:
        for a, b in cuts:
            ids = [f"s{i}" for i in range(a, b)]
            labels, answers = list(range(a, b)), [i if i else 1 for i in range(a, b)]
            report.add(count.count({n: r[:, a:b] for n, r in data.items()}), ids, labels, answers)
    return report


def test_files(tmp_path):
    report = write(tmp_path)
    samples = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary == report.summary
    assert sorted(p.name for p in tmp_path.iterdir()) == FILES
    assert [s["sample_id"] for s in samples] == ["s0", "s1", "s2", "s3", "s4"]
    assert (summary["n_samples"], summary["n_steps"], summary["accuracy"]) == (5, [4], 0.8)
    assert summary["cost_table"]["pj"]["mac"] == 4.6 and summary["header"] == {"model": "three-two"}
    assert summary["options"]["fold_pool"] is True and summary["coverage"]["counted_share"] == 1.0
    for field in COUNTS:
        assert summary["totals"][field] == sum(s["totals"][field] for s in samples)
        assert all(s["totals"][field] == sum(line[field] for line in s["layers"]) for s in samples)
        assert summary["totals"][field] == sum(line["totals"][field] for line in summary["layers"])
    assert summary["totals"]["ac"] > 0
    ac = samples[0]["layers"][0]["ac"]  # 4 steps x 2 outputs x bias, 2 neurons x 4 steps of one LIF
    exact = samples[0]["energy"]["exact"]
    assert exact["compute_pj"] == pytest.approx(0.9 * ac, rel=1e-12)
    assert exact["bias_pj"] == pytest.approx(8 * 0.9, rel=1e-12)
    assert exact["neuron_pj"] == pytest.approx(8 * (3.7 + 0.9 + 0.9), rel=1e-12)
    assert exact["total_pj"] == pytest.approx(
        exact["compute_pj"] + exact["bias_pj"] + exact["neuron_pj"], rel=1e-12
    )
    assert exact["memory_pj"] is None and samples[0]["energy"]["paper-spikformer"]["neuron_pj"] == 0.0
    totals = [s["energy"]["exact"]["total_pj"] for s in samples]
    assert summary["energy"]["exact"]["total_pj"] == pytest.approx(np.mean(totals), rel=1e-12)
    assert summary["energy"]["exact"]["p95_pj"] == pytest.approx(np.percentile(totals, 95), rel=1e-12)


def test_the_cut_of_batches_changes_no_byte_of_the_samples(tmp_path):
    write(tmp_path / "one")
    write(tmp_path / "many", cuts=((0, 2), (2, 3), (3, 5)))
    one, many = ((tmp_path / d / "samples.jsonl").read_bytes() for d in ("one", "many"))
    assert one and one == many


def test_table_is_aligned_and_names_its_unit(tmp_path):
    lines = write(tmp_path).table().splitlines()
    assert lines[0] == "5 samples, 4 steps, mean per sample; cost table horowitz45-fp32"
    assert "exact pJ" in lines[2] and "paper-spikformer pJ" in lines[2]
    rows = lines[2:8]
    assert rows[2].startswith("fc") and "Affine" in rows[2] and "binary" in rows[2]
    ends = [lines[2].index(head) + len(head) for head in ("dense MAC", "paper SOP")]
    assert all(row[end - 1] != " " for row in rows[:3] for end in ends)
    assert any(line.startswith("exact: ") and "accuracy 80.0%" in line for line in lines)
    assert "not measured" in lines[-6]
    assert lines[-5:] == [
        *(f"{part}: null: sizes of layers were not given" for part in ("memory", "addressing", "routing")),
        "bit_budget: null: bits of weights were not given",
        "twins: null: the architecture without spikes was not given",
    ]


@pytest.mark.parametrize(
    "pj, want", [(0.0, "0 pJ"), (92509.2, "92.51 nJ"), (7.463502602e9, "7.464 mJ"), (2e6, "2 uJ")]
)
def test_quantity(pj, want):
    assert quantity(pj) == want


def test_nothing_half_written_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), Report(tmp_path, TABLE) as report:
        report.add(counter(net()).count(rasters(2)), [0, 1])
        raise RuntimeError("target died")
    assert list(tmp_path.iterdir()) == []


def test_an_older_report_survives_a_failed_one(tmp_path):
    write(tmp_path)
    before = (tmp_path / "samples.jsonl").read_bytes()
    with pytest.raises(BadInput, match="no samples"), Report(tmp_path, TABLE):
        pass
    with pytest.raises(BadInput, match="1 ids for 2 samples"), Report(tmp_path, TABLE) as report:
        report.add(counter(net()).count(rasters(2)), [0])
    assert (tmp_path / "samples.jsonl").read_bytes() == before and len(list(tmp_path.iterdir())) == 4


def test_a_header_json_cannot_hold_leaves_nothing(tmp_path):
    with pytest.raises(TypeError), Report(tmp_path, TABLE, {"model": object()}) as report:
        report.add(counter(net()).count(rasters(2)), [0, 1])
    assert list(tmp_path.iterdir()) == []


def test_without_labels_accuracy_is_unknown(tmp_path):
    with Report(tmp_path, TABLE) as report:
        report.add(counter(net()).count(rasters(2)), [0, 1])
    assert report.summary["accuracy"] is None


@dataclass(frozen=True, eq=False)
class Swirl(LinearNode):
    """A node nobody knows."""

    def out_shape(self, name, *in_shapes):
        return in_shapes[0]


def test_joules_are_refused_when_something_is_uncounted(tmp_path):
    report = write(tmp_path, net(Swirl()))
    sample = json.loads((tmp_path / "samples.jsonl").read_text().splitlines()[0])
    for body in (sample, report.summary):
        assert body["energy"] is None and "swirl (Swirl" in body["energy_refused"]
        assert body["totals"]["ac"] > 0
    assert "energy refused: not counted: swirl" in report.table() and " nJ" not in report.table()


def test_another_model_is_refused(tmp_path):
    with pytest.raises(BadInput, match="another model"), Report(tmp_path, TABLE) as report:
        report.add(counter(net()).count(rasters(2)), [0, 1])
        nodes = {"x": Input((3,), "binary"), "other": Affine(np.ones((2, 3)))}
        other = Graph(nodes, (("x", "other"),), ("other",), "folded")
        report.add(counter(other).count(rasters(2)), [2, 3])
    assert list(tmp_path.iterdir()) == []
