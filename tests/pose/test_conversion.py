"""A pose network from the command line: trained, judged, converted, and the same joints in ONNX."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cli import VERBS
from convert.artifact import open_artifact
from deploy.pose.network import PoseNetwork
from train import checkpoint
from train.pose.predict import by_torch
from train.pose.recipe import PoseRecipe
from verbs.group import Verbs, root

SMALL = (
    "--set",
    "backbone=tiny",
    "--set",
    "width=64",
    "--set",
    "height=64",
    "--threads",
    "1",
    "--batch",
    "8",
)
DATA = ("--data-option", "train=12", "--data-option", "test=4")


def cli(*args) -> int:
    return Verbs.run(root(VERBS), [str(a) for a in args])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("pose-cli") / "run"
    assert cli("train", "--model", "ogn", "--out", out, "--epochs", 2, *SMALL, *DATA) == 0
    return out


@pytest.fixture(scope="module")
def artifacts(run):
    made = {}
    for form in ("float", "int8"):
        made[form] = run.parent / form
        json_path = run.parent / f"{form}.json"
        assert (
            cli("convert", run, "--to", "onnx", "--form", form, "--out", made[form], "--json", json_path) == 0
        )
    return made


def test_evaluate_says_pck_and_oks(run, tmp_path, capsys):
    files = ("--json", tmp_path / "r.json", "--results", tmp_path / "coco.json")
    assert cli("evaluate", run, "--threads", 1, "--flip-test", *files) == 0
    told = json.loads((tmp_path / "r.json").read_text())
    listed = json.loads((tmp_path / "coco.json").read_text())
    assert listed == told["poses"] and len(listed[0]["keypoints"]) == 51
    assert told["dataset"] == "synthetic-people" and told["n_people"] == len(told["poses"]) > 3
    assert set(told["oks"]) >= {"AP", "AR"} and 0 <= told["pck"] <= 1
    assert sum(j["counted"] for j in told["joints"].values()) > 30
    shown = capsys.readouterr().out
    assert "left ankle" in shown and "OKS in annotated boxes: AP" in shown


def test_the_float_graph_finds_torchs_joints(run, artifacts):
    model, saved = checkpoint.load_model(run)
    recipe = PoseRecipe.from_dict(saved.about["recipe"])
    infer = by_torch(model, recipe.build_codec())
    network = PoseNetwork.load(open_artifact(artifacts["float"]).file("pose.onnx"))
    for people in (1, 5):  # the batch is dynamic
        x = np.random.default_rng(people).normal(size=(people, 3, 64, 64)).astype(np.float32)
        want, sure = infer(x, np.zeros(0, np.float32))
        found, score = network.joints(x)
        # float32 sums in another order, read out in pixels of an input of 64
        np.testing.assert_allclose(found, want, atol=2e-3)
        np.testing.assert_allclose(score, sure, atol=1e-5)
    assert network.about["input"]["width"] == 64 and network.about["joints"] == saved.about["joints"]


def test_eight_bits_stay_near(artifacts):
    about = open_artifact(artifacts["int8"]).about
    assert about["form"] == "int8" and set(about["parity_with_torch"]["pck"]) == {"torch", "float", "int8"}
    sizes = {form: (folder / "pose.onnx").stat().st_size for form, folder in artifacts.items()}
    assert sizes["int8"] < 0.6 * sizes["float"]
    x = np.random.default_rng(0).normal(size=(8, 3, 64, 64)).astype(np.float32)
    scores = [PoseNetwork.load(folder / "pose.onnx").joints(x)[1] for folder in artifacts.values()]
    # 8 bits of activations: a part in 128 of the range, a dozen layers deep
    assert np.abs(scores[0] - scores[1]).max() < 0.1 * np.abs(scores[0]).max() + 0.05


def test_an_artifact_is_evaluated_too(artifacts, tmp_path):
    told = {}
    for form, folder in artifacts.items():
        assert cli("evaluate", folder, "--split", "validation", "--json", tmp_path / "r.json") == 0
        told[form] = json.loads((tmp_path / "r.json").read_text())
    assert told["float"]["by"] == "onnx" and told["int8"]["form"] == "int8"
    assert (
        told["float"]["pck"]
        == json.loads((artifacts["float"].parent / "float.json").read_text())["parity_with_torch"]["pck"][
            "float"
        ]
    )


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("convert", "RUN", "--to", "lava", "--out", "OUT"), 4, "holds no spikes"),
        (("convert", "RUN", "--to", "onnx", "--bits", 4, "--out", "OUT"), 2, "has no such setting"),
        (("convert", "FLOAT", "--to", "onnx", "--out", "OUT"), 3, "is an artifact already"),
        (("evaluate", "FLOAT", "--flip-test"), 3, "its decoder is in the graph"),
        (("evaluate", "RUN", "--dataset", "nw-ucla"), 3, "unknown pose data set"),
        (("simulate", "FLOAT", "--target", "onnx"), 3, "is a pose network"),
        (("verify", "FLOAT"), 3, "is a pose network"),
        (("map", "FLOAT", "--chip", "loihi2"), 3, "is a pose network"),
        (("train", "--qat", "RUN", "--out", "OUT"), 3, "is a pose network"),
        (("train", "--model", "ogn", "--stream", "joint", "--out", "OUT"), 2, "has no such setting"),
        (("train", "--model", "ogn", "--set", "width=50", "--out", "OUT"), 2, "multiple of 32"),
        (("train", "--model", "ogn", "--set", "joints=5", "--out", "OUT"), 2, "follows from the data"),
        (("train", "--model", "ogn", "--dataset", "coco", "--out", "OUT"), 3, "found no --data"),
        (("train", "--dataset", "lspet", "--out", "OUT"), 2, "--model ogn"),
        (("train", "--weights", "x.safetensors", "--out", "OUT"), 2, "leave it out"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(run, artifacts, tmp_path, capsys, args, code, message):
    places = {"RUN": run, "FLOAT": artifacts["float"], "OUT": tmp_path / "out"}
    assert cli(*(places.get(a, a) for a in args)) == code
    told = [line for line in capsys.readouterr().err.splitlines() if line.lower().startswith("error")]
    assert len(told) == 1 and message in told[0]
    assert not (tmp_path / "out").exists()
