"""The multimodal GCN that teaches: real values, the class of 2s-AGCN and CTR-GCN, one network a modality.

    spatial    Z = relu(BN(sum_k W_k X (A_k + B_k)) + R(X))           k = 1..3 partitions of the skeleton
    temporal   H = relu(BN(W Z)), parted along its channels into H_0 .. H_D;  s the stride over frames
               U = relu(BN[conv_{K, d_1}(H_1), .., conv_{K, d_D}(H_D), conv_{1}(H_0)] + R'(Z))
    head       scores = W mean over joints and frames of X_10 + b;  the mean of the networks' scores

X [T, N, C, V, F]; A_k fixed, B_k learned; R, R' identity, or ConvBN where channels or frames change. Ten
blocks of 64, 64, 64, 64, 128, 128, 128, 256, 256, 256 channels, s = 2 where channels grow. The temporal
step has a dilated convolution over frames for each of D dilations, on C / (D + 1) channels each, and one of
a single frame: with K = 5 and D = 3 about two C^2 products a position, where a plain kernel of 9 has nine.
No max pooling: with ReLU behind every sum, everything else is linear and exact in a graph.

[our] reading of "multimodal GCN" (MK-SGN's abstract names no more): modalities are the parts of the stream,
three channels each, in its order; scores are averaged here, features (`stages`) by whoever reads them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.data.streams import COORDINATES
from train.frame_layers import FrameConv, FrameMean, frame_shortcut
from train.layers import ChannelMix, ChannelNorm, GraphConv, JointMean, shortcut
from train.models.base_sgn import count
from train.neurons import LeakyIntegrator
from train.skeletons import adjacency


@dataclass(frozen=True, slots=True)
class GCNTeacherConfig:
    """What it takes to build a teacher; in_channels are three a modality."""

    in_channels: int
    classes: int
    layout: str
    channels: tuple[int, ...] = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 3)
    dropout: float = 0.0

    def __post_init__(self) -> None:
        parts = len(self.dilations) + 1
        problems = [
            f"{name} = {getattr(self, name)!r} (expected {expected})"
            for name, legal, expected in (
                ("in_channels", count(self.in_channels) and self.in_channels % 3 == 0, "3 a modality"),
                ("classes", count(self.classes), "at least 1"),
                ("dilations", all(map(count, self.dilations)), "whole numbers from 1"),
                (
                    "channels",
                    bool(self.channels) and all(count(c) and c % parts == 0 for c in self.channels),
                    f"multiples of {parts}, one part a dilation and one more",
                ),
                ("kernel", count(self.kernel) and self.kernel % 2 == 1, "an odd number"),
                ("dropout", 0.0 <= self.dropout < 1.0, "0 <= dropout < 1"),
            )
            if not legal
        ]
        if problems:
            raise ValueError(f"gcn-teacher: {'; '.join(problems)}")

    @property
    def modalities(self) -> int:
        """Parts of the stream, a network each."""
        return self.in_channels // COORDINATES


class Temporal(nn.Module):
    """Dilated convolutions over frames and one of a single frame, side by side: frames F become F'."""

    def __init__(self, channels: int, config: GCNTeacherConfig, stride: int) -> None:
        super().__init__()
        self.width = channels // (len(config.dilations) + 1)
        self.mix, self.mix_norm, self.relu = ChannelMix(channels, channels), ChannelNorm(channels), nn.ReLU()
        shapes = [(1, 1), *((config.kernel, d) for d in config.dilations)]
        self.branches = nn.ModuleList(FrameConv(self.width, self.width, k, stride, d) for k, d in shapes)
        self.norm = ChannelNorm(channels)

    def forward(self, z: Tensor) -> Tensor:
        """Real values in and out, the sum's ReLU left to the caller."""
        h, w = self.relu(self.mix_norm(self.mix(z))), self.width
        parts = [branch(h[:, :, i * w : (i + 1) * w]) for i, branch in enumerate(self.branches)]
        return self.norm(torch.cat(parts, 2))


class Block(nn.Module):
    """One spatial and one temporal step, each with its residual: [T, N, C, V, F] -> [T, N, C', V, F']."""

    def __init__(self, c_in: int, c_out: int, config: GCNTeacherConfig, graph: Tensor, stride: int) -> None:
        super().__init__()
        self.graph = GraphConv(c_in, c_out, graph)
        self.graph_norm = ChannelNorm(c_out)
        self.residual = shortcut(c_in, c_out)
        self.graph_relu = nn.ReLU()
        self.temporal = Temporal(c_out, config, stride)
        self.shortcut = frame_shortcut(c_out, stride)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Real values in, values from 0 out."""
        z = self.graph_relu(self.graph_norm(self.graph(x)) + self.residual(x))
        return self.relu(self.temporal(z) + self.shortcut(z))


class Level(nn.ModuleList):
    """The blocks of one depth, one a modality. Takes and gives a tuple, [T, N, C, F, V] a modality."""

    def forward(self, xs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Each modality through its own block."""
        pairs = zip(self, xs, strict=True)
        return tuple(block(x.transpose(3, 4)).transpose(3, 4) for block, x in pairs)


class Head(nn.Module):
    """Scores of one modality: [T, N, C, F, V] -> [T, N, classes]."""

    def __init__(self, config: GCNTeacherConfig) -> None:
        super().__init__()
        self.frame_mean, self.joint_mean = FrameMean(), JointMean()
        self.dropout = nn.Dropout(config.dropout)
        self.scores = nn.Linear(config.channels[-1], config.classes)

    def forward(self, x: Tensor) -> Tensor:
        """W mean over joints and frames + b."""
        return self.scores(self.dropout(self.joint_mean(self.frame_mean(x.transpose(3, 4)))))


class GCNTeacher(nn.Module):
    """x [T, N, C, F, V] -> class scores [N, classes]. Persons are folded into N by the caller.

    Every step is alone: T = 1 says all there is, more repeat it.
    """

    def __init__(self, config: GCNTeacherConfig) -> None:
        super().__init__()
        graph = torch.from_numpy(adjacency(config.layout))
        self.modalities = config.modalities
        widths = list(zip((COORDINATES, *config.channels), config.channels, strict=False))
        self.levels = nn.ModuleList(
            Level(Block(a, b, config, graph, 2 if depth and b > a else 1) for _ in range(config.modalities))
            for depth, (a, b) in enumerate(widths)
        )
        self.heads = nn.ModuleList(Head(config) for _ in range(config.modalities))
        self.readout = LeakyIntegrator(dv=0.0, read="mean")

    @property
    def stages(self) -> tuple[str, ...]:
        """The levels, in the order of depth; each gives a tuple, [T, N, C, F, V] a modality."""
        return tuple(f"levels.{i}" for i in range(len(self.levels)))

    def forward(self, x: Tensor) -> Tensor:
        """x [T, N, 3 M, F, V] -> scores [N, classes]."""
        c = COORDINATES
        xs = tuple(x[:, :, i * c : (i + 1) * c] for i in range(self.modalities))
        for level in self.levels:
            xs = level(xs)
        scores = [head(y) for head, y in zip(self.heads, xs, strict=True)]
        total = scores[0]
        for more in scores[1:]:
            total = total + more
        return self.readout(total / self.modalities)
