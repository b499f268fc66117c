"""What all tests share: seeds, hypothesis without clocks, targets, where real data is, and the corpus of
small graphs (plugins/graph_corpus.py)."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from deploy.target import Target, target

pytest_plugins = ("graph_corpus",)  # by pyproject's pythonpath: `tests` may be another package's name

ROOT = Path(__file__).resolve().parents[1]

# Shared machines: a slow example is no failure. The same examples every time: a failure is found again.
settings.register_profile(
    "basalt", deadline=None, derandomize=True, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("basalt")


@pytest.fixture(autouse=True)
def _seeds():
    """Every test starts from the same random state, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - libraries under test may use the old global generator


@pytest.fixture(scope="session")
def ready() -> Callable[[str], Target]:
    """The target of that name; skips, saying why, where it is not, and fails if Lava is required."""

    def find(name: str) -> Target:
        if missing := target(name).available():
            required = name == "lava" and os.environ.get("BASALT_REQUIRE_LAVA") == "1"
            pytest.fail(f"BASALT_REQUIRE_LAVA=1, but {missing}") if required else pytest.skip(missing)
        return target(name)

    return find


@pytest.fixture(scope="session")
def lava(ready: Callable[[str], Target]) -> Target:
    """The target Lava, for tests marked `lava`."""
    return ready("lava")


@pytest.fixture(scope="session")
def data_root() -> Callable[[str], Path]:
    """The path of a file of the real data sets beside the checkout; skips, naming the file, without it."""

    def find(name: str) -> Path:
        if not (path := ROOT.parent / "shared" / "data" / name).exists():
            pytest.skip(f"../shared/data/{name} is missing")
        return path

    return find
