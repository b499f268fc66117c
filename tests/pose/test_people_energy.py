"""Counts of a keypoint R-CNN: those of a run of it, watched layer by layer, and proposals one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from energy.line import repeated
from train.pose.rcnn.detector import Choice, PeopleDetector
from train.pose.rcnn.model import KeypointRCNN, KeypointRCNNConfig
from train.pose.rcnn.recipe import SceneRecipe
from verbs.people_energy import PeopleCounter

RECIPE = SceneRecipe(width=128, height=96, roi_width=48, roi_height=64)


@pytest.fixture(scope="module", params=["tiny", "resnet18"])
def detector(request):
    torch.manual_seed(0)
    config = KeypointRCNNConfig(
        backbone=request.param, channels=16, anchors=(0.0, 24.0, 48.0, 96.0), cells=3, hidden=16, depth=1
    )
    return PeopleDetector(KeypointRCNN(config).eval(), RECIPE)


def watched(detector, x, joints):
    """MACs of one run, padding included: outputs of each convolution and linear layer times its fan-in."""
    macs = {}

    def look(name):
        def hook(layer, inputs, out):
            fan_in = layer.weight[0].numel()
            assert not isinstance(layer, nn.ConvTranspose2d)
            macs[name] = macs.get(name, 0) + out.numel() * fan_in

        return hook

    layers = {n: m for n, m in detector.model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    handles = [layer.register_forward_hook(look(name)) for name, layer in layers.items()]
    found = detector.frames(x, Choice(least=0.0), joints)[0]
    for handle in handles:
        handle.remove()
    return macs, found


def test_macs_are_those_of_a_run_with_the_proposals_that_were_looked_at(detector):
    x = np.random.default_rng(1).normal(size=(1, 3, 96, 128)).astype(np.float32)
    macs, found = watched(detector, x, joints=False)
    assert found.proposals > 1 and not [n for n in macs if n.startswith("joint_head")]
    counts = PeopleCounter(detector).count(found.proposals)
    lines = {line.node: int(counts.of(line, "dense_mac")[0]) for line in counts.lines}
    assert {n: m for n, m in lines.items() if m} == macs
    for part in ("backbone.", "pyramid.across.", "pyramid.smooth.", "rpn.", "box_head."):
        assert any(name.startswith(part) for name in macs)
    assert not counts.uncounted and counts.samples == 1
    # every value is taken for non-zero, whatever the picture: no operation but those on padding is missing
    assert counts.total("mac").tolist() == counts.total("dense_mac_inbounds").tolist()


def test_each_proposal_costs_what_the_head_costs(detector):
    counter, config = PeopleCounter(detector), detector.model.config
    none, one, many = (counter.count(n) for n in (0, 1, 7))
    cells = config.channels * config.cells**2
    head = cells * config.hidden + config.hidden**2 + config.hidden * (2 + 4)
    assert none.total("mac")[0] > 0 and (one.total("mac") - none.total("mac")).tolist() == [head]
    for field in ("mac", "bias_adds", "neuron_adds", "neuron_multiplies", "neuron_compares"):
        once = one.total(field) - none.total(field)
        assert (many.total(field) - none.total(field)).tolist() == (7 * once).tolist()
        assert once[0] > 0 or field not in ("mac", "bias_adds", "neuron_compares")


def test_counts_repeated_keep_rates_and_multiply_the_rest(detector):
    one = PeopleCounter(detector).count(2)
    found = repeated(one, np.array([0, 1, 3]))
    assert found.samples == 3
    for line, before in zip(found.lines, one.lines, strict=True):
        for field, n in before.counts.items():
            assert line.counts[field].dtype == np.int64 and line.counts[field].tolist() == [0, n[0], 3 * n[0]]
        if before.measures is not None:
            assert line.measures["firing_rate"].tolist() == 3 * before.measures["firing_rate"].tolist()
            paper = before.measures["sop_paper"][0]
            assert line.measures["sop_paper"].tolist() == [0.0, paper, 3 * paper]
            assert line.classes.tolist() == 3 * before.classes.tolist()
        for field, n in (before.recounts or {}).items():
            assert math.isclose(line.recounts[field][2], 3 * n[0], rel_tol=1e-15)
