"""`evaluate`, and the validation split wherever there is a --split."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from convert.artifact import MANIFEST, SEAL, _seal
from train.data import registry
from train.data.split import hold_out


def held_out():
    """The ids training of the fixtures held out, found without anything that a run or artifact keeps."""
    clips = registry.load("synthetic", None, "train", train_per_class=8, test_per_class=3)
    return [clip.id for clip in hold_out(clips.clips).validation]


def test_validation_accuracy_is_the_one_training_chose_by(run, trained, tmp_path):
    got = run("evaluate", trained, "--split", "validation", "--threads", 1, "--json", tmp_path / "v.json")
    assert got.code == 0, got.err
    found = json.loads((tmp_path / "v.json").read_text())
    about = json.loads((trained / "best.json").read_text())
    assert found["sample_ids"] == held_out() and len(found["sample_ids"]) == 12
    assert found["accuracy"] == about["metrics"]["accuracy_val"]
    assert found["checkpoint"] == about["sha256"]
    assert f"{100 * found['accuracy']:.2f} % on validation" in got.out


def test_json_has_scores_and_they_agree_with_everything_else(run, trained, tmp_path):
    assert run("evaluate", trained, "--json", tmp_path / "t.json").code == 0
    found = json.loads((tmp_path / "t.json").read_text())
    scores, labels = np.array(found["scores"]), np.array(found["labels"])
    assert found["split"] == "test" and scores.shape == (36, 12)
    assert found["predictions"] == scores.argmax(axis=1).tolist()
    confusion = np.array(found["confusion"])
    assert confusion.sum(axis=1).tolist() == [3] * 12 == np.bincount(labels).tolist()
    assert np.trace(confusion) == found["right"] == round(36 * found["accuracy"])


def test_the_float_artifact_has_the_same_predictions(run, trained, onnx_artifact, tmp_path):
    """torch and ONNX differ by float32 rounding alone: at most one of 36 decisions may turn."""
    args = ("--split", "validation", "--json")
    assert run("evaluate", trained, *args, tmp_path / "a.json").code == 0
    assert run("simulate", onnx_artifact, "--target", "onnx", *args, tmp_path / "b.json").code == 0
    a, b = (json.loads((tmp_path / f"{x}.json").read_text()) for x in "ab")
    assert a["sample_ids"] == b["sample_ids"] == held_out()
    assert sum(x != y for x, y in zip(a["predictions"], b["predictions"], strict=True)) <= 1


@pytest.mark.parametrize("verb", ["simulate", "stream", "verify", "energy-report"])
def test_validation_is_a_split_of_every_verb(run, lava_artifact, tmp_path, verb):
    out = tmp_path / "r.json"
    more = {
        "simulate": ["--target", "loihi-sim"],
        "stream": ["--target", "loihi-sim", "--stream"],
        "verify": ["--targets", "onnx", "--samples", 12],
        "energy-report": ["--cost-table", "horowitz45-fp32", "--out", tmp_path / "energy"],
    }[verb]
    name = "simulate" if verb == "stream" else verb
    got = run(name, lava_artifact, *more, "--split", "validation", "--json", out)
    assert got.code == 0, got.err
    if verb == "energy-report":
        lines = (tmp_path / "energy" / "samples.jsonl").read_text().splitlines()
        ids = [json.loads(line)["sample_id"] for line in lines]
    else:
        ids = json.loads(out.read_text())["sample_ids"]
    assert ids == held_out()


def edited(artifact: Path, to: Path, change) -> Path:
    """A copy whose manifest is another and as whole as the first: what another version would have written."""
    shutil.copytree(artifact, to)
    about = json.loads((to / MANIFEST).read_text())
    change(about["source"])
    about[SEAL] = _seal(about)
    (to / MANIFEST).write_text(json.dumps(about))
    return to


def test_an_older_artifact_is_refused_with_the_remedy(run, lava_artifact, tmp_path, refused):
    old = edited(lava_artifact, tmp_path / "old", lambda source: source.pop("validation"))
    ask = ("simulate", old, "--target", "loihi-sim")
    assert run(*ask, "--split", "test", "--limit", 3).code == 0
    refused(run(*ask, "--split", "validation"), 3, "held out", "convert the run again")


def test_an_older_checkpoint_knows_its_settings(run, trained, tmp_path):
    """Checkpoints from before the clips were recorded have the settings that chose them."""
    from train import checkpoint

    kept = checkpoint.load(trained / "best.safetensors")
    about = {k: v for k, v in kept.about.items() if k not in ("validation", "sha256")}
    checkpoint.save(tmp_path / "best.safetensors", kept.tensors, about)
    args = ("--split", "validation", "--json", tmp_path / "v.json")
    assert run("evaluate", tmp_path / "best.safetensors", *args).code == 0
    assert json.loads((tmp_path / "v.json").read_text())["sample_ids"] == held_out()
    assert run("convert", tmp_path / "best.safetensors", "--to", "lava", "--out", tmp_path / "a").code == 0
    assert run("simulate", tmp_path / "a", "--target", "loihi-sim", *args).code == 0
    assert json.loads((tmp_path / "v.json").read_text())["sample_ids"] == held_out()


def test_other_clips_than_training_held_out_are_refused(run, lava_artifact, tmp_path, refused):
    """The data changed since: the digest of ids and labels finds it."""

    def change(source):
        source["dataset"]["options"]["train_per_class"] = 9

    odd = edited(lava_artifact, tmp_path / "odd", change)
    got = run("simulate", odd, "--target", "loihi-sim", "--split", "validation")
    refused(got, 3, "synthetic: validation clips", "expected the 12 that training held out", "restore")


def test_validation_of_another_data_set_is_refused(run, trained, ucla, refused):
    got = run("evaluate", trained, "--dataset", "nw-ucla", "--data", ucla, "--split", "validation")
    refused(got, 3, "nw-ucla", "leave --dataset out")


def test_what_is_no_run_is_refused(run, trained, lava_artifact, tmp_path, refused):
    refused(run("evaluate", tmp_path / "none"), 3, "none", "no such")
    refused(run("evaluate", lava_artifact), 3, "is an artifact", "simulate")
    (tmp_path / "foreign.safetensors").write_bytes(hashlib.sha256(b"x").digest())
    refused(run("evaluate", tmp_path / "foreign.safetensors"), 3, "foreign.safetensors")
    (tmp_path / "empty").mkdir()
    refused(run("evaluate", tmp_path / "empty"), 3, "best.safetensors")
    assert run("evaluate", trained, "--split", "all of it").code == 2


@pytest.mark.parametrize("option", [(), ("--boxes", "whole"), ("--flip-test",)])
def test_a_run_that_is_not_there_is_told_so_whatever_is_asked_of_it(run, tmp_path, refused, option):
    refused(run("evaluate", tmp_path / "nowhere", *option), 3, "found no such file")
