"""MK-SGN's student: shapes, equations, gradients and rates at the start, and the whole way to a program."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from convert.from_torch import from_torch
from convert.ir import Conv2d, ConvWeights, SpikeMatMul
from convert.passes.fold_batchnorm import FOLD_BATCHNORM
from convert.passes.lower import lower
from convert.passes.quantise import Quantise
from deploy.calibration import calibrate
from deploy.loihi_sim import LoihiSim
from deploy.reference import values
from energy.counts import count
from train.data import registry as data
from train.data.recipe import Recipe
from train.data.transform import augmented_batch, standardised
from train.frame_layers import FrameConv
from train.layers import ChannelNorm
from train.models import registry
from train.objective import Objective
from train.rates import firing_rates
from train.skeletons import layout

SETTINGS = {
    "in_channels": 12, "classes": 4, "layout": "kinect20", "channels": [6, 6, 8], "kernel": 3, "heads": 2,
    "head_width": 4, "coding": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def clips():
    """x [4, 16, 12, 8, 20] and labels of synthetic clips, as training sees them."""
    found = data.load("synthetic", None, "train", train_per_class=4, test_per_class=1)
    here = layout(found.layout)
    recipe = Recipe(frames=8, **{k: v for k, v in registry.entry("mk-sgn").recipe.items() if k != "frames"})
    recipe = standardised(found.clips, recipe, here, 0)
    x, labels = augmented_batch(found.clips, np.arange(16) * 2, recipe, here, 0, 1)
    return torch.from_numpy(x), torch.from_numpy(labels)


def fed(model, clips):
    """The model in evaluation, its running statistics those of these clips."""
    for m in model.modules():
        if isinstance(m, ChannelNorm):
            m.momentum = 1.0
    with torch.no_grad():
        Objective(model)(*clips)
    return model.eval()


@pytest.fixture(scope="module")
def model(clips):
    torch.manual_seed(0)
    return fed(registry.build("mk-sgn", {**SETTINGS, "classes": 10}), clips)


def test_shapes_and_stages(model, clips):
    x, _ = clips
    seen = {}
    hooks = [
        model.get_submodule(n).register_forward_hook(lambda _m, _a, out, n=n: seen.update({n: out.shape}))
        for n in model.stages
    ]
    assert model(x).shape == (16, 10)
    for hook in hooks:
        hook.remove()
    assert list(seen.values()) == [(4, 16, 6, 8, 20), (4, 16, 6, 8, 20), (4, 16, 8, 4, 20)]
    paper = registry.config("mk-sgn", {"in_channels": 12, "classes": 60, "layout": "ntu25"})
    assert paper.channels == (64, 64, 128, 128, 256, 256) and paper.kernel == 9
    assert registry.entry("mk-sgn").recipe["repeat"] == 4
    with torch.device("meta"):
        assert len(registry.build("mk-sgn", registry.to_dict(paper)).stages) == 6


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("frames", [1, 5, 8])
def test_frames_are_convolved_as_torch_does(frames, stride):
    layer = FrameConv(3, 4, 5, stride)
    x = torch.randn(2, 3, 3, 6, frames, requires_grad=True)
    y = layer(x)
    want = F.conv2d(x.flatten(0, 1), layer.weight[:, :, None], stride=(1, stride), padding=(0, 2))
    # float32: sums of fifteen products in another order
    torch.testing.assert_close(y.flatten(0, 1), want, rtol=1e-5, atol=1e-5)
    (g,) = torch.autograd.grad(y.square().sum(), x)
    (g_want,) = torch.autograd.grad(want.square().sum(), x)
    torch.testing.assert_close(g, g_want, rtol=1e-4, atol=1e-4)


def test_the_attention_is_its_equation(model):
    attention = model.blocks[1].attention
    s = (torch.rand(4, 2, 6, 20, 8) < 0.4).float()
    q, k, p = (
        getattr(attention, f"{n}_spike")(getattr(attention, f"{n}_norm")(getattr(attention, n)(at)))
        for n, at in (("query", s.mean(4)), ("key", s.mean(4)), ("value", s))
    )
    assert q.any() and k.any() and p.any(), "vacuous case"
    q, k, p = q.view(4, 2, 2, 4, 20), k.view(4, 2, 2, 4, 20), p.reshape(4, 2, 2, 4, 20, 8)
    m = attention.map_spike(torch.einsum("tnhdi,tnhdj->tnhij", q, k))
    o = attention.mixed_spike(torch.einsum("tnhij,tnhdjf->tnhdif", m, p) / 4).reshape(4, 2, 8, 20, 8)
    assert o.any(), "vacuous case"
    assert torch.equal(attention(s), o)


@pytest.mark.parametrize("off", [(), ("attention",), ("fusion",), ("attention", "fusion")])
def test_every_parameter_learns_and_no_layer_is_dead(clips, off):
    torch.manual_seed(1)
    made = registry.build("mk-sgn", {**SETTINGS, "classes": 10, **dict.fromkeys(off, False)})
    assert any("attention" in n for n, _ in made.named_parameters()) == ("attention" not in off)
    with firing_rates(made) as rates:
        loss, _, _ = Objective(made)(*clips)
    loss.backward()
    for name, p in made.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all() and p.grad.any(), name
    assert all(0.02 <= rate <= 0.5 for rate in rates.per_layer().values()), rates.per_layer()
    uniform = torch.full_like(made.fuse.gates, 0.25)
    assert torch.equal(made.fuse.gates, uniform) == ("fusion" in off)


def test_settings_are_refused_in_one_line():
    with pytest.raises(ValueError, match=r"mk-sgn: in_channels = 4 .*; kernel = 2"):
        registry.config("mk-sgn", {**SETTINGS, "in_channels": 4, "kernel": 2})
    with pytest.raises(ValueError, match="heads = 0"):
        registry.config("mk-sgn", {**SETTINGS, "heads": 0})


def test_gates_cost_nothing_at_inference(clips):
    torch.manual_seed(0)
    graphs = []
    for fused in (True, False):
        made = registry.build("mk-sgn", {**SETTINGS, "classes": 10, "fusion": fused})
        Objective(made)(*clips)
        graphs.append(FOLD_BATCHNORM(from_torch(made, (12, 8, 20))))
    gated, plain = graphs
    assert [(n, type(v)) for n, v in gated.nodes.items()] == [(n, type(v)) for n, v in plain.nodes.items()]
    assert gated.edges == plain.edges


@pytest.fixture(scope="module")
def small(clips):
    """A model, x [T, N, C, F, V] of four frames and two samples, and its folded and integer graphs."""
    torch.manual_seed(3)
    made = registry.build("mk-sgn", {**SETTINGS, "classes": 10, "channels": [4, 6]})
    x, labels = clips
    x = x[:, :, :, ::2]
    folded = FOLD_BATCHNORM(from_torch(fed(made, (x, labels)), (12, 4, 20)))
    return made, x.numpy(), folded, Quantise(calibrate(folded, x.numpy()))(folded)


def test_it_reaches_the_simulator_with_the_same_spikes(small):
    model, x, graph, integer = small
    assert sum(isinstance(n, SpikeMatMul) for n in graph.nodes.values()) == 4
    with torch.no_grad():
        want = model(torch.from_numpy(x)).numpy()
    got = values(graph, x)["readout"][-1] / len(x)
    # float32 against float64: where no spike moves, scores differ by sums of a few hundred roundings; of 16
    # samples a few may hold a membrane within rounding of its threshold
    assert np.median(np.abs(got - want).max(axis=1)) < 1e-5
    program = lower(integer)
    order = integer.spiking()
    spikes = values(integer, x)
    record = LoihiSim(1).compile(program).run(x, order)
    assert all(spikes[n].any() for n in order if n.endswith(("map_spike", "mixed_spike"))), "vacuous case"
    for n in order:
        assert np.array_equal(spikes[n], record.rasters[n]), n
    assert np.array_equal(spikes["readout"][-1], record.outputs["readout"])


def test_what_works_on_frames_is_shared(small):
    """No matrix of (C V F)^2: graph, frame and pooled projections hold kernels."""
    _, _, _, integer = small
    held = {(p.name.split(":")[1], type(p.weights)) for p in lower(integer).projections}
    for link in ("fuse_spike->blocks.0.graph_spike", "blocks.0.graph_spike->blocks.0.frames_spike",
                 "fuse_spike->blocks.0.attention.query_spike"):  # fmt: skip
        assert (link, ConvWeights) in held, link


def test_operations_are_counted_synapse_by_synapse(small):
    """Integer graph: each spike times the outputs its kernel joins it to, by brute force."""
    _, x, _, integer = small
    got = values(integer, x)
    counts = count(integer, {n: got[n] for n in (*integer.sources(), *integer.spiking())})
    for name in ("blocks.0.graph.joints", "blocks.0.frames", "blocks.0.attention.query.frames"):
        node, source = integer.nodes[name], integer.inputs_of(name)[0]
        assert isinstance(node, Conv2d)
        line, spikes = counts[name], got[source]
        taps, padding, stride = node.weight.shape[3], node.padding[1], node.stride[1]
        frames, out = spikes.shape[-1], integer.shapes[name][-1]
        reach = [sum(0 <= f + padding - i * stride < taps for i in range(out)) for f in range(frames)]
        want = (spikes.astype(np.int64) * (np.array(reach) * len(node.weight))).sum(axis=(0, 2, 3, 4))
        assert want.any(), "vacuous case"
        assert counts.of(line, "ac").tolist() == want.tolist(), name
        assert not counts.of(line, "mac").any()


def test_config_defaults_hold_for_every_field():
    plain = registry.config("mk-sgn", {"in_channels": 3, "classes": 2, "layout": "kinect20"})
    assert registry.config("mk-sgn", registry.to_dict(plain)) == plain
    assert dataclasses.replace(plain, attention=False) != plain
