"""Make `.venv-lava`: the Python 3.10 environment of the Lava worker, from `requirements-lava.txt`.

    python scripts/lava_env.py [--folder DIR]

Standard library only. Looks for an interpreter in this order and takes the first that starts and is 3.10:
BASALT_PYTHON310, python3.10 on the PATH (a pyenv shim may be there and not start), pyenv's versions, uv.
An environment whose stamp equals the hash of the requirements is left as it is; any other is made anew.
A folder that holds anything but such an environment is left alone.
Exit code: 0 made or up to date, 1 no interpreter, 2 a folder of something else, else venv's or pip's.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "requirements-lava.txt"
STAMP = "basalt.stamp"  # the same name as in deploy/lava_env.py; this script must not need our packages
WANTED = (3, 10)


def candidates() -> Iterator[tuple[str, str | None]]:
    """(where it was looked for, interpreter or None), in order of preference."""
    yield "BASALT_PYTHON310", os.environ.get("BASALT_PYTHON310")
    yield "python3.10 on PATH", shutil.which("python3.10")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = sorted(pyenv.glob("versions/3.10*/bin/python"))
    for python in reversed(found):
        yield "pyenv", str(python)
    if not found:
        yield f"pyenv ({pyenv}/versions)", None
    yield "uv python find 3.10", _uv()


def _uv() -> str | None:
    uv = shutil.which("uv")
    if uv is None:
        return None
    done = subprocess.run([uv, "python", "find", "3.10"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def fault(python: str) -> str | None:
    """None if the interpreter starts and is the wanted version, else what is wrong with it."""
    code = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not start ({error})"
    if done.returncode:
        return f"does not start ({(done.stderr.strip().splitlines() or ['no message'])[-1]})"
    version = done.stdout.split()
    return None if version == [str(n) for n in WANTED] else f"is Python {'.'.join(version)}"


def find() -> tuple[str | None, list[str]]:
    """The interpreter to use or None, and a line for each place looked at before it."""
    tried = []
    for where, python in candidates():
        if python is None:
            tried.append(f"{where}: none")
            continue
        wrong = fault(python)
        if wrong is None:
            return python, tried
        tried.append(f"{where}: {python} {wrong}")
    return None, tried


def make(folder: Path, requirements: Path, python: str) -> int:
    """Create the environment and install into it; the stamp comes last. Returns pip's exit code."""
    if Path(python).absolute().is_relative_to(folder.absolute()):
        python = str(Path(python).resolve())  # the environment itself is active: use what it was made from
    shutil.rmtree(folder, ignore_errors=True)
    print(f"creating {folder.name} with {python}", flush=True)
    made = subprocess.run([python, "-m", "venv", str(folder)], check=False)
    if made.returncode:
        return made.returncode
    print(f"installing {requirements.name} (about 6 GB, some minutes)", flush=True)
    install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    code = subprocess.run([*install, "-r", str(requirements)], check=False).returncode
    if code == 0:
        (folder / STAMP).write_text(digest(requirements) + "\n")
        print(f"{folder.name} is ready", flush=True)
    return code


def digest(requirements: Path) -> str:
    """Hash of the requirements file: the environment's identity."""
    return hashlib.sha256(requirements.read_bytes()).hexdigest()


def current(folder: Path, requirements: Path) -> bool:
    """Whether the environment is complete and made from these requirements."""
    stamp = folder / STAMP
    return stamp.is_file() and stamp.read_text().strip() == digest(requirements)


def foreign(folder: Path) -> bool:
    """Whether something lies there that is no environment, whole or half-made: it must not be deleted."""
    if not folder.is_dir():
        return folder.exists()
    return any(folder.iterdir()) and not any((folder / name).is_file() for name in ("pyvenv.cfg", STAMP))


def main(arguments: list[str] | None = None) -> int:
    """Make the environment if it is not up to date."""
    parser = argparse.ArgumentParser(description="Make the Python 3.10 environment of the Lava worker.")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / ".venv-lava", help="where (default: .venv-lava)"
    )
    parser.add_argument("--requirements", type=Path, default=REQUIREMENTS, help="what to install")
    given = parser.parse_args(arguments)
    if current(given.folder, given.requirements):
        print(f"{given.folder.name} is up to date")
        return 0
    if foreign(given.folder):
        print(f"{given.folder} is no environment of ours: not touched; choose another", file=sys.stderr)
        return 2
    python, tried = find()
    if python is None:
        print("no Python 3.10 that starts; looked at:", *tried, sep="\n  ", file=sys.stderr)
        print("install one (pyenv install 3.10, or uv python install 3.10) or name one in BASALT_PYTHON310",
              file=sys.stderr)  # fmt: skip
        return 1
    return make(given.folder, given.requirements, python)


if __name__ == "__main__":
    sys.exit(main())
