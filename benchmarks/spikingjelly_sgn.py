"""Base-SGN written with SpikingJelly's modules, with the weights of one of ours. Imports SpikingJelly.

    step    every module but the norms runs step by step: SpikingJelly's single-step modules in a loop over T
    multi   SpikingJelly's multi-step modules: T folded into the batch, neurons loop over T inside

Base-SGN's batch norm is over steps, samples and joints, so that in training a step cannot leave a norm before
the last one has entered it: both forms call the multi-step norm, once a layer.

    v = v - v / tau + x,  tau = 1 / dv;   spike where v >= threshold;   v = 0 where s

Their neuron spikes on the threshold and ours above it: theirs gets the next float above ours.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from train.layers import ChannelMix, ChannelNorm, GraphConv, StepConv
from train.models.base_sgn import BaseSGN, Block
from train.neurons import LIF

MODES = {"step": "s", "multi": "m"}
NEURON = neuron.LIFNode


class Peer(nn.Module):
    """x [T, N, C, V] -> class scores [N, K], as `BaseSGN` gives them; starts from rest."""

    def __init__(self, ours: BaseSGN, mode: str) -> None:
        super().__init__()
        self.embed = nn.ModuleList([_mix(ours.embed, mode), _norm(ours.embed_norm)])
        self.embed_spike = _neuron(ours.embed_spike, mode)
        self.blocks = nn.ModuleList(_PeerBlock(block, mode) for block in ours.blocks)
        self.head = _linear(ours.head, mode)
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """x [T, N, C, V] -> scores [N, K]."""
        functional.reset_net(self)
        s = x
        for module in self.embed:
            s = _run(module, s)
        s = _run(self.embed_spike, s)
        for block in self.blocks:
            s = block(s)
        return _run(self.head, s.mean(3)).mean(0)


class _PeerBlock(nn.Module):
    """One block: [T, N, C, V] -> [T, N, C', V]."""

    def __init__(self, ours: Block, mode: str) -> None:
        super().__init__()
        self.graph, self.graph_norm = _PeerGraph(ours.graph, mode), _norm(ours.graph_norm)
        same = isinstance(ours.residual, nn.Identity)
        self.residual = nn.ModuleList([] if same else [_mix(ours.residual[0], mode), _norm(ours.residual[1])])
        self.graph_spike = _neuron(ours.graph_spike, mode)
        self.steps = (_PeerSteps if mode == "s" else _PeerSequence)(ours.steps)
        self.steps_norm = _norm(ours.steps_norm)
        self.steps_spike = _neuron(ours.steps_spike, mode)

    def forward(self, s: Tensor) -> Tensor:
        """Spikes in, spikes out."""
        around = s
        for module in self.residual:
            around = _run(module, around)
        z = _run(self.graph_spike, _run(self.graph_norm, _run(self.graph, s)) + around)
        return _run(self.steps_spike, _run(self.steps_norm, self.steps(z)) + z)


class _PeerGraph(nn.Module):
    """A graph convolution as ST-GCN writes it: a 1x1 convolution to K C' channels, then an einsum."""

    def __init__(self, ours: GraphConv, mode: str) -> None:
        super().__init__()
        k, c_out, c_in = ours.weight.shape
        self.conv = layer.Conv1d(c_in, k * c_out, 1, bias=False)
        self.conv.weight.data = ours.weight.data.reshape(k * c_out, c_in, 1).clone()
        self.register_buffer("A", ours.A.clone())
        self.B = nn.Parameter(ours.B.data.clone())
        self.step_mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, V] or [T, N, C, V] -> the same with C'."""
        folded = x.flatten(0, 1) if x.dim() == 4 else x
        y = self.conv(folded).unflatten(1, (len(self.A), -1))
        y = torch.einsum("nkcv,kvw->ncw", y, self.A + self.B)
        return y.view(*x.shape[:-2], *y.shape[1:])


class _PeerSequence(nn.Module):
    """The causal convolution over steps as one 2-d convolution of [N, C, T, V]."""

    def __init__(self, ours: StepConv) -> None:
        super().__init__()
        c_out, c_in, k = ours.weight.shape
        self.conv = nn.Conv2d(c_in, c_out, (k, 1), bias=False)
        self.conv.weight.data = ours.weight.data.flip(2)[..., None].clone()

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, C, V] -> [T, N, C', V]."""
        before = self.conv.kernel_size[0] - 1
        return self.conv(F.pad(x.permute(1, 2, 0, 3), (0, 0, before, 0))).permute(2, 0, 1, 3)


class _PeerSteps(nn.Module):
    """The same step by step: the last k steps side by side, a 1x1 convolution of them."""

    def __init__(self, ours: StepConv) -> None:
        super().__init__()
        c_out, c_in, self.k = ours.weight.shape
        self.conv = layer.Conv1d(c_in * self.k, c_out, 1, bias=False)
        self.conv.weight.data = ours.weight.data.permute(0, 2, 1).reshape(c_out, -1, 1).clone()

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, C, V] -> [T, N, C', V]."""
        last, out = [torch.zeros_like(x[0])] * self.k, []
        for x_t in x:
            last = [x_t, *last[:-1]]
            out.append(self.conv(torch.cat(last, 1)))
        return torch.stack(out)


def strict(net: nn.Module) -> nn.Module:
    """Of a float64 network: thresholds at the float64 above ours, where they were the float32 above it."""
    for module in net.modules():
        if isinstance(module, neuron.LIFNode):
            ours = np.nextafter(np.float32(module.v_threshold), np.float32(-np.inf))
            module.v_threshold = float(np.nextafter(np.float64(ours), np.inf))
    return net


def _run(module: nn.Module, x: Tensor) -> Tensor:
    """A multi-step module takes the window, a single-step one every step in a loop."""
    return module(x) if module.step_mode == "m" else functional.multi_step_forward(x, module)


def _mix(ours: ChannelMix, mode: str) -> nn.Module:
    made = layer.Conv1d(ours.weight.shape[1], ours.weight.shape[0], 1, bias=False, step_mode=mode)
    made.weight.data = ours.weight.data[..., None].clone()
    return made


def _norm(ours: ChannelNorm) -> nn.Module:
    made = layer.BatchNorm1d(ours.num_features, ours.eps, ours.momentum, step_mode="m")
    made.load_state_dict(ours.state_dict())
    return made


def _linear(ours: nn.Linear, mode: str) -> nn.Module:
    made = layer.Linear(ours.in_features, ours.out_features, step_mode=mode)
    made.load_state_dict(ours.state_dict())
    return made


def _neuron(ours: LIF, mode: str) -> nn.Module:
    above = float(np.nextafter(np.float32(ours.threshold), np.float32(np.inf)))
    return neuron.LIFNode(
        1.0 / ours.dv, False, above, 0.0, surrogate.Sigmoid(alpha=4.0), detach_reset=True, step_mode=mode
    )
