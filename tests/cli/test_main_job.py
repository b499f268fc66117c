"""The verbs on the embedded data: train, convert, simulate, verify, energy-report, inspect."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest


def test_help_lists_every_verb_and_the_exit_codes(run):
    got = run("--help")
    assert got.code == 0
    for word in ("train", "convert", "simulate", "verify", "energy-report", "Exit codes"):
        assert word in got.out


@pytest.mark.parametrize(
    "verb",
    [
        "train",
        "evaluate",
        "fuse",
        "convert",
        "simulate",
        "verify",
        "energy-report",
        "inspect",
        "datasets",
        "targets",
    ],
)
def test_every_verb_has_help_with_a_sentence(run, verb):
    got = run(verb, "--help")
    assert got.code == 0 and len(got.out.split()) > 20


def test_no_verb_and_unknown_verb_are_usage_errors(run):
    assert run("simulat").code == 2
    assert run("train").code == 2  # --out is missing


def test_training_leaves_the_whole_run(trained):
    names = {p.name for p in trained.iterdir()}
    assert {"best.safetensors", "best.json", "last.safetensors", "run.json", "log.jsonl", "events"} <= names
    entries = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert len(entries) == 2


def test_onnx_artifact_holds_step_scan_and_integer_graphs(onnx_artifact):
    names = {p.name for p in onnx_artifact.iterdir()}
    assert {"step.onnx", "scan.onnx", "integer-step.onnx", "integer-scan.onnx", "manifest.json"} <= names


def test_lava_artifact_says_why_there_is_no_net(run, trained, tmp_path):
    got = run("convert", trained, "--to", "lava", "--out", tmp_path / "lava")
    assert got.code == 0 and "no .net:" in got.out
    assert (tmp_path / "lava" / "program.npz").is_file()


@pytest.mark.parametrize("target", ["reference", "onnx", "loihi-sim"])
def test_integer_targets_agree_through_the_command_line(run, lava_artifact, tmp_path, target):
    """Same predictions and the same spikes, population by population, as the integer reference."""
    got = {}
    for name in ("reference", target):
        path = tmp_path / f"{name}.json"
        code = run(
            "simulate", lava_artifact, "--target", name, "--form", "integer", "--limit", "12", "--json", path
        ).code
        assert code == 0
        got[name] = json.loads(path.read_text())
    assert got[target]["populations"] == got["reference"]["populations"]
    assert got[target]["predictions"] == got["reference"]["predictions"]
    assert got[target]["spikes"] > 1000  # not vacuous


def test_simulate_json_has_the_promised_fields(run, onnx_artifact, tmp_path):
    path = tmp_path / "r.json"
    assert run("simulate", onnx_artifact, "--target", "onnx", "--limit", "6", "--json", path).code == 0
    got = json.loads(path.read_text())
    assert {"accuracy", "n_samples", "wall_s", "samples_per_s", "spikes", "populations"} <= set(got)
    assert got["form"] == "float" and got["n_samples"] == 6
    for population in got["populations"].values():
        assert 0.0 <= population["firing_rate"] <= 1.0


def test_verify_passes_and_reports_the_float_divergence(run, lava_artifact, tmp_path):
    path = tmp_path / "v.json"
    got = run(
        "verify", lava_artifact, "--targets", "reference,onnx,loihi-sim", "--samples", "6", "--json", path
    )
    assert got.code == 0, got.err
    found = json.loads(path.read_text())
    for name in ("reference", "onnx", "loihi-sim"):
        target = found["targets"][name]
        assert target["mismatching"] == 0 and target["values_off"] == 0 and target["spikes"] > 1000
        assert target["populations"] == 5
    assert not found["targets"]["float"]["exact"]
    if found["targets"]["float"]["mismatching"]:
        assert "first divergence at layer" in got.out and found["float_membranes"]


def test_verify_fails_with_5_and_names_the_place(run, lava_artifact, monkeypatch):
    """A target that loses one spike is found out: layer, step, neuron, both values."""
    from deploy import loihi_sim

    compile_ = loihi_sim.LoihiSim.compile

    def lossy(self, model):
        runner = compile_(self, model)
        run_ = runner.run

        def run(x, rasters=()):
            record = run_(x, rasters)
            name = next(iter(record.rasters))
            spikes = np.array(record.rasters[name])
            first = tuple(np.argwhere(spikes)[0])
            spikes[first] = 0
            record.rasters[name] = spikes
            return record

        runner.run = run
        return runner

    monkeypatch.setattr(loihi_sim.LoihiSim, "compile", lossy)
    got = run("verify", lava_artifact, "--targets", "loihi-sim", "--samples", "4")
    assert got.code == 5
    assert "first divergence at layer embed_spike" in got.out and "expected 1, got 0" in got.out
    assert len(got.error_lines) == 1


def test_energy_report_counts_and_prices(run, lava_artifact, tmp_path):
    out = tmp_path / "energy"
    got = run("energy-report", lava_artifact, "--cost-table", "horowitz45-fp32", "--out", out, "--limit", "5")
    assert got.code == 0, got.err
    lines = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    summary = json.loads((out / "summary.json").read_text())
    assert len(lines) == 5 and summary["header"]["n_samples"] == 5
    assert "horowitz45-fp32" in got.out and "total" in got.out
    for line in lines:
        assert line["totals"]["sop_exact"] > 0
        assert sum(layer["sop_exact"] for layer in line["layers"]) == line["totals"]["sop_exact"]


def test_energy_of_float_and_of_program_are_both_there(run, onnx_artifact, tmp_path):
    got = run(
        "energy-report", onnx_artifact, "--cost-table", "horowitz45-fp32", "--out", tmp_path, "--limit", "2"
    )
    assert got.code == 0, got.err
    assert "GraphConv" in got.out


def test_inspect_run_and_artifact(run, trained, lava_artifact):
    assert "base-sgn" in run("inspect", trained).out
    got = run("inspect", lava_artifact)
    assert got.code == 0 and "GraphConv" in got.out and "synapses" in got.out


def test_resume_ends_bit_identical(run, trained, tmp_path, monkeypatch):
    """Interrupted after the first epoch and resumed: the same tensors as the straight run, bit for bit."""
    from safetensors.numpy import load_file

    import train.journal

    args = (
        "train",
        "--dataset",
        "synthetic",
        "--out",
        tmp_path / "run",
        "--set",
        "channels=8,12",
        "--frames",
        "8",
        "--epochs",
        "2",
        "--batch",
        "16",
        "--threads",
        "1",
        "--data-option",
        "train_per_class=8",
        "--data-option",
        "test_per_class=3",
    )
    write = train.journal.Journal.write

    def write_and_stop(self, entry):
        write(self, entry)
        raise KeyboardInterrupt

    monkeypatch.setattr(train.journal.Journal, "write", write_and_stop)
    assert run(*args).code == 130
    monkeypatch.setattr(train.journal.Journal, "write", write)
    assert run(*args).code == 3  # a folder that holds a run is refused without --resume
    assert run(*args, "--resume").code == 0
    for name in ("best", "last"):
        straight, resumed = (
            load_file(trained / f"{name}.safetensors"),
            load_file(tmp_path / "run" / f"{name}.safetensors"),
        )
        assert straight.keys() == resumed.keys()
        assert all(np.array_equal(straight[k], resumed[k]) for k in straight)


def test_listing(run, tmp_path):
    assert "nw-ucla" in run("datasets").out
    got = run("targets", "--json", tmp_path / "t.json")
    assert got.code == 0
    assert [t["name"] for t in json.loads((tmp_path / "t.json").read_text())] == [
        "reference",
        "onnx",
        "loihi-sim",
        "lava",
    ]


def test_nothing_half_written_when_a_conversion_fails(run, trained, tmp_path, monkeypatch):
    from convert import to_onnx

    def broken(path: Path, model: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(to_onnx, "write", broken)
    got = run("convert", trained, "--to", "onnx", "--out", tmp_path / "a")
    assert got.code == 3 and len(got.error_lines) == 1
    assert list(tmp_path.iterdir()) == []


def test_attention_goes_the_whole_way(run, tmp_path):
    """Base-SGN with spiking attention: trained, converted, the same spikes on every target that is quick."""
    small = ["--set", "channels=8", "--set", "heads=2", "--frames", "6", "--epochs", "1", "--threads", "1"]
    data = ["--data-option", "train_per_class=2", "--data-option", "test_per_class=1"]
    model = ["--model", "base-sgn-attention", "--dataset", "synthetic"]
    assert run("train", *model, "--out", tmp_path / "run", *small, *data).code == 0
    assert run("convert", tmp_path / "run", "--to", "lava", "--out", tmp_path / "lava").code == 0
    targets = "reference,onnx,loihi-sim"
    done = run(
        "verify", tmp_path / "lava", "--targets", targets, "--samples", "2", "--json", tmp_path / "v.json"
    )
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "v.json").read_text())["targets"]
    for name in targets.split(","):
        assert found[name]["passed"] and found[name]["spikes"] > 0 and found[name]["mismatching"] == 0
    costs = ["--cost-table", "horowitz45-fp32", "--out", tmp_path / "energy"]
    assert "matmul" in run("energy-report", tmp_path / "lava", *costs).out
