"""Mixed precision on a CPU, in place of a GPU: what is 16 bits, what stays float32, what a resume keeps."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from train import checkpoint
from train.config import TrainConfig
from train.data import registry as data
from train.data.clip import ClipSet
from train.data.transform import Recipe
from train.layers import ChannelMix, ChannelNorm, GraphConv, JointMap, StepConv
from train.limits import AMP
from train.loop import fit
from train.models import registry
from train.neurons import LIF, LeakyIntegrator
from train.objective import Objective
from train.precision import TYPES, Precision
from train.skeletons import layout
from train.terms import registry as terms
from train.trainer import Trainer

CPU = torch.device("cpu")
RECIPE = Recipe(frames=6)
CONFIG = {"model_settings": {"channels": [8, 8]}, "epochs": 2, "batch": 8, "threads": 1, "lr": 0.05}
MODEL = {"in_channels": 3, "classes": 4, "layout": "kinect20", "channels": [8, 12]}


@pytest.fixture(scope="module")
def clips() -> ClipSet:
    return data.load("synthetic", None, "train", train_per_class=3)


def test_names() -> None:
    assert tuple(TYPES) == AMP
    with pytest.raises(ValueError, match="amp = fp8"):
        TrainConfig(amp="fp8")


@pytest.mark.parametrize("name", ["base-sgn", "base-sgn-attention"])
@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_products_are_16_bits_and_what_remembers_is_float32(name: str, amp: str) -> None:
    model = registry.build(name, {**MODEL, **({"heads": 2} if name != "base-sgn" else {})})
    kinds: dict[str, tuple[torch.dtype, torch.dtype, torch.dtype]] = {}
    seen: list[torch.dtype] = []

    def note(layer: str, module: nn.Module, given: tuple, out: torch.Tensor) -> None:
        kinds[layer] = (type(module), given[0].dtype, out.dtype)

    for layer, module in model.named_modules():
        module.register_forward_hook(lambda m, a, o, layer=layer: note(layer, m, a, o))
    real = LIF.run
    LIF.run = lambda self, a, state=None: (r := real(self, a, state), seen.append(r[1].v.dtype))[0]
    try:
        with Precision(amp, CPU).forward():
            scores = model(torch.randn(5, 2, 3, 20))
    finally:
        LIF.run = real
    products = [out for kind, _, out in kinds.values() if kind in (ChannelMix, GraphConv, StepConv)]
    assert len(products) >= 5 and set(products) == {TYPES[amp]}
    assert {out for kind, _, out in kinds.values() if kind in (ChannelNorm, LIF, LeakyIntegrator)} == {
        torch.float32
    }
    assert len(seen) >= 5 and set(seen) == {torch.float32}, "a membrane of 16 bits"
    assert scores.dtype == torch.float32
    scores.sum().backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in model.parameters())


def test_a_layer_in_16_bits_is_near_the_one_in_float32() -> None:
    """bfloat16 keeps 8 bits: 2^-8 of a product, sums of 40 of them; gradients by the layer's own backward."""
    layer, x = StepConv(8, 8, 5), torch.randn(7, 3, 8, 4)
    found = []
    for amp in ("none", "bf16"):
        given = x.clone().requires_grad_()
        with Precision(amp, CPU).forward():
            y = layer(given).float()
        found.append([y, *torch.autograd.grad(y.square().sum(), [given, layer.weight])])
    for plain, mixed in zip(*found, strict=True):
        assert mixed.dtype == torch.float32
        assert 0 < (mixed - plain).abs().max() < 0.03 * plain.abs().max()


def test_fixed_maps_follow(amp: str = "bf16") -> None:
    with Precision(amp, CPU).forward():
        assert JointMap(torch.eye(4).numpy())(torch.ones(2, 1, 3, 4)).dtype == TYPES[amp]


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_it_trains_and_resumes_bit_identical(clips: ClipSet, tmp_path: Path, amp: str) -> None:
    class Interrupt(Exception):
        pass

    def stop(_: dict) -> None:
        raise Interrupt

    config = TrainConfig.from_dict({**CONFIG, "amp": amp})
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    fit(config, RECIPE, clips, whole, progress=False)
    with pytest.raises(Interrupt):
        fit(config, RECIPE, clips, parted, progress=False, on_epoch=stop)
    fit(config, RECIPE, clips, parted, progress=False, resume=True)
    ours, theirs = (checkpoint.load(run / "last.safetensors").tensors for run in (whole, parted))
    assert ours.keys() == theirs.keys() and all(torch.equal(x, theirs[k]) for k, x in ours.items())
    assert all(x.dtype != TYPES[amp] for x in ours.values()), "16 bits in a file"
    assert ("scaler.scale" in ours) == (amp == "fp16")
    rates = json.loads((whole / "log.jsonl").read_text().splitlines()[-1])["rates"]
    assert all(0 < rate < 1 for rate in rates.values()), "no spikes"


FORMS = {
    "signal-sgn": {"heads": 2, "levels": 1},
    "signal-sgn over time": {"heads": 2, "levels": 1, "fft_axis": "time", "wavelet": "legendre8", "steps": 0},
    "signal-sgn released": {"heads": 2, "levels": 1, "variant": "released"},
    "mk-sgn": {"heads": 2, "coding": 4},
    "gcn-teacher": {"kernel": 3},
    "ctr-gcn": {},
    "st-gcn": {},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_every_model_and_its_terms_train_in_16_bits(form: str, amp: str) -> None:
    """What learns of the labels and what compares clips, too: finite, float32, and all that learns learns."""
    name, frames = form.split()[0], 8
    repeat = registry.entry(name).recipe.get("repeat", 0)
    settings = MODEL | FORMS[form] | ({"frames": frames} if name == "signal-sgn" else {})
    model = registry.build(name, settings | ({"in_channels": 6} if name == "mk-sgn" else {}))
    c, labels = 6 if name == "mk-sgn" else 3, torch.tensor([0, 1, 0, 2])
    x = torch.randn(repeat, 4, c, frames, 20) if repeat else torch.randn(frames, 4, c, 20)
    config = TrainConfig(amp=amp, average=0.0, tfsm=1.0 if hasattr(model, "stages") else 0.0)
    setting = terms.Setting(model, x[:, :1], 4, layout("kinect20"))
    trainer = Trainer(Objective(model, terms.build(config, setting)).train(), config, 10)
    loss, scores, parts = trainer.update(x, labels)
    assert scores.dtype == torch.float32 and 0 < loss < 100 and all(v > 0 for v in parts.values())
    assert all(t.dtype != TYPES[amp] and t.isfinite().all() for t in trainer.tensors().values())


def test_an_overflow_leaves_the_weights_and_halves_the_scale() -> None:
    model = registry.build("base-sgn", MODEL)
    trainer = Trainer(Objective(model), TrainConfig(amp="fp16", average=0.0), 10)
    x, labels = torch.randn(5, 2, 3, 20), torch.tensor([0, 1])
    trainer.update(x, labels)
    before = [p.detach().clone() for p in model.parameters()]
    scale = trainer.precision.tensors()["scaler.scale"].item()
    model.head.weight.register_hook(lambda g: g * float("inf"))
    trainer.update(x, labels)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert trainer.precision.tensors()["scaler.scale"].item() == scale / 2
