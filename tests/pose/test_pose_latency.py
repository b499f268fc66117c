"""The benchmark of a pose network's latency runs; how fast anything is, is not asked."""

from __future__ import annotations

import json

import pytest

from benchmarks import pose_latency


def test_it_runs_on_a_tiny_case(tmp_path, capsys):
    size = ["--backbones", "tiny", "--width", "32", "--height", "64", "--threads", "1"]
    pose_latency.main([*size, "--rounds", "2", "--calls", "1", "--json", str(tmp_path / "l.json")])
    rows = json.loads((tmp_path / "l.json").read_text())["rows"]
    assert [(row["form"], row["calls"]) for row in rows] == [
        ("torch", 2),
        ("onnx float", 2),
        ("onnx int8", 2),
    ]
    assert all(row["ms"] > 0 for row in rows) and rows[0]["torch_over_it"] == 1
    whole = [row["torch_over_it"] * row["ms"] for row in rows]
    assert whole == pytest.approx([rows[0]["ms"]] * 3, rel=1e-12)  # float64, one quotient and one product
    assert "| tiny | 1 | onnx int8 |" in capsys.readouterr().out
