"""Small pose data sets in their own formats; and the real ones, where they are."""

from __future__ import annotations

import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from cli import VERBS
from convert.artifact import Artifact, open_artifact
from train.pose.data import registry
from train.pose.data.person import PoseSet
from verbs.group import Verbs, root

SMALL = [
    "--set", "backbone=tiny", "--set", "width=32", "--set", "height=32", "--set", "hidden=8", "--batch", "8",
    "--threads", "1", "--data-option", "train=12", "--data-option", "test=4",
]  # fmt: skip


def _made(*args: object) -> None:
    assert Verbs.run(root(VERBS), [str(a) for a in args]) == 0


@pytest.fixture(scope="session")
def sdnn_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a tiny pose network on twelve drawn pictures."""
    out = tmp_path_factory.mktemp("sdnn") / "run"
    _made("train", "--model", "ogn", "--out", out, "--epochs", 1, *SMALL)
    return out


@pytest.fixture(scope="session")
def sdnn(sdnn_run: Path) -> Artifact:
    """It as a sigma-delta network; s.json beside the run says what `convert` did."""
    out, told = sdnn_run.parent / "sdnn", sdnn_run.parent / "s.json"
    _made("convert", sdnn_run, "--to", "sdnn", "--delta-threshold", "0.05", "--delta-loss", "100",
          "--out", out, "--json", told)  # fmt: skip
    return open_artifact(out)


@pytest.fixture(scope="session")
def drawn() -> PoseSet:
    """Twelve pictures of synthetic people."""
    return registry.load("synthetic-people", None, "train", train=12)


@pytest.fixture(scope="session")
def coco_truth() -> Callable[..., dict]:
    """Makes annotations in COCO's form: three images, one person in each, of so many joints."""
    return _truth


@pytest.fixture
def coco_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes COCO's folder of three pictures, one person in each; `change` may edit the annotations first."""

    def write(change: Callable[[dict], None] = lambda truth: None) -> Path:
        truth = _truth()
        change(truth)
        for split in ("train", "val"):
            (tmp_path / f"{split}2017").mkdir(exist_ok=True)
            for number in (1, 2, 3):
                picture = np.full((60, 80, 3), 40 * number, np.uint8)
                cv2.imwrite(str(tmp_path / f"{split}2017" / f"{number}.png"), picture)
            (tmp_path / "annotations").mkdir(exist_ok=True)
            place = tmp_path / "annotations" / f"person_keypoints_{split}2017.json"
            place.write_text(json.dumps(truth))
        return tmp_path

    return write


def _truth(joints: int = 17) -> dict:
    keypoints = [value for k in range(joints) for value in (10 + 2 * k, 20 + k, 2)]
    return {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 80, "height": 60} for n in (1, 2, 3)],
        "annotations": [
            {
                "id": 10 * n, "image_id": n, "category_id": 1, "iscrowd": 0, "area": 900.0,
                "bbox": [8, 18, 40, 30], "keypoints": keypoints, "num_keypoints": joints,
            }
            for n in (1, 2, 3)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": [f"joint {k}" for k in range(joints)]}],
    }  # fmt: skip


@pytest.fixture
def lspet_folder(tmp_path: Path) -> Path:
    """joints.mat of 2500 people and five images: 1, 2, 3 of train, 2001 and 2500 of test."""
    joints = np.zeros((14, 3, 2500))
    joints[:, 0], joints[:, 1], joints[:, 2] = 31.0, 21.0, 1.0
    joints[2, :2], joints[9, :2] = (
        np.array([[21.0], [41.0]]),
        np.array([[21.0], [11.0]]),
    )  # a torso of 30 pixels
    joints[0, :, 0] = (-26.0, 9.0, 0.0)  # junk where the flag says invisible
    joints[:, 2, 2] = 0.0  # nobody visible in image 3
    scipy.io.savemat(tmp_path / "joints.mat", {"joints": joints})
    (tmp_path / "images").mkdir()
    for number in (1, 2, 3, 2001, 2500):
        cv2.imwrite(str(tmp_path / "images" / f"im{number:05d}.jpg"), np.full((48, 64, 3), 90, np.uint8))
    return tmp_path


@pytest.fixture(scope="session")
def unpacked(
    data_root: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """A packed real set, unpacked once; skips where it is missing."""

    def find(name: str) -> Path:
        packed = data_root(name)
        place = tmp_path_factory.getbasetemp() / f"real-{packed.parent.name}"
        if not place.exists():
            if packed.suffix == ".zip":
                zipfile.ZipFile(packed).extractall(place)
            else:
                with tarfile.open(packed) as archive:
                    archive.extractall(place, filter="data")
        return place

    return find
