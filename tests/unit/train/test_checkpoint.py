"""Checkpoints come back whole, or are refused with one clear line."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from convert.ir import files
from train import checkpoint
from train.checkpoint import CheckpointError
from train.models import registry

SETTINGS = {"in_channels": 3, "classes": 4, "layout": "kinect20", "channels": [8]}
ABOUT = {
    "model": "base-sgn",
    "model_config": {**SETTINGS},
    "recipe": {"frames": 8},
    "dataset": {"name": "synthetic"},
    "epoch": 3,
    "classes": ["one", "two"],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = registry.build("base-sgn", SETTINGS)
    tensors = {f"model.{k}": x for k, x in model.state_dict().items()}
    checkpoint.save(tmp_path / "best.safetensors", tensors, ABOUT)
    return tmp_path / "best.safetensors"


def refused(path: Path, *words: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load_model(path)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 3
    for word in words:
        assert word in message


def test_round_trip(path: Path) -> None:
    torch.manual_seed(0)
    want = registry.build("base-sgn", SETTINGS).state_dict()
    model, found = checkpoint.load_model(path, "base-sgn")
    assert not model.training
    assert all(torch.equal(x, want[name]) for name, x in model.state_dict().items())
    assert found.about["epoch"] == 3
    assert json.loads(path.with_suffix(".json").read_text()) == found.about
    assert sorted(p.name for p in path.parent.iterdir()) == ["best.json", "best.safetensors"]


def test_same_content_same_bytes(path: Path, tmp_path: Path) -> None:
    found = checkpoint.load(path)
    about = {k: v for k, v in found.about.items() if k not in ("format", "version", "sha256")}
    checkpoint.save(tmp_path / "again.safetensors", found.tensors, about)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_missing_truncated_and_foreign_files(path: Path, tmp_path: Path) -> None:
    refused(tmp_path / "none.safetensors", "no such file")
    whole = path.read_bytes()
    for size in (0, 5, 200, len(whole) - 1):
        path.write_bytes(whole[:size])
        refused(path, "best.safetensors", "whole safetensors file")
    save_file({"w": torch.ones(2)}, tmp_path / "foreign.safetensors")
    refused(tmp_path / "foreign.safetensors", "without a Basalt description")


def test_a_description_without_its_sha256(path: Path) -> None:
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["about"])
    del about["sha256"]
    save_file({"model.w": torch.ones(2)}, path, metadata={"about": json.dumps(about)})
    refused(path, "sha256")


def test_edited_weights(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    refused(path, "sha256")


def test_edited_json_copy(path: Path) -> None:
    copy = path.with_suffix(".json")
    about = json.loads(copy.read_text())
    copy.write_text(json.dumps({**about, "epoch": 99}))
    refused(path, "best.json", "edited epoch")
    copy.write_text("{")
    refused(path, "no JSON")


def test_a_copy_left_behind_by_an_interruption_is_ignored(path: Path) -> None:
    copy = path.with_suffix(".json")
    about = json.loads(copy.read_text())
    copy.write_text(json.dumps({**about, "epoch": 2, "sha256": "of the epoch before"}))
    assert checkpoint.load(path).about["epoch"] == 3


def test_other_model_and_other_shape(path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model base-sgn.*model other"):
        checkpoint.load_model(path, "other")
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    wider = {**ABOUT, "model_config": {**SETTINGS, "channels": [16]}}
    checkpoint.save(path, tensors, wider)
    refused(path, "shape")
    checkpoint.save(path, tensors, {**ABOUT, "model_config": {**SETTINGS, "channels": [8, 8]}})
    refused(path, "no tensor blocks.1")
    checkpoint.save(path, tensors, {**ABOUT, "model": "nope"})
    refused(path, "nope")
    checkpoint.save(path, tensors, {k: v for k, v in ABOUT.items() if k != "recipe"})
    refused(path, "recipe")


def test_an_interrupted_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupt)  # the one step that puts a file in place
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, {"model.w": torch.ones(3)}, ABOUT)
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["best.json", "best.safetensors"]
