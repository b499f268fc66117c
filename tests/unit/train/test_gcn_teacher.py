"""The teacher: its equations, its modalities, its graph, and every MAC counted a second time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from convert.from_torch import from_torch
from convert.ir import ChannelScale, Relu
from convert.passes.fold_batchnorm import FOLD_BATCHNORM
from deploy.reference import values
from energy.counts import count
from train.configuration import configuration, of_dataset
from train.data.errors import DataError
from train.frame_layers import FrameConv
from train.models import registry
from train.models.gcn_teacher import GCNTeacherConfig
from train.objective import tapped

SETTINGS = {"in_channels": 6, "classes": 4, "layout": "kinect20", "channels": (8, 8, 16), "kernel": 3}
FRAMES, JOINTS = 7, 20


@pytest.fixture
def model():
    """Small, two modalities, with running statistics that are not where they started."""
    torch.manual_seed(0)
    model = registry.build("gcn-teacher", SETTINGS)
    for _ in range(3):
        model(torch.randn(1, 6, 6, FRAMES, JOINTS))
    return model.eval()


def clip(samples=3, seed=1):
    return torch.randn(1, samples, 6, FRAMES, JOINTS, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kernel, stride, dilation", [(1, 1, 1), (1, 2, 1), (3, 1, 2), (5, 2, 1), (5, 2, 3)])
def test_a_convolution_over_frames_by_loops(kernel, stride, dilation):
    """Also few channels with stride 2, where torch's own convolution of kernel 1 writes beyond its memory."""
    layer, half = FrameConv(4, 3, kernel, stride, dilation), kernel // 2
    x = torch.randn(2, 3, 4, 5, FRAMES, dtype=torch.float32, requires_grad=True)
    y = layer(x)
    want = np.zeros((2, 3, 3, 5, -(-FRAMES // stride)))
    for f, k in itertools.product(range(want.shape[-1]), range(kernel)):
        at = stride * f + dilation * (k - half)
        if 0 <= at < FRAMES:
            w = layer.weight[:, :, k].detach().double().numpy()
            want[..., f] += np.einsum("oc,tncv->tnov", w, x[..., at].detach().double().numpy())
    # float32 sums of at most 20 products of size 1
    np.testing.assert_allclose(y.detach().numpy(), want, rtol=0, atol=1e-5)
    y.square().sum().backward()
    assert x.grad.abs().sum() > 0 and layer.weight.grad.abs().sum() > 0


def test_a_block_is_its_equations(model):
    """The last block, in which channels and frames change, in plain tensors [N, C, F, V]."""
    block, x = model.levels[2][0], torch.randn(1, 3, 8, JOINTS, FRAMES)
    got = block(x)[0].transpose(2, 3)
    x = x[0].transpose(2, 3)

    def norm(y, m):
        return F.batch_norm(y, m.running_mean, m.running_var, m.weight, m.bias, eps=m.eps)

    def mix(y, w):
        return torch.einsum("oc,ncfv->nofv", w, y)

    graph, temporal = block.graph, block.temporal
    y = torch.einsum("koc,ncfu,kuv->nofv", graph.weight, x, graph.A + graph.B)
    z = F.relu(norm(y, block.graph_norm) + norm(mix(x, block.residual[0].weight), block.residual[1]))
    parts = F.relu(norm(mix(z, temporal.mix.weight), temporal.mix_norm)).split(4, dim=1)
    assert [(b.weight.shape[2], b.dilation) for b in temporal.branches] == [(1, 1), (3, 1), (3, 2), (3, 3)]
    u = [
        F.conv2d(h, b.weight[..., None], stride=(2, 1), padding=(b.dilation * (b.weight.shape[2] // 2), 0),
                 dilation=(b.dilation, 1))
        for h, b in zip(parts, temporal.branches, strict=True)
    ]  # fmt: skip
    short = norm(mix(z[:, :, ::2], block.shortcut[0].weight[:, :, 0]), block.shortcut[1])
    want = F.relu(norm(torch.cat(u, 1), temporal.norm) + short)
    assert want.shape == (3, 16, 4, JOINTS) and 0.1 < (want > 0).float().mean() < 0.9, "vacuous case"
    # two orders of float32 sums of some hundred products
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_ten_levels_by_default():
    config = GCNTeacherConfig(12, 10, "kinect20")
    assert (config.channels, config.modalities) == ((*[64] * 4, *[128] * 3, *[256] * 3), 4)
    model = registry.build("gcn-teacher", {"in_channels": 3, "classes": 10, "layout": "kinect20"})
    assert model.stages == tuple(f"levels.{i}" for i in range(10))
    with torch.no_grad(), tapped(model, model.stages) as taps:
        assert model(torch.zeros(1, 2, 3, 16, JOINTS)).shape == (2, 10)
    assert [tuple(taps[name].shape[2:4]) for name in model.stages] == [
        *[(64, 16)] * 4, *[(128, 8)] * 3, *[(256, 4)] * 3,
    ]  # fmt: skip


def test_scores_and_features_are_means_over_networks_of_their_own(model):
    """Each modality through a teacher of one modality with its weights."""
    x, alone = clip(), []
    with torch.no_grad(), tapped(model, model.stages) as taps:
        scores = model(x)
    for m in range(2):
        one = registry.build("gcn-teacher", {**SETTINGS, "in_channels": 3}).eval()
        state = model.state_dict()
        one.load_state_dict({name: state[_of(name, m)] for name in one.state_dict()})
        with torch.no_grad(), tapped(one, one.stages) as own:
            alone.append((one(x[:, :, 3 * m : 3 * m + 3]), own))
    torch.testing.assert_close(scores, (alone[0][0] + alone[1][0]) / 2)
    for name in model.stages:
        torch.testing.assert_close(taps[name], (alone[0][1][name] + alone[1][1][name]) / 2)


def _of(name, m):
    """levels.<depth>.0.* or heads.0.* of one network as the name of modality m's in the whole."""
    parts = name.split(".")
    parts[2 if parts[0] == "levels" else 1] = str(m)
    return ".".join(parts)


def test_the_graph_is_the_model(model):
    graph = FOLD_BATCHNORM(from_torch(model, (6, FRAMES, JOINTS)))
    x = clip()
    with torch.no_grad():
        want = model(x).numpy()
    got = values(graph, x.numpy())[graph.outputs[0]][-1]
    assert np.ptp(want) > 0.05, "vacuous case"
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)  # float32 against float64, values of size 1
    kinds = [type(node) for node in graph.nodes.values()]
    assert kinds.count(Relu) == 2 * 3 * 3
    assert kinds.count(ChannelScale) == 1, "every norm is in the weights before it; the mean of two is left"


def conv_macs(c_in, c_out, kernel, stride, dilation, frames):
    """Taps inside the clip, one by one."""
    taps = sum(
        0 <= stride * f + dilation * (k - kernel // 2) < frames
        for f in range(-(-frames // stride))
        for k in range(kernel)
    )
    return c_in * c_out * JOINTS * taps


def test_every_mac_counted_again(model):
    """Real operands throughout: MACs alone, and as many as scalar loops over the equations find."""
    total, frames = 0, FRAMES
    for c_in, c_out, stride in ((3, 8, 1), (8, 8, 1), (8, 16, 2)):
        places = frames * JOINTS
        total += 3 * c_in * c_out * places + 3 * c_out * places * JOINTS  # W_k at each joint, then A_k
        total += c_in * c_out * places * (c_in != c_out)  # R
        total += c_out * c_out * places  # W of the temporal step
        part = c_out // 4
        total += conv_macs(part, part, 1, stride, 1, frames)
        total += sum(conv_macs(part, part, 3, stride, d, frames) for d in (1, 2, 3))
        total += conv_macs(c_out, c_out, 1, 2, 1, frames) * (stride == 2)  # R'
        frames = -(-frames // stride)
    total += 16 * 4  # head
    graph = FOLD_BATCHNORM(from_torch(model, (6, FRAMES, JOINTS)))
    x = clip(2).numpy()
    counts = count(graph, {"input": x})
    assert counts.total("mac").tolist() == [2 * total + 4] * 2  # two networks; the mean of 4 scores
    assert counts.total("ac").tolist() == [0, 0] and counts.uncounted == ()
    assert counts.by_class()["real"].tolist() == counts.total("mac").tolist()


def test_the_config_names_all_its_problems():
    with pytest.raises(ValueError, match=r"in_channels = 4 .*channels = \(6,\).*multiples of 4.*kernel = 2"):
        registry.config("gcn-teacher", {**SETTINGS, "in_channels": 4, "channels": (6,), "kernel": 2})
    with pytest.raises(ValueError, match="repeat"):
        registry.check_repeat("gcn-teacher", 0)


def test_a_configuration_sets_fields_of_its_model(tmp_path):
    ours = of_dataset("nw-ucla", {}, "gcn-teacher")
    assert ours.model == "gcn-teacher" and of_dataset("nw-ucla", {}, "base-sgn").model == ""
    known = {**SETTINGS, **ours.settings}
    assert registry.config("gcn-teacher", known).channels == tuple(ours.settings["channels"])
    path = tmp_path / "mine.toml"
    for text, words in (
        ('model = "gcn-teacher"\n[settings]\nclasses = 3', "unknown settings.classes"),
        ("[settings]\nkernel = 3", "unknown settings"),
        ('[train]\nteacher = "run"', "unknown train.teacher"),
    ):
        path.write_text(f'dataset = "nw-ucla"\n{text}\n')
        with pytest.raises(DataError, match=words):
            configuration(str(path))
