"""The training loop: it learns, resumes bit for bit, and stops cleanly."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from train import checkpoint, trainer
from train.config import TrainConfig
from train.data import registry as data
from train.data.clip import ClipSet
from train.data.samples import Samples
from train.data.transform import Recipe
from train.ema import Average
from train.epochs import Best
from train.evaluate import accuracy, evaluate, mean_over_persons
from train.loop import fit
from train.models import registry
from train.schedule import SCHEDULES, schedule
from train.trainer import SettingsError, TrainingError

RECIPE = Recipe(frames=6)
CONFIG = TrainConfig(
    model_settings={"channels": [8, 8], "dropout": 0.2, "learn_dv": True},
    epochs=4, batch=8, average=0.9, threads=1, clip_norm=5.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def clips() -> ClipSet:
    return data.load("synthetic", None, "train", train_per_class=3)


def tensors(run: Path, name: str) -> dict[str, torch.Tensor]:
    return checkpoint.load(run / name).tensors


def assert_same_run(a: Path, b: Path) -> None:
    for name in ("last.safetensors", "best.safetensors"):
        ours, theirs = tensors(a, name), tensors(b, name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(x, theirs[k]) for k, x in ours.items())
        assert (a / name).read_bytes() == (b / name).read_bytes()


@pytest.fixture(scope="module")
def straight(clips: ClipSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("straight") / "run"
    fit(CONFIG, RECIPE, clips, run, progress=False)
    return run


def test_run_folder(straight: Path) -> None:
    names = {p.name for p in straight.iterdir()}
    assert names == {
        "run.json", "log.jsonl", "events",
        "best.safetensors", "best.json", "last.safetensors", "last.json",
    }  # fmt: skip
    log = [json.loads(line) for line in (straight / "log.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in log] == [1, 2, 3, 4]
    assert all(0 < rate < 1 for entry in log for rate in entry["rates"].values()), "no spikes"
    best = max(log, key=lambda e: (e["accuracy_val"], -e["loss_val"]))
    assert checkpoint.load(straight / "best.safetensors").about["epoch"] == best["epoch"]
    facts = json.loads((straight / "run.json").read_text())
    assert facts["train_config"]["threads"] == 1
    assert facts["clips"]["validation"] > 0
    assert any((straight / "events").iterdir())


def test_weights_move_in_every_layer(straight: Path) -> None:
    about = checkpoint.load(straight / "last.safetensors").about
    torch.manual_seed(CONFIG.seed)
    start = registry.build(about["model"], about["model_config"])
    end = checkpoint.load(straight / "last.safetensors").under("model")
    for name, p in start.named_parameters():
        assert not torch.equal(p, end[name]), name


@pytest.mark.parametrize("after", [1, 2, 3])
def test_resume_is_bit_identical(straight: Path, clips: ClipSet, tmp_path: Path, after: int) -> None:
    class Interrupt(Exception):
        pass

    def stop(entry: dict) -> None:
        if entry["epoch"] == after:
            raise Interrupt

    run = tmp_path / "run"
    with pytest.raises(Interrupt):
        fit(CONFIG, RECIPE, clips, run, progress=False, on_epoch=stop)
    torch.manual_seed(12345)  # what ran in between must not matter
    fit(CONFIG, RECIPE, clips, run, progress=False, resume=True)
    assert_same_run(straight, run)
    assert len((run / "log.jsonl").read_text().splitlines()) == 4


def test_adamw_resumes_bit_for_bit(clips: ClipSet, tmp_path: Path) -> None:
    """Both of its moments and the step that corrects their bias come back."""

    class Interrupt(Exception):
        pass

    def stop(entry: dict) -> None:
        if entry["epoch"] == 1:
            raise Interrupt

    config = TrainConfig.from_dict({**CONFIG.to_dict(), "optimizer": "adamw", "lr": 0.002, "epochs": 2})
    fit(config, RECIPE, clips, tmp_path / "whole", progress=False)
    with pytest.raises(Interrupt):
        fit(config, RECIPE, clips, tmp_path / "run", progress=False, on_epoch=stop)
    fit(config, RECIPE, clips, tmp_path / "run", progress=False, resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "run")
    kept = checkpoint.load(tmp_path / "run" / "last.safetensors").tensors
    assert any(name.startswith("square.") for name in kept)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_resume_after_a_stop_within_an_epoch(
    straight: Path, clips: ClipSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:  # fmt: skip
    run, real, calls = tmp_path / "run", trainer.augmented_batch, []

    def failing(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 7:  # the third batch or so of the second epoch
            raise error
        return real(*arguments)

    monkeypatch.setattr(trainer, "augmented_batch", failing)
    with pytest.raises(error):
        fit(CONFIG, RECIPE, clips, run, progress=False)
    monkeypatch.setattr(trainer, "augmented_batch", real)
    assert not list(run.glob(".*")), "a half-written file was left"
    done = checkpoint.load(run / "last.safetensors").about["epoch"]
    assert 1 <= done < 4, "vacuous case"
    fit(CONFIG, RECIPE, clips, run, progress=False, resume=True)
    assert_same_run(straight, run)


def test_resume_after_a_stop_within_the_first_epoch(
    straight: Path, clips: ClipSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "augmented_batch", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fit(CONFIG, RECIPE, clips, run, progress=False)
    assert not (run / "last.safetensors").exists(), "vacuous case"
    other = TrainConfig.from_dict({**CONFIG.to_dict(), "lr": 0.2})
    with pytest.raises(TrainingError, match=r"train_config.lr \(0.1 there, 0.2 here\)"):
        fit(other, RECIPE, clips, run, progress=False, resume=True)
    fit(CONFIG, RECIPE, clips, run, progress=False, resume=True)
    assert_same_run(straight, run)


def test_resume_on_other_data_is_refused(clips: ClipSet, tmp_path: Path) -> None:
    class Interrupt(Exception):
        pass

    def stop(_: dict) -> None:
        raise Interrupt

    run = tmp_path / "run"
    with pytest.raises(Interrupt):
        fit(CONFIG, RECIPE, clips, run, progress=False, on_epoch=stop)
    fewer = ClipSet(clips.name, clips.layout, clips.class_names, clips.clips[:-12])
    with pytest.raises(TrainingError, match="the data is not what the run began with"):
        fit(CONFIG, RECIPE, fewer, run, progress=False, resume=True)


def test_a_broken_layer_that_does_not_show_in_the_loss_is_not_kept(
    clips: ClipSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A membrane of NaN does not spike: the layers behind see zeros, and the loss stays a number."""

    def breaking(name: str, values: dict) -> torch.nn.Module:
        model = real(name, values)
        model.embed.weight.data.fill_(float("nan"))
        return model

    real = registry.build
    monkeypatch.setattr(registry, "build", breaking)
    unclipped = TrainConfig.from_dict({**CONFIG.to_dict(), "clip_norm": 0.0})  # a norm of NaN would spread
    with pytest.raises(TrainingError, match=r"epoch 1: NaN or infinity in embed"):
        fit(unclipped, RECIPE, clips, tmp_path / "run", progress=False)
    assert not list((tmp_path / "run").glob("*.safetensors"))


@pytest.mark.parametrize(
    "settings", [{"dv": 2.0}, {"surrogate": "nope"}, {"kernel": 0}, {"channels": [0]}, {"channels": []}]
)
def test_a_model_that_cannot_be_leaves_no_folder(clips: ClipSet, tmp_path: Path, settings: dict) -> None:
    config = TrainConfig.from_dict({**CONFIG.to_dict(), "model_settings": settings})
    with pytest.raises(SettingsError):
        fit(config, RECIPE, clips, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_resume_of_a_finished_run_changes_nothing(straight: Path, clips: ClipSet) -> None:
    before = (straight / "last.safetensors").read_bytes()
    result = fit(CONFIG, RECIPE, clips, straight, progress=False, resume=True)
    assert (straight / "last.safetensors").read_bytes() == before
    assert result.best.epoch >= 1


def test_refusals(straight: Path, clips: ClipSet, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds a run already"):
        fit(CONFIG, RECIPE, clips, straight, progress=False)
    other = TrainConfig.from_dict({**CONFIG.to_dict(), "lr": 0.2})
    with pytest.raises(TrainingError, match=r"train_config.lr \(0.1 there, 0.2 here\)"):
        fit(other, RECIPE, clips, straight, progress=False, resume=True)
    with pytest.raises(checkpoint.CheckpointError, match="no such file"):
        fit(CONFIG, RECIPE, clips, tmp_path / "none", progress=False, resume=True)
    assert not (tmp_path / "none").exists()


def test_a_loss_that_is_no_number_stops_the_run(clips: ClipSet, tmp_path: Path) -> None:
    wild = TrainConfig.from_dict({**CONFIG.to_dict(), "lr": 1e30, "clip_norm": 0.0, "warm_up": 0.0})
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf).*lower lr"):
        fit(wild, RECIPE, clips, tmp_path / "run", progress=False)


def test_it_learns(clips: ClipSet, tmp_path: Path) -> None:
    """Two classes are told apart within seconds; chance is one half."""
    two = tuple(c for c in clips.clips if c.label < 2)
    few = ClipSet(clips.name, clips.layout, clips.class_names[:2], two)
    settings = {"model_settings": {"channels": [8]}, "epochs": 25, "batch": 4, "threads": 1}
    config = TrainConfig.from_dict({**settings, "average": 0.0, "validation_fraction": 0.2})
    fit(config, RECIPE, few, tmp_path / "run", progress=False)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert max(entry["accuracy_train"] for entry in log) == 1.0


def test_best_prefers_accuracy_then_loss() -> None:
    best = Best(3, 0.8, 1.0)
    assert best.beaten_by(0.9, 2.0)
    assert best.beaten_by(0.8, 0.9)
    assert not best.beaten_by(0.8, 1.0)
    assert not best.beaten_by(0.7, 0.1)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_schedules(name: str) -> None:
    factor = schedule(name)
    values = [factor(k / 1000, 0.3) for k in range(1000)]
    assert max(values) == pytest.approx(1.0, abs=1e-4)  # the peak may lie between two samples
    assert np.argmax(values) == pytest.approx(300, abs=1)
    assert np.all(np.diff(values[:300]) > 0)
    assert np.all(np.diff(values[300:]) <= 0)
    assert factor(0.0, 0.0) == pytest.approx(1.0)
    with pytest.raises(ValueError, match=r"nope.*cosine"):
        schedule("nope")


def test_average_of_a_constant_is_the_constant() -> None:
    model = torch.nn.Linear(2, 2)
    average = Average(model, 0.9)
    for k in range(200):
        with torch.no_grad():
            model.weight.fill_(3.0)
        average.update(model, k)
    # 0.9^190 of the start is left: below 1e-8
    assert torch.allclose(average.model.weight, torch.full((2, 2), 3.0), rtol=0, atol=1e-5)


def test_mean_over_persons_leaves_out_who_is_absent() -> None:
    scores = torch.tensor([[1.0, 3.0], [5.0, 7.0], [2.0, 2.0], [4.0, 0.0]])
    present = torch.tensor([[True, False], [False, False]])
    assert mean_over_persons(scores, present).tolist() == [[1.0, 3.0], [3.0, 1.0]]


def test_evaluate_restores_the_mode_and_the_order(straight: Path) -> None:
    model, _ = checkpoint.load_model(straight / "best.safetensors")
    model.train()
    x = np.random.default_rng(0).normal(size=(5, 1, 6, 6, 20)).astype(np.float32)
    samples = Samples(x, np.ones((5, 1), bool), np.arange(5), tuple("abcde"))
    whole, halves = evaluate(model, samples), evaluate(model, samples, batch=2)
    assert model.training
    assert whole.shape[0] == 5
    # products of another size may round otherwise, and a spike may flip: far below a class's margin
    assert np.abs(whole - halves).max() < 0.05
    assert accuracy(np.eye(3), np.array([0, 1, 1])) == 2 / 3


def test_config_collects_its_problems() -> None:
    with pytest.raises(ValueError, match=r"epochs = 0.*lr = -1"):
        TrainConfig(epochs=0, lr=-1)
    with pytest.raises(ValueError, match="unknown field nope"):
        TrainConfig.from_dict({"nope": 1})
    assert TrainConfig.from_dict(CONFIG.to_dict()) == CONFIG


def test_a_term_travels_with_the_run_and_leaves_with_it(clips: ClipSet, tmp_path: Path) -> None:
    """Its weights and momenta are in last.safetensors, and none of them in best.safetensors."""

    class Interrupt(Exception):
        pass

    def stop(entry: dict) -> None:
        raise Interrupt

    config = dataclasses.replace(CONFIG, tfsm=1.0, epochs=2)
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    fit(config, RECIPE, clips, straight, progress=False)
    with pytest.raises(Interrupt):
        fit(config, RECIPE, clips, resumed, progress=False, on_epoch=stop)
    fit(config, RECIPE, clips, resumed, progress=False, resume=True)
    assert_same_run(straight, resumed)
    ours = tensors(straight, "last.safetensors")
    assert {name.split(".")[0] for name in ours} == {"model", "average", "terms", "momentum", "rng"}
    assert any(name.startswith("momentum.terms.") for name in ours)
    assert {name.split(".")[0] for name in tensors(straight, "best.safetensors")} == {"model"}
    log = [json.loads(line) for line in (straight / "log.jsonl").read_text().splitlines()]
    assert all(line["loss_tfsm-class"] > 0 for line in log)
