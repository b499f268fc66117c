"""PYSKL pickle: splits, bodies, and a reader that runs nothing."""

import collections
import os
import pickle

import numpy as np
import pytest

from train.data import pyskl


@pytest.mark.parametrize("protocol", range(6))
def test_every_pickle_protocol(pickled, pyskl_content, protocol):
    train = pyskl.load(pickled(pyskl_content, protocol), "xsub_train")
    assert [(c.id, c.label, c.subject, c.view) for c in train.clips] == [
        ("S001C001P001R001A001", 0, 1, 1),
        ("S001C002P001R001A001", 1, 1, 2),
        ("elsewhere", 0, -1, None),
    ]
    assert (train.layout, train.unseen, train.clips[0].setup) == ("ntu25", "subjects", 1)
    assert pyskl.load(pickled(pyskl_content, protocol), "xview_train").unseen == "views"
    assert train.class_names == ("A001", "A002", "A003")
    first = pyskl_content["annotations"][0]["keypoint"].astype(np.float32)
    np.testing.assert_array_equal(train.clips[0].joints[:1], first)
    assert not train.clips[0].joints[1].any()


def test_split_by_role_and_protocol(pickled, pyskl_content):
    path = pickled(pyskl_content)
    test = pyskl.load(path, "test", protocol="xsub")
    assert [c.id for c in test.clips] == ["S001C003P002R001A001"]
    assert test.dropped == ("S001C003P002R001A001: bodies 3 to 3",)
    assert len(pyskl.load(path, "all").clips) == 4
    assert pyskl.load(path, "all", persons=3).dropped == ()


def test_role_without_protocol(pickled, pyskl_content, refused):
    path = pickled(pyskl_content)
    refused(lambda: pyskl.load(path, "train"), path.name, "2 splits", "xsub_train")
    del pyskl_content["split"]["xview_train"], pyskl_content["split"]["xview_val"]
    assert len(pyskl.load(pickled(pyskl_content), "train").clips) == 3
    pyskl_content["split"] = {"train": ["elsewhere"], "test": ["S001C001P001R001A001"]}
    assert [c.id for c in pyskl.load(pickled(pyskl_content), "train").clips] == ["elsewhere"]


def test_numpy_scalar_labels_and_kinect_joints(pickled, pyskl_content, walker):
    for item in pyskl_content["annotations"]:
        item["label"] = np.int64(item["label"])
        item["keypoint"] = walker(item["total_frames"], 20)[None]
    assert pyskl.load(pickled(pyskl_content), "all").layout == "kinect20"


def test_names_of_older_numpy(pickled, pyskl_content):
    path = pickled(pyskl_content, 3)
    old = path.read_bytes().replace(b"cnumpy._core.multiarray", b"cnumpy.core.multiarray")
    path.write_bytes(old)
    assert len(pyskl.load(path, "all").clips) == 4


class Shell:
    """Runs a command when an ordinary reader opens it."""

    def __reduce__(self):
        return os.system, ("touch harmed",)


@pytest.mark.parametrize(
    ("foreign", "name"),
    [
        (Shell(), f"{os.name}.system"),
        (collections.OrderedDict(a=1), "collections.OrderedDict"),
        (print, "builtins.print"),
        (np.random.default_rng, "numpy.random"),
    ],
)
def test_foreign_objects_are_refused_by_name(
    pickled, pyskl_content, refused, foreign, name, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    pyskl_content["annotations"][0]["extra"] = foreign
    path = pickled(pyskl_content)
    refused(lambda: pyskl.load(path, "all"), path.name, name, "not opened")
    assert not (tmp_path / "harmed").exists()


def test_array_subclass_and_odd_encoding_are_refused(tmp_path, refused):
    path = tmp_path / "set.pkl"
    path.write_bytes(b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntVb\ntR.")
    refused(lambda: pyskl.load(path, "all"), path.name, "expected numpy.ndarray")
    path.write_bytes(b"c_codecs\nencode\n(Vx\nVrot13\ntR.")
    refused(lambda: pyskl.load(path, "all"), path.name, "rot13")


def test_dotted_name_does_not_slip_through(tmp_path, refused):
    path = tmp_path / "set.pkl"
    path.write_bytes(b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93.")
    refused(lambda: pyskl.load(path, "all"), path.name, "numpy.ndarray.__init__")


@pytest.mark.parametrize("share", [0.0, 0.4, 0.95])
def test_truncated(pickled, pyskl_content, refused, share):
    path = pickled(pyskl_content)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refused(lambda: pyskl.load(path, "all"), path.name, "broken pickle")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"keypoint": np.ones((1, 5, 17, 2))}, ["(1, 5, 17, 2)", "25 or 20"]),
        ({"keypoint": np.ones((5, 25, 3))}, ["(5, 25, 3)"]),
        ({"keypoint": np.full((1, 5, 25, 3), np.inf)}, ["infinity"]),
        ({"keypoint": [1, 2]}, ["no array"]),
        ({"keypoint": np.array([None])}, ["no array"]),
        ({"total_frames": 9}, ["total_frames 9"]),
        ({"label": -1}, ["label -1"]),
        ({"label": 1.5}, ["label 1.5"]),
        ({"frame_dir": "elsewhere"}, ["elsewhere twice"]),
        ({"frame_dir": 3}, ["annotation 0"]),
    ],
)
def test_bad_annotation(pickled, pyskl_content, refused, changes, words):
    pyskl_content["annotations"][0] |= changes
    path = pickled(pyskl_content)
    refused(lambda: pyskl.load(path, "all"), path.name, *words)


def test_bad_content(pickled, pyskl_content, tmp_path, refused):
    path = pickled([1, 2])
    refused(lambda: pyskl.load(path, "all"), path.name, "list of another form")
    pyskl_content["split"]["xsub_val"].append("absent")
    path = pickled(pyskl_content)
    refused(lambda: pyskl.load(path, "xsub_val"), path.name, "absent without an annotation")
    refused(lambda: pyskl.load(path, "setup"), path.name, "0 splits", "xsub_train")
    pyskl_content["split"]["xsub_val"] = []
    path = pickled(pyskl_content)
    refused(lambda: pyskl.load(path, "xsub_val"), path.name, "no clip")
    refused(lambda: pyskl.load(tmp_path / "absent.pkl", "all"), "absent.pkl", "no file")
    refused(lambda: pyskl.load(None, "all"), "no path")


def test_an_empty_sequence_is_dropped(pickled, pyskl_content):
    pyskl_content["annotations"][0]["keypoint"] *= 0
    loaded = pyskl.load(pickled(pyskl_content), "xsub_train")
    assert loaded.dropped == ("S001C001P001R001A001: no frame with a person",)
    assert pickle.HIGHEST_PROTOCOL >= 5  # the protocols tested above are all there are
