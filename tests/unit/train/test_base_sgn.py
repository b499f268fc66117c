"""Base-SGN: its equation, causality, and what a run may not depend on."""

import copy

import pytest
import torch

from train.layers import ChannelNorm
from train.models import registry
from train.rates import firing_rates

SETTINGS = {"in_channels": 6, "classes": 10, "layout": "kinect20", "channels": [8, 8, 16]}
T, N = 12, 4


@pytest.fixture
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    made = registry.build("base-sgn", SETTINGS)
    for norm in made.modules():
        if isinstance(norm, ChannelNorm):
            norm.momentum = 1.0  # one forward gives the running statistics that make spikes flow
    made(clip())
    return made.eval()


def clip() -> torch.Tensor:
    return torch.randn(T, N, 6, 20, generator=torch.Generator().manual_seed(5))


def test_spikes_flow_in_every_layer(model: torch.nn.Module) -> None:
    with firing_rates(model) as rates:
        scores = model(clip())
    assert scores.shape == (N, 10)
    assert len(rates.per_layer()) == 1 + 2 * 3
    assert all(0.01 < rate < 0.9 for rate in rates.per_layer().values())
    assert not model.embed_spike._forward_hooks, "a hook outlived its block"


def test_equation_of_a_block(model: torch.nn.Module) -> None:
    block = model.blocks[2]
    s = (torch.rand(T, N, 8, 20, generator=torch.Generator().manual_seed(1)) < 0.3).float()
    mix, norm = block.residual
    z = block.graph_spike(block.graph_norm(block.graph(s)) + norm(mix(s)))
    u = block.steps_spike(block.steps_norm(block.steps(z)) + z)
    assert u.sum() > 0, "vacuous case"
    assert torch.equal(block(s), u)


def test_inference_is_causal(model: torch.nn.Module) -> None:
    """Changing step t changes no spike before t."""
    x, changed = clip(), clip()
    changed[7:] += 1.0
    before, after = (model.blocks(model.embed_spike(model.embed_norm(model.embed(c)))) for c in (x, changed))
    assert torch.equal(before[:7], after[:7])
    assert not torch.equal(before[7:], after[7:]), "vacuous case"


def test_batch_entries_are_independent(model: torch.nn.Module) -> None:
    """Products of another size may round otherwise (1e-6 a sum) and a spike in thousands may
    flip."""
    together, alone = model(clip()), torch.cat([model(clip()[:, i : i + 1]) for i in range(N)])
    assert (together - alone).abs().max() < 0.02


def test_step_and_fused_backend_train_alike() -> None:
    """The same spikes; gradients to float32 rounding, 1e-4 of the largest entry of a layer."""
    torch.manual_seed(0)
    fused = registry.build("base-sgn", SETTINGS)
    step = registry.build("base-sgn", {**SETTINGS, "backend": "step"})
    step.load_state_dict(fused.state_dict())
    outs = [m(clip()) for m in (fused, step)]
    assert torch.equal(*outs)
    for out in outs:
        out.square().sum().backward()
    for (name, p), q in zip(fused.named_parameters(), step.parameters(), strict=True):
        assert p.grad.abs().max() > 0, f"vacuous case: {name}"
        assert (p.grad - q.grad).abs().max() <= 1e-4 * p.grad.abs().max(), name


def test_a_forward_leaves_no_trace(model: torch.nn.Module) -> None:
    state = copy.deepcopy(model.state_dict())
    assert torch.equal(model(clip()), model(clip()))
    assert all(torch.equal(x, state[name]) for name, x in model.state_dict().items())


def test_learned_decay_gets_a_gradient() -> None:
    torch.manual_seed(0)
    model = registry.build("base-sgn", {**SETTINGS, "learn_dv": True})
    model(clip()).square().sum().backward()
    assert model.embed_spike.dv.grad.abs() > 0
    assert model.embed_spike.dv.dim() == 0


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("nope", SETTINGS, "nope.*base-sgn"),
        ("base-sgn", {**SETTINGS, "depth": 3}, "depth.*channels"),
        ("base-sgn", {**SETTINGS, "layout": "nope"}, "nope.*ntu25"),
    ],
)
def test_refusals_name_what_was_found(name: str, values: dict, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        registry.build(name, values)
