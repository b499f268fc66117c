"""Checkpoints: a safetensors file that describes itself, and a JSON copy of the description.

    NAME.safetensors   tensors "model.*" (and what a resume needs), the description in the header
    NAME.json          the same description, for people and other tools

The safetensors file alone is the truth and is replaced in one step, so that there is no moment at
which weights and description disagree. `sha256` covers every tensor: changed weights are found. A
JSON copy with the same sha256 but another text was edited and is refused; one with another sha256
was left behind by an interruption between the two files and is ignored.

    ValueError
      CheckpointError    a checkpoint that is missing, foreign, broken, edited or of another model
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from train.files import json_bytes, write_whole
from train.models import registry

BEST = "best.safetensors"  # of a run folder: the chosen epoch
FORMAT = "basalt-checkpoint"
VERSION = 1
_REQUIRED = {
    "model": str, "model_config": dict, "recipe": dict, "dataset": dict, "classes": list, "epoch": int
}  # fmt: skip


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: which file, what was found, what was expected."""

    exit_code: ClassVar[int] = 3

    def __init__(self, path: Path, found: str, expected: str) -> None:
        super().__init__(" ".join(f"{path}: found {found}; expected {expected}".split()))


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """tensors by name; about: the description, plain JSON values."""

    path: Path
    tensors: dict[str, Tensor]
    about: dict[str, Any]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose name starts with "prefix.", without it."""
        start = f"{prefix}."
        found = self.tensors.items()
        return {name[len(start) :]: x for name, x in found if name.startswith(start)}

    def load_into(
        self, model: nn.Module, prefix: str = "model", beyond: Mapping[str, Tensor] | None = None
    ) -> None:
        """Copy the weights, and what is given `beyond` them, into a model of the same kind; differing names
        or shapes are refused."""
        ours, theirs = model.state_dict(), {**self.under(prefix), **(beyond or {})}
        for name in sorted(set(ours) ^ set(theirs)):
            found = "no" if name in ours else "an unknown"
            raise CheckpointError(self.path, f"{found} tensor {name}", "those of the model's config")
        for name, x in theirs.items():
            if x.shape != ours[name].shape:
                got, want = list(x.shape), list(ours[name].shape)
                raise CheckpointError(self.path, f"{name} of shape {got}", f"shape {want}")
        model.load_state_dict(theirs)


def save(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write `path` (.safetensors) and its JSON copy; about holds `_REQUIRED` and any JSON value."""
    plain = {name: x.detach().cpu().contiguous() for name, x in tensors.items()}
    marks = {"format": FORMAT, "version": VERSION, "sha256": _digest(plain)}
    text = json_bytes({**about, **marks})
    write_whole(path, to_bytes(plain, metadata={"about": text.decode()}))
    write_whole(path.with_suffix(".json"), text)


def load(path: Path) -> Checkpoint:
    """Read and check a checkpoint, of a run folder its best; a CheckpointError says what is wrong with it."""
    path, about, tensors = _read(path, whole=True)
    if _digest(tensors) != about["sha256"]:
        raise CheckpointError(path, "tensors that do not fit their sha256", "an unedited file")
    _check_copy(path, about)
    return Checkpoint(path, tensors, about)


def description(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself; its tensors are not read, and not checked."""
    return _read(path, whole=False)[1]


def load_model(path: Path, name: str | None = None) -> tuple[nn.Module, Checkpoint]:
    """The trained model, in eval mode, and its checkpoint; a given `name` must be the model's.

    Of a fine-tuned run (`train.qat`) that is the network of its integers.
    """
    checkpoint = load(path)
    about, path = checkpoint.about, checkpoint.path
    if name is not None and about["model"] != name:
        raise CheckpointError(path, f"a checkpoint of model {about['model']}", f"model {name}")
    if "qat" not in about:
        return float_model(checkpoint), checkpoint
    from train.qat.kept import network

    _refuse_state_alone(checkpoint)
    return network(checkpoint).eval(), checkpoint


def float_model(checkpoint: Checkpoint) -> nn.Module:
    """The float model of a checkpoint, in eval mode: of a fine-tuned run its parent."""
    about, path = checkpoint.about, checkpoint.path
    _refuse_state_alone(checkpoint)
    try:
        model = registry.build(about["model"], about["model_config"])
    except (ValueError, TypeError) as error:
        raise CheckpointError(path, str(error), "a model of this version") from error
    checkpoint.load_into(model, "parent" if "qat" in about else "model")
    return model.eval()


def _refuse_state_alone(checkpoint: Checkpoint) -> None:
    if "qat" in checkpoint.about and not checkpoint.under("parent"):
        found = "a fine-tuned run's state, without its parent"
        raise CheckpointError(checkpoint.path, found, "its best.safetensors")


def _read(path: Path, whole: bool) -> tuple[Path, dict[str, Any], dict[str, Tensor]]:
    """The file, of a run folder its best, its description, and its tensors where `whole`."""
    path = path / BEST if path.is_dir() else path
    if not path.is_file():
        raise CheckpointError(path, "no such file", "a .safetensors checkpoint")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("about")
            # The order of keys in the file is free; sorted, everything after is the same every time.
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())} if whole else {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(path, str(error), "a whole safetensors file") from error
    return path, _description(path, text), tensors


def _description(path: Path, text: str | None) -> dict[str, Any]:
    try:
        about = json.loads(text or "")
    except json.JSONDecodeError:
        about = None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise CheckpointError(path, "a file without a Basalt description", f"format {FORMAT}")
    if about.get("version") != VERSION:
        raise CheckpointError(path, f"version {about.get('version')}", f"version {VERSION}")
    for key, kind in {**_REQUIRED, "sha256": str}.items():
        if not isinstance(about.get(key), kind):
            raise CheckpointError(path, f"{key} = {about.get(key)!r}", f"{key} as a {kind.__name__}")
    return about


def _check_copy(path: Path, about: dict[str, Any]) -> None:
    copy = path.with_suffix(".json")
    if not copy.is_file():
        return
    try:
        other = json.loads(copy.read_bytes())
    except ValueError as error:
        raise CheckpointError(copy, "no JSON", f"the description in {path.name}") from error
    if not isinstance(other, dict):
        raise CheckpointError(copy, "no JSON object", f"the description in {path.name}")
    if other.get("sha256") == about["sha256"] and other != about:
        keys = sorted(k for k in {*other, *about} if other.get(k) != about.get(k))
        raise CheckpointError(copy, f"an edited {', '.join(keys)}", f"the text in {path.name}")


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, types, shapes and bytes of all tensors, in order of name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        x = tensors[name]
        digest.update(f"{name}|{x.dtype}|{list(x.shape)}|".encode())
        digest.update(x.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
