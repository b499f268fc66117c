"""From torch to a `.net` that lava-dl's own netx loads: the same spikes as loihi-sim, layer by layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from convert.from_torch import from_torch
from convert.net_reader import read_net
from convert.passes.fold_batchnorm import FOLD_BATCHNORM
from convert.passes.lower import lower
from convert.passes.quantise import Quantise
from convert.to_lava import chain_reasons, write_net
from deploy.calibration import calibrate
from deploy.lava_sim import net_runner
from deploy.loihi_sim import LoihiSim
from deploy.reference import Reference
from train.neurons import LIF, CubaLIF
from train.stepwise import Stepwise

STEPS, SAMPLES = 24, 2


def dense_chain() -> tuple[nn.Module, tuple[int, ...]]:
    layers = nn.Sequential(
        nn.Linear(40, 32, bias=False), LIF(dv=0.25), nn.Linear(32, 10, bias=False), CubaLIF(du=0.5, dv=0.125)
    )
    return layers, (40,)


def conv_chain() -> tuple[nn.Module, tuple[int, ...]]:
    """Non-square image, kernel, stride and padding; convolution, then a flattened dense layer."""
    layers = nn.Sequential(
        Stepwise(nn.Conv2d(2, 6, (3, 2), stride=(2, 1), padding=(1, 0), bias=False)),
        LIF(dv=0.25),
        Stepwise(nn.Flatten()),
        nn.Linear(6 * 4 * 5, 9, bias=False),
        LIF(dv=0.5),
    )
    return layers, (2, 7, 6)


def chain(make):
    """The program of a chain with weights strong enough to fire, its integer graph, and input spikes."""
    torch.manual_seed(3)
    model, shape = make()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(2.5).add_(0.02)
    x = (np.random.default_rng(4).random((STEPS, SAMPLES, *shape)) < 0.3).astype(np.float64)
    graph = FOLD_BATCHNORM(from_torch(model, shape, operand="binary"))
    integer = Quantise(calibrate(graph, x))(graph)
    return lower(integer), integer, x


@pytest.mark.parametrize("make", [dense_chain, conv_chain])
def test_torch_chain_lowers_to_a_chain(make, tmp_path):
    """No reason against a .net; what is read back computes the same spikes; every layer fires."""
    program, integer, x = chain(make)
    assert chain_reasons(program) == []
    names = integer.spiking()
    want = Reference().compile(integer).run(x, names)
    got = LoihiSim().compile(program).run(x, names)
    write_net(tmp_path / "chain.net", program)
    back = read_net(tmp_path / "chain.net")
    again = LoihiSim().compile(back).run(x, back.neurons())
    for name, other in zip(names, back.neurons(), strict=True):
        assert want.counts[name].any(), "vacuous case"
        assert np.array_equal(want.rasters[name], got.rasters[name])
        flat = again.rasters[other].reshape(want.rasters[name].shape)
        assert np.array_equal(want.rasters[name], flat)


@pytest.mark.lava
@pytest.mark.parametrize("make", [dense_chain, conv_chain])
def test_netx_gives_the_spikes_of_loihi_sim(lava, make, tmp_path):
    program, integer, x = chain(make)
    names = integer.spiking()
    want = LoihiSim().compile(program).run(x, names)
    write_net(tmp_path / "chain.net", program)
    runner = net_runner(tmp_path / "chain.net")
    found = runner.program.neurons()
    got = runner.run(x, found)
    spikes = 0
    for name, other in zip(names, found, strict=True):
        flat = want.rasters[name].reshape(STEPS, SAMPLES, -1)
        assert np.array_equal(flat, got.rasters[other].reshape(STEPS, SAMPLES, -1))
        spikes += int(want.counts[name].sum())
    assert spikes > 100, "vacuous case"
