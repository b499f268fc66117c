"""`--model keypoint-rcnn` through the command line: trained, evaluated, asked for boxes; what refuses it."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from deploy.pose.boxes import Detector
from verbs.people_run import RunDetector

SMALL = [
    "--set", "width=128", "--set", "height=96", "--set", "roi_width=48", "--set", "roi_height=64",
    "--set", "channels=16", "--set", "cells=3", "--set", "hidden=16", "--set", "depth=1",
    "--threads", "1", "--batch", "4", "--data-option", "train=5", "--data-option", "test=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A run of two epochs on five drawn pictures; its training is a test of its own."""
    from cli import VERBS
    from verbs.group import Verbs, root

    out = tmp_path_factory.mktemp("rcnn") / "run"
    args = ["train", "--model", "keypoint-rcnn", "--out", str(out), "--epochs", "2", *SMALL]
    assert Verbs.run(root(VERBS), args) == 0
    return out


def test_the_data_sets_own_configuration_is_taken(people):
    """synthetic-people where nothing is said, and anchors, ratios and backbone of its configuration."""
    about = json.loads((people / "best.json").read_text())
    assert about["dataset"]["name"] == "synthetic-people" and about["model_config"]["backbone"] == "tiny"
    assert about["model_config"]["anchors"] == [0.0, 32.0, 64.0, 128.0]
    assert about["recipe"]["roi_width"] == 48 and about["train_config"]["epochs"] == 2


def test_evaluate_looks_at_whole_images(run, people, tmp_path):
    got = run(
        "evaluate",
        people,
        "--split",
        "test",
        "--threads",
        1,
        "--json",
        tmp_path / "f.json",
        "--results",
        tmp_path / "r.json",
    )
    assert got.code == 0, got.err
    assert (
        "joints of people whom no box reaches (IoU 0.5) are wrong" in got.out
        and "2 images of test" in got.out
    )
    body = json.loads((tmp_path / "f.json").read_text())
    assert body["n_images"] == 2 and {"AP", "AP50", "recall@0.5", "candidates an image"} <= set(body["boxes"])
    assert {"AP", "AR"} <= set(body["oks"]) and body["rules"] == {
        "score": 0.05,
        "iou": 0.8,
        "cap": 20,
        "oks": 0.7,
    }
    assert 0 < sum(joint["counted"] for joint in body["joints"].values()) <= 17 * body["n_people"]
    listed = json.loads((tmp_path / "r.json").read_text())
    assert listed == body["poses"]
    assert all(len(e["bbox"]) == 4 and len(e["keypoints"]) == 51 and 0 <= e["score"] <= 1 for e in listed)
    got = run("evaluate", people, "--split", "test", "--limit", 1, "--threads", 1)
    assert got.code == 0 and "1 images of test" in got.out


def test_boxes_of_a_run(run, people, tmp_path):
    assert run("draw-people", "--out", tmp_path / "drawn", "--stills", 2).code == 0
    truth = tmp_path / "drawn" / "annotations" / "person_keypoints_val.json"
    out = tmp_path / "boxes.json"
    args = ("boxes", truth, "--detector", people, "--images", tmp_path / "drawn" / "val", "--threads", 1)
    got = run(*args, "--score-threshold", 0, "--out", out)
    assert got.code == 0 and "recall@0.5" in got.out, got.err
    listed = json.loads(out.read_text())
    assert listed and {"image_id", "category_id", "bbox", "score"} == set(listed[0])
    sizes = {i["id"]: (i["width"], i["height"]) for i in json.loads(truth.read_text())["images"]}
    for entry in listed:
        x, y, w, h = entry["bbox"]
        assert x >= 0 and y >= 0 and w > 0 and h > 0
        assert x + w <= sizes[entry["image_id"]][0] + 1e-6 and y + h <= sizes[entry["image_id"]][1] + 1e-6
    again = run(*args, "--score-threshold", 0, "--json", tmp_path / "curves.json")
    assert again.code == 0 and again.out == got.out  # the same boxes every time


def test_it_is_a_detector(people):
    """The interface of deploy.pose.boxes, which the pipeline uses too."""
    detector: Detector = RunDetector(people, 1)
    assert "keypoint-rcnn" in detector.name and detector.notes == Counter()
    found = detector.find(3, np.full((60, 80, 3), 90, np.uint8))
    assert found.boxes.shape == (len(found), 4) and (np.diff(found.scores) <= 0).all()


def test_what_it_is_not_for(run, people, trained, tmp_path, refused):
    for kind in ("onnx", "lava", "sdnn"):
        got = run("convert", people, "--to", kind, "--out", tmp_path / "a")
        refused(got, 4, "keypoint-rcnn", "which regions it reads depends on the image", "--model ogn")
        assert not (tmp_path / "a").exists()
    refused(run("evaluate", people, "--flip-test"), 2, "--flip-test", "whole images")
    refused(run("boxes", tmp_path / "none.json", "--detector", people, "--images", tmp_path), 3, "none.json")
    got = run("pipeline", "--video", tmp_path, "--pose", people, "--action", trained, "--out", tmp_path / "b")
    assert got.code == 3 and len(got.error_lines) == 1
    refused(run("train", "--qat", people, "--out", tmp_path / "c"), 3, "pose")
    refused(run("energy-report", people, "--cost-table", "horowitz45-fp32", "--out", tmp_path / "d"), 3)
    assert run("inspect", people).code == 0


def test_what_no_detector_is(run, people, trained, tmp_path, refused):
    assert run("draw-people", "--out", tmp_path / "drawn", "--stills", 1).code == 0
    truth, images = (
        tmp_path / "drawn" / "annotations" / "person_keypoints_val.json",
        tmp_path / "drawn" / "val",
    )
    for name in ("hogg", trained, tmp_path):
        refused(run("boxes", truth, "--detector", name, "--images", images), 3, "--model keypoint-rcnn")
    refused(run("boxes", truth, "--detector", people), 2, "--images DIR")


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["--set", "anchors=1,2"], "anchors"),
        (["--set", "channels=20"], "channels"),
        (["--set", "backbone=hrnet-w32"], "hrnet-w32"),
        (["--set", "roi_width=50"], "roi_width"),
        (["--set", "codec=simcc"], "codec"),
        (["--set", "rotate_deg=10"], "rotate_deg"),
        (["--set", "joints=3"], "joints"),
        (["--stream", "joint"], "--stream"),
        (["--dataset", "synthetic"], "synthetic"),
    ],
)
def test_settings_that_it_cannot_have(run, tmp_path, args, word):
    got = run("train", "--model", "keypoint-rcnn", "--out", tmp_path / "run", *SMALL, *args)
    assert got.code in (2, 3) and len(got.error_lines) == 1 and word in got.error_lines[0], got.err
    assert "Traceback" not in got.err and not (tmp_path / "run").exists()
