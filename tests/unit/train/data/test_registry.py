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


def test_misses(ucla, refused):
    refused(lambda: registry.load("ntu", None, "train"), "'ntu'", "nw-ucla", "synthetic")
    refused(lambda: registry.load("nw-ucla", ucla, "train", sed=1), "sed", "none")
    refused(lambda: registry.load("synthetic", None, "train", sed=1), "sed", "train_per_class")
    refused(lambda: registry.load("synthetic", ucla, "train"), ucla.name, "generated")
    refused(lambda: registry.load("pyskl", None, "train"), "no path")


def test_torch_stays_out():
    code = "import sys, train.data.registry, train.data.transform; print('torch' in sys.modules)"
    root = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
