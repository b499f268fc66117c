"""`energy-report` and `compare` on the command line: the published form, exit codes, nothing half-made."""

import json
import re
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest

SCHEMAS = Path(__file__).parents[2] / "energy" / "schema"
VERSIONS = {"samples": 3, "summary": 2}


@pytest.fixture
def reports(run, lava_artifact, onnx_artifact, tmp_path):
    """Two report folders of the tiny run: its integers on the chip, its floats in ONNX."""
    for name, artifact in (("chip", lava_artifact), ("floats", onnx_artifact)):
        got = run("energy-report", artifact, "--cost-table", "horowitz45-fp32", "--out", tmp_path / name,
                  "--limit", "4", "--page-samples", "2")  # fmt: skip
        assert got.code == 0, got.err
    return tmp_path


def test_files_are_of_the_published_form_and_compare(run, reports):
    for name in ("chip", "floats"):
        folder = reports / name
        rows = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
        summary = json.loads((folder / "summary.json").read_text())
        for kind, bodies in (("samples", rows), ("summary", [summary])):
            schema = json.loads((SCHEMAS / f"{kind}-{VERSIONS[kind]}.json").read_text())
            for body in bodies:
                jsonschema.Draft202012Validator(schema).validate(body)
        ids = [row["sample_id"] for row in rows]
        assert pq.read_table(folder / "samples.parquet")["sample_id"].to_pylist() == ids
        page = re.search(r'id="data">(.*?)</script>', (folder / "report.html").read_text(), re.S).group(1)
        close = json.loads(page)["samples"]
        assert [s["sample_id"] for s in close] == [ids[0], ids[2]]
        assert all(s["rasters"] and len(s["skeleton"]["joints"]) == 8 for s in close)
        assert summary["header"]["data_sha256"] and summary["cost_table"]["sha256"]
    got = run("compare", reports / "chip", reports / "floats", "--html", reports / "c.html", "--json",
              reports / "c.json")  # fmt: skip
    assert got.code == 0, got.err
    result = json.loads((reports / "c.json").read_text())
    assert result["base"] == "chip" and result["conventions"][0] == "exact"
    assert [e["name"] for e in result["entries"]] == ["chip", "floats"]
    assert "floats" in got.out and (reports / "c.html").stat().st_size > 10_000


def test_what_cannot_be_compared_is_refused(run, reports):
    assert run("compare", reports / "chip").code == 2
    assert run("compare", reports / "chip", reports / "nowhere").code == 2
    summary = reports / "floats" / "summary.json"
    body = json.loads(summary.read_text())
    summary.write_text(json.dumps({**body, "cost_table": {**body["cost_table"], "name": "abacus"}}))
    page = reports / "c.html"
    got = run("compare", reports / "chip", reports / "floats", "--html", page)
    assert got.code == 3 and len(got.error_lines) == 1 and "priced by" in got.error_lines[0]
    assert not page.exists()
    got = run("compare", reports / "chip", reports / "floats", "--html", page, "--mixed")
    assert got.code == 0 and "note: chip is priced by horowitz45-fp32, floats by abacus" in got.out
    assert "priced by horowitz45-fp32, floats by abacus" in page.read_text()
    summary.write_text("{")
    assert run("compare", reports / "chip", reports / "floats").code == 3
    peer = reports / "peer.json"
    peer.write_text("[1]")
    assert run("compare", reports / "chip", peer).code == 3
