"""Files, and folders of results, that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from convert.ir.errors import BadInput


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; moved there when the block ends well, removed when it does not, with
    the folders that were made for it."""
    made = _made(path.parent)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        draft.chmod(0o666 & ~_umask())  # mkstemp's 0600 would keep the file from everybody else
        _sync(draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
        _drop_empty(made)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A draft folder beside `path`; moved there when the block ends well, removed when it does not.

    BadInput, before anything is done, where `path` is there already and is no empty folder.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise BadInput(f"{path}: exists and is not an empty folder; choose another --out")
    made = _made(path.parent)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield draft
        draft.chmod(0o777 & ~_umask())
        os.replace(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        _drop_empty(made)


def _made(folder: Path) -> list[Path]:
    """Make the folder and what is above it; those that were not there, the innermost first."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return made


def _drop_empty(folders: list[Path]) -> None:
    """Remove those that hold nothing: a result that did not come leaves no folder behind."""
    for folder in folders:
        with suppress(OSError):  # it holds something: whoever wrote it keeps it
            folder.rmdir()


def _sync(path: Path) -> None:
    """On disk before the name points at it: a power cut must not leave an empty file under a good name."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
