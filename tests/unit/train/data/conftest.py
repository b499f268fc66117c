"""Tiny files in each format, made here; and the one check that all bad-input tests share."""

import io
import json
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from train.data.clip import Clip
from train.data.errors import DataError


@pytest.fixture
def refused():
    """Run a call that must fail with a DataError of one line holding all the words; return the message."""

    def check(call: Callable[[], object], *words: object) -> str:
        with pytest.raises(DataError) as caught:
            call()
        message = str(caught.value)
        assert "\n" not in message
        assert caught.value.exit_code == 3
        for word in words:
            assert str(word) in message
        return message

    return check


@pytest.fixture
def walker():
    """Make float32 [F, V, 3] of a body that drifts: every joint moves, no coordinate is zero."""

    def make(frames: int = 6, joints: int = 20, seed: int = 0) -> np.ndarray:
        generator = np.random.default_rng(seed)
        body = generator.uniform(-0.8, 0.8, (joints, 3)) + np.array([0.1, 0.2, 3.0])
        return (body + 0.05 * generator.standard_normal((frames, joints, 3))).astype(np.float32)

    return make


@pytest.fixture
def clip(walker):
    """Make a Clip of M persons."""

    def make(name="c", frames=6, joints=20, persons=1, label=0, subject=1, seed=0, view=None) -> Clip:
        bodies = [walker(frames, joints, seed + 100 * person) for person in range(persons)]
        return Clip(name, np.stack(bodies), label, subject, view)

    return make


@pytest.fixture
def sequence(walker):
    """Make the bytes of one NW-UCLA JSON file."""

    def make(name: str, label: int = 1, frames: int = 4, **changes: object) -> bytes:
        document = {"file_name": name, "skeletons": walker(frames).tolist(), "label": label}
        return json.dumps(document | changes).encode()

    return make


@pytest.fixture
def ucla(tmp_path, sequence):
    """A folder of five sequences: two of view 1, one of view 2, two of view 3; one has a single frame."""
    folder = tmp_path / "ucla"
    folder.mkdir()
    for name, label, frames in (
        ("a01_s01_e00_v01", 1, 4),
        ("a08_s02_e00_v01", 7, 3),
        ("a12_s03_e01_v02", 10, 5),
        ("a02_s09_e04_v03", 2, 1),
        ("a11_s10_e00_v03", 9, 4),
    ):
        (folder / f"{name}.json").write_bytes(sequence(name, label, frames))
    return folder


@pytest.fixture
def packed(tmp_path):
    """Make a .tar.gz of (member name, content) pairs."""

    def make(members: list[tuple[str, bytes]], name: str = "all_sqe.tar.gz") -> Path:
        path = tmp_path / name
        with tarfile.open(path, "w:gz") as tar:
            for member, content in members:
                entry = tarfile.TarInfo(member)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        return path

    return make


@pytest.fixture
def npz(tmp_path, walker):
    """Make a CTR-GCN npz of 3 training and 2 test samples of 10 frames; changes replace arrays, None drops.

    train-00000: one person, 4 frames. train-00001: two persons, 6 frames, of which frame 2 sums to 0.
    train-00002: empty.
    """

    def make(**changes: np.ndarray | None) -> Path:
        x_train = np.zeros((3, 10, 2, 25, 3), np.float32)
        x_train[0, :4, 0] = walker(4, 25)
        x_train[1, :6, 0], x_train[1, :6, 1] = walker(6, 25, 1), walker(6, 25, 2)
        x_train[1, 2] = 0.0
        x_train[1, 2, 0, 0, :2] = 1.0, -1.0
        x_test = np.zeros((2, 10, 2, 25, 3), np.float32)
        x_test[:, :10, 0] = walker(10, 25, 3)
        arrays = {
            "x_train": x_train.reshape(3, 10, 150),
            "y_train": np.eye(4)[[0, 3, 1]],
            "x_test": x_test.reshape(2, 10, 150),
            "y_test": np.eye(4)[[2, 1]],
        }
        path = tmp_path / "NTU60_CS.npz"
        kept = {name: array for name, array in (arrays | changes).items() if array is not None}
        np.savez_compressed(path, **kept)
        return path

    return make


@pytest.fixture
def pyskl_content(walker):
    """The content of a PYSKL file: xsub and xview splits; one, two and three bodies."""
    names = [f"S001C00{c}P00{p}R001A001" for c, p in ((1, 1), (2, 1), (3, 2))] + ["elsewhere"]
    annotations = []
    for number, (name, persons) in enumerate(zip(names, (1, 2, 3, 1), strict=True)):
        bodies = [walker(5 + number, 25, number + 10 * person) for person in range(persons)]
        annotations.append(
            {
                "frame_dir": name,
                "total_frames": 5 + number,
                "label": number % 3,
                "keypoint": np.stack(bodies).astype(np.float16),
            }
        )
    split = {
        "xsub_train": names[:2] + names[3:],
        "xsub_val": names[2:3],
        "xview_train": names[:1],
        "xview_val": names[1:],
    }
    return {"split": split, "annotations": annotations}


@pytest.fixture
def pickled(tmp_path):
    """Write an object as a pickle."""

    def make(content: object, protocol: int = 4) -> Path:
        path = tmp_path / "set.pkl"
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        return path

    return make
