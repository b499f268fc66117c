"""ResNet-18 whole, and HRNet with a quarter of its width and its depth, 64x64: trained, converted, counted.

The short HRNet has every kind of exchange between branches that the whole one has.
"""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from cli import VERBS
from convert.artifact import open_artifact
from convert.ir import Conv2d, ConvTranspose2d, MaxPool2d, Repeat2d
from convert.passes import arm
from energy.counts import count
from energy.torch_counts.counter import TorchCounter
from train.checkpoint import load_model
from train.pose.backbones import hrnet, registry
from verbs.group import Verbs, root

NARROW = 8
SMALL = ("--set", "width=64", "--set", "height=64", "--threads", "1", "--batch", "8", "--epochs", "1")
DATA = ("--data-option", "train=12", "--data-option", "test=4")
BACKBONES = ("resnet18", "hrnet-w32")


def cli(*args) -> int:
    return Verbs.run(root(VERBS), [str(a) for a in args])


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """The small HRNet under its own name: a configuration holds names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hrnet, "MODULES", (1, 1, 2))
        patch.setattr(hrnet, "BLOCKS", 1)
        patch.setitem(registry.BACKBONES, "hrnet-w32", lambda: hrnet.HRNet(NARROW))
        yield


@pytest.fixture(scope="module", params=BACKBONES)
def made(request, tmp_path_factory):
    """(name, run, int8 artifact, what `convert` told): both forms are checked against torch on the way."""
    folder = tmp_path_factory.mktemp(request.param)
    run, out, told = folder / "run", folder / "int8", folder / "told.json"
    train = ("train", "--model", "ogn", "--set", f"backbone={request.param}", "--out", run)
    assert cli(*train, *SMALL, *DATA) == 0
    # an epoch of 12 people finds nobody: what 8 bits cost of that is chance
    convert = ("convert", run, "--to", "onnx", "--form", "int8", "--int8-loss", 100, "--out", out)
    assert cli(*convert, "--json", told) == 0
    return request.param, run, out, json.loads(told.read_text())


def test_the_graph_finds_torchs_joints_and_eight_bits_run(made, tmp_path):
    name, _, artifact, told = made
    away = told["parity_with_torch"]["distance"]
    # `convert` refuses above 0.05 pixels; on maps of one clear peak float32 sums leave far less
    assert away["float"]["p99_px"] < 2e-3 and np.isfinite(away["int8"]["max_px"])
    graph = open_artifact(artifact).graph("float")
    kinds = Counter(type(n) for n in graph.nodes.values())
    assert kinds[Conv2d] > 20 and (kinds[MaxPool2d], kinds[ConvTranspose2d], kinds[Repeat2d]) == (
        (1, 3, 0) if name == "resnet18" else (0, 0, 13)
    )
    assert cli("evaluate", artifact, "--split", "validation", "--json", tmp_path / "r.json") == 0
    judged = json.loads((tmp_path / "r.json").read_text())
    assert judged["form"] == "int8" and judged["pck"] == told["parity_with_torch"]["pck"]["int8"]


def test_weights_have_eight_bits_and_a_scale_a_channel(made):
    """Of transposed convolutions too: their channels are ONNX's second axis."""
    name, _, artifact, _ = made
    model = onnx.load(artifact / "pose.onnx").graph
    held = {w.name: numpy_helper.to_array(w) for w in model.initializer}
    by = {n.output[0]: n for n in model.node if n.op_type == "DequantizeLinear"}
    seen = Counter()
    for node in model.node:
        if node.op_type in ("Conv", "ConvTranspose") and not node.name.startswith("decode."):
            weight = by[node.input[1]]
            axis = 0 if node.op_type == "Conv" else 1
            assert held[weight.input[0]].dtype == np.int8
            assert held[weight.input[1]].shape == (held[weight.input[0]].shape[axis],)
            assert onnx.helper.get_node_attr_value(weight, "axis") == axis
            seen[node.op_type] += 1
    assert seen["Conv"] > 20 and seen["ConvTranspose"] == (3 if name == "resnet18" else 0)


def test_its_operations_are_those_that_torch_counting_finds(made):
    """Two counters, of a folded graph and of a module as it runs: MACs with and without padding, compares of
    ReLUs and of maxima, each to the last one. Norms are in the graph's weights."""
    _, run, artifact, _ = made
    graph = open_artifact(artifact).graph("float")
    x = np.random.default_rng(0).normal(size=(1, 1, 3, 64, 64)).astype(np.float32)
    mine = count(graph, {graph.input(): x})
    theirs = TorchCounter(load_model(run)[0]).count(torch.from_numpy(x[0, 0]))[1]
    assert not mine.uncounted and not theirs.uncounted
    for field in ("dense_mac", "dense_mac_inbounds", "residual_adds", "neuron_compares"):
        assert mine.total(field).tolist() == theirs.total(field).tolist(), field
    assert mine.total("dense_mac_inbounds")[0] > 10**7


def test_as_a_sigma_delta_network_they_are_refused_before_anybody_is_looked_at(
    made, tmp_path, monkeypatch, capsys
):
    name, run, *_ = made
    monkeypatch.setattr(arm, "DENSE", 1 << 16)  # the real limit is far above such a picture
    assert cli("convert", run, "--to", "sdnn", "--out", tmp_path / "out") == 4
    told = capsys.readouterr().err.splitlines()[-1]
    assert ("MaxPool2d is neither linear" if name == "resnet18" else "Repeat2d, composed with") in told
    assert not (tmp_path / "out").exists()
