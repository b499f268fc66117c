"""Files against their published schemas, Parquet against JSON lines, statistics against numpy."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow.parquet as pq
import pytest

from convert.ir import LIF, Affine, Graph, Input
from energy import parquet, statistics
from energy.costs import cost_table
from energy.counts import counter
from energy.digits import honest
from energy.layer import layers
from energy.line import COUNTS, STEPPED
from energy.movement import NOT_GIVEN, Machine
from energy.priced import Terms
from energy.report import Report

TABLE = cost_table("horowitz45-fp32")
SCHEMAS = Path(__file__).parents[3] / "energy" / "schema"
FILES = {"samples": "samples-3.json", "summary": "summary-2.json"}


def schema(name):
    body = json.loads((SCHEMAS / FILES[name]).read_text())
    jsonschema.Draft202012Validator.check_schema(body)
    return jsonschema.Draft202012Validator(body)


def write(out, samples=9, batch=4, labelled=True, sized=True):
    nodes = {"x": Input((3,), "binary"), "fc": Affine(np.ones((2, 3)), np.ones(2)), "lif": LIF(0.5)}
    graph = Graph(nodes, (("x", "fc"), ("fc", "lif")), ("lif",), "folded")
    counting, terms = counter(graph), Terms(machine=Machine(layers(graph))) if sized else None
    rng = np.random.default_rng(5)
    data = {
        "x": rng.integers(0, 2, (4, samples, 3)),
        "lif": rng.integers(0, 2, (4, samples, 2), np.uint8),
    }
    with Report(out, TABLE, {"model": "three-two", "class_names": ["a", "b", "c"]}, terms) as report:
        for a in range(0, samples, batch):
            ids = range(a, min(a + batch, samples))
            counts = counting.count({n: r[:, a : a + batch] for n, r in data.items()})
            known = ([i % 3 for i in ids], [i % 2 for i in ids], [0.5] * len(ids)) if labelled else ()
            report.add(counts, [f"s{i}" for i in ids], *known)
    rows = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    return rows, json.loads((out / "summary.json").read_text())


@pytest.mark.parametrize("labelled", [True, False])
def test_every_file_fits_its_schema(tmp_path, labelled):
    rows, summary = write(tmp_path, labelled=labelled, sized=labelled)
    for row in rows:
        schema("samples").validate(row)
    schema("summary").validate(summary)


def test_a_schema_refuses_what_is_not_in_it(tmp_path):
    rows, summary = write(tmp_path)
    for name, body in (("samples", rows[0]), ("summary", summary)):
        assert not list(schema(name).iter_errors(body))
        assert list(schema(name).iter_errors({**body, "joules": 3}))
        assert list(schema(name).iter_errors({**body, "schema_version": 1}))
    for name in ("header", "cost_table", "options"):
        assert list(schema("summary").iter_errors({**summary, name: {**summary[name], "joules": 3}}))


def test_parquet_holds_the_rows_of_the_json_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP_BYTES", 1)  # a row group each batch
    rows, _ = write(tmp_path)
    file = pq.ParquetFile(tmp_path / "samples.parquet")
    assert file.num_row_groups == 3
    assert file.read().to_pylist() == rows


def test_accesses_of_every_layer_are_those_of_the_equations(tmp_path):
    """Four steps of a layer 3 -> 2 with a bias, and of its two neurons, by hand."""
    rows, _ = write(tmp_path)
    assert len({row["layers"][0]["nnz_in"] for row in rows}) > 2
    for fc, lif in (row["layers"] for row in rows):
        spikes, fan, biases = fc["nnz_in"], 2, 4 * 2
        assert fc["accesses"] == {
            "inputs": spikes, "parameters": spikes * fan + biases, "potentials": spikes * fan, "outputs": 0,
            "address_macs": 0, "address_adds": spikes * fan,
        }  # fmt: skip
        assert lif["accesses"] == {
            "inputs": 0, "parameters": 0, "potentials": 4 * 2, "outputs": lif["spikes_out"],
            "address_macs": 0, "address_adds": 0,
        }  # fmt: skip


def test_accesses_of_unknown_sizes_are_null_with_the_reason(tmp_path):
    rows, summary = write(tmp_path, sized=False)
    assert all(layer["accesses"] is None for row in rows for layer in row["layers"])
    assert summary["energy"]["exact"]["unpriced"]["memory"] == NOT_GIVEN


def test_steps_add_up_to_the_counts(tmp_path):
    rows, summary = write(tmp_path)
    assert summary["totals"]["spikes_out"] > 0 and summary["totals"]["sop_exact"] > 0
    for body, total in [(summary, "totals"), *((row, None) for row in rows)]:
        for layer in body["layers"]:
            for field in STEPPED:
                steps = (layer["by_step"] or {}).get(field)
                if steps is not None:
                    assert sum(steps) == (layer[total] if total else layer)[field]
                    assert len(steps) == 4


def test_summary_is_the_statistics_of_the_rows(tmp_path):
    rows, summary = write(tmp_path)
    totals = np.array([row["energy"]["exact"]["total_pj"] for row in rows])
    exact = summary["energy"]["exact"]
    want = {"median_pj": np.median(totals), "std_pj": totals.std(), "min_pj": totals.min(),
            "max_pj": totals.max(), "p5_pj": np.percentile(totals, 5)}  # fmt: skip
    assert totals.std() > 0
    for key, value in want.items():
        assert exact[key] == pytest.approx(value, rel=1e-12)  # the same sums in another order
    low, high = exact["ci95_pj"]
    assert low < exact["total_pj"] < high
    right = sum(row["correct"] for row in rows)
    assert 0 < right < len(rows)
    assert exact["per_correct_pj"] == pytest.approx(totals.sum() / right, rel=1e-12)
    assert exact["delay_product_js"] == pytest.approx(totals.mean() * 0.5e-12, rel=1e-12)
    assert [(c["label"], c["name"], c["n"]) for c in summary["per_class"]] == [
        (0, "a", 3), (1, "b", 3), (2, "c", 3)
    ]  # fmt: skip
    second = [row["energy"]["exact"]["total_pj"] for row in rows if row["label"] == 1]
    assert summary["per_class"][1]["energy"]["exact"]["total_pj"] == pytest.approx(np.mean(second), rel=1e-12)
    for field in COUNTS:
        assert summary["totals"][field] == sum(row["totals"][field] for row in rows)


def test_bootstrap_finds_the_spread_of_a_mean():
    values = np.random.default_rng(1).normal(100.0, 5.0, 400)
    low, high = statistics.interval(values)
    width = 2 * 1.96 * values.std() / np.sqrt(400)
    assert high - low == pytest.approx(width, rel=0.15)  # 1000 resamples know an edge to about 5 %
    assert statistics.interval(values) == [low, high]
    assert statistics.interval(np.array([3.0])) == [3.0, 3.0]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((114.7e6, 88e6, 114.7e6), "110 uJ (90 to 110 uJ)"),
        ((114.7e6, 114.7e6, 114.7e6), "115 uJ"),
        ((4.2e6, 1e6, 9e6), "4 uJ (1 to 9 uJ)"),
        ((4.26e6, 4.2e6, 4.3e6), "4.3 uJ (4.2 to 4.3 uJ)"),
        ((40e3, 30e3, 500e3), "40 nJ (30 to 500 nJ)"),
        ((0.0, 0.0, 0.0), "0 pJ"),
        ((83e6, 31.8e6, 5.06e9), "80 uJ (30 uJ to 5 mJ)"),
        ((191.9e6, 0.366e6, 192e6), "200 uJ (400 nJ to 200 uJ)"),
        ((999.96e3, 10e3, 2e6), "1.0 uJ (10 nJ to 2 uJ)"),
    ],
)
def test_no_more_digits_than_the_spread_allows(given, text):
    assert honest(*given) == text
