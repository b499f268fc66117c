"""Photographs from training to tracks: the samples of COCO and PoseTrack18, by the verbs alone."""

from __future__ import annotations

import json

import pytest

from cli import VERBS
from verbs.group import Verbs, root

SMALL = {
    "ogn": (
        "--batch", 8, "--set", "hidden=8", "--set", "width=64", "--set", "height=64",
    ),
    "keypoint-rcnn": (
        "--batch", 4, "--set", "channels=16", "--set", "cells=3", "--set", "hidden=16", "--set", "depth=1",
        "--set", "width=128", "--set", "height=128", "--set", "roi_width=48", "--set", "roi_height=64",
    ),
}  # fmt: skip
ALWAYS = ("--epochs", 1, "--threads", 1, "--set", "backbone=tiny")


def cli(*args) -> None:
    assert Verbs.run(root(VERBS), [str(a) for a in args]) == 0


def read(path):
    return json.loads(path.read_text())


def trained(model, tmp_path, people, *data):
    """A run on so many people, some of them held out."""
    run = tmp_path / "run"
    cli("train", "--model", model, "--out", run, *ALWAYS, *SMALL[model], *data)
    facts = read(run / "run.json")["people"]
    assert facts["train"] + facts["validation"] == people and facts["validation"] > 0
    return run


def judged(run, *args):
    """What `evaluate` says of the test split; the file of what was found."""
    told, results = run.parent / "e.json", run.parent / "r.json"
    cli("evaluate", run, "--split", "test", "--threads", 1, *args, "--results", results, "--json", told)
    return read(told), results


@pytest.fixture
def coco_mini(unpacked):
    """(folder, annotations of its test split)."""
    folder = unpacked("coco-mini/coco-mini.zip") / "coco-mini"
    return folder, folder / "annotations" / "person_keypoints_val2017.json"


@pytest.fixture
def posetrack(unpacked):
    """(folder, folder of annotations)."""
    folder = unpacked("mmpose-tests/mmpose-tests.tar.gz") / "mmpose-tests" / "posetrack18"
    return folder, folder / "annotations" / "val"


@pytest.mark.data
def test_coco_mini(coco_mini, tmp_path):
    folder, truth = coco_mini
    run = trained(
        "ogn", tmp_path, 16, "--dataset", "coco", "--data", folder, "--data-option", "train_limit=16"
    )
    found, results = judged(run)
    assert found["n_people"] == len(read(results)) == 68 and found["measure"] == "box"
    assert sum(j["counted"] for j in found["joints"].values()) > 500
    figures, tracks = tmp_path / "f.json", tmp_path / "t.json"
    cli("evaluate-poses", truth, results, "--metric", "oks", "--json", figures)
    assert read(figures)["figures"] == found["oks"]  # images without people have no part in it
    cli("track", results, "--annotations", truth, "--out", tracks, "--likeness", "iou",
        "--joint-threshold", 0, "--birth", 0, "--min-hits", 1)  # fmt: skip
    made = read(tracks)
    assert len(made["images"]) == 79 and 0 < len(made["annotations"]) <= 68


@pytest.mark.data
def test_posetrack18(posetrack, tmp_path):
    folder, truth = posetrack
    run = trained("ogn", tmp_path, 14, "--dataset", "posetrack18", "--data", folder,
                  "--data-option", "annotations=annotations/val")  # fmt: skip
    found, results = judged(run)
    assert found["n_people"] == len(read(results)) == 14 and found["measure"] == "head"
    figures, tracks = tmp_path / "f.json", tmp_path / "t.json"
    cli("track", results, "--annotations", truth, "--out", tracks, "--joint-threshold", 0, "--birth", 0,
        "--min-hits", 1)  # fmt: skip
    images = {image["id"] for file in truth.glob("*.json") for image in read(file)["images"]}
    made = read(tracks)
    assert {image["id"] for image in made["images"]} == images
    assert {a["image_id"] for a in made["annotations"]} == {p["image_id"] for p in read(results)}
    cli("evaluate-poses", truth, tracks, "--metric", "posetrack", "--json", figures)
    counts = read(figures)["runs"][0]["counts"]
    assert counts["objects"] == counts["misses"] + counts["matches"] > 100


@pytest.mark.data
def test_coco_mini_as_whole_images(coco_mini, tmp_path):
    """Boxes of whole photographs go back to track and to COCO's evaluation."""
    folder, truth = coco_mini
    run = trained("keypoint-rcnn", tmp_path, 12, "--dataset", "coco", "--data", folder,
                  "--data-option", "train_limit=12")  # fmt: skip
    found, results = judged(run, "--limit", 6)
    assert found["n_images"] == 6 and found["n_people"] >= 6
    assert {"AP", "recall@0.5"} <= set(found["boxes"]) and "AP" in found["oks"]
    assert sum(j["counted"] for j in found["joints"].values()) > 20
    cli("evaluate-poses", truth, results, "--metric", "oks")
    boxes = tmp_path / "b.json"
    cli("boxes", truth, "--detector", run, "--images", folder / "val2017", "--threads", 1,
        "--score-threshold", 0, "--out", boxes)  # fmt: skip
    assert {"bbox", "score", "image_id", "category_id"} == set(read(boxes)[0])


@pytest.mark.data
def test_posetrack18_as_whole_images(posetrack, tmp_path):
    """Ignore regions are not background; image ids of eleven digits stay as they are."""
    folder, truth = posetrack
    run = trained("keypoint-rcnn", tmp_path, 14, "--dataset", "posetrack18", "--data", folder,
                  "--data-option", "annotations=annotations/val")  # fmt: skip
    found, results = judged(run)
    labelled = {a["image_id"] for file in truth.glob("*.json") for a in read(file)["annotations"]}
    listed = {pose["image_id"] for pose in read(results)}
    assert found["n_images"] == len(labelled) and found["n_people"] == 14 and min(labelled) > 10**10
    assert listed and listed <= labelled
