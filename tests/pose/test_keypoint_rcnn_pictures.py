"""Photographs through the keypoint R-CNN: the samples of COCO and PoseTrack18, by the verbs alone."""

from __future__ import annotations

import json

import pytest

from cli import VERBS
from verbs.group import Verbs, root

SMALL = (
    "--epochs", 1, "--batch", 4, "--threads", 1, "--set", "backbone=tiny", "--set", "channels=16",
    "--set", "cells=3", "--set", "hidden=16", "--set", "depth=1", "--set", "width=128", "--set", "height=128",
    "--set", "roi_width=48", "--set", "roi_height=64",
)  # fmt: skip


def cli(*args) -> None:
    assert Verbs.run(root(VERBS), [str(a) for a in args]) == 0


def read(path):
    return json.loads(path.read_text())


@pytest.mark.data
def test_coco_mini(unpacked, tmp_path):
    """Boxes of whole photographs go back to track and to COCO's evaluation."""
    folder = unpacked("coco-mini/coco-mini.zip") / "coco-mini"
    truth = folder / "annotations" / "person_keypoints_val2017.json"
    run, told, results, boxes = (tmp_path / n for n in ("run", "e.json", "r.json", "b.json"))
    cli("train", "--model", "keypoint-rcnn", "--dataset", "coco", "--data", folder, "--out", run, *SMALL,
        "--data-option", "train_limit=12")  # fmt: skip
    facts = read(run / "run.json")
    assert facts["people"]["train"] + facts["people"]["validation"] == 12
    cli(
        "evaluate", run, "--split", "test", "--limit", 6, "--threads", 1, "--results", results, "--json", told
    )
    found = read(told)
    assert found["n_images"] == 6 and found["n_people"] >= 6
    assert {"AP", "recall@0.5"} <= set(found["boxes"]) and "AP" in found["oks"]
    cli("evaluate-poses", truth, results, "--metric", "oks")
    cli("boxes", truth, "--detector", run, "--images", folder / "val2017", "--threads", 1,
        "--score-threshold", 0, "--out", boxes)  # fmt: skip
    assert {"bbox", "score", "image_id", "category_id"} == set(read(boxes)[0])


@pytest.mark.data
def test_posetrack18(unpacked, tmp_path):
    """Ignore regions are not background; image ids of eleven digits stay as they are."""
    folder = unpacked("mmpose-tests/mmpose-tests.tar.gz") / "mmpose-tests" / "posetrack18"
    run, results = tmp_path / "run", tmp_path / "r.json"
    cli("train", "--model", "keypoint-rcnn", "--dataset", "posetrack18", "--data", folder, "--out", run,
        *SMALL, "--data-option", "annotations=annotations/val")  # fmt: skip
    cli("evaluate", run, "--split", "test", "--threads", 1, "--results", results)
    assert isinstance(read(results), list)
