"""Records of runs: what an old one lacks is at its default, and OpenCV stays where pictures are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from train import checkpoint
from train.config import TrainConfig
from train.data import registry as data
from train.data.transform import Recipe
from train.files import json_bytes, write_whole
from train.loop import fit
from train.models.registry import config as model_config
from train.models.registry import to_dict
from train.pose.config import PoseConfig
from train.pose.recipe import PoseRecipe
from train.records import completed
from train.same_run import refuse_another
from train.trainer import TrainingError

ROOT = Path(__file__).resolve().parents[3]
CONFIG = TrainConfig(
    model="signal-sgn",
    model_settings={"channels": [8], "heads": 2, "levels": 1, "dropout": 0.0},
    epochs=2, batch=8, average=0.0, threads=1,
)  # fmt: skip
RECIPE = Recipe(frames=4, stream="joint")
LATER = {  # fields that came after the first runs, and what those runs did
    "train_config": {"optimizer": "sgd", "init": "", "temperature": 4.0},
    "model_config": {"spectrum": True, "branch_gain": 0.1, "surrogate": "sigmoid"},
    "recipe": {"framewise": False},
}


class Stop(Exception):
    pass


def stop(_):
    raise Stop


@pytest.fixture(scope="module")
def clips():
    return data.load("synthetic", None, "train", train_per_class=2)


@pytest.fixture(scope="module")
def begun(clips, tmp_path_factory):
    """A run that was stopped after the first of two epochs."""
    run = tmp_path_factory.mktemp("begun") / "run"
    with pytest.raises(Stop):
        fit(CONFIG, RECIPE, clips, run, progress=False, on_epoch=stop, data_options={"seed": 0})
    return run


def aged(source, run, change):
    """A copy of a run folder whose every description went through `change`, with the weights as they were."""
    shutil.copytree(source, run)
    for path in run.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["about"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        checkpoint.save(path, tensors, change(about))
    facts = run / "run.json"
    write_whole(facts, json_bytes(change(json.loads(facts.read_text()))))
    return run


def stripped(about):
    for record, fields in LATER.items():
        for name in fields:
            assert name in about[record], "vacuous case"
            del about[record][name]
    about["dataset"]["options"].pop("seed")
    del about["init"]
    return about


def test_a_run_from_before_a_field_is_resumed(clips, begun, tmp_path):
    """With the same weights in the end as one that always had it."""
    old, new = aged(begun, tmp_path / "old", stripped), tmp_path / "new"
    shutil.copytree(begun, new)
    for run in (old, new):
        fit(CONFIG, RECIPE, clips, run, progress=False, resume=True, data_options={"seed": 0})
    ours, theirs = (checkpoint.load(run / "last.safetensors").tensors for run in (old, new))
    assert all(torch.equal(x, theirs[name]) for name, x in ours.items()) and ours
    about = checkpoint.load(old / "last.safetensors").about
    assert about["epoch"] == 2 and about["train_config"]["optimizer"] == "sgd"


def test_so_is_one_that_was_stopped_in_its_first_epoch(clips, begun, tmp_path):
    old = aged(begun, tmp_path / "old", stripped)
    for path in [*old.glob("last.*"), *old.glob("best.*")]:
        path.unlink()
    assert fit(CONFIG, RECIPE, clips, old, progress=False, resume=True, data_options={"seed": 0}).best.epoch


@pytest.mark.parametrize(
    ("change", "odd"),
    [
        ({"optimizer": "adamw"}, r"train_config.optimizer \(sgd there, adamw here\)"),
        (
            {"model_settings": {**CONFIG.model_settings, "branch_gain": 0.5}},
            r"model_config.branch_gain \(0.1 there",
        ),
        ({"model_settings": {"spectrum": False}}, r"model_config.spectrum \(True there"),
    ],
)
def test_another_value_than_the_default_is_refused(clips, begun, tmp_path, change, odd):
    old = aged(begun, tmp_path / "old", stripped)
    model = {**CONFIG.model_settings, **change.get("model_settings", {})}
    other = TrainConfig.from_dict({**CONFIG.to_dict(), **change, "model_settings": model})
    with pytest.raises(TrainingError, match=odd) as caught:
        fit(other, RECIPE, clips, old, progress=False, resume=True, data_options={"seed": 0})
    for name in ("init", "temperature", "surrogate", "framewise", "seed"):
        assert name not in str(caught.value), "a default is told as a difference"


def test_a_default_that_is_said_is_no_difference(clips, begun, tmp_path):
    """A configuration that comes to name a field of the model, at the value it always had."""
    run = aged(begun, tmp_path / "run", lambda about: about)
    said = TrainConfig.from_dict(
        {**CONFIG.to_dict(), "model_settings": {**CONFIG.model_settings, "branch_gain": 0.1}}
    )
    options = {"seed": 0, "flat": False}
    assert fit(said, RECIPE, clips, run, progress=False, resume=True, data_options=options).best.epoch


def test_options_of_the_data_are_compared_by_what_they_are(begun):
    about = checkpoint.description(begun / "last.safetensors")
    assert completed(about)["dataset"]["options"] == data.defaults("synthetic")
    flat = {**about, "dataset": {**about["dataset"], "options": {"flat": True}}}
    with pytest.raises(TrainingError, match=r"dataset\.options .*flat"):
        refuse_another(begun, about, flat)


def test_a_parent_is_known_by_its_weights(begun):
    """What else is said of it, more by now than once, is no setting."""
    about = checkpoint.description(begun / "last.safetensors")
    old = {**about, "qat": {"bits": 4, "parent": {"sha256": "ab"}}}
    told = {**about, "qat": {"bits": 4, "parent": {"sha256": "ab", "refit": {"sha256": "cd"}}}}
    refuse_another(begun, old, told)
    other = {**about, "qat": {"bits": 4, "parent": {"sha256": "ef"}}}
    with pytest.raises(TrainingError, match=r"qat.parent \(ab there, ef here\)"):
        refuse_another(begun, old, other)


def test_a_field_that_is_no_longer_known_is_a_difference(begun):
    about = checkpoint.description(begun / "last.safetensors")
    old = {**about, "train_config": {**about["train_config"], "gone": 1}}
    with pytest.raises(TrainingError, match=r"train_config.gone \(1 there, None here\)"):
        refuse_another(begun, old, about)


def test_records_of_poses_and_of_fine_tuning_are_completed_too():
    heads = {"joints": 17, "heads": ["heatmap"], "kinds": ["heatmap"]}
    pose = {"model": "ogn", "train_config": {"epochs": 3}, "recipe": {"width": 64}, "model_config": heads}
    found = completed(pose)
    assert found["train_config"] == PoseConfig(epochs=3).to_dict()
    assert found["recipe"] == PoseRecipe(width=64).to_dict()
    whole = {"in_channels": 3, "classes": 4, "layout": "kinect20"}
    tuned = completed({"model": "base-sgn", "model_config": whole, "qat": {"bits": 4, "parent": {}}})
    assert tuned["model_config"] == to_dict(model_config("base-sgn", whole))
    assert tuned["qat"] == {"bits": 4, "input_bits": 8, "adjacency": "dense", "distil": 1.0, "parent": {}}


@pytest.mark.parametrize("about", [{}, {"model": "gone", "recipe": {}}, {"model": ["ogn"]}])
def test_what_is_no_record_stays_as_it_is(about):
    assert completed(about) == about
    broken = {"model": "base-sgn", "train_config": 3, "dataset": None, "recipe": []}
    assert completed(broken) == broken


def test_a_skeleton_training_leaves_opencv_alone():
    text = (
        "import sys\n"
        "import train.loop, verbs.train\n"
        "from train.configuration import configuration, of_dataset\n"
        "assert of_dataset('nw-ucla', {}, 'mk-sgn').name == 'nw-ucla-mk-sgn'\n"
        "assert configuration('nw-ucla').dataset == 'nw-ucla'\n"
        "assert not verbs.train._of_poses('synthetic')\n"
        "print('cv2' in sys.modules)\n"
        "configuration('lspet-ogn')\n"
        "print('cv2' in sys.modules)\n"
    )
    got = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False)
    assert got.stdout.split() == ["False", "True"], got.stdout + got.stderr
