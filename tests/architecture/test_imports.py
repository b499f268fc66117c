"""Who may import what: every file is parsed and compared with two tables. See docs/architecture.md."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

# folder or file -> what of ours it may import; the longest entry that a file's path begins with counts.
OURS = {
    "convert/ir/": {"convert.ir"},
    "convert/": {"convert"},
    "convert/from_torch.py": {"convert", "train"},
    "convert/torch_layers.py": {"convert", "train"},
    "train/": {"train", "convert.ir"},
    "deploy/": {"convert", "deploy"},
    "deploy/lava_worker/": set(),
    "energy/": {"convert", "deploy.record", "energy"},
    "energy/torch_counts/": {"convert", "energy", "train.stepwise"},  # torch modules; nothing else imports it
    "verbs/": {"convert", "deploy", "energy", "train", "verbs"},
    "cli.py": {"convert", "deploy", "energy", "train", "verbs"},
    "benchmarks/": {"benchmarks", "convert", "deploy", "energy", "train", "verbs.feed", "verbs.group"},
    "scripts/": {"convert", "deploy"},
}
# outside library -> the only places that may import it. Others are free; torchvision is for nobody.
OUTSIDE = {
    "torch": (
        "train/",
        "convert/from_torch.py",
        "convert/torch_layers.py",
        "energy/torch_counts/",
        "verbs/",
        "benchmarks/",
        "scripts/net_fixtures.py",
    ),
    "torchvision": (),
    "norse": ("train/norse_neurons.py",),
    "onnx": (
        "convert/to_onnx.py",
        "convert/pose_onnx.py",
        "convert/pose_int8.py",
        "convert/onnx_model/",
        "benchmarks/pose_int8.py",  # makes outputs of a model's inner values
    ),
    "onnxruntime": ("deploy/onnx_session.py", "deploy/onnx_int8.py", "benchmarks/"),
    "h5py": ("convert/net_format.py", "train/data/ntu_index.py", "scripts/net_fixtures.py"),
    "nir": ("convert/nir_io.py",),
    "lava": ("deploy/lava_worker/", "benchmarks/", "scripts/net_fixtures.py"),  # Python 3.10 alone
    "numba": ("deploy/", "train/", "benchmarks/"),
    "pickle": ("train/data/safe_pickle.py",),
    "pycocotools": ("deploy/pose/evaluation/coco.py",),
    "faster_coco_eval": ("deploy/pose/evaluation/coco.py",),  # optional
    "motmetrics": (),  # tests alone
    "trackeval": (),  # tests alone
    "click": ("verbs/", "cli.py"),
    "pyarrow": ("energy/parquet.py",),
    "distributed": ("verbs/cluster.py",),
    "dask": ("verbs/cluster.py",),
}
# part of a library -> the only files that may import it.
PARTS = {"torch.distributed": ("train/processes.py",), "torch.nn.parallel": ("train/processes.py",)}
HOUSE = {"benchmarks", "cli", "convert", "deploy", "energy", "scripts", "tests", "train", "verbs"}


def imported(text):
    """Dotted names a file imports anywhere in it, functions included; '.' for a relative import."""
    names = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." if node.level else str(node.module)
            names += [base] if node.level else [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                names.append(str(node.args[0].value))
    return names


def within(name, allowed):
    return any(name == a or name.startswith(f"{a}.") for a in allowed)


def faults(path, text):
    """What a file imports and may not, one line each."""
    place = max((p for p in OURS if path.startswith(p)), key=len, default=None)
    if place is None:
        return [f"{path}: is in no folder of the table"]
    found = []
    for name in imported(text):
        first = name.split(".")[0]
        if name == ".":
            found.append(f"{path}: a relative import")
        elif first in HOUSE and not within(name, OURS[place]):
            found.append(
                f"{path}: {name}; {place} may import {', '.join(sorted(OURS[place])) or 'nothing of ours'}"
            )
        elif first in OUTSIDE and not path.startswith(OUTSIDE[first] or ("nobody",)):
            found.append(f"{path}: {first}; only {', '.join(OUTSIDE[first]) or 'nobody'} may")
        elif any(within(name, {part}) and path not in places for part, places in PARTS.items()):
            found.append(f"{path}: {name}; only train/processes.py may")
        elif path.startswith("convert/ir/") and first not in {*sys.stdlib_module_names, "numpy", "convert"}:
            found.append(f"{path}: {first}; convert.ir needs numpy and the standard library alone")
    return found


def test_every_file_imports_only_what_it_may(sources):
    assert len(sources) > 50
    assert [line for path, text in sources.items() for line in faults(path, text)] == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("deploy/x.py", "import energy.report"),
        ("deploy/x.py", "def late():\n    from train.layers import GraphConv"),
        ("deploy/x.py", "import torch"),
        ("deploy/x.py", "import_module('torch.nn')"),
        ("energy/x.py", "from deploy.target import target"),
        ("energy/x.py", "from deploy import target"),
        ("energy/x.py", "import torch.nn as nn"),
        ("energy/torch_counts/x.py", "from train.models import registry"),
        ("convert/x.py", "from train import layers"),
        ("convert/x.py", "import torch"),
        ("convert/x.py", "from deploy.record import Record"),
        ("convert/x.py", "from onnx import helper"),
        ("convert/ir/x.py", "import scipy"),
        ("convert/ir/x.py", "from convert.passes import region"),
        ("train/x.py", "from convert.from_torch import from_torch"),
        ("train/x.py", "import deploy.reference"),
        ("train/data/x.py", "import pickle"),
        ("train/x.py", "import torchvision"),
        ("train/x.py", "import torch.distributed as dist"),
        ("train/x.py", "from torch import distributed"),
        ("deploy/x.py", "import cli"),
        ("convert/x.py", "from verbs.group import root"),
        ("verbs/x.py", "import cli"),
        ("deploy/lava_worker/network.py", "from convert.ir import Graph"),
        ("deploy/loihi_sim.py", "import onnxruntime"),
        ("deploy/x.py", "from . import record"),
        ("deploy/x.py", "from tests.conftest import Case"),
        ("newfolder/x.py", "import numpy"),
    ],
)
def test_a_planted_import_is_caught(path, text):
    assert len(faults(path, text)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("convert/from_torch.py", "import torch\nfrom train import layers\nfrom convert.ir import Graph"),
        ("energy/x.py", "from deploy.record import Record\nimport numpy as np\nfrom energy.line import Line"),
        ("train/x.py", "import torch\nfrom convert.ir import Graph\nfrom train.step import rest"),
        ("energy/torch_counts/x.py", "import torch\nfrom train.stepwise import Stepwise"),
        ("deploy/lava_worker/network.py", "import lava.proc\nimport json"),
        ("deploy/x.py", "import deployment\nimport torchlike\nfrom convert.passes.lower import lower"),
    ],
)
def test_what_is_allowed_is_not_caught(path, text):
    assert faults(path, text) == []


def test_deploy_and_energy_run_without_torch(sources):
    """In a fresh interpreter: every module of deploy but the Lava worker, and of energy but its torch
    part."""
    modules = [
        path.removesuffix(".py").replace("/", ".")
        for path in sources
        if path.startswith(("deploy/", "energy/"))
        and not path.startswith(("deploy/lava_worker/", "energy/torch_counts/"))
        and not path.endswith("__init__.py")
    ]
    assert {"deploy.target", "deploy.reference", "deploy.cpu_onnx", "energy.report"} <= set(modules)
    code = (
        f"import importlib, json, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"deploy", "energy", "numpy"} <= loaded
    assert loaded & {"torch", "train", "norse", "lava", "torchvision"} == set()


def test_torch_counting_is_asked_for_by_verbs_alone(sources):
    """Nothing else of energy may import it, not even late: it is the one place there that knows torch."""
    asking = {p for p, text in sources.items() if any("torch_counts" in name for name in imported(text))}
    outside = {p for p in asking if not p.startswith("energy/torch_counts/")}
    assert outside and all(p.startswith(("verbs/", "benchmarks/")) for p in outside)


def test_the_graph_needs_numpy_alone():
    """In a fresh interpreter, `import convert.ir` loads no library but numpy."""
    code = (
        "import json, sys; before = set(sys.modules); import convert.ir; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert {"convert", "numpy"} <= loaded
    # numpy brings compiled modules without a package; nothing else may be foreign.
    assert (
        loaded
        - set(sys.stdlib_module_names)
        - {"convert", "numpy", "cython_runtime"}
        - {n for n in loaded if n.startswith(("_", "cython"))}
        == set()
    )


@pytest.mark.parametrize("name", ["train", "convert", "deploy", "energy", "verbs"])
def test_the_packages_are_the_ones_of_this_checkout(name, root):
    """Generic names: another `train` or `deploy` in site-packages must not take their place."""
    found = importlib.import_module(name).__file__
    assert found is not None
    assert Path(found) == root / name / "__init__.py"
