"""Base-SGN with spiking self-attention: binary everywhere, its equations, and the whole way to a program."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convert.from_torch import from_torch
from convert.ir import SpikeMatMul
from convert.passes.fold_batchnorm import FOLD_BATCHNORM
from convert.passes.lower import lower
from convert.passes.quantise import Quantise
from deploy.calibration import calibrate
from deploy.loihi_sim import LoihiSim
from deploy.reference import values
from train.models import registry

SETTINGS = {
    "in_channels": 3,
    "classes": 4,
    "layout": "kinect20",
    "channels": [8, 12],
    "heads": 4,
    "kernel": 2,
}


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = registry.build("base-sgn-attention", SETTINGS).eval()
    for name, p in made.named_parameters():
        if name.endswith(("_norm.bias", "norm.bias")):
            torch.nn.init.constant_(p, 0.3)  # an untrained network is nearly silent
    return made


def x():
    return torch.from_numpy(np.random.default_rng(0).normal(size=(6, 2, 3, 20)).astype(np.float32))


def test_the_attention_is_its_equation(model):
    attention = model.blocks[1]
    s = (torch.rand(5, 2, 8, 20) < 0.4).float()
    q, k, v = (
        getattr(attention, f"{n}_spike")(getattr(attention, f"{n}_norm")(getattr(attention, n)(s)))
        for n in ("query", "key", "value")
    )
    assert min(float(q.mean()), float(k.mean()), float(v.mean())) > 0, "vacuous case"
    q, k, v = (a.reshape(5, 2, 4, 2, 20) for a in (q, k, v))
    m = attention.map_spike(torch.einsum("tnhdi,tnhdj->tnhij", q, k))
    o = attention.mixed_spike(torch.einsum("tnhij,tnhdj->tnhdi", m, v) / 8).reshape(5, 2, 8, 20)
    want = attention.spike(attention.project_norm(attention.project(o)) + s)
    assert torch.equal(attention(s), want)
    assert set(want.unique().tolist()) <= {0.0, 1.0}


def test_it_trains(model):
    model.train()
    model(x()).square().mean().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), name


def test_it_reaches_the_simulator_with_the_same_spikes(model):
    graph = FOLD_BATCHNORM(from_torch(model, (3, 20)))
    assert sum(isinstance(n, SpikeMatMul) for n in graph.nodes.values()) == 4
    with torch.no_grad():
        want = model(x()).numpy()
    got = values(graph, x().numpy())["readout"][-1] / 6
    # float32 against float64: no spike moves here, so scores differ by sums of a few hundred roundings
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)
    integer = Quantise(calibrate(graph, x().numpy()))(graph)
    program = lower(integer)
    order = integer.spiking()
    spikes = values(integer, x().numpy())
    record = LoihiSim(1).compile(program).run(x().numpy(), order)
    assert all(spikes[n].any() for n in order if n.endswith("map_spike")), "vacuous case"
    for n in order:
        np.testing.assert_array_equal(record.rasters[n], spikes[n])
    np.testing.assert_array_equal(record.outputs["readout"], spikes["readout"][-1])


@pytest.mark.parametrize("heads", [0, 5, "4"])
def test_heads_divide_every_width(heads):
    with pytest.raises(ValueError, match=r"base-sgn-attention: heads = .* divisor of every width"):
        registry.build("base-sgn-attention", {**SETTINGS, "heads": heads})
