"""Photographs from training to tracks: the samples of COCO and PoseTrack18, by the verbs alone."""

from __future__ import annotations

import json

import pytest

from cli import VERBS
from verbs.group import Verbs, root

SMALL = (
    "--epochs", 1, "--batch", 8, "--threads", 1,
    "--set", "backbone=tiny", "--set", "hidden=8", "--set", "width=64", "--set", "height=64",
)  # fmt: skip


def cli(*args) -> None:
    assert Verbs.run(root(VERBS), [str(a) for a in args]) == 0


def read(path):
    return json.loads(path.read_text())


@pytest.mark.data
def test_coco_mini(unpacked, tmp_path):
    folder = unpacked("coco-mini/coco-mini.zip") / "coco-mini"
    truth = folder / "annotations" / "person_keypoints_val2017.json"
    run, told, results, figures, tracks = (
        tmp_path / n for n in ("run", "e.json", "r.json", "f.json", "t.json")
    )
    cli("train", "--model", "ogn", "--dataset", "coco", "--data", folder, "--out", run, *SMALL,
        "--data-option", "train_limit=16")  # fmt: skip
    facts = read(run / "run.json")["people"]
    assert facts["train"] + facts["validation"] == 16 and facts["validation"] > 0
    cli("evaluate", run, "--split", "test", "--results", results, "--json", told)
    found = read(told)
    assert found["n_people"] == len(read(results)) == 68 and found["measure"] == "box"
    assert sum(j["counted"] for j in found["joints"].values()) > 500
    cli("evaluate-poses", truth, results, "--metric", "oks", "--json", figures)
    assert read(figures)["figures"] == found["oks"]  # images without people have no part in it
    cli("track", results, "--annotations", truth, "--out", tracks, "--likeness", "iou",
        "--joint-threshold", 0, "--birth", 0, "--min-hits", 1)  # fmt: skip
    made = read(tracks)
    assert len(made["images"]) == 79 and 0 < len(made["annotations"]) <= 68


@pytest.mark.data
def test_posetrack18(unpacked, tmp_path):
    folder = unpacked("mmpose-tests/mmpose-tests.tar.gz") / "mmpose-tests" / "posetrack18"
    truth = folder / "annotations" / "val"
    run, told, results, figures, tracks = (
        tmp_path / n for n in ("run", "e.json", "r.json", "f.json", "t.json")
    )
    cli("train", "--model", "ogn", "--dataset", "posetrack18", "--data", folder, "--out", run, *SMALL,
        "--data-option", "annotations=annotations/val")  # fmt: skip
    facts = read(run / "run.json")["people"]
    assert facts["train"] + facts["validation"] == 14 and facts["validation"] > 0
    cli("evaluate", run, "--split", "test", "--results", results, "--json", told)
    found = read(told)
    assert found["n_people"] == len(read(results)) == 14 and found["measure"] == "head"
    cli("track", results, "--annotations", truth, "--out", tracks, "--joint-threshold", 0, "--birth", 0,
        "--min-hits", 1)  # fmt: skip
    images = {image["id"] for file in truth.glob("*.json") for image in read(file)["images"]}
    made = read(tracks)
    assert {image["id"] for image in made["images"]} == images
    assert {a["image_id"] for a in made["annotations"]} == {p["image_id"] for p in read(results)}
    cli("evaluate-poses", truth, tracks, "--metric", "posetrack", "--json", figures)
    counts = read(figures)["runs"][0]["counts"]
    assert counts["objects"] == counts["misses"] + counts["matches"] > 100
