"""`train --qat`: a fine-tuned run is a run like any other, and what is deployed is what was trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cli import VERBS
from convert.artifact import open_artifact
from train.checkpoint import load
from verbs.group import Verbs, root


def made(*args: object) -> None:
    assert Verbs.run(root(VERBS), [str(a) for a in args]) == 0


@pytest.fixture(scope="module")
def tuned(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run's integers at 4 bits, fine-tuned until they changed."""
    out = tmp_path_factory.mktemp("qat") / "run"
    made("train", "--qat", trained, "--bits", 4, "--out", out, "--epochs", 2, "--lr", 0.05, "--threads", 1,
         "--set", "average=0", "--json", out.parent / "told.json")  # fmt: skip
    return out


@pytest.fixture(scope="module")
def artifacts(tuned: Path) -> dict[str, Path]:
    """The fine-tuned run as each kind of artifact."""
    for kind in ("onnx", "lava"):
        made("convert", tuned, "--to", kind, "--out", tuned.parent / kind)
    return {kind: tuned.parent / kind for kind in ("onnx", "lava")}


def test_what_is_deployed_is_what_was_trained(tuned, artifacts, trained, lava_artifact):
    kept = load(tuned / "best.safetensors")
    about = json.loads((artifacts["lava"] / "manifest.json").read_text())
    graph = open_artifact(artifacts["lava"]).graph("integer")
    found = 0
    for name, packed in kept.about["integer"]["nodes"]:
        for field, value in packed.items():
            if isinstance(value, dict):
                array = kept.tensors[f"integer.{value['array']}"].numpy()
                assert np.array_equal(getattr(graph.nodes[name], field), array)
                found += 1
    assert found > 10
    assert max(int(np.abs(n.weight).max()) for n in graph.nodes.values() if hasattr(n, "weight")) <= 8
    assert about["quantisation"]["bits"] == 4
    assert about["checkpoint"]["sha256"] == kept.about["sha256"]
    parent = load(trained / "best.safetensors").about
    assert about["fine_tuned"]["parent"]["sha256"] == parent["sha256"]
    assert about["fine_tuned"]["epoch"] == about["source"]["epoch"] == kept.about["epoch"]
    theirs = json.loads((lava_artifact / "manifest.json").read_text())
    assert about["files"]["float.npz"] == theirs["files"]["float.npz"]  # the parent's, byte for byte
    assert about["files"]["integer.npz"] != theirs["files"]["integer.npz"]


def test_both_kinds_hold_one_integer_graph(artifacts):
    one, other = (json.loads((a / "manifest.json").read_text())["files"] for a in artifacts.values())
    assert one["integer.npz"] == other["integer.npz"]


def test_every_target_gives_the_trained_spikes(run, artifacts, tmp_path):
    for kind, targets in (("onnx", "reference,onnx"), ("lava", "reference,onnx,loihi-sim")):
        out = tmp_path / f"{kind}.json"
        assert run("verify", artifacts[kind], "--targets", targets, "--samples", 4, "--json", out).code == 0
        found = json.loads(out.read_text())["targets"]
        assert set(targets.split(",")) <= set(found)
        assert all(found[t]["mismatching"] == 0 and found[t]["spikes"] > 0 for t in targets.split(","))


def test_the_other_verbs_take_it_as_any_other(run, tuned, artifacts, tmp_path):
    done = run("simulate", artifacts["lava"], "--target", "loihi-sim", "--limit", 4)
    assert done.code == 0, done.err
    done = run("energy-report", artifacts["lava"], "--cost-table", "horowitz45-fp32", "--out", tmp_path / "e",
               "--limit", 2)  # fmt: skip
    assert done.code == 0, done.err
    told = run("inspect", tuned)
    assert told.code == 0 and "fine-tuned: 4 bits" in told.out


def test_evaluate_has_the_deployed_accuracy(run, tuned, artifacts, tmp_path):
    """The run in torch, its artifact on the simulator: the same decision on every sample."""
    assert run("evaluate", tuned, "--json", tmp_path / "torch.json").code == 0
    done = run("simulate", artifacts["lava"], "--target", "loihi-sim", "--json", tmp_path / "sim.json")
    assert done.code == 0
    ours, theirs = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("torch", "sim"))
    assert ours["form"] == "integer"
    assert ours["predictions"] == theirs["predictions"] and ours["accuracy"] == theirs["accuracy"]


def test_the_summary(tuned):
    told = json.loads((tuned.parent / "told.json").read_text())
    assert told["run"] == str(tuned) and 0 <= told["best_epoch"] <= 2
    log = [json.loads(line) for line in (tuned / "log.jsonl").read_text().splitlines()]
    assert told["validation_accuracy"] >= log[0]["accuracy_val"]


def test_resume(run, tuned, trained):
    """A run that is whole has nothing left to do; another width is another run."""
    same = ("--epochs", 2, "--lr", 0.05, "--threads", 1, "--set", "average=0", "--resume", "--out", tuned)
    before = (tuned / "best.safetensors").read_bytes()
    assert run("train", "--qat", trained, "--bits", 4, *same).code == 0
    assert (tuned / "best.safetensors").read_bytes() == before
    done = run("train", "--qat", trained, "--bits", 5, *same)
    assert done.code == 3 and "qat.bits (4 there, 5 here)" in done.error_lines[0]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--frames", 4), 2, "--frames: with --qat it is what the run has"),
        (("--model", "base-sgn"), 2, "--model: with --qat"),
        (("--device", "cpu"), 2, "--device: with --qat it is the CPU"),
        (("--amp", "bf16"), 2, "--amp: with --qat it is none"),
        (("--set", "channels=4"), 2, "--set channels: no such field with --qat"),
        (("--set", "distil=-1"), 2, "expected 0 or more"),
        (("--set", "lr=fast"), 2, "expected float"),
        (("--lr", -1), 2, "lr = -1.0"),
        (("--bits", 9), 2, "9 is not in the range"),
        (("--adjacency", "sparse"), 2, "sparse"),
        (("--adjacency", "factor"), 4, "LoihiSigmaDelta has no rule for fine-tuning"),
    ],
)
def test_options_that_cannot_be(run, trained, tmp_path, options, code, words):
    done = run("train", "--qat", trained, "--out", tmp_path / "x", "--epochs", 1, *options)
    assert done.code == code and len(done.error_lines) == 1 and words in done.error_lines[0]
    assert not (tmp_path / "x").exists()


def test_what_cannot_be_fine_tuned(run, trained, tuned, lava_artifact, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.safetensors").write_text("no tensors")
    cases = [
        (lava_artifact, "is an artifact already; fine-tune the run it was made from"),
        (tuned, "is fine-tuned already"),
        (tmp_path / "empty", "no such file"),
        (tmp_path / "missing", "no such file"),
        (tmp_path / "text.safetensors", "found"),
    ]
    for path, words in cases:
        done = run("train", "--qat", path, "--out", tmp_path / "x")
        assert done.code == 3 and len(done.error_lines) == 1 and words in done.error_lines[0], path
    done = run("train", "--qat", trained, "--out", tuned)
    assert done.code == 3 and "holds a run already" in done.error_lines[0]


def test_widths_belong_to_fine_tuning(run, tuned, tmp_path):
    done = run("train", "--bits", 4, "--out", tmp_path / "x")
    assert done.code == 2 and "--bits: only with --qat" in done.error_lines[0]
    for option, value in (("--bits", 8), ("--input-bits", 6), ("--adjacency", "prune:0.1")):
        done = run("convert", tuned, "--to", "lava", "--out", tmp_path / "x", option, value)
        assert done.code == 2 and f"fine-tuned with {option}" in done.error_lines[0]
    done = run("convert", tuned / "last.safetensors", "--to", "lava", "--out", tmp_path / "x")
    assert done.code == 3 and "its best.safetensors" in done.error_lines[0]


def test_a_model_that_is_part_on_the_cpu(run, tmp_path):
    """Signal-SGN's head needs the whole window: its integers on the chip are trained through the head."""
    small = ("--set", "channels=8", "--set", "heads=2", "--frames", 8, "--batch", 16, "--threads", 1,
             "--data-option", "train_per_class=4", "--data-option", "test_per_class=2")  # fmt: skip
    made("train", "--model", "signal-sgn", "--out", tmp_path / "run", "--epochs", 1, *small)
    made("train", "--qat", tmp_path / "run", "--bits", 3, "--out", tmp_path / "tuned", "--epochs", 1,
         "--lr", 0.05, "--threads", 1, "--set", "average=0")  # fmt: skip
    log = [json.loads(line) for line in (tmp_path / "tuned" / "log.jsonl").read_text().splitlines()]
    assert log[0]["loss_val"] != log[1]["loss_val"], "nothing was trained"
    made("convert", tmp_path / "tuned", "--to", "lava", "--out", tmp_path / "lava")
    assert open_artifact(tmp_path / "lava").host() is not None
    assert run("evaluate", tmp_path / "tuned", "--limit", 2).code == 0
    done = run("verify", tmp_path / "lava", "--targets", "reference,loihi-sim", "--samples", 2)
    assert done.code == 0, done.err
