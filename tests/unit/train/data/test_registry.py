"""The registry: an explicit list, loud on a miss."""

import subprocess
import sys
from pathlib import Path

from train.data import registry


def test_every_set_is_described():
    assert registry.names() == ("nw-ucla", "synthetic", "ntu60", "ntu120", "ctrgcn-npz", "pyskl")
    assert [name for name, *_ in registry.describe()] == list(registry.names())
    assert all(what and how for _, what, how in registry.describe())


def test_load_by_name(ucla, npz, pickled, pyskl_content):
    made = registry.load("synthetic", None, "test", test_per_class=1)
    assert (made.name, len(made.clips)) == ("synthetic", 12)
    assert registry.load("nw-ucla", ucla, "train").name == "nw-ucla"
    assert registry.load("ctrgcn-npz", npz(), "test").name == "ctrgcn-npz"
    path = pickled(pyskl_content)
    assert registry.load("pyskl", path, "test", protocol="xsub").name == "pyskl"


def test_listed_clips_are_the_loaded_ones_and_keep_no_joints(ucla):
    options = {"test_per_class": 2, "flat": True}
    for ask in (("synthetic", None, "test", options), ("nw-ucla", ucla, "all", {})):
        *where, more = ask
        loaded, listed = registry.load(*where, **more), registry.listed(*where, **more)
        assert [c.id for c in listed.clips] == [c.id for c in loaded.clips]
        assert (listed.layout, listed.class_names, listed.dropped) == (
            loaded.layout, loaded.class_names, loaded.dropped,
        )  # fmt: skip
        for late, clip in zip(listed.clips, loaded.clips, strict=True):
            assert late.listed and not clip.listed and late.performance == clip.performance
            assert (late.label, late.subject, late.view) == (clip.label, clip.subject, clip.view)
            assert late.read().joints.tobytes() == clip.joints.tobytes()
            assert late.read().joints is not late.read().joints


def test_what_cannot_be_listed_is_loaded(npz):
    assert not registry.listed("ctrgcn-npz", npz(), "test").clips[0].listed


def test_misses(ucla, npz, refused):
    refused(lambda: registry.load("ntu", None, "train"), "'ntu'", "nw-ucla", "synthetic")
    refused(lambda: registry.load("ctrgcn-npz", npz(), "train", sed=1), "sed", "expected none")
    refused(lambda: registry.load("nw-ucla", ucla, "train", sed=1), "sed", "expected labels")
    refused(lambda: registry.load("synthetic", None, "train", sed=1), "sed", "train_per_class")
    refused(lambda: registry.load("synthetic", ucla, "train"), ucla.name, "generated")
    refused(lambda: registry.load("pyskl", None, "train"), "no path")
    refused(lambda: registry.listed("synthetic", ucla, "train"), ucla.name, "generated")


def test_torch_stays_out():
    code = "import sys, train.data.registry, train.data.transform; print('torch' in sys.modules)"
    root = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
