"""The targets, one after the other; Lava is skipped visibly where it is not, and fails if required."""

from __future__ import annotations

import os

import pytest

from deploy.target import TARGETS
from deploy.target import target as find


def _ready(name):
    found = find(name)
    if missing := found.available():
        if name == "lava" and os.environ.get("BASALT_REQUIRE_LAVA") == "1":
            pytest.fail(f"BASALT_REQUIRE_LAVA=1, but {missing}")
        pytest.skip(missing)
    return found


@pytest.fixture(params=[pytest.param(n, marks=pytest.mark.lava if n == "lava" else ()) for n in TARGETS])
def target(request):
    """Each target that this machine can run."""
    return _ready(request.param)


@pytest.fixture(params=[n for n in TARGETS if n != "lava"])
def fast_target(request):
    """Each target but Lava, of which every start costs seconds."""
    return _ready(request.param)


@pytest.fixture
def lava():
    """The target Lava."""
    return _ready("lava")
