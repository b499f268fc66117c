"""CTR-GCN npz: layout, valid frames, refusals."""

import io
import zipfile

import numpy as np
import pytest

from train.data import ctrgcn_npz
from train.data.split import hold_out_subjects


def test_layout_labels_and_dropped(npz, walker):
    train = ctrgcn_npz.load(npz(), "train")
    assert train.layout == "ntu25"
    assert train.class_names == ("A001", "A002", "A003", "A004")
    assert [(c.id, c.label, c.subject, c.view) for c in train.clips] == [
        ("train-00000", 0, -1, None),
        ("train-00001", 3, -1, None),
    ]
    assert train.dropped == ("train-00002: no valid frame",)
    np.testing.assert_array_equal(train.clips[0].joints[0], walker(4, 25))
    assert not train.clips[0].joints[1].any()


def test_a_frame_that_sums_to_zero_is_a_frame(npz):
    clip = ctrgcn_npz.load(npz(), "train").clips[1]
    assert clip.joints.shape == (2, 6, 25, 3)
    assert clip.joints[0, 2].sum() == 0.0
    assert clip.joints[0, 2].any()


def test_all_is_train_and_test(npz):
    assert [c.id for c in ctrgcn_npz.load(npz(), "all").clips] == [
        "train-00000",
        "train-00001",
        "test-00000",
        "test-00001",
    ]


def test_validation_falls_back_to_samples(npz, walker):
    x = np.zeros((20, 5, 150), np.float32)
    x[..., :75] = 1.0
    loaded = ctrgcn_npz.load(npz(x_train=x, y_train=np.eye(4)[[0, 1] * 10]), "train")
    split = hold_out_subjects(loaded.clips, fraction=0.1)
    assert len(split.validation) == 2
    assert {c.label for c in split.validation} == {0, 1}
    assert "no subjects" in split.note


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"x_train": None}, ["x_train"]),
        ({"y_train": None}, ["y_train"]),
        ({"x_train": np.ones((3, 10, 75), np.float32)}, ["x_train", "(3, 10, 75)", "150"]),
        ({"x_train": np.ones((2, 10, 150), np.float32)}, ["x_train", "(2, 10, 150)"]),
        ({"y_train": np.array([0, 1, 2])}, ["y_train", "one-hot"]),
        ({"y_train": np.ones((3, 4))}, ["y_train", "one-hot"]),
        ({"y_train": np.full((3, 4), 0.25)}, ["y_train", "one-hot"]),
        ({"x_train": np.full((3, 10, 150), np.nan, np.float32)}, ["train-00000", "NaN"]),
        ({"y_train": np.array([{}, 1, 2], dtype=object)}, ["y_train", "object"]),
        ({"x_train": np.zeros((3, 10, 150), np.float32)}, ["0 clips"]),
    ],
)
def test_bad_arrays(npz, refused, changes, words):
    path = npz(**changes)
    refused(lambda: ctrgcn_npz.load(path, "train"), path.name, *words)


def test_truncated_and_missing_file(npz, tmp_path, refused):
    path = npz()
    whole = path.read_bytes()
    for share in (0.0, 0.3, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        refused(lambda: ctrgcn_npz.load(path, "train"), path.name, "broken")
    refused(lambda: ctrgcn_npz.load(tmp_path / "absent.npz", "train"), "absent.npz", "no file")
    refused(lambda: ctrgcn_npz.load(None, "train"), "no path")
    refused(lambda: ctrgcn_npz.load(npz(), "val"), "val", "train, test, all")


def test_array_shorter_than_its_header(npz, refused):
    path = npz()
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["x_train.npy"] = members["x_train.npy"][:-4]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    path.write_bytes(packed.getvalue())
    refused(lambda: ctrgcn_npz.load(path, "train"), path.name, "broken", "announced")
