"""torch model to graph: the model's own outputs and spikes over many steps, refusals that name the module.

Weights, decays and thresholds are dyadic and inputs binary where spikes are compared: float32 then holds
every sum exactly, and torch and the float64 reference must agree in every value and spike, on thresholds too.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from convert import from_torch as module
from convert.from_torch import from_torch
from convert.ir import (
    Affine,
    AvgPool2d,
    BatchNorm,
    ChannelMix,
    ChannelScale,
    Conv2d,
    ConvTranspose2d,
    CubaLIF,
    Delay,
    GraphConv,
    JointMap,
    JointMean,
    LeakyIntegrator,
    MaxPool2d,
    Relu,
    Repeat2d,
    Reshape,
    StepConv,
    StepMap,
    StepMean,
    Unsupported,
)
from convert.passes.fold_batchnorm import FOLD_BATCHNORM
from deploy.reference import values
from train import frame_layers, layers, modality_fusion, neurons, signal_layers
from train.models.base_sgn import BaseSGN, BaseSGNConfig
from train.stepwise import Stepwise

STEPS, SAMPLES = 30, 4
ADJACENCY = torch.tensor([[[0, 1, 0], [1, 0, 0], [0, 0.5, 1]], [[1, 0, 0], [0, 1, 0.25], [0, 0, 1.0]]])


def dyadic(model, seed=0):
    """Parameters in eighths; running statistics of a batch norm whose gain is a power of two."""
    draw = torch.Generator().manual_seed(seed)
    for m in model.modules():
        for parameter in m.parameters(recurse=False):
            parameter.data = torch.randint(-4, 7, parameter.shape, generator=draw) / 8
        if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d):
            m.eps = 0.25
            m.running_var.fill_(3.75)  # var + eps = 4: the gain is gamma / 2
            m.running_mean.copy_(torch.randint(-4, 5, m.running_mean.shape, generator=draw) / 8)
    return model


def spikes(shape, seed=0, steps=STEPS):
    draw = np.random.default_rng(seed)
    return (draw.random((steps, SAMPLES, *shape)) < 0.4).astype(np.float32)


def torch_out(model, x):
    was = model.training
    model.eval()
    with torch.no_grad():
        out = model(torch.from_numpy(x))
    model.train(was)
    return out.numpy()


LINEAR = {
    "mix": (layers.ChannelMix(3, 5, bias=True), (3, 4), ChannelMix),
    "mix without bias": (layers.ChannelMix(3, 5), (3, 4), ChannelMix),
    "graph": (layers.GraphConv(4, 5, ADJACENCY), (4, 3), GraphConv),
    "graph over frames": (layers.GraphConv(4, 5, ADJACENCY), (4, 3, 2), GraphConv),
    "steps": (layers.StepConv(3, 4, 4), (3, 2), StepConv),
    "frames": (frame_layers.FrameConv(3, 4, 3), (3, 2, 5), Conv2d),
    "frames, every second": (frame_layers.FrameConv(3, 4, 5, 2), (3, 2, 5), Conv2d),
    "frame mean": (frame_layers.FrameMean(), (3, 2, 4), JointMean),
    "modalities": (frame_layers.ModalityMix(2, 3, 4), (6, 2, 3), Conv2d),
    "fusion": (modality_fusion.ModalityFusion(2, 3, 4, 5, 1.0), (6, 2, 3), ChannelMix),
    "channel norm": (layers.ChannelNorm(3), (3, 4), BatchNorm),
    "joint mean": (layers.JointMean(), (3, 4), JointMean),
    "relu": (nn.ReLU(), (3, 4), Relu),
    "joint map": (layers.JointMap(np.arange(24).reshape(2, 1, 3, 4) / 8 - 1), (3, 4), JointMap),
    "joint map, stacked": (layers.JointMap(np.arange(24).reshape(1, 2, 3, 4) / 8 - 1), (6, 4), JointMap),
    "step map": (layers.StepMap(np.arange(5 * STEPS).reshape(5, STEPS) / 8 - 2), (3, 4), StepMap),
    "step mean": (layers.StepMean(), (3, 4), StepMean),
    "joint conv": (signal_layers.JointConv(3, 4), (3, 5), GraphConv),
    "complex mix": (signal_layers.ComplexMix(3, 4), (6, 5), ChannelMix),
    "complex columns": (
        signal_layers.ComplexColumns(dyadic(signal_layers.ComplexMix(3, 4)), 1),
        (3, 5),
        ChannelMix,
    ),
    "real part": (signal_layers.RealPart(3, imaginary=True), (6, 5), ChannelMix),
    "fixed mix": (signal_layers.FixedMix(np.arange(12).reshape(4, 3) / 8), (3, 5), ChannelMix),
    "step map, not kept": (layers.StepMap(np.eye(STEPS)[::2], kept=False), (3, 4), StepMap),
    "joint sum": (signal_layers.JointSum(), (3, 4), JointMap),
    "gain": (signal_layers.Gain(0.375), (3,), ChannelScale),
    "joint fourier": (signal_layers.JointFourier(5), (3, 5), JointMap),
    "step fourier": (signal_layers.StepFourier(signal_layers.Window(STEPS), 1), (3, 4), StepMap),
    "linear": (nn.Linear(6, 5), (6,), Affine),
    "linear without bias": (nn.Linear(6, 5, bias=False), (6,), Affine),
    "linear in steps": (Stepwise(nn.Linear(6, 5)), (6,), Affine),
    "conv": (Stepwise(nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), groups=2)), (4, 7, 6), Conv2d),
    "conv of one number": (Stepwise(nn.Conv2d(2, 3, 3, padding=1, bias=False)), (2, 4, 5), Conv2d),
    "pool": (Stepwise(nn.AvgPool2d((2, 4), (2, 1))), (2, 5, 6), AvgPool2d),
    "pool of one number": (Stepwise(nn.AvgPool2d(2)), (2, 5, 6), AvgPool2d),
    "largest": (Stepwise(nn.MaxPool2d(3, 2, (1, 0))), (2, 5, 6), MaxPool2d),
    "transposed": (Stepwise(nn.ConvTranspose2d(4, 3, (4, 3), 2, 1, (0, 1))), (4, 3, 5), ConvTranspose2d),
    "transposed, no bias": (Stepwise(nn.ConvTranspose2d(4, 3, 2, 2, bias=False)), (4, 3, 5), ConvTranspose2d),
    "nearest": (Stepwise(nn.Upsample(scale_factor=2)), (2, 3, 4), Repeat2d),
    "nearest of two sides": (Stepwise(nn.Upsample(scale_factor=(1, 3))), (2, 3, 4), Repeat2d),
    "norm 2d": (Stepwise(nn.BatchNorm2d(3)), (3, 2, 4), BatchNorm),
    "norm 1d": (Stepwise(nn.BatchNorm1d(5)), (5,), BatchNorm),
    "norm, not affine": (Stepwise(nn.BatchNorm2d(3, affine=False)), (3, 2, 4), BatchNorm),
    "flatten": (nn.Flatten(2), (2, 3, 4), Reshape),
    "flatten in steps": (Stepwise(nn.Flatten()), (2, 3, 4), Reshape),
}
ROUNDED = {"step mean", "joint fourier", "step fourier"}
"""1/30, sines and cosines round in float32: up to 30 sums of 2^-24 each, of values up to 3."""


@pytest.mark.parametrize("kind", list(LINEAR))
def test_a_linear_layer_keeps_its_values(kind):
    """Exact: eighths times spikes, divided by powers of two; a mean over 4 joints or 8 pixels is one too."""
    layer, shape, node = LINEAR[kind]
    model = nn.Sequential(dyadic(layer))
    graph = from_torch(model, shape, "binary")
    assert type(graph.nodes[graph.outputs[0]]) is node
    x = spikes(shape)
    want, got = torch_out(model, x), values(graph, x)[graph.outputs[0]]
    assert want.any(), "vacuous case"
    if kind.startswith("graph"):  # its B is added to A in float32 by both; the rest is exact
        assert dyadic(layer).B.abs().max() > 0
    if kind in ROUNDED:
        np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-6)
        return
    np.testing.assert_array_equal(got, want)


SPIKING = {
    "lif": (lambda **k: neurons.LIF(0.25, 0.75, **k), "LIF"),
    "lif, learned": (lambda **k: neurons.LIF(0.5, learn_dv=True, **k), "LIF"),
    "cuba": (lambda **k: neurons.CubaLIF(0.5, 0.25, 1.25, **k), "CubaLIF"),
    "cuba with bias": (lambda **k: neurons.CubaLIF(0.5, 0.5, bias=0.125, **k), "CubaLIF"),
    "if": (lambda **k: neurons.IF(1.5, **k), "IF"),
}


@pytest.mark.parametrize("backend", ["house", "step"])
@pytest.mark.parametrize("kind", list(SPIKING))
def test_a_spiking_layer_keeps_every_spike(kind, backend):
    """12 steps of quarters: a state has at most 2 + 2 * 12 binary places between 2^-26 and 2^2, half of a
    leak a step; values that need more than float32's 24 are not met, since a spike forgets them."""
    make, node = SPIKING[kind]
    neuron = make(backend=backend)
    model = nn.Sequential(dyadic(nn.Linear(8, 16, bias=False), seed=3), neuron)
    graph = from_torch(model, (8,), "binary")
    assert type(graph.nodes["1"]).__name__ == node
    x = spikes((8,), steps=12)
    want, got = torch_out(model, x), values(graph, x)["1"]
    assert 0.05 < want.mean() < 0.95, "vacuous case"
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("read", neurons.LeakyIntegrator.READS)
def test_a_readout_keeps_its_values_and_says_how_it_is_read(read):
    """dv = 1/2 over 12 steps: 12 more binary places, exact in float32. How the model reads it is meta."""
    model = nn.Sequential(dyadic(nn.Linear(5, 3)), neurons.LeakyIntegrator(0.5, read))
    graph = from_torch(model, (5,), "binary")
    assert isinstance(graph.nodes["1"], LeakyIntegrator)
    assert graph.meta["read.1"] == read
    x = spikes((5,), steps=12)
    want, got = torch_out(model, x), values(graph, x)["1"]
    read_here = {"all": got, "last": got[-1], "mean": got[-1] / 12}[read]
    np.testing.assert_allclose(read_here, want, rtol=1e-6)  # the mean's division rounds in float32
    assert read == "mean" or np.array_equal(read_here, want)


@pytest.mark.parametrize("read", ["last", "mean"])
def test_a_readout_of_the_whole_run_cannot_be_read_on(read):
    """torch has no steps behind it, the graph would have: a mean would lose its division."""
    model = nn.Sequential(nn.Linear(5, 3), neurons.LeakyIntegrator(0.5, read), nn.Linear(3, 2))
    with pytest.raises(Unsupported, match=f"^1: gives one value of all steps .read '{read}'., 2 takes one"):
        from_torch(model, (5,), "binary")


class Residual(nn.Module):
    """Every way to add, layers shared by two users, moves that change nothing, two results."""

    def __init__(self):
        super().__init__()
        self.a, self.b = layers.ChannelMix(3, 4), layers.ChannelMix(3, 4)
        self.lif1, self.lif2 = neurons.LIF(), neurons.LIF(0.25)
        self.drop, self.same, self.head = nn.Dropout(0.5), nn.Identity(), nn.Linear(4, 2)
        self.mean, self.out = layers.JointMean(), neurons.LeakyIntegrator(0.0, "all")

    def forward(self, x):
        s = self.lif1(self.a(x) + self.b(x).contiguous())
        y = torch.add(self.same(s), s.clone())
        y += s
        z = self.lif2(self.drop(y).float())
        return self.out(self.head(self.mean(z))), z


def test_additions_moves_and_two_results():
    model = dyadic(Residual())
    graph = from_torch(model, (3, 4), "binary")
    assert graph.outputs == ("out", "lif2")
    assert sum(type(n).__name__ == "Add" for n in graph.nodes.values()) == 3
    x = spikes((3, 4))
    model.eval()
    out, z = (v.detach().numpy() for v in model(torch.from_numpy(x)))
    got = values(graph, x)
    assert z.any(), "vacuous case"
    np.testing.assert_array_equal(got["lif2"], z)
    np.testing.assert_array_equal(got["out"], out)


def test_dropout_and_identity_vanish():
    parts = (
        nn.Dropout(0.9),
        nn.Identity(),
        nn.Linear(2, 2),
        nn.Dropout(),
        Stepwise(nn.Dropout2d()),
        neurons.LIF(),
    )
    graph = from_torch(nn.Sequential(*parts), (2,))
    assert [type(n).__name__ for n in graph.nodes.values()] == ["Input", "Affine", "LIF"]
    assert graph.inputs_of("2") == ("input",)


def test_a_layer_used_twice_is_two_nodes_that_start_from_rest():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.lif = nn.Linear(4, 4), neurons.LIF()

        def forward(self, x):
            return self.lif(self.fc(self.lif(self.fc(x))))

    model = dyadic(Twice(), seed=1)
    graph = from_torch(model, (4,), "binary")
    assert len(graph.neurons()) == 2
    x = spikes((4,))
    want = torch_out(model, x)
    assert want.any(), "vacuous case"
    np.testing.assert_array_equal(values(graph, x)[graph.outputs[0]], want)


def test_a_users_handler_beats_the_default():
    """T2: it is tried first, for the type itself and inside a Stepwise; the built-in table is not touched."""
    before = dict(module.HANDLERS)
    mine = {nn.Linear: lambda name, m, shape: Delay(3), nn.Conv2d: lambda name, m, shape: Delay(2)}
    model = nn.Sequential(nn.Linear(2, 2), Stepwise(nn.Linear(2, 2)))
    graph = from_torch(model, (2,), handlers=mine)
    assert [n.steps for n in graph.nodes.values() if isinstance(n, Delay)] == [3, 3]
    assert before == module.HANDLERS
    assert isinstance(from_torch(model, (2,)).nodes["0"], Affine)


def test_a_user_handler_makes_an_unknown_module_known():
    class Mine(nn.Module):
        def forward(self, x):
            return x if bool((x > 0).all()) else x * 2  # could not be traced: a leaf is never entered

    graph = from_torch(nn.Sequential(Mine(), nn.Linear(2, 2)), (2,), handlers={Mine: lambda *_: None})
    assert list(graph.nodes) == ["input", "1"]


def test_the_model_is_left_as_it_was():
    """Mode of every module, and every value: also where modes are mixed (a frozen batch norm)."""
    model = nn.Sequential(layers.ChannelMix(3, 3), layers.ChannelNorm(3), nn.Dropout(), neurons.LIF()).train()
    model[1].eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    from_torch(model, (3, 4))
    assert [m.training for m in model] == [True, False, True, True]
    assert model.training
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    with pytest.raises(Unsupported):
        from_torch(nn.Sequential(model, nn.Sigmoid()), (3, 4))
    assert [m.training for m in model] == [True, False, True, True]


def test_every_handler_is_met_here():
    """Otherwise a new handler could come without a test of its values."""
    met = {type(m) for layer, _, _ in LINEAR.values() for m in layer.modules()}
    met |= {type(make()) for make, _ in SPIKING.values()}
    met |= {neurons.LeakyIntegrator, nn.Identity, nn.Dropout, nn.Dropout2d}
    assert set(signal_layers.MadeMix.__subclasses__()) <= met
    met |= {signal_layers.MadeMix}  # abstract: no module is one
    assert set(module.HANDLERS) <= met
    assert len(module.HANDLERS) >= 16


@pytest.fixture(scope="module")
def sgn():
    """A Base-SGN of few channels whose batch norms have seen data, so that every layer spikes."""
    torch.manual_seed(5)
    model = BaseSGN(BaseSGNConfig(3, 4, "kinect20", channels=(8, 8, 12), kernel=3, dropout=0.3))
    with torch.no_grad():
        model.train()
        for _ in range(30):
            model(torch.randn(8, 6, 3, 20))
        for m in model.modules():  # all away from their starting values
            if isinstance(m, layers.ChannelNorm):
                m.weight.uniform_(0.7, 1.3)
                m.bias.uniform_(-0.2, 0.4)
            if isinstance(m, layers.GraphConv):
                m.B.normal_(0, 0.05)
        model.eval()
        model.head.bias -= model(torch.from_numpy(clips())).mean(0)  # no class wins always
    return model


def clips():
    """[24, 8, 3, 20]: samples of different strength."""
    draw = np.random.default_rng(1)
    return (draw.normal(size=(24, 8, 3, 20)) * np.linspace(0.4, 2, 8)[:, None, None]).astype(np.float32)


@pytest.mark.parametrize("fold", [False, True], ids=["traced", "folded"])
def test_base_sgn(sgn, fold):
    """The whole model: torch computes in float32, the reference in float64, so a membrane within 1e-6 of its
    threshold may decide otherwise; such a flip moves a score by about weight / (joints T). With this seed
    nearly none occurs: every decision is equal and scores agree within 2 % of their spread.
    """
    graph = from_torch(sgn, (3, 20))
    if fold:
        graph = FOLD_BATCHNORM(graph)
    x = clips()
    want, got = torch_out(sgn, x), values(graph, x)
    assert all(0.02 < got[n].mean() < 0.9 for n in graph.spiking()), "vacuous case"
    assert len(graph.spiking()) == 7
    (name,) = graph.outputs
    assert graph.meta[f"read.{name}"] == "mean"
    scores = got[name][-1] / len(x)
    assert len(set(want.argmax(axis=1))) > 1, "vacuous case: one class for all"
    np.testing.assert_array_equal(scores.argmax(axis=1), want.argmax(axis=1))
    np.testing.assert_allclose(scores, want, rtol=0, atol=0.02 * np.ptp(want))


def test_base_sgn_names_and_bare_residuals(sgn):
    """Node names are the module names; a block of equal width adds its spikes without a weight."""
    graph = from_torch(sgn, (3, 20))
    assert {"embed", "blocks.0.graph", "blocks.2.residual.0", "head", "readout"} <= set(graph.nodes)
    (addition,) = (n for n, node, i in graph if type(node).__name__ == "Add" and "blocks.0.graph_norm" in i)
    assert graph.inputs_of(addition) == ("blocks.0.graph_norm", "embed_spike")
    assert isinstance(graph.nodes["blocks.0.graph"], GraphConv)
    assert not any(isinstance(n, CubaLIF) for n in graph.nodes.values())
