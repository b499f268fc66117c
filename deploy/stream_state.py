"""The state of a stream as a file, and the fingerprint of the model it belongs to.

One npz without pickle: `stream.json` (format, version, target, fingerprint, samples, checksum of the arrays),
then the arrays of `Stream.state`. Written whole or not at all; the same state gives the same bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from convert.ir import ArtifactError
from convert.ir.files import whole
from deploy.stream import Stream
from deploy.target import Model

FORMAT, VERSION, ABOUT = "basalt-stream-state", 1, "stream.json"
KEYS = ("format", "version", "target", "fingerprint", "samples", "checksum")
_UNREADABLE = (  # what numpy, zipfile and json raise on damaged bytes
    OSError, EOFError, ValueError, TypeError, LookupError, RuntimeError, NotImplementedError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def fingerprint(model: Model) -> str:
    """sha256 of a graph or program: every node, number and edge; not where it came from."""
    return _checksum(model)


def _checksum(value: Any) -> str:
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: _Hash, value: Any) -> None:
    """Types and lengths go in beside the values: no two models run into one text."""
    if dataclasses.is_dataclass(value):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        digest.update(f"{type(value).__name__}(".encode())
        _feed(digest, {name: v for name, v in fields.items() if name not in ("meta", "shapes")})
    elif isinstance(value, Mapping):
        digest.update(f"{{{len(value)}".encode())
        for key, item in value.items():
            _feed(digest, key)
            _feed(digest, item)
    elif isinstance(value, list | tuple):
        digest.update(f"[{len(value)}".encode())
        for item in value:
            _feed(digest, item)
    elif isinstance(value, np.ndarray):
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    else:
        plain = value.item() if isinstance(value, np.generic) else value
        digest.update(f"{plain!r};".encode())


def save_state(path: Path, stream: Stream) -> None:
    """Write the state of a stream."""
    state = stream.state()
    about = {
        "format": FORMAT, "version": VERSION, "target": stream.target, "fingerprint": stream.fingerprint,
        "samples": stream.samples, "checksum": _checksum(state),
    }  # fmt: skip
    text = np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8)
    with whole(Path(path)) as draft, draft.open("wb") as file:
        np.savez(file, **{ABOUT: text}, **state)


def load_state(path: Path, stream: Stream) -> None:
    """Restore a stream from a file; ArtifactError, and the stream as it was, if the file is not its own."""
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file; write one with --state-out")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(arrays.pop(ABOUT).tobytes())
        found = {key: about[key] for key in KEYS}
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise ArtifactError(
            f"{path}: not a readable state of a stream ({reason}); write it again with --state-out"
        ) from error
    _check_owner(path, found, stream)
    if found["checksum"] != _checksum(arrays):
        raise ArtifactError(f"{path}: was changed after it was written (checksum differs); write it again")
    try:
        stream.restore(arrays)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error


def _check_owner(path: Path, found: Mapping[str, Any], stream: Stream) -> None:
    if (found["format"], found["version"]) != (FORMAT, VERSION):
        what = f"{found['format']!r} version {found['version']}"
        raise ArtifactError(f"{path}: is {what}, expected {FORMAT!r} version {VERSION}")
    for key, what in (("target", "target"), ("samples", "number of streams"), ("fingerprint", "model")):
        mine = getattr(stream, key)
        if found[key] != mine:
            shown = [str(v)[:12] for v in (found[key], mine)]
            raise ArtifactError(f"{path}: state of another {what} ({shown[0]}), expected {shown[1]}")
