"""Two processes train as one does, end together, and go on where they were interrupted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from train import checkpoint
from train.config import TrainConfig
from train.data import registry as data
from train.data.clip import ClipSet
from train.data.transform import Recipe
from train.loop import fit

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
RECIPE = Recipe(frames=6)
CONFIG = TrainConfig(
    model_settings={"channels": [8, 8], "learn_dv": True, "backend": "house"},
    epochs=3, batch=8, average=0.9, threads=1, clip_norm=5.0, lr=0.05,
)  # fmt: skip
LOSS = 1e-4
"""Of a loss of 2.5 nats after 9 iterations in float32: sums over the parts of a batch round in another order
than sums over the batch, 1e-7 of a value, and SGD carries that on; 1e-7 of the loss was seen. A spike within
rounding of its threshold may flip, which moves the loss of a batch by some 1e-3 of it: so few iterations that
none does here."""

SETTINGS = ["channels=8,8", "learn_dv=true", "average=0.9", "clip_norm=5"]
TRAIN = [
    *("--dataset", "synthetic", "--data-option", "train_per_class=3", "--frames", "6", "--threads", "1"),
    *("--epochs", "3", "--batch", "8", "--lr", "0.05", *(f"--set={s}" for s in SETTINGS)),
]

# The command line with a fault planted where a process makes its batch number AT.
CODE = """
import os, signal, sys
from cli import VERBS
from train import trainer
from train.data.errors import DataError
from verbs.group import Verbs, root

signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite run in the background inherits "ignore"
fault, at = sys.argv[1], int(sys.argv[2])
real, calls = trainer.augmented_batch, []

def planted(*arguments):
    calls.append(1)
    if len(calls) == at and fault == "ctrl-c":
        os.kill(os.getpid(), signal.SIGINT)
    if len(calls) == at and fault == "bad-data" and os.environ["RANK"] == "1":
        raise DataError("planted: a clip that cannot be read")
    if len(calls) == at and fault == "killed" and os.environ["RANK"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)

trainer.augmented_batch = planted
sys.exit(Verbs.run(root(VERBS), sys.argv[3:]))
"""


def log(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def files(run: Path) -> set[str]:
    return {p.name for p in run.iterdir()}


@pytest.fixture(scope="module")
def clips() -> ClipSet:
    return data.load("synthetic", None, "train", train_per_class=3)


@pytest.fixture(scope="module")
def one(clips: ClipSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("one") / "run"
    fit(CONFIG, RECIPE, clips, run, data_options={"train_per_class": 3}, progress=False)
    return run


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Through torchrun, as a person would."""
    run = tmp_path_factory.mktemp("two") / "run"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, "cli.py", "train", *TRAIN, "--out", str(run)],
        cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best epoch") == 1, "both processes spoke"
    return run


def test_two_processes_have_the_loss_curve_of_one(one: Path, two: Path) -> None:
    a, b = log(one), log(two)
    assert len(a) == len(b) == 3
    assert a[0]["loss_train"] != a[2]["loss_train"], "vacuous case"
    for mine, theirs in zip(a, b, strict=True):
        assert mine["lr"] == theirs["lr"]
        for name in ("loss_train", "loss_val"):
            assert theirs[name] == pytest.approx(mine[name], abs=LOSS)
        assert theirs["rate"] == pytest.approx(mine["rate"], abs=1e-4)  # one flip of 10^5 spikes is 10^-5
        assert theirs["rates"].keys() == mine["rates"].keys()
    assert {k: e.dtype for k, e in checkpoint.load(one / "last.safetensors").tensors.items()} == {
        k: e.dtype for k, e in checkpoint.load(two / "last.safetensors").tensors.items()
    }


def test_two_processes_leave_the_files_of_one(one: Path, two: Path) -> None:
    assert files(one) == files(two)
    assert len(list((two / "events").iterdir())) == 1
    facts = json.loads((two / "run.json").read_text())
    assert facts["processes"] == 2 and facts["device"] == "cpu"
    assert facts["train_config"] == json.loads((one / "run.json").read_text())["train_config"]


def test_tables_of_a_fusion_are_those_of_the_whole_batch(together, tmp_path: Path) -> None:
    """MK-SGN's gates follow from frequencies over a batch, wherever its clips lie."""
    small = ["--model", "mk-sgn", "--set", "channels=8,8", "--set", "coding=4", "--set", "average=0"]
    command = ["train", *TRAIN[:8], *small, "--epochs", "1", "--batch", "8", "--lr", "0.05"]
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    assert [e.code for e in together(CODE, "none", 0, *command, "--out", shared)] == [0, 0]
    subprocess.run(
        [sys.executable, "cli.py", *map(str, command), "--out", str(alone)], cwd=ROOT, check=True,
        capture_output=True,
    )  # fmt: skip
    ours, theirs = (checkpoint.load(run / "last.safetensors").tensors for run in (shared, alone))
    tables = [k for k in theirs if k.rpartition(".")[2] in ("fired", "classes", "both", "gates")]
    assert len(tables) == 4 and int(theirs[tables[0].rpartition(".")[0] + ".batches"]) > 2
    for name in tables:  # sums of two parts round in another order
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=LOSS)


def test_a_model_with_all_its_terms_has_the_loss_curve_of_one(together, tmp_path: Path) -> None:
    """Signal-SGN with dropout and TFSM, whose contrast compares the clips of all processes."""
    small = ["--model", "signal-sgn", "--set", "channels=4,4", "--set", "heads=2", "--set", "levels=1"]
    small += ["--set", "dropout=0.4", "--set", "tfsm=1", "--set", "average=0", "--set", "branch_gain=1.0"]
    command = ["train", *TRAIN[:8], *small, "--epochs", "2", "--batch", "10", "--lr", "0.05"]
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    assert [e.code for e in together(CODE, "none", 0, *command, "--out", shared)] == [0, 0]
    subprocess.run(
        [sys.executable, "cli.py", *map(str, command), "--out", str(alone)], cwd=ROOT, check=True,
        capture_output=True,
    )  # fmt: skip
    for mine, theirs in zip(log(alone), log(shared), strict=True):
        for name in ("loss_train", "loss_tfsm-class", "loss_tfsm-contrast", "loss_val"):
            assert mine[name] > 0.01, "vacuous case"
            assert theirs[name] == pytest.approx(mine[name], abs=LOSS), name


def test_interrupted_broken_and_resumed_it_ends_bit_identical(two: Path, together, tmp_path: Path) -> None:
    """Ctrl-C in the second epoch; resumed, one process fails in the third; resumed to the end."""
    run = tmp_path / "run"
    command = ["train", *TRAIN, "--out", run]
    ended = together(CODE, "ctrl-c", 5, *command)
    assert [e.code for e in ended] == [130, 130], ended
    assert all("error: interrupted" in e.err and "Traceback" not in e.err for e in ended)
    assert [e["epoch"] for e in log(run)] == [1], "vacuous case"

    ended = together(CODE, "bad-data", 5, *command, "--resume")
    assert [e.code for e in ended] == [7, 3], ended
    assert "error: planted: a clip that cannot be read" in ended[1].err
    assert "process 0 of 2: another process ended" in ended[0].err and "--resume" in ended[0].err
    assert all("Traceback" not in e.err for e in ended)
    assert files(run) == files(two), "something half-written was left"
    assert checkpoint.load(run / "last.safetensors").about["epoch"] == 2
    shutil.copytree(run, tmp_path / "alone")

    ended = together(CODE, "none", 0, *command, "--resume")
    assert [e.code for e in ended] == [0, 0], ended
    for name in ("last.safetensors", "best.safetensors"):
        ours, theirs = (checkpoint.load(folder / name).tensors for folder in (run, two))
        assert ours.keys() == theirs.keys() and all(torch.equal(x, theirs[k]) for k, x in ours.items())


def test_one_process_goes_on_where_two_were(two: Path, one: Path, clips: ClipSet, together, tmp_path) -> None:
    """And the death of the process that writes leaves its files whole."""
    run = tmp_path / "run"
    ended = together(CODE, "killed", 5, "train", *TRAIN, "--out", run)
    assert [e.code for e in ended] == [-9, 7], ended
    assert "process 1 of 2: another process ended" in ended[1].err
    assert checkpoint.load(run / "last.safetensors").about["epoch"] == 1
    options = {"train_per_class": 3}
    fit(CONFIG, RECIPE, clips, run, data_options=options, progress=False, resume=True)
    assert log(run)[2]["loss_train"] == pytest.approx(log(one)[2]["loss_train"], abs=LOSS)


def test_processes_with_other_settings_do_not_train_together(together, tmp_path: Path) -> None:
    code = CODE.replace("sys.exit(", "sys.argv += ['--lr', '0.' + os.environ['RANK'] + '5']\nsys.exit(")
    ended = together(code, "none", 0, "train", *TRAIN, "--out", tmp_path / "run")
    assert [e.code for e in ended] == [7, 3], ended
    assert "process 1 of 2 differs from process 0: train_config.lr (0.05 there, 0.15 here)" in ended[1].err
    assert not (tmp_path / "run" / "log.jsonl").exists() or not log(tmp_path / "run")
