"""Training poses: it learns, resumes bit for bit, and is judged by its set's own measure."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from train import checkpoint
from train.data.errors import DataError
from train.pose.config import PoseConfig
from train.pose.course import gather
from train.pose.data.keypoints import LSPET, POSETRACK18
from train.pose.data.person import Person, PoseSet
from train.pose.predict import by_torch, judged, predict
from train.pose.recipe import PoseRecipe
from train.pose.training import fit
from train.processes import ALONE
from train.trainer import SettingsError, TrainingError

RECIPE = PoseRecipe(width=64, height=64)
CONFIG = PoseConfig(epochs=2, batch=8, threads=1, model_settings={"backbone": "tiny", "hidden": 8})


class Stop(Exception):
    pass


def log_of(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def straight(drawn, tmp_path_factory):
    run = tmp_path_factory.mktemp("pose") / "run"
    fit(CONFIG, RECIPE, drawn, run, progress=False)
    return run


def test_a_run_holds_its_recipe(straight, drawn):
    about = checkpoint.load(straight).about
    assert about["model"] == "ogn" and about["joints"] == list(drawn.keypoints.joints)
    assert about["recipe"] == RECIPE.to_dict() and about["codec"]["codec"] == "offset"
    assert about["model_config"]["heads"] == ["heatmap", "offset"]
    facts = json.loads((straight / "run.json").read_text())
    assert facts["people"]["train"] + facts["people"]["validation"] == len(drawn)
    entries = log_of(straight)
    assert [e["epoch"] for e in entries] == [1, 2]
    assert {"loss_heatmap", "loss_offset", "loss_val", "accuracy_val", "accuracy_train"} <= set(entries[0])


@pytest.mark.parametrize("after", [1])
def test_resume_is_bit_identical(straight, drawn, tmp_path, after):
    def stop(entry):
        if entry["epoch"] == after:
            raise Stop

    run = tmp_path / "run"
    with pytest.raises(Stop):
        fit(CONFIG, RECIPE, drawn, run, progress=False, on_epoch=stop)
    torch.manual_seed(99)  # what ran in between must not matter
    fit(CONFIG, RECIPE, drawn, run, progress=False, resume=True)
    one, two = (checkpoint.load(r / "last.safetensors") for r in (straight, run))
    assert one.tensors.keys() == two.tensors.keys()
    assert all(torch.equal(one.tensors[name], two.tensors[name]) for name in one.tensors)
    assert any(name.startswith("square.") for name in one.tensors)
    with pytest.raises(TrainingError, match=r"another recipe\.sigma|recipe.sigma"):
        fit(CONFIG, replace(RECIPE, sigma=1.5), drawn, run, progress=False, resume=True)


def test_it_learns_one_picture_by_heart(drawn, tmp_path):
    """Two pictures, no augmentation: the loss of a blank map, about 1.25, must fall well below."""
    still = replace(RECIPE, scale=0.0, rotate_deg=0.0, shift=0.0, half_body=0.0, mirror=0.0, colour=0.0)
    few = replace(drawn, people=drawn.people[:1] * 4 + drawn.people[-1:])
    config = replace(CONFIG, epochs=60, batch=4, lr=5e-3, average=0.0)
    fit(config, still, few, tmp_path / "run", progress=False)
    entries = log_of(tmp_path / "run")
    assert entries[0]["loss_train"] > 1.0 and entries[-1]["loss_train"] < 0.5
    assert entries[-1]["accuracy_train"] > 0.5


def test_settings_that_no_run_can_have(drawn, tmp_path):
    with pytest.raises(SettingsError, match="backbones"):
        fit(
            replace(CONFIG, model_settings={"backbones": "tiny"}),
            RECIPE,
            drawn,
            tmp_path / "a",
            progress=False,
        )
    assert not (tmp_path / "a").exists()
    with pytest.raises(ValueError, match="epochs = 0"):
        PoseConfig(epochs=0)
    with pytest.raises(ValueError, match="unknown field momenta"):
        PoseConfig.from_dict({"momenta": 1})


def test_people_without_a_size_are_refused_before_the_first_epoch(drawn, tmp_path):
    other = replace(drawn.keypoints, measure="torso")
    hidden = [replace(p, visibility=p.visibility * 0 + (np.arange(17) < 5)) for p in drawn.people]
    with pytest.raises(DataError, match="no person whose torso size is known"):
        fit(
            CONFIG,
            RECIPE,
            replace(drawn, keypoints=other, people=tuple(hidden)),
            tmp_path / "a",
            progress=False,
        )
    assert not (tmp_path / "a").exists()


def test_the_order_is_a_function_of_seed_and_epoch(drawn):
    course = gather(CONFIG, RECIPE, drawn, ALONE)
    one = [labels for _, labels, _ in course.batches(1, ALONE)]
    two = [labels for _, labels, _ in course.batches(1, ALONE)]
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert sum(len(labels) for labels in one) == course.size
    other = [labels for _, labels, _ in course.batches(2, ALONE)]
    assert not torch.equal(one[0], other[0])


def test_perfect_maps_are_right(drawn):
    """Joints from encoded maps are the annotated ones: crop, codec and way back agree."""
    codec = RECIPE.build_codec()

    def perfect(x, joints):
        maps = codec.encode(joints[..., :2], joints[..., 2])
        found = codec.decode_torch({k: torch.from_numpy(np.asarray(v)) for k, v in maps.items()})
        return found.xy.numpy().astype(float), found.score.numpy().astype(float)

    poses = predict(perfect, drawn.people, RECIPE)
    there = np.stack([p.weights > 0 for p in drawn.people])
    truth = np.stack([p.xy for p in drawn.people])
    away = np.linalg.norm(poses.xy - truth, axis=2)[there]
    assert np.quantile(away, 0.95) < 0.1  # joints off the crop have no map
    assert judged(poses.xy, drawn).pooled > 0.97


def test_a_network_that_sees_the_mirror_image_alike(straight, drawn):
    """The flip test of an image and of its mirror are each other's mirror: left and right exchanged."""
    model, _ = checkpoint.load_model(straight)
    infer = by_torch(model, RECIPE.build_codec(), drawn.keypoints)
    x = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)
    one, sure = infer(x, np.zeros(0, np.float32))
    two, sure_two = infer(np.ascontiguousarray(x[..., ::-1]), np.zeros(0, np.float32))
    mirrored = two[:, list(drawn.keypoints.flipped)]
    mirrored[..., 0] = 64 - mirrored[..., 0]
    np.testing.assert_allclose(one, mirrored, atol=1e-2)  # float32 sums in another order
    np.testing.assert_allclose(sure, sure_two[:, list(drawn.keypoints.flipped)], atol=1e-5)


def person(keypoints, **fields):
    xy = np.stack([10.0 * np.arange(keypoints.size), np.zeros(keypoints.size)], axis=1)
    seen = np.full(keypoints.size, 2, np.int8)
    return Person(
        np.zeros((4, 4, 3), np.uint8), np.array([0.0, 0, 50, 100]), xy, seen,
        np.ones(keypoints.size, np.float32), 1, 1, "1", **fields,
    )  # fmt: skip


def test_pck_by_the_sets_own_measure():
    """LSPET: right hip (2) at 20, left shoulder (9) at 90: 0.2 of 70. PoseTrack18: half the head."""
    one = person(LSPET)
    found = one.xy + np.array([0.0, 14.0])
    found[0, 1] = 14.1
    pck = judged(found[None], PoseSet("lspet", "test", LSPET, (one,)))
    assert pck.right.tolist() == [0] + [1] * 13 and pck.pooled == 13 / 14
    other = person(POSETRACK18, head=8.0)
    pck = judged(
        (other.xy + np.array([0.0, 4.0]))[None], PoseSet("posetrack18", "test", POSETRACK18, (other,))
    )
    assert pck.counted.sum() == 15 and pck.pooled == 1.0  # the ears do not count
