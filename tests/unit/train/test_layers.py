"""The linear leaves against their equations written with einsum, in float64."""

import numpy as np
import pytest
import torch
from torch import nn

from train.layers import ChannelMix, ChannelNorm, GraphConv, JointMean, StepConv
from train.skeletons import LAYOUTS, adjacency, layout

T, N, C, V, O = 7, 3, 4, 20, 5  # noqa: E741


def signal() -> torch.Tensor:
    return torch.randn(T, N, C, V, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def close(got: torch.Tensor, want: torch.Tensor) -> bool:
    """float64, sums of some hundred terms of order 1: 1e-12."""
    assert want.abs().max() > 0.1, "vacuous case"
    return got.shape == want.shape and bool((got - want).abs().max() < 1e-12)


def randomised(module: nn.Module) -> nn.Module:
    for p in module.parameters():
        nn.init.normal_(p)
    return module.double()


def test_channel_mix() -> None:
    m = randomised(ChannelMix(C, O, bias=True))
    want = torch.einsum("oc,tncv->tnov", m.weight, signal()) + m.bias[:, None]
    assert close(m(signal()), want)


def test_graph_conv() -> None:
    m = randomised(GraphConv(C, O, torch.from_numpy(adjacency("kinect20"))))
    want = torch.einsum("koc,tncv,kvw->tnow", m.weight, signal(), m.A + m.B)
    assert close(m(signal()), want)


def delayed(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """y_t = sum_k W_k x_{t-k}, term by term."""
    out = torch.zeros(len(x), x.shape[1], weight.shape[0], x.shape[3], dtype=x.dtype)
    for t in range(len(x)):
        for k in range(min(weight.shape[2], t + 1)):
            out[t] += torch.einsum("oc,ncv->nov", weight[:, :, k], x[t - k])
    return out


@pytest.mark.parametrize("steps", [1, 2, T])
def test_step_conv(steps: int) -> None:
    m, x = randomised(StepConv(C, O, 5)), signal()[:steps].requires_grad_()
    got, want = m(x), delayed(x, m.weight)
    assert close(got, want)
    slope = torch.randn_like(want)
    ours = torch.autograd.grad((got * slope).sum(), [x, m.weight])
    theirs = torch.autograd.grad((want * slope).sum(), [x, m.weight])
    assert all((a - b).abs().max() < 1e-11 for a, b in zip(ours, theirs, strict=True))


def test_channel_norm_is_torch_batch_norm_over_steps_and_joints() -> None:
    m, x = randomised(ChannelNorm(C)), signal()
    theirs = nn.BatchNorm1d(C).double()
    theirs.load_state_dict(m.state_dict())
    rows = x.permute(0, 1, 3, 2).reshape(-1, C)
    for train in (True, True, False):  # the second pass starts from the first's running statistics
        m.train(train), theirs.train(train)
        want = theirs(rows).view(T, N, V, C).transpose(2, 3)
        assert close(m(x), want)
    assert torch.equal(m.num_batches_tracked, theirs.num_batches_tracked)


def test_joint_mean() -> None:
    assert close(JointMean()(signal()), torch.einsum("tncv->tnc", signal()) / V)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_skeletons_are_trees(name: str) -> None:
    here = layout(name)
    assert len(here.edges) == here.size - 1
    for joint in range(here.size):
        seen = {joint}
        while (joint := here.parents[joint]) not in seen:
            seen.add(joint)
        assert joint == here.root
    for left, right in here.pairs:
        assert here.joints[left].replace("left", "right") == here.joints[right]
    assert sum("left" in joint for joint in here.joints) == len(here.pairs)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_adjacency_partitions(name: str) -> None:
    a, here = adjacency(name), layout(name)
    assert np.array_equal(a[0], np.eye(here.size))
    assert np.array_equal(a[1] > 0, (a[2] > 0).T)
    assert {(int(c), int(p)) for c, p in np.argwhere(a[1])} == set(here.edges)
    for part in a:  # column-normalised; float32 sums of at most 5 shares
        assert all(abs(s) < 1e-6 or abs(s - 1) < 1e-6 for s in part.sum(0))


def test_unknown_layout_is_named() -> None:
    with pytest.raises(ValueError, match=r"body17.*kinect20"):
        layout("body17")
