"""A tiny trained run and its artifacts, made once through the command line itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli import VERBS
from verbs.group import Verbs, root

DATA = ["--data-option", "train_per_class=8", "--data-option", "test_per_class=3"]
SMALL = ["--set", "channels=8,12", "--frames", "8", "--epochs", "2", "--batch", "16", "--threads", "1"]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith(("error:", "Error:"))]


Run = Callable[..., Outcome]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in process; its exit code and what it printed."""

    def call(*args: object) -> Outcome:
        capfd.readouterr()
        code = Verbs.run(root(VERBS), [str(a) for a in args])
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return call


@pytest.fixture(scope="session")
def refused() -> Callable[..., None]:
    """Ask of an outcome: this exit code, one line on stderr with these words in it, no traceback."""

    def ask(got: Outcome, code: int, *words: str) -> None:
        assert got.code == code, (got.out, got.err)
        assert len(got.error_lines) == 1 and "Traceback" not in got.err, got.err
        for word in words:
            assert word in got.error_lines[0], got.error_lines[0]

    return ask


def _made(*args: object) -> None:
    assert Verbs.run(root(VERBS), [str(a) for a in args]) == 0


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder: Base-SGN with 8 and 12 channels, 2 epochs on the synthetic data."""
    out = tmp_path_factory.mktemp("cli") / "run"
    _made("train", "--dataset", "synthetic", "--out", out, *SMALL, *DATA)
    return out


@pytest.fixture(scope="session")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on the same clips, joint and joint-motion, trained until they know some classes."""
    folder = tmp_path_factory.mktemp("streams")
    more = ["--epochs", "8", "--data-option", "train_per_class=14", "--data-option", "test_per_class=3"]
    for stream in ("joint", "joint-motion"):
        made = ["--dataset", "synthetic", "--stream", stream, "--out", folder / stream]
        _made("train", *made, *SMALL, *more)
    return folder


@pytest.fixture(scope="session")
def integers(streams: Path) -> Path:
    """Both of them as lava artifacts: integers/joint, integers/joint-motion."""
    for stream in ("joint", "joint-motion"):
        _made("convert", streams / stream, "--to", "lava", "--out", streams / "lava" / stream)
    return streams / "lava"


@pytest.fixture(scope="session")
def onnx_artifact(trained: Path) -> Path:
    out = trained.parent / "onnx"
    _made("convert", trained, "--to", "onnx", "--out", out)
    return out


@pytest.fixture(scope="session")
def lava_artifact(trained: Path) -> Path:
    out = trained.parent / "lava"
    _made("convert", trained, "--to", "lava", "--out", out)
    return out


@pytest.fixture
def ucla(tmp_path: Path) -> Path:
    """A small folder in NW-UCLA's format: 2 classes, 4 subjects, 3 views; stick figures."""
    folder = tmp_path / "all_sqe"
    folder.mkdir()
    for label, prefix in ((1, "a01"), (4, "a04")):
        for subject in (1, 2, 3, 4):
            for view in (1, 2, 3):
                name = f"{prefix}_s{subject:02d}_e00_v{view:02d}"
                frames = [_figure(label, subject, view, t) for t in range(6 + subject)]
                body = {"file_name": name, "skeletons": frames, "label": label}
                (folder / f"{name}.json").write_text(json.dumps(body))
    return folder


def _figure(label: int, subject: int, view: int, t: int) -> list[list[float]]:
    """20 joints in metres; each differs, so that no bone has length 0."""
    lean = 0.05 * t * label
    return [
        [0.03 * j + 0.01 * view + (lean if j > 9 else 0.0), 0.05 * j + 0.02 * subject, 2.0 + 0.01 * j * t]
        for j in range(20)
    ]
