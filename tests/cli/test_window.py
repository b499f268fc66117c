"""Models with whole-window heads through the whole command line: the chip holds what is before the window,
the CPU what is behind it, and both together are the integer reference and its host part."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn

from cli import VERBS
from convert.artifact import open_artifact
from convert.ir import ShapeError
from train.fixed_maps import interpolation, wavelet_bands
from train.layers import ChannelMix, ChannelNorm, JointMean, StepConv, StepMap, StepMean
from train.models import registry
from train.neurons import IF, LIF, LeakyIntegrator
from verbs.group import Verbs, root
from verbs.running import load

STEPS = 8
SMALL = (
    "--dataset", "synthetic", "--frames", STEPS, "--epochs", 1, "--batch", 16, "--threads", 1,
    "--data-option", "train_per_class=8", "--data-option", "test_per_class=3",
)  # fmt: skip


@dataclass(frozen=True)
class WindowedConfig:
    in_channels: int
    classes: int
    layout: str
    head: str = "mean"
    backend: str = "house"


class Windowed(nn.Module):
    """Two spiking layers, then a head over the window: its mean, or coarse wavelet bands that spike."""

    def __init__(self, config: WindowedConfig) -> None:
        super().__init__()
        self.embed = nn.Sequential(ChannelMix(config.in_channels, 8), ChannelNorm(8), LIF())
        self.block = nn.Sequential(StepConv(8, 8, 3), ChannelNorm(8), LIF())
        mean = nn.Sequential(StepMean(), JointMean())
        bands = nn.Sequential(
            StepMap(wavelet_bands(STEPS, 1)[0][0]), ChannelMix(8, 8), IF(),
            StepMap(interpolation(STEPS, STEPS // 2)), JointMean(),
        )  # fmt: skip
        self.window = mean if config.head == "mean" else bands
        self.head = nn.Linear(8, config.classes)
        self.readout = LeakyIntegrator(read="mean")

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.head(self.window(self.block(self.embed(x)))))


@dataclass(frozen=True)
class Made:
    head: str
    lava: Path
    onnx: Path
    said: str  # what converting to lava printed
    covered: dict
    onnx_said: str


@pytest.fixture(scope="module", params=["mean", "wavelet"])
def made(request, tmp_path_factory):
    """A run of the model with each head, and both artifacts of it, made once."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.MODELS, "windowed", registry.Entry(WindowedConfig, Windowed))
        _said(
            "train", "--model", "windowed", "--out", folder / "run", *SMALL, "--set", f"head={request.param}"
        )
        said = _said("convert", folder / "run", "--to", "lava", "--out", folder / "lava",
                     "--json", folder / "lava.json")  # fmt: skip
        onnx_said = _said("convert", folder / "run", "--to", "onnx", "--out", folder / "onnx")
    covered = json.loads((folder / "lava.json").read_text())["coverage"]
    return Made(request.param, folder / "lava", folder / "onnx", said, covered, onnx_said)


def _said(*args):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert Verbs.run(root(VERBS), [str(a) for a in args]) == 0
    return out.getvalue()


def result(run, artifact, target, path, *more):
    got = run("simulate", artifact, "--target", target, "--limit", 8, "--json", path, *more)
    assert got.code == 0, got.err
    return json.loads(path.read_text())


def test_the_chip_holds_what_is_before_the_window(made):
    assert "needs the whole window" in made.said and "on the chip:" in made.said
    assert (made.lava / "host.npz").is_file()
    places = {n["node"]: n["place"] for n in made.covered["nodes"]}
    assert places["embed.0"] == places["block.2"] == "chip" and places["window.0"] == places["head"] == "cpu"
    for total in made.covered["totals"].values():
        assert 0.2 < total["share_on_chip"] < 1  # two weighted layers are on the chip, the others are not


def test_targets_agree_on_both_parts(run, made, tmp_path):
    want = result(run, made.lava, "reference", tmp_path / "reference.json", "--form", "integer")
    assert want["spikes"] > 100
    for target in ("loihi-sim", "onnx"):
        got = result(run, made.lava, target, tmp_path / f"{target}.json")
        assert got["predictions"] == want["predictions"]
        assert got["populations"] == want["populations"]


def test_verify_compares_spikes_and_the_results_of_the_cpu(run, made, tmp_path):
    path = tmp_path / "v.json"
    got = run("verify", made.lava, "--targets", "reference,onnx,loihi-sim", "--samples", 4, "--json", path)
    assert got.code == 0, got.err
    found = json.loads(path.read_text())["targets"]
    assert set(found) == {"reference", "onnx", "loihi-sim", "float"}
    for one in found.values():
        assert one["spikes"] > 100 and (one["values"] > 0 or not one["exact"])


def test_energy_counts_events_on_the_chip_and_dense_arithmetic_behind_it(run, made, tmp_path):
    got = run("energy-report", made.lava, "--cost-table", "horowitz45-fp32", "--out", tmp_path, "--limit", 3)
    assert got.code == 0, got.err
    assert "(cpu)" in got.out and "refused" not in got.out
    layers = json.loads((tmp_path / "summary.json").read_text())["layers"]
    away = [layer for layer in layers if layer.get("place") == "cpu"]
    assert {"window.0", "head"} <= {layer["name"] for layer in away}
    assert any(layer["totals"]["mac"] for layer in away)
    for layer in away:
        assert layer["totals"]["ac"] == layer["totals"]["sop_exact"] == 0


def test_energy_of_the_float_form_counts_every_node_in_its_own_steps(run, made, tmp_path):
    got = run("energy-report", made.onnx, "--cost-table", "horowitz45-fp32", "--out", tmp_path, "--limit", 2)
    assert got.code == 0, got.err
    layers = {layer["name"]: layer for layer in json.loads((tmp_path / "summary.json").read_text())["layers"]}
    assert layers["window.0"]["totals"]["sop_exact"] > 0 and "(cpu)" not in got.out
    steps = layers["readout"]["totals"]["neuron_steps"] / layers["embed.2"]["totals"]["neuron_steps"]
    assert steps == 12 / 160 * (1 / STEPS if made.head == "mean" else 1)  # sizes, and steps


def test_a_window_does_not_stream(run, made):
    """Neither the float model nor the chip's part of it: exit 4 with the reason, not half an answer."""
    for artifact, target in ((made.onnx, "onnx"), (made.lava, "onnx"), (made.lava, "loihi-sim")):
        got = run("simulate", artifact, "--target", target, "--stream", "--limit", 1)
        assert got.code == 4 and "window" in got.err and len(got.error_lines) == 1, got.err


def test_inspect_names_the_nodes_of_both_parts(run, made):
    got = run("inspect", made.lava)
    assert got.code == 0 and "on the CPU, behind the chip" in got.out
    assert [line for line in got.out.splitlines() if "window.0" in line and "needs the whole window" in line]


def test_the_scan_model_holds_the_window(run, made, tmp_path):
    """The float scan model agrees with the float reference: the same decision on nearly all samples (float32
    may move a spike). A step model cannot hold a window, and says so."""
    assert "no step.onnx: window.0 needs the whole window" in made.onnx_said
    names = {p.name for p in made.onnx.iterdir()}
    assert {"scan.onnx", "integer-scan.onnx", "integer-step.onnx", "host.npz"} <= names
    assert "step.onnx" not in names
    floats = [result(run, made.onnx, t, tmp_path / f"{t}.json") for t in ("onnx", "reference")]
    assert np.mean(np.equal(*(f["predictions"] for f in floats))) >= 0.85
    got = run("verify", made.onnx, "--targets", "reference,onnx", "--samples", 4)
    assert got.code == 0 and "onnx file" in got.out, got.err


@pytest.mark.parametrize(("target", "form"), [("loihi-sim", None), ("onnx", "float"), ("reference", "float")])
def test_a_window_of_another_length_is_named(made, target, form):
    loaded = load(open_artifact(made.lava if form is None else made.onnx), target, form)
    x = np.zeros((STEPS + 1, 2, *loaded.graph.shapes["input"]))
    if made.head == "mean":  # a mean takes any length
        assert loaded.runner.run(x).steps == STEPS + 1
    else:
        with pytest.raises(
            ShapeError, match=r"window.0: expected 8 steps, got 9; its matrix is for one"
        ) as got:
            loaded.runner.run(x)
        assert got.value.exit_code == 3


def test_training_on_windows_of_another_length_is_one_line(run, tmp_path, monkeypatch):
    monkeypatch.setitem(registry.MODELS, "windowed", registry.Entry(WindowedConfig, Windowed))
    got = run("train", "--model", "windowed", "--out", tmp_path / "run", *SMALL, "--frames", 10, "--set",
              "head=wavelet")  # fmt: skip
    assert got.code == 3 and len(got.error_lines) == 1
    assert "StepMap takes 8 steps, got 10; feed 8 or build it for 10" in got.err


def test_a_model_of_the_registry_is_on_the_chip_whole(run, trained, tmp_path):
    got = run("convert", trained, "--to", "lava", "--out", tmp_path / "lava", "--json", tmp_path / "c.json")
    assert got.code == 0
    totals = json.loads((tmp_path / "c.json").read_text())["coverage"]["totals"]
    assert totals["macs"]["share_on_chip"] == totals["synaptic_operations"]["share_on_chip"] == 1.0
    assert totals["synaptic_operations"]["chip"] > 1000
    assert "100 % of the synaptic operations" in got.out
    assert "100 % of the MACs" in run("inspect", tmp_path / "lava").out
    assert not (tmp_path / "lava" / "host.npz").exists()
