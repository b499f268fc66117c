"""Recordings made by hand, and a folder of made-up .skeleton files prepared once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from cli import VERBS
from train.data.errors import DataError
from train.data.ntu_file import Body
from train.data.ntu_name import NTU60, parse
from train.data.ntu_prepare import prepare
from train.data.ntu_synthetic import write_folder
from verbs.group import Verbs, root


@pytest.fixture
def refused():
    """Run a call that must fail with a DataError of one line holding all the words; return the message."""

    def check(call: Callable[[], object], *words: object) -> str:
        with pytest.raises(DataError) as caught:
            call()
        message = str(caught.value)
        assert "\n" not in message
        assert caught.value.exit_code == 3
        for word in words:
            assert str(word) in message, message
        return message

    return check


@pytest.fixture(scope="session")
def body() -> Callable[..., Body]:
    """Make a body that stands about `at` (x of the spine) in these frames and moves by `motion` metres."""

    def make(name: str, frames: range, at: float = 0.0, motion: float = 0.1, wide: bool = False) -> Body:
        generator = np.random.default_rng(0)
        size = (1.8, 0.5, 0.3) if wide else (0.5, 1.7, 0.3)
        rest = (generator.uniform(-0.5, 0.5, (25, 3)) * size) + (at, 0.2, 3.0)
        rest[1] = (at, 0.2, 3.0)
        sway = motion * np.sin(np.arange(len(frames)))[:, None, None]
        joints = (
            rest + sway * np.eye(25)[:, 11, None] + 0.001 * generator.standard_normal((len(frames), 25, 3))
        )
        joints[:, 1] = rest[1]
        return Body(
            name,
            np.array(frames, np.int64),
            joints.astype(np.float32),
            np.full((len(frames), 25), 2, np.uint8),
        )

    return make


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run a command line in process; its exit code and what it printed."""

    def call(*args: object) -> Outcome:
        capfd.readouterr()
        code = Verbs.run(root(VERBS), [str(a) for a in args])
        return Outcome(code, *capfd.readouterr())

    return call


class Prepared(NamedTuple):
    raw: Path
    file: Path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """200 made-up files, and what `prepare` makes of them without interruption in this process."""
    folder = tmp_path_factory.mktemp("ntu")
    write_folder(NTU60, folder / "raw", 200)
    prepare(NTU60, [folder / "raw"], folder / "whole.h5", progress=False)
    return Prepared(folder / "raw", folder / "whole.h5")


@pytest.fixture(scope="session")
def few(made: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The first 24 of them, as links."""
    folder = tmp_path_factory.mktemp("few")
    (folder / "raw").mkdir()
    for path in sorted(made.raw.iterdir())[:24]:
        assert parse(path.stem)
        (folder / "raw" / path.name).hardlink_to(path)
    prepare(NTU60, [folder / "raw"], folder / "whole.h5", progress=False)
    return Prepared(folder / "raw", folder / "whole.h5")
