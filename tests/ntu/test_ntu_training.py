"""From raw files to a trained model through the command line, and the configurations it takes."""

from __future__ import annotations

import json

import pytest

from train import configuration
from train.config import TrainConfig
from train.data.ntu_name import FAMILIES
from train.data.recipe import Recipe
from train.data.split import UNSEEN

SMALL = ("--epochs", 2, "--batch", 16, "--frames", 8, "--set", "channels=8,8", "--threads", 1)


def facts(run_folder):
    about = json.loads((run_folder / "run.json").read_text())
    log = [json.loads(line) for line in (run_folder / "log.jsonl").read_text().splitlines()]
    return about, log


def test_two_epochs_on_two_hundred_files(made, tmp_path, run):
    """X-Sub with its configuration; then the test split on the ONNX target, from what the run remembers."""
    out = tmp_path / "run"
    got = run("train", "--dataset", "ntu60", "--data", made.file, "--out", out, *SMALL)
    assert got.code == 0, got.err
    about, log = facts(out)
    assert len(log) == 2 and log[1]["loss_train"] < log[0]["loss_train"]
    assert all(0.0 < entry["rate"] < 1.0 for entry in log)  # not vacuous: neurons fire
    assert about["dataset"]["options"]["protocol"] == "xsub"
    assert len(about["classes"]) == 60 and about["dataset"]["layout"] == "ntu25"
    assert about["split"].startswith("validation: training subjects")
    config, recipe = about["train_config"], about["recipe"]
    assert (config["validation"], config["weight_decay"], config["batch"]) == ("subjects", 4e-4, 16)
    assert (recipe["frames"], recipe["crop"], recipe["rotate_y_deg"]) == (8, 0.5, 17.0)

    assert run("convert", out, "--to", "onnx", "--out", tmp_path / "onnx").code == 0
    got = run("simulate", tmp_path / "onnx", "--target", "onnx", "--limit", 8, "--json", tmp_path / "s.json")
    assert got.code == 0, got.err
    assert json.loads((tmp_path / "s.json").read_text())["n_samples"] == 8


def test_cross_view_holds_out_performances(made, tmp_path, run):
    out = tmp_path / "run"
    got = run("train", "--config", "ntu60-xview", "--data", made.file, "--out", out, *SMALL, "--epochs", 1)
    assert got.code == 0, got.err
    about, _ = facts(out)
    assert about["dataset"]["options"]["protocol"] == "xview"
    assert "performances" in about["split"]


def test_every_configuration_can_be_used():
    poses = {"ogn", "keypoint-rcnn"}  # tests/pose
    actions = [name for name in configuration.names() if configuration.configuration(name).model not in poses]
    assert actions == [
        "ntu120-xset", "ntu120-xsub", "ntu60-xsub", "ntu60-xview", "nw-ucla", "nw-ucla-gcn-teacher",
        "nw-ucla-mk-sgn", "nw-ucla-signal-sgn",
    ]  # fmt: skip
    for name in actions:
        found = configuration.configuration(name)
        config = TrainConfig.from_dict(dict(found.train))
        Recipe.from_dict(found.recipe)
        assert found.what
        if found.dataset in FAMILIES:
            protocol = FAMILIES[found.dataset].protocol(found.data["protocol"])
            assert name == f"{found.dataset}-{found.data['protocol']}"
            assert config.validation == UNSEEN[protocol.unseen]
            assert found.recipe["frames"] == 64


@pytest.mark.parametrize(
    ("dataset", "options", "name"),
    [
        ("ntu60", {}, "ntu60-xsub"),
        ("ntu120", {}, "ntu120-xsub"),  # the loader's default, though xset stands before it
        ("ntu120", {"protocol": "xset"}, "ntu120-xset"),
        ("nw-ucla", {}, "nw-ucla"),
        ("synthetic", {"seed": 3}, None),
        ("ntu60", {"protocol": "xset"}, None),
        ("elsewhere", {}, None),
    ],
)
def test_a_data_set_has_its_own(dataset, options, name):
    found = configuration.of_dataset(dataset, options)
    assert (found and found.name) == name


def test_a_configuration_of_ones_own(tmp_path, refused, run):
    path = tmp_path / "mine.toml"
    path.write_text(
        'dataset = "synthetic"\n[data]\ntrain_per_class = 8\n[recipe]\nstream = "joint"\n'
        "[train]\nepochs = 1\n"
    )
    ask = ("train", "--config", path, "--frames", 4, "--set", "channels=8", "--threads", 1)
    got = run(*ask, "--out", tmp_path / "run")
    assert got.code == 0, got.err
    about, log = facts(tmp_path / "run")
    assert (len(log), about["recipe"]["stream"]) == (1, "joint")
    got = run(*ask, "--out", tmp_path / "other", "--stream", "bone")
    assert facts(tmp_path / "other")[0]["recipe"]["stream"] == "bone"

    for text, words in (
        ("dataset = 'synthetic'\n[recipe]\nframe = 3\n", ["recipe.frame"]),
        ("dataset = 'synthetic'\n[train]\nseed = 3\n", ["train.seed"]),
        ("dataset = 'synthetic'\nmodel = 3\n", ["model 3", "base-sgn"]),
        ("dataset = 'synthetic'\nmodel = []\n", ["model []", "base-sgn"]),
        ("dataset = 'synthetic'\nrecipe = 3\n", ["recipe that is no table"]),
        ("dataset = 'mine'\n", ["'mine'", "ntu60"]),
        ("dataset = \n", ["no readable TOML"]),
    ):
        path.write_text(text)
        refused(lambda: configuration.configuration(str(path)), "mine.toml", *words)
    refused(lambda: configuration.configuration("ntu61"), "'ntu61'", "ntu60-xsub")


def test_contradictions_are_refused(tmp_path, run):
    ask = ("train", "--config", "ntu60-xview", "--out", tmp_path / "run")
    got = run(*ask, "--dataset", "nw-ucla")
    assert got.code == 2 and "ntu60-xview is of ntu60" in got.err
    got = run(*ask, "--data-option", "protocol=xsub")
    assert got.code == 2 and "says xview" in got.err
    got = run(*ask, "--set", "normalise=sideways")
    assert got.code == 2 and "sideways" in got.err
    got = run(*ask)
    assert got.code == 3 and "cli.py prepare" in got.err
    assert not (tmp_path / "run").exists()
