"""Two processes on this machine, started as torchrun would, without torchrun's own start-up and messages."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240  # a shared machine; two processes that wait for each other for ever shall fail, not hang


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="session")
def together() -> Callable[..., list[Ended]]:
    """Run `python -c code *args` as processes 0 and 1 of 2; how each ended."""

    def run(code: str, *args: object) -> list[Ended]:
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": "2"}
        started = [
            subprocess.Popen(
                [sys.executable, "-c", code, *map(str, args)],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env=os.environ | place | {"RANK": str(rank), "OMP_NUM_THREADS": "1"},
            )
            for rank in range(2)
        ]  # fmt: skip
        try:
            said = [p.communicate(timeout=PATIENCE_S) for p in started]
        finally:
            for p in started:
                p.kill()
        return [Ended(p.returncode, *text) for p, text in zip(started, said, strict=True)]

    return run
