"""`train --refit`: a run once more on all its clips, and what follows for validation, fuse and --qat."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
import torch.nn.functional as F

from cli import VERBS
from train import checkpoint
from train.data import registry
from train.data.recipe import Recipe
from train.data.split import held_again
from train.data.transform import prepare
from train.evaluate import accuracy, evaluate
from train.skeletons import layout
from verbs.group import Verbs, root


@pytest.fixture(scope="session")
def chosen(streams):
    """The joint run, whose validation chose an epoch of 8, and what it says of itself."""
    return streams / "joint", checkpoint.load(streams / "joint").about


@pytest.fixture(scope="session")
def refit(streams, tmp_path_factory):
    """The joint run, refit."""
    out = tmp_path_factory.mktemp("refit") / "joint"
    args = ("train", "--refit", streams / "joint", "--out", out, "--threads", 1)
    assert Verbs.run(root(VERBS), [str(a) for a in args]) == 0
    return out


def log(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_all_clips_for_as_many_epochs_as_were_chosen(chosen, refit):
    """The schedule is the run's, the last of the epochs is kept, and nothing is called validation."""
    run, before = chosen
    about = checkpoint.load(refit).about
    facts = json.loads((refit / "run.json").read_text())
    parts = json.loads((run / "run.json").read_text())["clips"]
    assert facts["clips"] == {"train": parts["train"] + parts["validation"], "validation": 0}
    assert parts["validation"] > 0 and before["epoch"] > 1, "vacuous"
    entries = log(refit)
    assert [e["epoch"] for e in entries] == list(range(1, before["epoch"] + 1))
    assert about["epoch"] == before["epoch"]
    assert not any("accuracy_val" in e or "loss_val" in e for e in entries)
    kept = {**before["train_config"], "validation": "none", "validation_subjects": None}
    found = about["train_config"]
    assert found.pop("refit") == str(run) and kept.pop("refit") == ""
    assert found == {**kept, "until": before["epoch"]}
    assert about["recipe"] == before["recipe"], "mean and spread are the run's"
    assert about["refit"] == {key: before[key] for key in ("model", "epoch", "sha256")}


def test_the_kept_weights_are_the_last_epochs(refit):
    last = checkpoint.load(refit / "last.safetensors")
    best = checkpoint.load(refit / "best.safetensors")
    averaged = last.under("average")
    assert averaged.keys() == best.under("model").keys()
    assert all((x == averaged[k]).all() for k, x in best.under("model").items())


def test_it_knows_what_the_run_held_out(chosen, refit):
    """Clips that only the refit run was trained on: its loss on them is lower."""
    name, before = chosen
    clips = registry.load("synthetic", None, "train", **before["dataset"]["options"])
    held = held_again(clips, before["validation"]).validation
    samples = prepare(held, Recipe.from_dict(before["recipe"]), layout(clips.layout))
    losses = []
    for path in (name, refit):
        model, _ = checkpoint.load_model(path)
        scores = evaluate(model, samples)
        assert 0 < accuracy(scores, samples.labels) <= 1
        losses.append(F.cross_entropy(torch.from_numpy(scores), torch.from_numpy(samples.labels)).item())
    assert losses[1] < losses[0]


def test_it_has_no_validation(run, chosen, refit, tmp_path, refused):
    words = ("trained on all training clips", "held out none")
    refused(run("evaluate", refit, "--split", "validation", "--threads", 1), 3, *words)
    got = run("fuse", chosen[0].parent / "joint-motion", refit, "--out", tmp_path / "f.json", "--threads", 1)
    refused(got, 3, str(refit), *words)
    assert not (tmp_path / "f.json").exists()


def test_weights_of_the_runs_before_serve_the_refit_ones(run, streams, refit, tmp_path, refused):
    """As a run, and as what is converted from it; two heirs of one run are one too many."""
    joint, motion, fitted = streams / "joint", streams / "joint-motion", tmp_path / "fitted.json"
    assert run("fuse", joint, motion, "--split", "validation", "--out", fitted, "--threads", 1).code == 0
    assert run("convert", refit, "--to", "lava", "--out", tmp_path / "lava").code == 0
    known = {m["path"]: m for m in json.loads(fitted.read_text())["members"]}
    for heir in (refit, tmp_path / "lava"):
        out = tmp_path / "found.json"
        got = run("fuse", motion, heir, "--weights", fitted, "--out", out, "--threads", 1)
        assert got.code == 0, got.err
        members = json.loads(out.read_text())["members"]
        assert [m["weight"] for m in members] == [known[str(p)]["weight"] for p in (motion, joint)]
        assert members[1]["checkpoint"] == checkpoint.load(refit).about["sha256"]
    got = run("fuse", joint, refit, "--weights", fitted, "--out", tmp_path / "no.json", "--threads", 1)
    refused(got, 3, str(refit), f"has the weight of {joint}", "leave one of them out")


def test_a_run_that_began_with_another_stream_has_no_weight_from_there(run, streams, tmp_path, refused):
    joint, motion = streams / "joint", streams / "joint-motion"
    bone, fitted = tmp_path / "bone", tmp_path / "fitted.json"
    assert run("fuse", joint, motion, "--split", "validation", "--out", fitted, "--threads", 1).code == 0
    clips = ("--data-option", "train_per_class=14", "--data-option", "test_per_class=3", "--frames", 8)
    small = ("--set", "channels=8,12", "--epochs", 1, "--threads", 1)
    got = run("train", "--stream", "bone", "--init", joint, "--out", bone, *clips, *small)
    assert got.code == 0, got.err
    got = run("fuse", motion, bone, "--weights", fitted, "--out", tmp_path / "no.json", "--threads", 1)
    refused(got, 3, str(bone), "has no weight in")


def test_a_fine_tuned_heir_has_its_parents_weight(run, streams, refit, tmp_path, refused):
    """Of a fused run, and of its refit heir; as a run, and as what is converted from it."""
    joint, motion, fitted = streams / "joint", streams / "joint-motion", tmp_path / "fitted.json"
    assert run("fuse", joint, motion, "--split", "validation", "--out", fitted, "--threads", 1).code == 0
    known = {m["path"]: m["weight"] for m in json.loads(fitted.read_text())["members"]}
    for parent in (joint, refit):
        tuned, artifact = tmp_path / f"tuned-{parent.parent.name}", tmp_path / "onnx"
        assert run("train", "--qat", parent, "--out", tuned, "--epochs", 1, "--threads", 1).code == 0
        assert run("convert", tuned, "--to", "onnx", "--out", artifact).code == 0
        for heir in (tuned, artifact):
            out = tmp_path / "found.json"
            got = run("fuse", motion, heir, "--weights", fitted, "--out", out, "--threads", 1)
            assert got.code == 0, got.err
            members = json.loads(out.read_text())["members"]
            assert [m["weight"] for m in members] == [known[str(p)] for p in (motion, joint)]
            assert members[1]["checkpoint"] == checkpoint.load(tuned).about["sha256"]
        got = run("fuse", joint, tuned, "--weights", fitted, "--out", tmp_path / "no.json", "--threads", 1)
        refused(got, 3, str(tuned), f"has the weight of {joint}", "leave one of them out")


def test_a_fine_tuned_run_of_another_stream_has_none(run, streams, tmp_path, refused):
    """Its parent began with the joint run's weights, and sees bones."""
    joint, motion, fitted = streams / "joint", streams / "joint-motion", tmp_path / "fitted.json"
    assert run("fuse", joint, motion, "--split", "validation", "--out", fitted, "--threads", 1).code == 0
    bone, tuned = tmp_path / "bone", tmp_path / "tuned"
    clips = ("--data-option", "train_per_class=14", "--data-option", "test_per_class=3", "--frames", 8)
    small = ("--set", "channels=8,12", "--epochs", 1, "--threads", 1)
    assert run("train", "--stream", "bone", "--init", joint, "--out", bone, *clips, *small).code == 0
    assert run("train", "--qat", bone, "--out", tuned, "--epochs", 1, "--threads", 1).code == 0
    assert checkpoint.load(tuned).about["qat"]["parent"]["init"]["stream"] == "joint"
    got = run("fuse", motion, tuned, "--weights", fitted, "--out", tmp_path / "no.json", "--threads", 1)
    refused(got, 3, str(tuned), "has no weight in")


def test_an_interrupted_one_goes_on(run, chosen, refit, tmp_path, refused):
    """From its first epoch's files to the same bytes; another seed is another run."""
    out = tmp_path / "again"
    args = ("train", "--refit", chosen[0], "--out", out, "--threads", 1)
    shutil.copytree(refit, out)
    (out / "last.safetensors").unlink()
    (out / "last.json").unlink()
    assert run(*args, "--resume").code == 0
    assert (out / "last.safetensors").read_bytes() == (refit / "last.safetensors").read_bytes()
    refused(run(*args, "--seed", 1, "--resume"), 3, "train_config.seed", "0 there, 1 here")


def test_it_is_fine_tuned_to_the_last_epoch(run, refit, tmp_path):
    """--qat of a run without validation: every epoch is kept in its turn, the last one stays."""
    out = tmp_path / "tuned"
    got = run("train", "--qat", refit, "--out", out, "--epochs", 2, "--threads", 1)
    assert got.code == 0, got.err
    about = checkpoint.load(out).about
    assert about["epoch"] == 2 and about["train_config"]["until"] == 0
    assert json.loads((out / "run.json").read_text())["clips"]["validation"] == 0


def test_what_cannot_be_refit(run, chosen, refit, tmp_path, refused):
    out = ("--out", tmp_path / "x", "--threads", 1)
    refused(run("train", "--refit", refit, *out), 3, "held nothing out", "name the run that did")
    refused(run("train", "--refit", tmp_path / "none", *out), 3, "no such file")
    settled = (("--epochs", 3), ("--stream", "bone"), ("--set", "lr=1"), ("--validation-subjects", 1))
    for option in settled:
        refused(run("train", "--refit", chosen[0], *option, *out), 2, option[0], "what the run has")
    refused(run("train", "--refit", chosen[0], "--qat", chosen[0], *out), 2, "--refit", "--qat")
    gone = tmp_path / "gone"
    kept = checkpoint.load(chosen[0])
    about = {**kept.about, "init": {"sha256": "0" * 64}}
    about["train_config"] = {**about["train_config"], "init": str(tmp_path / "nowhere")}
    gone.mkdir()
    checkpoint.save(gone / "best.safetensors", kept.tensors, about)
    refused(run("train", "--refit", gone, *out), 3, "--init", "nowhere", "say where it lies now")
    shutil.copytree(chosen[0], tmp_path / "nowhere")
    refused(run("train", "--refit", gone, *out), 3, "--init", "found checkpoint", "the run has 000000000000")
    assert not (tmp_path / "x").exists()
