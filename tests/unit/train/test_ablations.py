"""The ablation table: arms that differ in what they say, runs that go on, means that can be recomputed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ablations, arms
from train import checkpoint
from train.config import TrainConfig
from train.data import registry as data
from train.data.recipe import Recipe
from train.description import describe
from train.loop import fit
from train.models import registry
from train.pose.config import PoseConfig
from train.pose.recipe import PoseRecipe
from train.trainer import TrainingError

SIGNAL = """
dataset = "synthetic"
model = "signal-sgn"
[data]
train_per_class = 2
test_per_class = 1
[recipe]
frames = 4
stream = "joint"
[settings]
channels = [4]
heads = 2
levels = 1
[train]
epochs = 1
batch = 16
average = 0.0
tfsm = 1.0
"""
MK = """
dataset = "synthetic"
model = "mk-sgn"
[data]
train_per_class = 2
test_per_class = 1
[recipe]
frames = 4
repeat = 2
stream = "joint+bone"
[settings]
channels = [4, 8]
coding = 2
heads = 2
head_width = 2
kernel = 3
[train]
epochs = 1
batch = 16
average = 0.0
"""
SIGNAL_ARMS = ["whole", "without-fsn", "without-mwtf", "without-tfsm"]
MK_ARMS = ["base", "smf", "sa-sgc", "distil-intermediate", "distil-soft", "distil-both"]


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    """Tiny configurations of the synthetic actions, by model."""
    folder = tmp_path_factory.mktemp("configs")
    (folder / "signal.toml").write_text(SIGNAL)
    (folder / "mk.toml").write_text(MK)
    return {"signal-sgn": folder / "signal.toml", "mk-sgn": folder / "mk.toml"}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A GCN that was trained on what tiny MK-SGN sees."""
    run = tmp_path_factory.mktemp("teacher") / "run"
    settings = {"channels": [4, 8], "kernel": 3}
    config = TrainConfig(model="gcn-teacher", model_settings=settings, epochs=1, batch=16, threads=1)
    clips = data.load("synthetic", None, "train", train_per_class=2, test_per_class=1)
    fit(config, Recipe(frames=4, repeat=1, stream="joint+bone"), clips, run, progress=False)
    return run


@pytest.fixture
def run(configs):
    """Runs the benchmark and gives its exit code."""

    def command(study, out, *more, seeds="0,1"):
        given = ["--study", study, "--config", configs[study], "--out", out, "--seeds", seeds, "--threads", 1]
        return arms.ended(lambda: ablations.main([*map(str, given), *map(str, more)]))

    return command


@pytest.fixture(scope="module")
def signal(configs, tmp_path_factory):
    """OUT of the whole Signal-SGN study, two seeds, with its test."""
    out = tmp_path_factory.mktemp("signal")
    config = str(configs["signal-sgn"])
    given = [
        "--study",
        "signal-sgn",
        "--config",
        config,
        "--out",
        str(out),
        "--seeds",
        "0,1",
        "--threads",
        "1",
    ]
    assert arms.ended(lambda: ablations.main([*given, "--test"])) == 0
    return out


def whole_config(plan, arm):
    """Every field of an arm's training and of its model, as one mapping."""
    config = plan.config(plan.study.arms[arm], 0)
    given = {"in_channels": 6, "classes": 10, "layout": "kinect20", **config.model_settings}
    if plan.name == "signal-sgn":
        given["frames"] = 16
    model = registry.to_dict(registry.config(config.model, given))
    train = {k: v for k, v in config.to_dict().items() if k != "model_settings"}
    return {**{f"model.{k}": v for k, v in model.items()}, **{f"train.{k}": v for k, v in train.items()}}


@pytest.mark.parametrize(
    ("study", "from_arm", "differing"),
    [
        (
            "signal-sgn",
            "whole",
            {
                "without-fsn": {"model.frequency": (True, False)},
                "without-mwtf": {"model.wavelet": ("haar", "none")},
                "without-tfsm": {"train.tfsm": (1.0, 0.0)},
            },
        ),
        (
            "mk-sgn",
            "sa-sgc",
            {
                "base": {"model.fusion": (True, False), "model.attention": (True, False)},
                "smf": {"model.attention": (True, False)},
                "distil-intermediate": {"train.teacher": ("", "T"), "train.distil_labels": (1.0, 0.0)},
                "distil-soft": {"train.teacher": ("", "T"), "train.distil_features": (1.0, 0.0)},
                "distil-both": {"train.teacher": ("", "T")},
            },
        ),
    ],
)
def test_arms_differ_in_what_their_name_says_alone(study, from_arm, differing):
    """Of Basalt's own configurations, the ones that the studies are run with."""
    given = ["--study", study, "--out", "x", "--teacher", "T", "--threads", "1"]
    plan = ablations.planned(ablations.parsed(given))
    assert {*plan.study.arms} == {from_arm, *differing}
    first = whole_config(plan, from_arm)
    for arm, expected in differing.items():
        other = whole_config(plan, arm)
        found = {k: (first[k], other[k]) for k in first if first[k] != other[k]}
        if "train.teacher" in found:
            assert Path(found["train.teacher"][1]) == Path("T").resolve()
            found["train.teacher"] = ("", "T")
        assert found == expected


def cells(out, study):
    """The table of the file: arm -> its other cells."""
    lines = (out / f"ablations-{study}.md").read_text().splitlines()
    split = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert split[1] == ["---"] * len(split[0])
    return split[0], {row[0]: row[1:] for row in split[2:]}


def in_words(shares):
    percent = 100 * np.array(shares)
    return f"{percent.mean():.2f} +- {percent.std(ddof=1):.2f}"


def test_the_table_is_that_of_the_runs(signal):
    head, found = cells(signal, "signal-sgn")
    assert head == ["arm", "what", "seeds", "validation %", "test %"] and [*found] == SIGNAL_ARMS
    clips, seen = data.load("synthetic", None, "test", train_per_class=2, test_per_class=1), set()
    for arm in SIGNAL_ARMS:
        runs = [signal / "signal-sgn" / f"{arm}-seed{seed}" for seed in (0, 1)]
        best = [checkpoint.load(run) for run in runs]
        tests = [json.loads((run / "test.json").read_text()) for run in runs]
        assert [test["samples"] for test in tests] == [len(clips.clips)] * 2
        shares = [test["right"] / test["samples"] for test in tests]
        validation = in_words([b.about["metrics"]["accuracy_val"] for b in best])
        assert found[arm][1:] == ["0, 1", validation, in_words(shares)]
        assert [b.about["seed"] for b in best] == [0, 1]
        seen |= {b.about["sha256"] for b in best}
    assert len(seen) == 8, "two arms are one training"


def test_finished_runs_and_their_tests_are_taken_as_they_are(signal, run, monkeypatch, capsys):
    before = {path: path.read_bytes() for path in signal.rglob("*") if path.is_file()}

    def never(*_, **__):
        raise AssertionError("trained, or read the test, again")

    for name in ("fit", "evaluate"):
        monkeypatch.setattr(ablations, name, never)
    assert run("signal-sgn", signal, "--test") == 0
    assert {path: path.read_bytes() for path in signal.rglob("*") if path.is_file()} == before
    assert "[8/8] without-tfsm, seed 1: validation " in capsys.readouterr().out


def test_the_test_is_not_read_unless_asked_for(signal, run, monkeypatch):
    monkeypatch.setattr(ablations, "evaluate", None)
    file = signal / "ablations-signal-sgn.md"
    with_test = file.read_bytes()
    assert run("signal-sgn", signal) == 0
    assert cells(signal, "signal-sgn")[0][-1] == "validation %"
    file.write_bytes(with_test)


def test_an_interrupted_study_goes_on_by_the_same_command(run, tmp_path, monkeypatch, capsys):
    """And leaves no table behind; arms that were not asked for are in it once they are there."""
    real, asked = ablations.fit, []

    def stopping(config, recipe, clips, folder, **more):
        asked.append(folder.name)
        if len(asked) == 2:

            def stop(_):
                raise KeyboardInterrupt

            more["on_epoch"] = stop
        return real(config, recipe, clips, folder, **more)

    two = ("--arm", "without-fsn", "--arm", "without-tfsm", "--epochs", 2)
    monkeypatch.setattr(ablations, "fit", stopping)
    assert run("signal-sgn", tmp_path, *two, seeds="3") == 130
    assert "interrupted" in capsys.readouterr().err
    assert not (tmp_path / "ablations-signal-sgn.md").exists()
    assert run("signal-sgn", tmp_path, *two, seeds="3") == 0
    assert asked == ["without-fsn-seed3", "without-tfsm-seed3", "without-tfsm-seed3"]
    log = (tmp_path / "signal-sgn" / "without-tfsm-seed3" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in log] == [1, 2]
    found = cells(tmp_path, "signal-sgn")[1]
    assert [found[arm][1] for arm in SIGNAL_ARMS] == ["none", "3", "none", "3"]
    assert found["whole"][2] == "-" and "+-" not in found["without-fsn"][2]  # one seed has no spread


def test_arms_without_their_teacher_are_skipped_visibly(run, teacher, tmp_path, capsys):
    """Until there is one, which is then kept with the runs and told in the table."""
    assert run("mk-sgn", tmp_path, seeds="0") == 0
    said = capsys.readouterr().out
    for arm in MK_ARMS[3:]:
        assert f"skipped {arm}: it needs --teacher RUN" in said.splitlines()
    assert [row[1] for row in cells(tmp_path, "mk-sgn")[1].values()] == [
        "0",
        "0",
        "0",
        "none",
        "none",
        "none",
    ]
    assert run("mk-sgn", tmp_path, "--teacher", tmp_path / "gone", seeds="0") == 0
    assert f"skipped distil-soft: no teacher at {tmp_path / 'gone'}" in capsys.readouterr().out
    assert run("mk-sgn", tmp_path, "--teacher", teacher, seeds="0") == 0
    found = cells(tmp_path, "mk-sgn")[1]
    assert [*found] == MK_ARMS and [row[1] for row in found.values()] == ["0"] * 6
    sha256 = checkpoint.description(teacher)["sha256"]
    assert sha256[:16] in (tmp_path / "ablations-mk-sgn.md").read_text()
    losses = {}
    for arm in MK_ARMS:
        folder = tmp_path / "mk-sgn" / f"{arm}-seed0"
        about, entry = checkpoint.description(folder), json.loads((folder / "log.jsonl").read_text())
        assert (about["teacher"] or {}).get("sha256") == (sha256 if arm.startswith("distil") else None)
        losses[arm] = {key for key in entry if key.startswith("loss_distil")}
    assert losses["distil-both"] == losses["distil-intermediate"] | losses["distil-soft"]
    assert losses["distil-intermediate"] and losses["distil-soft"] and not losses["sa-sgc"]
    assert not losses["distil-intermediate"] & losses["distil-soft"]


def test_a_folder_of_other_settings_is_refused(signal, run, configs, tmp_path, capsys):
    assert run("signal-sgn", signal, "--epochs", 2) == 3
    assert "train_config.epochs (1 there, 2 here)" in capsys.readouterr().err
    changed = tmp_path / "changed.toml"
    changed.write_text(configs["signal-sgn"].read_text().replace("levels = 1", "levels = 2"))
    assert run("signal-sgn", signal, "--config", changed) == 3
    assert "model_config.levels (1 there, 2 here)" in capsys.readouterr().err
    changed.write_text(
        configs["signal-sgn"].read_text().replace("train_per_class = 2", "train_per_class = 3")
    )
    assert run("signal-sgn", signal, "--config", changed) == 3
    said = capsys.readouterr().err
    assert "dataset.options" in said and "Traceback" not in said


def test_arms_that_are_one_training_are_refused(run, configs, tmp_path, capsys):
    changed = tmp_path / "changed.toml"
    changed.write_text(configs["signal-sgn"].read_text().replace("tfsm = 1.0", ""))
    assert run("signal-sgn", tmp_path / "out", "--config", changed) == 3
    assert "arms whole and without-tfsm are the same training" in capsys.readouterr().err
    assert run("mk-sgn", tmp_path / "out", "--config", configs["signal-sgn"]) == 3
    assert "is of signal-sgn; expected mk-sgn" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "word"),
    [(["--arm", "nope"], "nope"), (["--seeds", "0,x"], "0,x"), (["--seeds", "1,1"], "1,1"),
     (["--epochs", "0"], "'0'"), (["--threads", "-1"], "-1")],
)  # fmt: skip
def test_a_wrong_command_line(more, word, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        ablations.main(["--study", "signal-sgn", "--out", str(tmp_path / "out"), *more])
    assert stop.value.code == 2 and word in capsys.readouterr().err


def test_a_broken_result_of_a_test_is_told(signal, run, capsys):
    kept = signal / "signal-sgn" / "whole-seed0" / "test.json"
    good = kept.read_bytes()
    kept.write_text("{}")
    assert run("signal-sgn", signal, "--test") == 3
    assert "remove it to read the test again" in capsys.readouterr().err
    kept.write_bytes(good)


def test_a_finished_run_of_poses_is_known_by_its_settings(tmp_path):
    """What benchmarks.pose_fusion asks; no training is needed to know."""
    config, recipe = PoseConfig(epochs=2, threads=1), PoseRecipe(width=64, height=64)
    heads = {"joints": 14, "heads": ["heatmap"], "kinds": ["scalar"]}
    dataset = {"name": "lspet", "layout": "lspet", "options": {"path": "/somewhere"}}
    about = describe(config, heads, recipe=recipe.to_dict(), dataset=dataset, classes=[], epoch=2)
    checkpoint.save(tmp_path / "last.safetensors", {}, about)
    elsewhere = {"path": "/elsewhere"}
    assert arms.finished(tmp_path, config, recipe, elsewhere)
    assert arms.finished(tmp_path, PoseConfig(epochs=2, threads=2), recipe, elsewhere)
    with pytest.raises(TrainingError, match=r"train_config.lr"):
        arms.finished(tmp_path, PoseConfig(epochs=2, threads=1, lr=0.5), recipe, elsewhere)
    with pytest.raises(TrainingError, match=r"dataset.options"):
        arms.finished(tmp_path, config, recipe, {**elsewhere, "train_limit": 4})
    checkpoint.save(tmp_path / "last.safetensors", {}, {**about, "epoch": 1})
    assert not arms.finished(tmp_path, config, recipe, elsewhere)


def test_mean_and_spread():
    assert arms.mean_and_spread([0.5, 0.7]) == "60.00 +- 14.14"  # 20 / sqrt(2)
    assert arms.mean_and_spread([0.5]) == "50.00" and arms.mean_and_spread([]) == "-"
