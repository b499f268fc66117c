"""`cost-tables`, and what `energy-report` prices by them: chips, core maps, measured joules; bad input."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

SCHEMA = Path(__file__).parents[2] / "energy" / "schema" / "summary-2.json"


def test_the_list(run, tmp_path):
    got = run("cost-tables", "--json", tmp_path / "tables.json")
    assert got.code == 0, got.err
    body = json.loads((tmp_path / "tables.json").read_text())
    assert len(body["tables"]) == 21 and set(body["unpublished"]) >= {"loihi2", "speck", "akida"}
    for table in body["tables"]:
        assert table["source"] and table["scope"]
        for word in (
            table["name"],
            table["scope"],
            table["confidence"],
            table["source"][0],
            table["caution"],
        ):
            assert word in got.out


def test_one_table_and_a_file_of_ones_own(run, tmp_path, refused):
    assert "pJ for each 32-bit word of a memory: 13.29 of 1 KiB" in run("cost-tables", "lemaire2022-leat").out
    assert "no figure: mac" in run("cost-tables", "yan2024-22nm").out
    mine = tmp_path / "mine.toml"
    mine.write_text('name = "mine"\nvolts = 1\n[pj]\nmac = -1\n')
    refused(run("cost-tables", mine), 3, "unknown key 'volts'", "mac = -1", "lacks ac", "source must be")
    refused(run("cost-tables", "loihi2"), 3, "no energy per operation of Loihi 2")
    refused(run("cost-tables", "abacus"), 3, "unknown; known: ")


@pytest.fixture
def chip_map(run, lava_artifact, tmp_path):
    path = tmp_path / "map.json"
    got = run(
        "map", lava_artifact, "--chip", "loihi1", "--off-chip", "embed_spike", "--out", path, "--limit", "3"
    )
    assert got.code == 0, got.err
    return path


def report(run, artifact, out, *more):
    return run("energy-report", artifact, "--limit", "3", "--out", out, "--page-samples", "0", *more)


def test_a_chip_with_its_host_and_its_cores(run, lava_artifact, chip_map, tmp_path):
    log = tmp_path / "ina.csv"
    log.write_text("time_s,power_w,phase\n0,1,idle\n1,1,idle\n2,4,run\n3,4,run\n")
    out = tmp_path / "energy"
    more = ("--cost-table", "loihi1-davies2018", "--host-table", "horowitz45-int8", "--map", chip_map)
    got = report(run, lava_artifact, out, *more, "--power-log", log)
    assert got.code == 0, got.err
    summary = json.loads((out / "summary.json").read_text())
    jsonschema.validate(summary, json.loads(SCHEMA.read_text()))
    exact, idle = summary["energy"]["exact"], summary["energy"]["exact-idle"]
    assert exact["routing_pj"] > 0 and exact["host_pj"] > 0 and exact["neuron_pj"] > idle["neuron_pj"] > 0
    assert exact["memory_pj"] is None and "prices no memory" in exact["unpriced"]["memory"]
    assert summary["header"]["core_map"]["outside"] == ["embed_spike", "input"]
    assert summary["twins"]["ann_same_arch_pj"] is None and summary["twins"]["qnn_pj"] > 0
    assert summary["measured"]["joule_per_sample"] == pytest.approx(1.0)
    assert summary["bit_budget"]["ace_dense"] > summary["bit_budget"]["ace"] > 0


def test_memory_belongs_to_lemaires_total(run, lava_artifact, tmp_path):
    got = report(run, lava_artifact, tmp_path / "e", "--cost-table", "lemaire2022-interp")
    assert got.code == 0, got.err
    rows = [json.loads(line) for line in (tmp_path / "e" / "samples.jsonl").read_text().splitlines()]
    for row in rows:
        exact = row["energy"]["exact"]
        assert exact["memory_pj"] > 0 and exact["addressing_pj"] > 0 and exact["routing_pj"] is None
        parts = [pj for part, pj in exact.items() if part not in ("total_pj", "beside") and pj is not None]
        assert exact["total_pj"] == pytest.approx(sum(parts))
        assert row["energy"]["lemaire2022"]["total_pj"] > 0 and row["twins"]["ann_same_arch_pj"] > 0


@pytest.mark.parametrize("more, words", [
    (("--cost-table", "speck"), ("no energy per operation of Speck", "about 5 mW")),
    (("--cost-table", "loihi1-davies2018"), ("energy refused", "--host-table")),
    (("--cost-table", "horowitz45-fp32", "--map", "nowhere.json"), ("not a readable core map",)),
    (("--cost-table", "horowitz45-fp32", "--power-log", "nowhere.csv"), ("not a readable power log",)),
    (("--cost-table", "odin", "--host-table", "seneca"), ("seneca: prices a chip", "arithmetic")),
    (("--cost-table", "horowitz45-fp32", "--host-table", "horowitz45-int8"), ("prices all operations",)),
])  # fmt: skip
def test_bad_input(run, lava_artifact, tmp_path, more, words, refused):
    refused(report(run, lava_artifact, tmp_path / "e", *more), 3, *words)
    assert not (tmp_path / "e").exists() or list((tmp_path / "e").iterdir()) == []


def test_a_map_of_something_else(run, lava_artifact, onnx_artifact, chip_map, tmp_path, refused):
    table = ("--cost-table", "horowitz45-fp32", "--map", chip_map)
    body = json.loads(chip_map.read_text())
    refused(
        report(run, onnx_artifact, tmp_path / "e", *table), 3, "a graph is counted, and no cores hold one"
    )
    chip_map.write_text(json.dumps({**body, "fingerprint": "of another"}))
    refused(report(run, lava_artifact, tmp_path / "e", *table), 3, "it maps another artifact")
    got = report(run, lava_artifact, tmp_path / "e", *table[:2], "--measure", "--power-log", chip_map)
    refused(got, 2, "choose which")


def test_measure_runs_the_samples_and_says_why_nothing_came_of_it(run, lava_artifact, tmp_path, monkeypatch):
    from energy.measured import Unmeasured

    def measure(work):
        work()
        return Unmeasured("no RAPL in this test", "let a group read it")

    monkeypatch.setattr("energy.measured.measure", measure)
    got = report(run, lava_artifact, tmp_path / "e", "--cost-table", "horowitz45-fp32", "--measure")
    assert got.code == 0, got.err
    assert "measured: null: no RAPL in this test; let a group read it" in got.out
    summary = json.loads((tmp_path / "e" / "summary.json").read_text())
    assert summary["measured"]["joule_per_sample"] is None
    assert summary["energy"]["exact"]["total_pj"] > 0
    jsonschema.validate(summary, json.loads(SCHEMA.read_text()))
