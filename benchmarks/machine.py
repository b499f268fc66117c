"""What a benchmark ran on, in words that name no host and no folder."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numba
import numpy as np


def machine() -> dict[str, str | int]:
    """Processor, cores this process may use, load at the start, versions."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    return {
        "cpu": model, "cores": len(os.sched_getaffinity(0)), "load": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(), "numpy": np.__version__, "numba": numba.__version__,
    }  # fmt: skip


def describe() -> str:
    """`machine()` as one line."""
    return ", ".join(f"{key} {value}" for key, value in machine().items())
