"""Distillation: its losses against their formulas, what it leaves behind, and teachers that do not fit."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from convert.from_torch import from_torch
from train import checkpoint
from train.begun import UnlikeRun
from train.config import TrainConfig
from train.data import registry as data
from train.data.transform import Recipe, augmented_batch
from train.loop import fit
from train.material import gather
from train.models import registry
from train.objective import Objective, Seen, probe, tapped
from train.processes import ALONE
from train.skeletons import layout
from train.teacher import Teacher
from train.terms import registry as terms
from train.terms.distillation import FTM, divergence, paired
from train.trainer import TrainingError

FRAMES, JOINTS, CLASSES = 6, 20, 12
CLIP = Recipe(frames=FRAMES, stream="joint+bone", repeat=1)
SHOWN = dataclasses.replace(CLIP, repeat=2)
FRAMEWISE = dataclasses.replace(CLIP, repeat=0)
TEACH = TrainConfig(
    model="gcn-teacher", model_settings={"channels": [8, 8, 16, 16], "kernel": 3}, epochs=1, batch=8,
    average=0.0, threads=1,
)  # fmt: skip
LEARN = TrainConfig(
    model="mk-sgn", model_settings={"channels": [8, 16], "coding": 8, "heads": 2}, epochs=3, batch=8,
    average=0.9, threads=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def clips():
    return data.load("synthetic", None, "train", train_per_class=3)


@pytest.fixture(scope="module")
def run(clips, tmp_path_factory):
    """A trained teacher's run folder."""
    out = tmp_path_factory.mktemp("teacher") / "run"
    fit(TEACH, CLIP, clips, out, progress=False)
    return out


@pytest.fixture
def teacher(run):
    return Teacher.load(run)


def student(name):
    torch.manual_seed(3)
    known = {"in_channels": 6, "classes": CLASSES, "layout": "kinect20", "channels": (8, 16)}
    return registry.build(name, {**known, **({"coding": 8, "heads": 2} if name == "mk-sgn" else {})})


def built(model, teacher, sample, **settings):
    config = TrainConfig(teacher="somewhere", **settings)
    return terms.build(config, terms.Setting(model, sample, CLASSES, layout("kinect20"), teacher))


def shown(name, samples, seed=5):
    """x as the student takes it, and the same clips [N, C, F, V]."""
    clip = torch.randn(samples, 6, FRAMES, JOINTS, generator=torch.Generator().manual_seed(seed))
    return (clip.permute(2, 0, 1, 3) if name == "base-sgn" else clip.expand(2, *clip.shape)), clip


def test_pairs_by_depth():
    ten, six = tuple(range(1, 11)), tuple(range(1, 7))
    assert list(paired(six, ten).values()) == [2, 4, 5, 7, 9, 10]
    assert list(paired(ten, six).values()) == [1, 2, 2, 3, 3, 4, 5, 5, 6, 6]
    assert list(paired(six, six).values()) == list(six)
    for n in range(1, 40):  # the last learns from the last, whatever the rounding
        for m in range(1, 40):
            got = list(paired(tuple(range(n)), tuple(range(m))).values())
            assert got == [-(-(i + 1) * m // n) - 1 for i in range(n)]


def test_divergence_against_numpy():
    draw = np.random.default_rng(0)
    t, s = draw.normal(0, 3, (5, 7)), draw.normal(0, 3, (5, 7))

    def soft(x):
        e = np.exp((x - x.max(1, keepdims=True)) / 4.0)
        return e / e.sum(1, keepdims=True)

    want = 16.0 * (soft(t) * np.log(soft(t) / soft(s))).sum(1).mean()
    assert want > 1.0, "vacuous case"
    assert float(divergence(torch.from_numpy(t), torch.from_numpy(s), 4.0)) == pytest.approx(want, rel=1e-12)


def translated(ftm, y, frames):
    """FTM in numpy, in evaluation: y [N, C', F', V]."""
    state = {k: v.double().numpy() for k, v in ftm.state_dict().items()}
    z = np.einsum("oc,ncfv->nofv", state["mix.weight"], y)
    column = (-1, 1, 1)
    z = (z - state["norm.running_mean"].reshape(column)) / np.sqrt(
        state["norm.running_var"].reshape(column) + ftm.norm.eps
    )
    z = z * state["norm.weight"].reshape(column) + state["norm.bias"].reshape(column)
    at = np.clip((np.arange(frames) + 0.5) * z.shape[2] / frames - 0.5, 0, z.shape[2] - 1)
    low = np.floor(at).astype(int)
    high, share = np.minimum(low + 1, z.shape[2] - 1), (at - low)[:, None]
    z = z[:, :, low] * (1 - share) + z[:, :, high] * share
    return 1.0 / (1.0 + np.exp(-z))


@pytest.mark.parametrize("name", ["mk-sgn", "base-sgn"])
def test_the_losses_against_numpy(name, teacher):
    """A student shown whole clips, and one whose steps are frames; weights 0.5 and 0.25, temperature 2."""
    model = student(name).eval()
    x, clip = shown(name, 4)
    (term,) = built(model, teacher, x[:, :1], distil_features=0.5, distil_labels=0.25, temperature=2.0)
    term.eval()
    for ftm in term.maps:
        ftm.norm.running_mean.normal_()
    taps = {k: (torch.rand_like(s) < 0.3).float() for k, s in probe(model, model.stages, x).items()}
    labels = torch.zeros(4, dtype=torch.long)
    with torch.no_grad():
        scores, soft = model(x), teacher.model(clip[None])
        parts = term(Seen(x, torch.ones(4, 1, dtype=torch.bool), labels, scores, taps))
        deep = probe(teacher.model, teacher.stages, clip[None])
    total = 0.0
    for ftm, ours, theirs in zip(term.maps, model.stages, ("levels.1", "levels.3"), strict=True):
        spikes = taps[ours].double().numpy()
        rate = spikes.mean(0) if name == "mk-sgn" else spikes.transpose(1, 2, 0, 3)
        assert 0.01 < rate.mean() < 0.99, "vacuous case"
        want = translated(ftm, deep[theirs][0].double().numpy(), rate.shape[2])
        total += np.square(want - rate).mean()
    assert float(parts["distil-features"]) == pytest.approx(0.5 * total, rel=1e-5)  # float32 sums
    want = 0.25 * float(divergence(soft.double(), scores.double(), 2.0))
    assert want > 0 and float(parts["distil-labels"]) == pytest.approx(want, rel=1e-4)


def test_the_translation_begins_at_the_rate_of_the_student(teacher):
    """Else one that seldom fires is taught to fire in half of all steps (docs/results.md, section 8)."""
    model = student("mk-sgn")
    state = {k: v.clone() for k, v in model.state_dict().items()}
    x, clip = shown("mk-sgn", 4)
    (term,) = built(model, teacher, x[:, :1])
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items()), "building left a trace"
    _, features = teacher.look(clip, tuple(term.pairs.values()))
    with torch.no_grad(), tapped(model.train(), model.stages) as taps:
        model(x)
    for ftm, (ours, theirs) in zip(term.maps.train(), term.pairs.items(), strict=True):
        rate = taps[ours].mean().item()
        assert 0.02 < rate < 0.35, "vacuous case"
        # features of spread 1 before the sigmoid: its mean lies a little nearer to a half
        assert ftm(features[theirs], FRAMES).mean().item() == pytest.approx(rate, abs=0.06)
    silent = FTM(3, 2, 0.0)
    assert torch.isfinite(silent.norm.bias).all() and silent.norm.bias.sigmoid().max() < 0.05


def test_absent_persons_take_no_part(teacher):
    model = student("mk-sgn")
    x, _ = shown("mk-sgn", 8)
    (term,) = built(model, teacher, x[:, :1])
    term.eval()
    present = torch.tensor([[True, False], [True, True], [True, True], [False, True]])
    x = x * present.flatten()[None, :, None, None, None]
    taps = probe(model, model.stages, x)
    scores, labels = torch.randn(4, CLASSES), torch.zeros(4, dtype=torch.long)
    first = term(Seen(x, present, labels, scores, taps))
    for tap in taps.values():
        tap[:, [1, 6]] = 1.0
    second = term(Seen(x, present, labels, scores, taps))
    assert all(first[k].item() == second[k].item() > 0 for k in first)
    nobody = torch.zeros(4, 2, dtype=torch.bool)
    assert all(torch.isfinite(v) for v in term(Seen(x, nobody, labels, scores, taps)).values())


def test_a_weight_of_zero_leaves_its_part_out(teacher):
    model, x = student("mk-sgn"), shown("mk-sgn", 1)[0]
    (soft,) = built(model, teacher, x, distil_features=0.0)
    (deep,) = built(model, teacher, x, distil_labels=0.0)
    assert soft.watched == () and list(soft.parameters()) == []
    assert deep.watched == model.stages
    objective = Objective(model, [soft])
    assert set(objective(*batch())[2]) == {"distil-labels"}
    assert set(Objective(model, [deep])(*batch())[2]) == {"distil-features"}
    with pytest.raises(ValueError, match="none where distil_features and distil_labels are 0"):
        TrainConfig(teacher="somewhere", distil_features=0.0, distil_labels=0.0)


def batch():
    return shown("mk-sgn", 4)[0], torch.tensor([0, 1, 2, 3])


def test_the_teacher_stands_still_and_the_student_moves(teacher):
    model = student("mk-sgn").train()
    (term,) = built(model, teacher, batch()[0][:, :1])
    before = {k: v.clone() for k, v in teacher.model.state_dict().items()}
    objective = Objective(model, [term]).train()
    objective(*batch())[0].backward()
    assert all(torch.equal(before[k], v) for k, v in teacher.model.state_dict().items())
    assert not any(m.training for m in teacher.model.modules())
    assert all(p.grad is None for p in teacher.model.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in term.parameters())
    assert {k.split(".")[2] for k in objective.state_dict() if k.startswith("terms.")} == {"maps"}


def test_the_exported_graph_is_the_same_node_for_node(teacher):
    model = student("mk-sgn")
    before = from_torch(model, CLIP.shape(JOINTS))
    (term,) = built(model, teacher, batch()[0][:, :1])
    after = from_torch(Objective(model, [term]).model, CLIP.shape(JOINTS))
    assert list(before.nodes) == list(after.nodes) and before.edges == after.edges
    assert [type(n) for n in before.nodes.values()] == [type(n) for n in after.nodes.values()]


class Interrupt(Exception):
    pass


def stop(entry: dict) -> None:
    raise Interrupt


def test_resume_is_bit_identical_and_knows_its_teacher(run, clips, tmp_path):
    config = dataclasses.replace(LEARN, teacher=str(run))
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    fit(config, SHOWN, clips, straight, progress=False)
    with pytest.raises(Interrupt):
        fit(config, SHOWN, clips, resumed, progress=False, on_epoch=stop)
    moved = tmp_path / "moved.safetensors"  # the same weights elsewhere are the same teacher
    shutil.copy(run / "best.safetensors", moved)
    kept = tmp_path / "another.safetensors"
    shutil.copy(run / "last.safetensors", kept)
    _changed(kept)
    for other, words in (
        (kept, "found teacher gcn-teacher, epoch 1, sha256 .*, the run learns from teacher"),
        (None, "found no teacher, the run learns from teacher gcn-teacher"),
    ):
        wrong = dataclasses.replace(LEARN, teacher="" if other is None else str(other))
        with pytest.raises(TrainingError, match=words):
            fit(wrong, SHOWN, clips, resumed, progress=False, resume=True)
    fit(dataclasses.replace(LEARN, teacher=str(moved)), SHOWN, clips, resumed, progress=False, resume=True)
    ours, theirs = (checkpoint.load(p / "last.safetensors") for p in (straight, resumed))
    assert ours.tensors.keys() == theirs.tensors.keys()
    assert all(torch.equal(x, theirs.tensors[k]) for k, x in ours.tensors.items())
    assert any(name.startswith("momentum.terms.0.maps") for name in ours.tensors)
    sha256 = checkpoint.load(run / "best.safetensors").about["sha256"]
    best = checkpoint.load(straight / "best.safetensors")
    assert best.about["teacher"] == {"model": "gcn-teacher", "epoch": 1, "sha256": sha256}
    assert {name.split(".")[0] for name in best.tensors} == {"model"}
    assert json.loads((straight / "run.json").read_text())["teacher"]["sha256"] == sha256
    log = [json.loads(line) for line in (straight / "log.jsonl").read_text().splitlines()]
    assert all(e["loss_distil-features"] > 0 and e["loss_distil-labels"] > 0 for e in log)


def _changed(path: Path) -> None:
    """Another checkpoint of the same kind: one weight differs."""
    found = checkpoint.load(path)
    tensors = {k: x for k, x in found.tensors.items() if k.startswith("model.")}
    tensors["model.heads.0.scores.bias"] = tensors["model.heads.0.scores.bias"] + 1.0
    checkpoint.save(path, tensors, {k: v for k, v in found.about.items() if k not in ("sha256",)})


def test_the_student_is_shown_what_its_teacher_saw(run, clips, tmp_path):
    """Mean and spread of the input are the teacher's, so that both see the same numbers."""
    settings = {"channels": [8], "dropout": 0.0}
    config = dataclasses.replace(LEARN, model="base-sgn", model_settings=settings, epochs=1, teacher=str(run))
    fit(config, dataclasses.replace(FRAMEWISE, rotate_y_deg=5.0), clips, tmp_path / "run", progress=False)
    ours, theirs = (checkpoint.load(p / "best.safetensors").about["recipe"] for p in (tmp_path / "run", run))
    assert ours["mean"] == theirs["mean"] and ours["spread"] == theirs["spread"] and ours["mean"]


@pytest.mark.parametrize("stream, rows", [("bone", [3, 4, 5]), ("bone+joint", [3, 4, 5, 0, 1, 2])])
def test_a_teacher_may_see_more_streams_of_the_same_clips(teacher, clips, stream, rows):
    """Both see what they would see alone, to the bit: the same draws, each its mean and spread."""
    asked = dataclasses.replace(FRAMEWISE, stream=stream, rotate_y_deg=30.0, noise=0.02, mirror=0.5)
    recipe = teacher.shared(asked, clips)
    statistics = {"mean": teacher.recipe.mean, "spread": teacher.recipe.spread}
    told = dataclasses.replace(asked, stream="joint+bone", **statistics)
    material = gather(TrainConfig(batch=8, threads=1), recipe, clips, ALONE, teacher)
    assert list(material.places) == rows

    def made(by):
        return augmented_batch(material.split.train, range(8), by, layout("kinect20"), seed=0, epoch=3)[0]

    assert np.array_equal(made(material.shown), made(told))
    assert np.array_equal(made(material.shown)[:, :, rows], made(recipe)) and np.abs(made(recipe)).max() > 1
    x, _, _ = next(material.batches(0, ALONE))
    model = registry.build("base-sgn", {"in_channels": len(rows), "classes": CLASSES, "layout": "kinect20",
                                        "channels": (8,)}).eval()  # fmt: skip
    setting = terms.Setting(model, x[:, :1], CLASSES, layout("kinect20"), teacher, material.places)
    (term,) = terms.build(TrainConfig(teacher="somewhere", distil_features=0.0), setting)
    _, scores, parts = Objective(model, [term], 0.1, material.places)(x, torch.zeros(8, dtype=torch.long))
    assert torch.equal(scores, model(x[:, :, rows]))
    soft, _ = teacher.look(x.permute(1, 2, 0, 3), ())
    assert torch.equal(parts["distil-labels"], divergence(soft, scores, 4.0)) and parts["distil-labels"] > 0


def test_a_student_of_fewer_streams_is_trained_and_says_what_it_sees(run, clips, tmp_path):
    settings = {"channels": [8], "dropout": 0.0}
    config = dataclasses.replace(LEARN, model="base-sgn", model_settings=settings, epochs=1, teacher=str(run))
    fit(config, dataclasses.replace(FRAMEWISE, stream="joint"), clips, tmp_path / "run", progress=False)
    model, found = checkpoint.load_model(tmp_path / "run")
    wide = Recipe.from_dict(checkpoint.description(run)["recipe"])
    own = Recipe.from_dict(found.about["recipe"])
    assert own.stream == "joint" and found.about["model_config"]["in_channels"] == 3
    assert own.mean == wide.mean[: 3 * JOINTS] and own.spread == wide.spread[: 3 * JOINTS]
    assert model(torch.zeros(FRAMES, 1, 3, JOINTS)).shape == (1, CLASSES)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"stream": "joint-motion+joint"}, r"stream 'joint\+bone', the run has 'joint-motion\+joint'"),
        ({"frames": 8}, "frames 6, the run has 8"),
        ({"normalise": "minmax"}, "normalise 'body-yaw', the run has 'minmax'"),
    ],
)
def test_a_teacher_of_another_input_is_refused(run, clips, tmp_path, change, words):
    config = dataclasses.replace(LEARN, teacher=str(run))
    with pytest.raises(UnlikeRun, match=f"teacher {run}: found {words}") as refused:
        fit(config, dataclasses.replace(SHOWN, **change), clips, tmp_path / "run", progress=False)
    assert refused.value.exit_code == 3 and not (tmp_path / "run").exists()


def test_a_teacher_of_other_classes_or_joints_is_refused(teacher, clips):
    fewer = {**teacher.about, "classes": list(clips.class_names[:-1])}
    with pytest.raises(UnlikeRun, match=r"11 classes that are not the run's 12"):
        dataclasses.replace(teacher, about=fewer).shared(SHOWN, clips)
    other = {**teacher.about, "dataset": {"layout": "ntu25"}}
    with pytest.raises(UnlikeRun, match="joints of ntu25, the run's data have kinect20"):
        dataclasses.replace(teacher, about=other).shared(SHOWN, clips)
    with pytest.raises(checkpoint.CheckpointError, match="no such file"):
        Teacher.load(Path("nowhere"))
