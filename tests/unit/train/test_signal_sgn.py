"""Signal-SGN: its linear layers against numpy, its blocks against their equations, its options."""

import numpy as np
import pytest
import torch

from convert.from_torch import from_torch
from convert.ir import Relu, WindowNode
from convert.passes.fold_batchnorm import FOLD_BATCHNORM
from convert.passes.partition import partition
from deploy.reference import Reference
from train import signal_layers as layers
from train.models import registry
from train.rates import firing_rates

SETTINGS = {
    "in_channels": 3,
    "classes": 4,
    "layout": "kinect20",
    "frames": 8,
    "channels": (8, 16),
    "heads": 4,
}


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape)


def model(**more):
    """In evaluation, with the statistics of one batch, so that spikes flow."""
    torch.manual_seed(0)
    net = registry.build("signal-sgn", {**SETTINGS, **more})
    for norm in net.modules():
        if isinstance(norm, torch.nn.BatchNorm1d):
            norm.momentum = 1.0
    with torch.no_grad():
        net(clip(16))
    return net.eval()


def clip(samples=4, frames=8, seed=1):
    return 2.0 * torch.randn(frames, samples, 3, 20, generator=torch.Generator().manual_seed(seed))


def test_a_convolution_over_joints_is_its_sum():
    """float32 sums of 12 products of size 1: 1e-5."""
    conv, x = layers.JointConv(4, 5, 3), draw(2, 3, 4, 7)
    got = conv(torch.tensor(x, dtype=torch.float32)).detach().numpy()
    w, padded = conv.weight.detach().double().numpy(), np.pad(x, ((0, 0), (0, 0), (0, 0), (1, 1)))
    want = sum(np.einsum("oc,tncv->tnov", w[k], padded[..., k : k + 7]) for k in range(3))
    np.testing.assert_allclose(got, want, atol=1e-5)
    as_graph = np.einsum("koc,tncv,kvw->tnow", w, x, conv.shifts(7))
    np.testing.assert_allclose(as_graph, want, atol=1e-12)
    with pytest.raises(ValueError, match="odd"):
        layers.JointConv(4, 5, 2)


def test_a_complex_convolution_of_the_windowed_spectrum():
    """Against numpy.fft and complex weights; 1e-5: float32 sums of 28 products of size 1."""
    fourier, mix, x = layers.JointFourier(7), layers.ComplexMix(4, 5), draw(2, 3, 4, 7)
    fourier.window.data = torch.linspace(0.5, 1.5, 7)
    spectrum = np.fft.fft(x * np.linspace(0.5, 1.5, 7)) / np.sqrt(7)
    weight = mix.real.detach().numpy() + 1j * mix.imaginary.detach().numpy()
    want = np.einsum("oc,tncv->tnov", weight, spectrum)
    got = mix(fourier(torch.tensor(x, dtype=torch.float32))).detach().numpy()
    np.testing.assert_allclose(got, np.concatenate([want.real, want.imag], axis=2), atol=1e-5)


def test_the_same_over_time_has_one_window_and_one_weight():
    from train.blocks.fsc import StepSpectrum

    net, x = StepSpectrum(4, 6), draw(6, 3, 4, 7)
    net.window.weight.data = torch.linspace(0.5, 1.5, 6)
    spectrum = np.fft.fft(x * np.linspace(0.5, 1.5, 6)[:, None, None, None], axis=0) / np.sqrt(6)
    weight = net.mix.real.detach().numpy() + 1j * net.mix.imaginary.detach().numpy()
    want = np.einsum("oc,tncv->tnov", weight, spectrum)
    got = net(torch.tensor(x, dtype=torch.float32)).detach().numpy()
    np.testing.assert_allclose(got, np.concatenate([want.real, want.imag], axis=2), atol=1e-5)
    assert {n for n, _ in net.named_parameters()} == {"window.weight", "mix.real", "mix.imaginary"}
    assert set(net.state_dict()) == {n for n, _ in net.named_parameters()}


OPTIONS = {
    "default": {},
    "paper's kernel": {"steps": 0},
    "merge by spikes": {"merge": "spikes"},
    "over time": {"fft_axis": "time"},
    "multiwavelet": {"wavelet": "legendre8"},
    "db2": {"wavelet": "db2", "levels": 2},
    "without fsc": {"frequency": False},
    "without the transform": {"spectrum": False},
    "without mwtf": {"wavelet": "none"},
    "without attention": {"heads": 0},
    "identity": {"graph": "identity"},
    "released": {"variant": "released"},
    "relu": {"activation": "relu"},
}


@pytest.mark.parametrize("name", list(OPTIONS))
def test_every_option_trains_and_fires(name):
    net = model(**OPTIONS[name]).train()
    with firing_rates(net) as rates:
        scores = net(clip())
    assert scores.shape == (4, 4)
    scores.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    found = {n: round(r, 4) for n, r in rates.per_layer().items() if not 0.0005 < r < 0.99}
    assert (len(rates.per_layer()) > 8 or name == "relu") and not found, "silent or always firing"


@pytest.mark.parametrize("name", list(OPTIONS))
def test_the_graph_is_the_model(name):
    """Float64 reference against float32 torch. A membrane near its threshold may part the two: scores of 12
    random clips stay within 1e-4 on most, and the decisions agree."""
    net = model(**OPTIONS[name])
    graph = FOLD_BATCHNORM(from_torch(net, (3, 20)))
    x = clip(12, seed=5)
    with torch.no_grad():
        want = net(x).numpy()
    record = Reference().compile(graph).run(x.numpy(), ())
    got = np.asarray(record.outputs[graph.outputs[0]]).reshape(12, -1)
    assert np.ptp(want) > 0.01, "vacuous: all scores alike"
    close = np.abs(got - want).max(1) < 1e-4
    assert close.mean() >= 0.5, np.abs(got - want).max(1)
    assert (got.argmax(1) == want.argmax(1)).mean() >= 0.9


@pytest.mark.parametrize(
    "name", ["default", "merge by spikes", "paper's kernel", "multiwavelet", "without mwtf"]
)
def test_all_before_the_window_is_on_the_chip(name):
    split = partition(FOLD_BATCHNORM(from_torch(model(**OPTIONS[name]), (3, 20))))
    on_cpu = set(split.reasons)
    assert {n for n in on_cpu if n.startswith(("embed", "blocks"))} == set()
    assert {n for n in split.chip.nodes if n.startswith("blocks")}
    assert any(isinstance(node, WindowNode) for node in split.host.nodes.values())


def test_the_twin_of_real_values_has_the_same_linear_maps():
    """ReLU for every neuron, and nothing else: what the energy of the spiking model is compared with."""
    ours, twin = (from_torch(model(activation=kind), (3, 20)) for kind in ("spike", "relu"))
    swapped = {n for n in ours.nodes if type(ours.nodes[n]) is not type(twin.nodes[n])}
    assert list(ours.nodes) == list(twin.nodes) and swapped == {*ours.spiking()}
    assert all(isinstance(twin.nodes[n], Relu) for n in swapped)


def test_over_time_the_window_begins_in_the_first_block():
    split = partition(FOLD_BATCHNORM(from_torch(model(fft_axis="time"), (3, 20))))
    assert "blocks.0.frequency.local_spike" in split.chip.nodes
    assert any(n.startswith("blocks.0.frequency.spectrum") for n in split.reasons)
    assert "blocks.1.spatial.spike" in split.reasons


def test_the_binary_model_multiplies_by_spikes_alone():
    """Between linear maps of a block only {0, 1} travel; the released form hands on sums."""
    seen = {}
    for kind in ("binary", "released"):
        net = model(variant=kind)
        values = seen.setdefault(kind, [])
        hooks = [
            m.register_forward_pre_hook(lambda _m, a, values=values: values.append(float(a[0].max())))
            for name, m in net.named_modules()
            if name.startswith("blocks") and name.endswith(("graph", "query", "project", "local"))
        ]
        with torch.no_grad():
            net(clip())
        for hook in hooks:
            hook.remove()
    assert set(seen["binary"]) == {1.0}
    assert max(seen["released"]) > 1.0


def test_released_starts_from_identity_and_ours_from_the_skeleton():
    released, ours = model(variant="released"), model()
    assert torch.equal(released.blocks[0].graph.A[1], torch.eye(20))
    assert not torch.equal(ours.blocks[0].spatial.graph.A[1], torch.eye(20))
    lengths = ours.blocks[0].spatial.graph.adjacency().norm(dim=1)
    edges = ours.blocks[0].spatial.graph.A.abs().sum(1) > 0
    assert torch.allclose(lengths[edges], torch.ones(int(edges.sum())), atol=1e-4)
    assert (lengths[~edges] < 0.06).all()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"frames": 10}, "do not fit 10 steps"), ({"variant": "nope"}, "binary or released"),
        ({"heads": 3}, "a divisor of every width"), ({"fft_axis": "space"}, "joint or time"),
        ({"wavelet": "bior2.2"}, "an orthogonal one"), ({"merge": "no"}, "currents or spikes"),
        ({"variant": "released", "fft_axis": "time"}, "the released form has none"),
        ({"variant": "released", "steps": 0}, "the released form has none"),
        ({"channels": ()}, "whole numbers"), ({"graph": "tree"}, "skeleton or identity"),
    ],
)  # fmt: skip
def test_settings_that_no_model_has(wrong, words):
    with pytest.raises(ValueError, match=words):
        registry.config("signal-sgn", {**SETTINGS, **wrong})
