"""A run that begins with the weights of another one."""

import dataclasses
import json

import pytest
import torch

from train import checkpoint
from train.begun import UnlikeRun, begin, continued, shared
from train.config import TrainConfig
from train.data import registry as data
from train.data.transform import Recipe
from train.limits import OPTIMIZERS
from train.loop import fit
from train.models import registry
from train.optimizer import STATE
from train.trainer import TrainingError

RECIPE = Recipe(frames=8, stream="joint")
CONFIG = TrainConfig(
    model="base-sgn", model_settings={"channels": (8, 8)}, epochs=2, batch=8, lr=0.05, threads=1, seed=3
)


@pytest.fixture(scope="module")
def clips():
    return data.load("synthetic", None, "train", train_per_class=3)


@pytest.fixture(scope="module")
def parent(clips, tmp_path_factory):
    run = tmp_path_factory.mktemp("parent") / "run"
    fit(CONFIG, RECIPE, clips, run, progress=False)
    return run


def first_loss(run):
    return json.loads((run / "log.jsonl").read_text().splitlines()[0])["loss_train"]


def test_the_weights_are_those_of_the_other_run(parent):
    start = checkpoint.load(parent)
    model = registry.build("base-sgn", start.about["model_config"])
    begin(model, "base-sgn", start)
    assert all(torch.equal(x, start.under("model")[name]) for name, x in model.state_dict().items())


def test_a_run_goes_on_from_them_and_says_so(parent, clips, tmp_path):
    """Its first epoch is better than the parent's first; dropout and optimiser may differ."""
    settings = {"channels": (8, 8), "dropout": 0.1}
    config = dataclasses.replace(
        CONFIG, init=str(parent), model_settings=settings, optimizer="adamw", lr=0.001
    )
    run = tmp_path / "run"
    fit(config, RECIPE, clips, run, progress=False)
    assert first_loss(run) < first_loss(parent)
    theirs = checkpoint.load(parent).about
    kept = checkpoint.load(run).about["init"]
    assert kept == {key: theirs[key] for key in ("model", "epoch", "sha256")}
    with pytest.raises(TrainingError, match=r"another .*init"):
        fit(dataclasses.replace(config, init=str(run)), RECIPE, clips, run, progress=False, resume=True)


def test_what_does_not_fit_is_refused_and_leaves_no_folder(parent, clips, tmp_path):
    run = tmp_path / "run"
    wider = dataclasses.replace(CONFIG, init=str(parent), model_settings={"channels": (8, 16)})
    with pytest.raises(checkpoint.CheckpointError, match=r"found no tensor blocks\.1\.residual"):
        fit(wider, RECIPE, clips, run, progress=False)
    other = dataclasses.replace(CONFIG, init=str(parent), model="base-sgn-attention")
    with pytest.raises(checkpoint.CheckpointError, match=r"model base-sgn.*model base-sgn-attention"):
        fit(other, RECIPE, clips, run, progress=False)
    begun = dataclasses.replace(CONFIG, init=str(parent))
    with pytest.raises(UnlikeRun, match=r"init .*frames 8, the run has 9; train it on"):
        fit(begun, dataclasses.replace(RECIPE, stream="bone", frames=9), clips, run, progress=False)
    with pytest.raises(UnlikeRun, match=r"stream 'joint' of 3 channels, the run has 'joint\+bone' of 6;"):
        fit(begun, dataclasses.replace(RECIPE, stream="joint+bone"), clips, run, progress=False)
    nowhere = dataclasses.replace(CONFIG, init=str(tmp_path / "nowhere"))
    with pytest.raises(checkpoint.CheckpointError, match="no such file"):
        fit(nowhere, RECIPE, clips, run, progress=False)
    assert not run.exists()


def test_another_stream_begins_with_them_and_its_own_mean_and_spread(parent, clips, tmp_path):
    """Bone is better after joint's first epochs than from nothing; what it began with names the stream."""
    bone, run, scratch = dataclasses.replace(RECIPE, stream="bone"), tmp_path / "run", tmp_path / "scratch"
    fit(dataclasses.replace(CONFIG, init=str(parent)), bone, clips, run, progress=False)
    fit(CONFIG, bone, clips, scratch, progress=False)
    assert first_loss(run) < first_loss(scratch)
    about, plain, theirs = (checkpoint.load(path).about for path in (run, scratch, parent))
    assert about["recipe"] == plain["recipe"] != theirs["recipe"]
    assert about["init"] == {key: theirs[key] for key in ("model", "epoch", "sha256")} | {"stream": "joint"}


def test_another_stream_keeps_its_teacher_s_mean_and_spread(parent, clips):
    start, bone = checkpoint.load(parent), dataclasses.replace(RECIPE, stream="bone")
    taught = dataclasses.replace(bone, mean=(0.5,), spread=(2.0,))
    assert [continued(start.path, start.about, x, clips) for x in (bone, taught)] == [bone, taught]


def test_a_teacher_s_mean_and_spread_are_not_taken_away(parent, clips):
    """What it begins with must have been shown numbers of the mean and spread that the teacher knows."""
    start = checkpoint.load(parent)
    taken = shared("teacher", start.path, start.about, RECIPE, clips)
    assert taken.mean and shared("init", start.path, start.about, taken, clips) == taken
    moved = dataclasses.replace(taken, mean=tuple(m + 0.5 for m in taken.mean))
    with pytest.raises(UnlikeRun, match="another mean and spread than those of the run's teacher"):
        shared("init", start.path, start.about, moved, clips)


def test_every_optimiser_of_the_settings_has_a_state():
    assert set(STATE) == set(OPTIMIZERS)


SMALL = {
    "channels": (8, 16),
    "heads": 0,
    "spectrum": False,
    "wavelet": "none",
    "classes": 3,
    "in_channels": 3,
}
ABOUT = {"model": "signal-sgn", "model_config": {}, "recipe": {}, "dataset": {}, "classes": [], "epoch": 1}
GAINS = (".weight", ".gain")
WHOLE = {"heads": 2, "spectrum": True, "wavelet": "haar", "frequency": True}


def signal(seed, **changes):
    torch.manual_seed(seed)
    settings = {**SMALL, "layout": "ntu25", "frames": 8, **changes}
    return registry.build("signal-sgn", settings)


@pytest.mark.parametrize("without", ["heads", "spectrum", "wavelet", "frequency"])
def test_a_grown_network_begins_as_the_smaller_one(without, tmp_path):
    """Whatever branch was missing: its end silent, the scores are the same to the bit, and the end learns."""
    parent = signal(1, **{**WHOLE, without: {"heads": 0, "wavelet": "none"}.get(without, False)})
    for norm in (m for m in parent.modules() if isinstance(m, torch.nn.BatchNorm1d)):
        torch.nn.init.uniform_(norm.running_mean, -0.1, 0.1)
    path = tmp_path / "best.safetensors"
    checkpoint.save(path, {f"model.{name}": x for name, x in parent.state_dict().items()}, ABOUT)
    whole = signal(2, **WHOLE)
    begin(whole, "signal-sgn", checkpoint.load(path))
    x = torch.randn(8, 5, 3, 25, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        want, got = parent.eval()(x), whole.eval()(x)
    assert torch.equal(want, got) and want.std() > 0.01
    whole.train()(x).square().sum().backward()
    new = set(whole.state_dict()) - set(parent.state_dict())
    ends = [p for name, p in whole.named_parameters() if name in new and name.endswith(GAINS) and not p.any()]
    assert ends and all(p.grad.abs().sum() > 0 for p in ends)


def test_a_network_does_not_shrink_or_change_its_kind(tmp_path):
    path = tmp_path / "best.safetensors"
    parent = signal(1, **WHOLE)
    checkpoint.save(path, {f"model.{name}": x for name, x in parent.state_dict().items()}, ABOUT)
    with pytest.raises(checkpoint.CheckpointError, match="an unknown tensor beta"):
        begin(signal(2), "signal-sgn", checkpoint.load(path))
    with pytest.raises(checkpoint.CheckpointError, match=r"shape \[8, 8, 5\]; expected shape \[16, 16, 5\]"):
        begin(signal(2, **WHOLE, channels=(16, 8)), "signal-sgn", checkpoint.load(path))


def test_what_would_not_begin_as_the_smaller_one_is_refused(tmp_path):
    """At a threshold of 1 a lone spike does not pass the new neurons: the scores would be others."""
    path, parent = tmp_path / "best.safetensors", signal(1, threshold=1.0)
    checkpoint.save(path, {f"model.{name}": x for name, x in parent.state_dict().items()}, ABOUT)
    with pytest.raises(checkpoint.CheckpointError, match="threshold 1 would not carry round"):
        begin(signal(2, **WHOLE, threshold=1.0), "signal-sgn", checkpoint.load(path))
