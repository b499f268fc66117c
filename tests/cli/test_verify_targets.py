"""Which targets `verify` compares: all that hold the model, or exactly those that were asked for."""

from __future__ import annotations

import json


def test_a_target_that_cannot_hold_the_model_is_named(run, trained, tmp_path, monkeypatch):
    """Graded relays have no ONNX form: left out of the default, refused if asked for."""
    monkeypatch.setattr("deploy.lava_sim.lava_missing", lambda: "not asked to run here")
    out, result = tmp_path / "factored", tmp_path / "result.json"
    assert run("convert", trained, "--to", "lava", "--out", out, "--adjacency", "factor").code == 0
    done = run("verify", out, "--samples", 2, "--json", result)
    assert done.code == 0, done.err
    body = json.loads(result.read_text())
    assert "LoihiSigmaDelta has no ONNX form" in body["not_available"]["onnx"]
    assert body["not_available"]["lava"] == "not asked to run here"
    assert {n for n, c in body["targets"].items() if c["exact"]} == {"reference", "loihi-sim"}
    assert body["targets"]["loihi-sim"]["spikes"] > 100, "vacuous case"
    assert "onnx: not compared, " in done.out
    asked = run("verify", out, "--samples", 2, "--targets", "loihi-sim,onnx")
    assert asked.code == 4 and "has no ONNX form" in asked.error_lines[0]
