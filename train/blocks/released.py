"""A block in the form of Signal-SGN's released code, for `--variant released`: to compare, not to deploy.

    Y = SN(BN(sum_k W_k S A_k)) + SN(BN(R S))                 {0, 1, 2}, handed on as it is
    O = SN_0.5(0.125 (Q K^T) W)                               one neuron behind both products
    H = SN(BN(conv(O))) + Y                                   0 to 3
    P = SN(BN(conv1d_3(H)))
    F = SN(BN(conv_r(Re G)) - BN(conv_i(Im G))),  G = FFT_joints(w P)
    out = SN(BN(conv(F))) + SN(BN(conv(F))) + H               F stands for the imaginary part as well

Sums of spikes and the product of counts are integers, so a linear map behind them multiplies: on a chip those
layers go to the CPU, and energy counts them as MACs. The code calls one neuron twice for F without a reset;
here its second call is a second layer, started from rest like every other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from train.blocks.attention import SelfAttention
from train.layers import ChannelMix, ChannelNorm, GraphConv
from train.signal_layers import JointConv, JointFourier, RealPart

if TYPE_CHECKING:
    from train.models.signal_sgn import SignalSGNConfig


class ReleasedBlock(nn.Module):
    """[T, N, C, V] spikes or sums of spikes -> [T, N, C', V] sums of spikes."""

    def __init__(self, c_in: int, c_out: int, config: SignalSGNConfig, graph: Tensor) -> None:
        super().__init__()
        neurons = config.neurons
        self.graph, self.graph_norm = GraphConv(c_in, c_out, graph, normalised=True), ChannelNorm(c_out)
        self.shortcut, self.shortcut_norm = ChannelMix(c_in, c_out), ChannelNorm(c_out)
        self.graph_spike, self.shortcut_spike = neurons.layer(), neurons.layer()
        self.attention = (
            SelfAttention(c_out, config.heads, neurons, released=True) if config.heads else nn.Identity()
        )
        self.frequency = _Frequency(c_out, graph.shape[1], config) if config.frequency else nn.Identity()

    def forward(self, s: Tensor) -> Tensor:
        """Spikes or their sums in, sums of spikes out."""
        graph = self.graph_spike(self.graph_norm(self.graph(s)))
        y = graph + self.shortcut_spike(self.shortcut_norm(self.shortcut(s)))
        return self.frequency(self.attention(y))


class _Frequency(nn.Module):
    """FSC as released: [T, N, C, V] -> [T, N, C, V]."""

    def __init__(self, channels: int, joints: int, config: SignalSGNConfig) -> None:
        super().__init__()
        neurons = config.neurons
        self.local, self.local_norm = JointConv(channels, channels), ChannelNorm(channels)
        self.local_spike = neurons.layer()
        self.fourier = JointFourier(joints)
        self.real, self.imaginary = RealPart(channels), RealPart(channels, imaginary=True)
        self.real_norm, self.imaginary_norm = ChannelNorm(channels), ChannelNorm(channels)
        self.real_spike, self.repeated_spike = neurons.layer(), neurons.layer()
        self.project, self.project_norm = ChannelMix(channels, channels), ChannelNorm(channels)
        self.repeated, self.repeated_norm = ChannelMix(channels, channels), ChannelNorm(channels)
        self.project_spike, self.last_spike = neurons.layer(), neurons.layer()

    def forward(self, s: Tensor) -> Tensor:
        """Sums of spikes in and out."""
        g = self.fourier(self.local_spike(self.local_norm(self.local(s))))
        f = self.real_norm(self.real(g)) + self.imaginary_norm(self.imaginary(g))
        real = self.project_spike(self.project_norm(self.project(self.real_spike(f))))
        repeated = self.last_spike(self.repeated_norm(self.repeated(self.repeated_spike(f))))
        return real + repeated + s
