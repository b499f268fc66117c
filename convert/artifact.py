"""The artifact: a folder that holds one converted model in every form, and what is needed to feed it.

    manifest.json        format, version, kind, model, data recipe, quantisation, sha256 of every file and
                         of its own text; `float_only`: why there is no integer form, where there is none
    float.npz            the folded float graph, whole     integer.npz   the integer graph of the chip
    host.npz             float graph of the CPU behind it, where a chip cannot hold the whole model
    step.onnx scan.onnx  float ONNX                        integer-step.onnx integer-scan.onnx     (kind onnx)
    program.npz          populations and projections       network.net   where the net is a chain  (kind lava)
    pose.onnx            images to joints, decoder included; float.npz is its network alone        (kind pose)
    decoder.onnx         maps to joints, behind host.npz; integer.npz sends changes               (kind sdnn)

The folder appears whole or not at all; a file or manifest that does not match its checksum is refused when
read, so that an artifact edited by hand never runs unnoticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.ir import ArtifactError, BadInput, Graph, Program, Unsupported, load_graph, load_program
from convert.passes.lower import lower

FORMAT, VERSION, MANIFEST = "basalt-artifact", 2, "manifest.json"
READABLE = (1, 2)  # 1 knew no host part: whoever knows 1 alone would run the chip's part for the whole model
SEAL = "sha256"  # key of the manifest: checksum of all its other keys
POSE, SIGMA_DELTA = "pose", "sdnn"
KINDS = ("onnx", "lava", POSE, SIGMA_DELTA)


@dataclass(frozen=True, eq=False)
class Artifact:
    """A folder that has been checked. `about` is the manifest."""

    path: Path
    about: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """One of KINDS."""
        return str(self.about["kind"])

    def file(self, name: str) -> Path:
        """Path of a file the manifest lists; ArtifactError if it does not."""
        if name not in self.about["files"]:
            raise ArtifactError(
                f"{self.path}: holds no {name}; it has {', '.join(sorted(self.about['files']))}"
            )
        return self.path / name

    def graph(self, form: str) -> Graph:
        """The 'float' or 'integer' graph; Unsupported where the model has no integer form."""
        if form == "integer" and (why := self.float_only):
            raise Unsupported(
                why["node"],
                f"{why['reason']}, and {self.path} holds floats alone",
                "run its float form, on onnx or reference",
            )
        if form == "integer" and self.kind == POSE:
            raise BadInput(f"{self.path}: is a pose network, with no spikes to map, fuse or simulate")
        return load_graph(self.file(f"{form}.npz"))

    @property
    def float_only(self) -> Mapping[str, str] | None:
        """Of a model that no chip holds any part of: the node and the reason; else None."""
        return self.about.get("float_only")

    def host(self) -> Graph | None:
        """The part of the model that runs on the CPU behind the chip, or None: the chip holds it whole."""
        return load_graph(self.file("host.npz")) if "host.npz" in self.about["files"] else None

    def outputs(self) -> tuple[str, ...]:
        """Names of the whole model's outputs, in order."""
        return self.graph("float").outputs

    def program(self) -> Program:
        """The program; lowered anew from the integer graph where the artifact is not of kind lava."""
        if "program.npz" in self.about["files"]:
            return load_program(self.file("program.npz"))
        return lower(self.graph("integer"), self.about.get("quantisation", {}).get("bits", 8))

    @property
    def fingerprint(self) -> str:
        """sha256 over the checksums of all files: two artifacts with one fingerprint are the same model."""
        return hashlib.sha256(json.dumps(self.about["files"], sort_keys=True).encode()).hexdigest()


def is_artifact(path: Path) -> bool:
    """Whether a folder claims to be an artifact."""
    return (path / MANIFEST).is_file()


def open_artifact(path: Path) -> Artifact:
    """Read the manifest and check every file against it."""
    if not path.exists():
        raise ArtifactError(f"{path}: no such folder; make one with `cli.py convert`")
    if path.suffix == ".net" and path.is_file():
        raise ArtifactError(
            f"{path}: a .net of lava-dl, not an artifact; run it with `cli.py run-net`, "
            "or look into it with `cli.py lint` and `cli.py inspect`"
        )
    if not is_artifact(path):
        raise ArtifactError(f"{path}: not an artifact (no {MANIFEST}); make one with `cli.py convert`")
    try:
        about = json.loads((path / MANIFEST).read_text())
        kind, files = about["kind"], {str(k): str(v) for k, v in about["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path / MANIFEST}: not readable ({error}); convert the model again") from error
    if about.get("format") != FORMAT or about.get("version") not in READABLE or kind not in KINDS:
        found = f"{about.get('format')!r} version {about.get('version')} kind {kind!r}"
        raise ArtifactError(f"{path / MANIFEST}: is {found}, expected {FORMAT!r} version {VERSION}")
    for name, digest in files.items():
        if Path(name).name != name:
            raise ArtifactError(f"{path / MANIFEST}: lists {name!r}, which is no file of the folder itself")
        _check(path / name, digest)
    if about.get(SEAL) != _seal(about):
        raise ArtifactError(_changed(path / MANIFEST))
    return Artifact(path, about)


def _seal(about: Mapping[str, Any]) -> str:
    """Checksum of a manifest as JSON gives it back: everything in it but the seal itself."""
    plain = json.loads(json.dumps({k: v for k, v in about.items() if k != SEAL}))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _check(path: Path, digest: str) -> None:
    if path.is_symlink() or not path.is_file():
        raise ArtifactError(f"{path}: listed in the manifest but missing; convert the model again")
    if sha256(path) != digest:
        raise ArtifactError(_changed(path))


def _changed(path: Path) -> str:
    return f"{path}: was changed after conversion (checksum differs); convert the model again"


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_ours(path: Path) -> bool:
    """Whether the manifest says that Basalt wrote the folder: other tools have a manifest.json too."""
    try:
        about = json.loads((path / MANIFEST).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get("format") == FORMAT


@contextmanager
def new_artifact(path: Path, kind: str, about: Mapping[str, Any]) -> Iterator[Path]:
    """A draft folder to fill; on a clean exit it gets its manifest and takes the place of `path`.

    An artifact at `path` is replaced; anything else there is left alone and refused.
    """
    if path.exists() and not _is_ours(path) and (not path.is_dir() or any(path.iterdir())):
        raise BadInput(f"{path}: exists and is not an artifact; choose another --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield draft
        files = {f.name: sha256(f) for f in sorted(draft.iterdir())}
        body = {"format": FORMAT, "version": VERSION, "kind": kind, **about, "files": files}
        body[SEAL] = _seal(body)
        (draft / MANIFEST).write_text(json.dumps(body, indent=1, sort_keys=True) + "\n")
        draft.chmod(0o755)
        _put(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put(draft: Path, path: Path) -> None:
    """Move the draft to `path`; what was there is moved aside first and removed last."""
    aside = draft.with_name(f"{draft.name}.old")
    if path.exists():
        os.replace(path, aside)
    try:
        os.replace(draft, path)
    except OSError:
        if aside.exists():
            os.replace(aside, path)
        raise
    shutil.rmtree(aside, ignore_errors=True)
