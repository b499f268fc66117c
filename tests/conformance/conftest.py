"""The targets, one after the other."""

from __future__ import annotations

import pytest

from deploy.target import TARGETS


@pytest.fixture(params=[pytest.param(n, marks=pytest.mark.lava if n == "lava" else ()) for n in TARGETS])
def target(request, ready):
    """Each target that this machine can run."""
    return ready(request.param)


@pytest.fixture(params=[n for n in TARGETS if n != "lava"])
def fast_target(request, ready):
    """Each target but Lava, of which every start costs seconds."""
    return ready(request.param)
