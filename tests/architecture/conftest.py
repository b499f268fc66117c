"""The files of the project, as git would keep them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository root."""
    return ROOT


@pytest.fixture(scope="session")
def files() -> list[Path]:
    """Tracked files and new ones that git does not ignore; without git, all outside hidden folders."""
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, check=False)
    if done.returncode == 0:
        names = [name for name in done.stdout.decode().split("\0") if name]
        found = [ROOT / name for name in names]
    else:
        found = [
            p for p in ROOT.rglob("*") if not any(part.startswith(".") for part in p.relative_to(ROOT).parts)
        ]
    return [path for path in found if path.is_file()]


@pytest.fixture(scope="session")
def sources(files) -> dict[str, str]:
    """Every Python file outside tests: path from the root -> text."""
    names = {path.relative_to(ROOT).as_posix(): path for path in files if path.suffix == ".py"}
    return {name: path.read_text() for name, path in names.items() if not name.startswith("tests/")}
