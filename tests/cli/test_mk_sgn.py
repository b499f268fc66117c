"""MK-SGN on the command line: a clip at every step, from training to the energy report."""

from __future__ import annotations

import json

import pytest

TINY = [
    "--set", "channels=4,6", "--set", "heads=1", "--set", "head_width=2", "--set", "kernel=3", "--set",
    "coding=2", "--frames", "3", "--repeat", "3", "--epochs", "6", "--batch", "4", "--threads", "1",
    "--set", "average=0", "--data-option", "train_per_class=4", "--data-option", "test_per_class=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run and its lava artifact."""
    from cli import VERBS
    from verbs.group import Verbs, root

    folder = tmp_path_factory.mktemp("mk")
    for line in (
        ["train", "--model", "mk-sgn", "--out", folder / "run", *TINY],
        ["convert", folder / "run", "--to", "lava", "--out", folder / "lava", "--json", folder / "c.json"],
    ):
        assert Verbs.run(root(VERBS), [str(a) for a in line]) == 0
    return folder


def test_the_recipe_is_the_models(made):
    recipe = json.loads((made / "run" / "run.json").read_text())["recipe"]
    assert (recipe["repeat"], recipe["frames"]) == (3, 3)
    assert recipe["stream"] == "joint+bone+joint-motion+bone-motion"


def test_the_whole_model_is_on_the_chip(made):
    converted = json.loads((made / "c.json").read_text())
    assert {n["place"] for n in converted["coverage"]["nodes"]} == {"chip"}
    assert not (made / "lava" / "host.npz").exists()


def test_the_same_spikes_on_every_target(run, made):
    targets = ["reference", "onnx", "loihi-sim"]
    done = run("verify", made / "lava", "--targets", ",".join(targets), "--samples", 2, "--json", made / "v")
    assert done.code == 0, done.err
    found = json.loads((made / "v").read_text())["targets"]
    for name in targets:
        assert found[name]["passed"] and found[name]["spikes"] > 500 and found[name]["mismatching"] == 0


@pytest.mark.lava
def test_the_same_spikes_on_lava(run, made, lava):
    done = run("verify", made / "lava", "--targets", "lava", "--samples", 1, "--json", made / "l")
    assert done.code == 0, done.err
    found = json.loads((made / "l").read_text())["targets"]["lava"]
    assert found["passed"] and found["spikes"] > 100 and found["mismatching"] == 0


def test_energy_is_reported(run, made):
    done = run("energy-report", made / "lava", "--cost-table", "horowitz45-fp32", "--out", made / "energy",
               "--limit", 4)  # fmt: skip
    assert done.code == 0, done.err
    assert "blocks.1.frames" in done.out and "matmul" in done.out


def test_it_has_no_stream(run, made):
    done = run("simulate", made / "lava", "--target", "loihi-sim", "--stream")
    assert done.code == 4 and "takes the whole clip at each of its 3 steps" in done.err


def test_frames_as_steps_are_refused(run, tmp_path):
    done = run("train", "--model", "mk-sgn", "--out", tmp_path / "run", "--repeat", 0)
    assert done.code == 2 and "mk-sgn: takes the whole clip at every step" in done.err


def test_a_configuration_of_a_model(run, tmp_path):
    """It names the model, and its settings; another model is refused, and so is a field it does not have."""
    file = tmp_path / "own.toml"
    text = 'dataset = "synthetic"\nmodel = "mk-sgn"\n[recipe]\nframes = 3\n[settings]\nchannels = [4, 6]\n'
    file.write_text(text + "heads = 1\n[train]\nepochs = 1\n")
    small = ["--data-option", "train_per_class=2", "--threads", 1, "--repeat", 1]
    done = run("train", "--config", file, "--out", tmp_path / "run", *small)
    assert done.code == 0, done.err
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["model"] == "mk-sgn" and about["model_config"]["channels"] == [4, 6]
    done = run("train", "--config", file, "--model", "base-sgn", "--out", tmp_path / "other")
    assert done.code == 2 and "is of mk-sgn" in done.err
    file.write_text(text + "classes = 3\n")
    done = run("train", "--config", file, "--out", tmp_path / "other")
    assert done.code == 3 and "unknown settings.classes" in done.err
