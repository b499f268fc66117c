"""MK-SGN's student: multimodal fusion, graph convolution with global attention, convolution over frames.

    SSC     S_m = SN(BN(W_m X_m))                         of each modality m, the clip shown T steps
    SMF     S_0 = SN(BN(W (g . [S_1 .. S_M])))            gates g by mutual information: train.modality_fusion
    SA-SGC  Z = SN( BN(sum_k W_k S (A_k + B_k)) + BN(W_a O) + R(S) )
            Q, K = SN(BN(W mean_f S))  [h, d, V];  P = SN(BN(W S))  [h, d, V, F]
            M = SN_0.5(Q^T K)  [h, V, V];          O = SN_0.5(0.25 M P)  [h d, V, F]
    STC     U = SN( BN(conv_f(Z)) + R'(Z) )               over frames, kernel 9; stride 2 where channels grow
    head    scores = mean over steps of (W mean over joints and frames of S + b)

S [T, N, C, V, F] spikes; R, R' identity, or ConvBN where channels or frames change. Blocks give and take
[T, N, C, F, V].

What the abstract names and leaves open is our reading. M is binary and one for the whole clip: Q and K are of
spikes averaged over frames. S M itself would be C V V F coincidences a step; here M meets P, h d channels
of S (16 by default, whatever C), attention's value, so that it is h d V V F. A neuron behind the product
and a residual in front of the neuron keep everything between two linear maps binary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.blocks.neuron import BRANCH_GAIN
from train.data.streams import COORDINATES
from train.frame_layers import FrameConv, FrameMean, ModalityMix, frame_shortcut
from train.layers import ChannelMix, ChannelNorm, GraphConv, JointMean, shortcut
from train.modality_fusion import ModalityFusion
from train.models.base_sgn import BaseSGNConfig, count
from train.neurons import LeakyIntegrator
from train.skeletons import adjacency

SCALE = 0.25  # of M P, fixed


@dataclass(frozen=True, slots=True)
class MKSGNConfig(BaseSGNConfig):
    """A Base-SGN's, and MK-SGN's own.

    coding      channels of an SSC, 0: as many as the first block
    heads       h, attention heads         head_width   d, channels of a head
    attention   False: SA-SGC is Base-SGN's graph convolution
    fusion      False: SMF weighs all modalities alike
    threshold   0.7: a spike that comes round a branch passes at once (train.models.signal_sgn)
    sharpness   factor of relevance minus redundancy [1/nat] in the softmax of the gates
    """

    channels: tuple[int, ...] = (64, 64, 128, 128, 256, 256)
    kernel: int = 9
    coding: int = 0
    heads: int = 4
    head_width: int = 4
    attention: bool = True
    fusion: bool = True
    threshold: float = 0.7
    sharpness: float = 20.0

    def __post_init__(self) -> None:
        BaseSGNConfig.__post_init__(self)
        problems = [
            f"{name} = {getattr(self, name)!r} (expected {expected})"
            for name, legal, expected in (
                ("in_channels", self.in_channels % COORDINATES == 0, f"{COORDINATES} a modality"),
                ("kernel", self.kernel % 2 == 1, "an odd number"),
                ("coding", self.coding == 0 or count(self.coding), "a whole number from 0"),
                ("heads", count(self.heads), "a whole number from 1"),
                ("head_width", count(self.head_width), "a whole number from 1"),
                ("sharpness", self.sharpness >= 0, "0 or more"),
            )
            if not legal
        ]
        if problems:
            raise ValueError(f"mk-sgn: {'; '.join(problems)}")


class Attention(nn.Module):
    """Global spiking attention over joints: spikes [T, N, C, V, F] -> spikes O [T, N, h d, V, F]."""

    def __init__(self, channels: int, config: MKSGNConfig) -> None:
        super().__init__()
        self.heads, inner = config.heads, config.heads * config.head_width
        self.frame_mean = FrameMean()
        self.query, self.key, self.value = (ChannelMix(channels, inner) for _ in range(3))
        self.query_norm, self.key_norm, self.value_norm = (ChannelNorm(inner) for _ in range(3))
        self.query_spike, self.key_spike, self.value_spike = (config.neurons.layer() for _ in range(3))
        self.map_spike = config.neurons.counting()
        self.mixed_spike = config.neurons.counting()

    def forward(self, s: Tensor) -> Tensor:
        """Spikes in, spikes out."""
        pooled = self.frame_mean(s)
        q = self.query_spike(self.query_norm(self.query(pooled))).unflatten(2, (self.heads, -1))
        k = self.key_spike(self.key_norm(self.key(pooled))).unflatten(2, (self.heads, -1))
        m = self.map_spike(torch.matmul(q.transpose(-1, -2), k))  # [T, N, h, V, V]
        p = self.value_spike(self.value_norm(self.value(s))).unflatten(2, (self.heads, -1))
        rows = p.permute(0, 1, 2, 4, 5, 3).flatten(4, 5)  # [T, N, h, V, F d]
        o = self.mixed_spike(SCALE * torch.matmul(m, rows))
        return o.unflatten(4, (s.shape[4], -1)).permute(0, 1, 2, 5, 3, 4).flatten(2, 3)


class Block(nn.Module):
    """SA-SGC and STC, each with its residual: [T, N, C, F, V] -> [T, N, C', F', V]."""

    def __init__(self, c_in: int, c_out: int, config: MKSGNConfig, graph: Tensor) -> None:
        super().__init__()
        stride = 2 if c_out > c_in else 1
        self.graph = GraphConv(c_in, c_out, graph)
        self.graph_norm = ChannelNorm(c_out, BRANCH_GAIN if c_in == c_out else 1.0)
        self.residual = shortcut(c_in, c_out)
        self.attention = Attention(c_in, config) if config.attention else None
        if config.attention:
            self.project = ChannelMix(config.heads * config.head_width, c_out)
            self.project_norm = ChannelNorm(c_out, BRANCH_GAIN)
        self.graph_spike = config.neurons.layer()
        self.frames = FrameConv(c_out, c_out, config.kernel, stride)
        self.frames_norm = ChannelNorm(c_out, BRANCH_GAIN if stride == 1 else 1.0)
        self.shortcut = frame_shortcut(c_out, stride)
        self.frames_spike = config.neurons.layer()

    def forward(self, s: Tensor) -> Tensor:
        """Spikes in, spikes out."""
        s = s.transpose(3, 4)
        z = self.graph_norm(self.graph(s)) + self.residual(s)
        if self.attention is not None:
            z = z + self.project_norm(self.project(self.attention(s)))
        z = self.graph_spike(z)
        u = self.frames_spike(self.frames_norm(self.frames(z)) + self.shortcut(z))
        return u.transpose(3, 4)


class MKSGN(nn.Module):
    """x [T, N, C, F, V] -> class scores [N, classes]. Persons are folded into N by the caller."""

    def __init__(self, config: MKSGNConfig) -> None:
        super().__init__()
        graph = torch.from_numpy(adjacency(config.layout))
        modalities, first = config.in_channels // COORDINATES, config.channels[0]
        coding = config.coding or first
        self.code = ModalityMix(modalities, COORDINATES, coding)
        self.code_norm = ChannelNorm(modalities * coding)
        self.code_spike = config.neurons.layer()
        self.fuse = ModalityFusion(modalities, coding, first, config.classes, config.sharpness, config.fusion)
        self.fuse_norm = ChannelNorm(first)
        self.fuse_spike = config.neurons.layer()
        widths = zip((first, *config.channels), config.channels, strict=False)
        self.blocks = nn.Sequential(*(Block(a, b, config, graph) for a, b in widths))
        self.frame_mean = FrameMean()
        self.joint_mean = JointMean()
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.channels[-1], config.classes)
        self.readout = LeakyIntegrator(dv=0.0, read="mean")

    @property
    def stages(self) -> tuple[str, ...]:
        """The blocks, in the order of depth."""
        return tuple(f"blocks.{i}" for i in range(len(self.blocks)))

    def forward(self, x: Tensor) -> Tensor:
        """x [T, N, C, F, V] -> scores [N, classes]."""
        s = self.code_spike(self.code_norm(self.code(x.transpose(3, 4))))
        s = self.fuse_spike(self.fuse_norm(self.fuse(s)))
        s = self.blocks(s.transpose(3, 4)).transpose(3, 4)
        return self.readout(self.head(self.dropout(self.joint_mean(self.frame_mean(s)))))
