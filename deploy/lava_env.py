"""Where the Python 3.10 environment with Lava is."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "BASALT_LAVA_PYTHON"  # a Python 3.10 interpreter that has lava-dl
ENVIRONMENT = Path(__file__).resolve().parents[1] / ".venv-lava"
STAMP = "basalt.stamp"  # `scripts/lava_env.py` writes it last: an environment without it is half-made


def lava_python() -> Path | None:
    """The interpreter that runs the Lava worker; None if there is none (see `lava_missing`)."""
    return None if lava_missing() else _interpreter()


def lava_missing() -> str | None:
    """None, or why there is no Lava here and what to do, in one line."""
    python = _interpreter()
    if VARIABLE in os.environ:
        return None if python.is_file() else f"{VARIABLE} names {python}, which is no file; mend or unset it"
    if not python.is_file():
        return f"{ENVIRONMENT.name} is missing; run `make lava`"
    if not (ENVIRONMENT / STAMP).is_file():
        return f"{ENVIRONMENT.name} is incomplete; run `make lava`"
    return None


def _interpreter() -> Path:
    named = os.environ.get(VARIABLE)
    return Path(named) if named else ENVIRONMENT / "bin" / "python"
