"""Backbones, heads, losses: shapes and sizes that were published, and values that can be written down."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from train.checkpoint import CheckpointError
from train.pose.backbones.registry import BACKBONES, backbone
from train.pose.backbones.small import Cells
from train.pose.losses import PoseObjective, encoded, heatmap_loss, offset_loss
from train.pose.ogn import OGN, OGNConfig
from train.pose.recipe import PoseRecipe
from train.pose.stepped import time_major
from train.pose.weights import load_weights


def size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_every_backbone_gives_a_quarter_of_the_size(name):
    with torch.device("meta"):  # shapes alone: nothing is drawn or computed
        made = backbone(name).eval()
        y = made(torch.zeros(1, 3, 64, 96))
    assert y.shape == (1, made.channels, 16, 24)


def test_resnets_are_as_large_as_published():
    """torchvision's counts less the classifier, 512 or 2048 x 1000 + 1000; SimpleBaseline's three
    deconvolutions of 4x4 to 256 channels, their norms, and a 1x1 to 17 maps: 33,999,697 in all for
    ResNet-50."""
    classifier = {"resnet18": 513_000, "resnet50": 2_049_000}
    for name, whole in (("resnet18", 11_689_512), ("resnet50", 25_557_032)):
        with torch.device("meta"):
            made = backbone(name)
        assert size(made) - size(made.deconv_layers) == whole - classifier[name]
    with torch.device("meta"):
        pose = OGN(OGNConfig(17, ("heatmap",), ("scalar",), "resnet50", hidden=0))
    assert size(pose) == 33_999_697


def test_hrnet_is_as_large_as_published():
    """28.5 million (the authors' table), the last 1x1 of 32 x 17 + 17 included."""
    with torch.device("meta"):
        pose = OGN(OGNConfig(17, ("heatmap",), ("scalar",), "hrnet-w32", hidden=0))
    assert size(pose) == 28_535_552 + 561
    assert size(pose.backbone.stage4) > size(pose.backbone.stage3) > size(pose.backbone.stage2)


def test_cells_are_made_of_channels():
    x = torch.arange(2 * 8 * 3 * 5.0).view(2, 8, 3, 5)
    y = Cells(2)(x)
    assert torch.equal(y, nn.functional.pixel_shuffle(x, 2))
    assert torch.equal(Cells(2, lead=2)(x[None]), y[None])


def test_the_time_major_copy_is_the_same_network():
    model = OGN(OGNConfig(5, backbone="tiny")).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):  # so that a norm is no identity
                module.running_mean.normal_()
                module.weight.uniform_(0.5, 1.5)
        x = torch.randn(2, 3, 32, 64)
        wanted, found = model(x), time_major(model)(x[None])
    assert [y.shape[1] for y in wanted] == [5, 10]
    for a, b in zip(wanted, found, strict=True):
        assert torch.equal(a, b[0])


def test_a_blank_heatmap_costs_one_and_an_offset_of_zero_about_one():
    codec = PoseRecipe(sigma=2.0, radius=4.0).build_codec()
    joints = torch.tensor([[[90.0, 130.0, 1.0], [50.0, 60.0, 1.0]]])
    targets = encoded(codec, joints)
    heat = targets["heatmap"]
    # A sum over cells for an integral: exact to 1e-6 for sigma of two cells.
    assert heatmap_loss(torch.zeros_like(heat), heat, targets["weight"], math.pi * 4) == pytest.approx(
        1, 1e-4
    )
    blank = torch.zeros_like(targets["offset"])
    cost = float(offset_loss(blank, targets["offset"], targets["offset_weight"]))
    assert 0.5 < cost < 1.5
    assert float(heatmap_loss(heat, heat, targets["weight"], 1.0)) == 0.0
    assert float(offset_loss(targets["offset"], targets["offset"], targets["offset_weight"])) == 0.0


def test_absent_joints_and_cells_off_the_disc_cost_nothing():
    codec = PoseRecipe().build_codec()
    targets = encoded(codec, torch.tensor([[[90.0, 130.0, 0.0], [-50.0, 60.0, 1.0]]]))
    wild = {name: torch.full_like(targets[name], 9.0) for name in ("heatmap", "offset")}
    model = OGN(OGNConfig(2, backbone="tiny"))
    loss, parts = PoseObjective(model, codec, 0.25).of_maps(wild, targets)
    assert float(loss) == 0.0 and set(parts) == {"heatmap", "offset"}


def test_the_huber_offset_loss_by_hand():
    """One cell, (1, 0.1) radii off: 4 beta (1 - beta/2 + 0.1^2/(2 beta)), beta = 1/4."""
    found, wanted = torch.zeros(1, 1, 2, 1, 1), torch.tensor([1.0, 0.1]).view(1, 1, 2, 1, 1)
    want = 4 * 0.25 * ((1 - 0.125) + 0.01 / 0.5)
    assert float(offset_loss(found, wanted, torch.ones(1, 1, 1, 1))) == pytest.approx(want, rel=1e-6)


def test_weights_from_a_file(tmp_path):
    torch.manual_seed(1)
    source, target = backbone("resnet18"), backbone("resnet18")
    kept = {f"backbone.{k}": v for k, v in source.state_dict().items() if not k.startswith("deconv")}
    path = tmp_path / "resnet18.safetensors"
    save_file({**kept, "backbone.fc.weight": torch.zeros(1000, 512)}, path)
    before = target.deconv_layers[0].weight.clone()
    assert load_weights(target, path) == (len(kept), 1)
    assert torch.equal(target.layer4[1].conv2.weight, source.layer4[1].conv2.weight)
    assert torch.equal(target.deconv_layers[0].weight, before)


@pytest.mark.parametrize("fault", ["missing", "lacking", "shape", "broken"])
def test_weights_that_do_not_fit_are_refused(tmp_path, fault):
    path = tmp_path / "w.safetensors"
    tensors = dict(backbone("tiny").state_dict())
    if fault == "lacking":
        del tensors["stem.0.0.weight"]
    if fault == "shape":
        tensors["stem.0.0.weight"] = torch.zeros(1)
    save_file(tensors, path)
    if fault == "broken":
        path.write_bytes(path.read_bytes()[:50])
    if fault == "missing":
        path.unlink()
    message = {"lacking": r"no tensor stem\.0\.0\.weight", "shape": "of shape", "missing": "no such file"}
    with pytest.raises(CheckpointError, match=message.get(fault, str(path))):
        load_weights(backbone("tiny"), path)


@pytest.mark.parametrize("values", [{"joints": 0}, {"hidden": -1}, {"kinds": ("scalar", "tensor")}])
def test_a_network_that_cannot_be_is_refused(values):
    with pytest.raises(ValueError, match="ogn"):
        OGNConfig(**values)
    with pytest.raises(ValueError, match="unknown backbone 'x'"):
        backbone("x")


def test_the_codec_names_the_heads():
    for name, heads in (
        ("offset", ["heatmap", "offset"]),
        ("heatmap", ["heatmap"]),
        ("udp", ["heatmap", "offset"]),
    ):
        codec = PoseRecipe(codec=name).build_codec()
        assert list(codec.heads) == heads
        targets = encoded(codec, torch.tensor([[[90.0, 130.0, 1.0]]]))
        assert all(np.isfinite(targets[h].numpy()).all() for h in heads)
