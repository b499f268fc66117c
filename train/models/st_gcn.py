"""ST-GCN (Yan, Xiong and Lin, AAAI 2018), the baseline that every skeleton network is compared with.

    x      BN over the coordinates of all joints
    block  Y = relu(BN(conv_{9, s}(relu(BN(sum_k (W_k X + b_k) (A_k * M_k))))) + R(X))
    head   W mean over joints, frames and persons of X_10 + b

X [N, C, F, V]; A_k fixed, M_k learned, one number an edge, of each block; R the identity, ConvBN where
channels or frames change, nothing in the first block. Ten blocks of 64, 64, 64, 64, 128, 128, 128, 256, 256,
256 channels, s = 2 where channels grow. From the paper and its published figures: 3,098,832 parameters on NTU
RGB+D 60, and 17,092,815,360 MACs for two persons of 300 frames.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.image_layers import ImageNorm
from train.models.base_sgn import count
from train.skeletons import adjacency


@dataclass(frozen=True, slots=True)
class STGCNConfig:
    """What it takes to build an ST-GCN. persons: seen together by the first norm and the head; a training run
    has one, its persons are folded into the batch and their scores averaged by the caller."""

    in_channels: int
    classes: int
    layout: str
    channels: tuple[int, ...] = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)
    kernel: int = 9
    dropout: float = 0.5
    persons: int = 1

    def __post_init__(self) -> None:
        problems = [
            f"{name} = {getattr(self, name)!r} (expected {expected})"
            for name, legal, expected in (
                ("in_channels", count(self.in_channels), "at least 1"),
                ("classes", count(self.classes), "at least 1"),
                ("channels", bool(self.channels) and all(map(count, self.channels)), "whole numbers from 1"),
                ("kernel", count(self.kernel) and self.kernel % 2 == 1, "an odd number"),
                ("dropout", 0.0 <= self.dropout < 1.0, "0 <= dropout < 1"),
                ("persons", count(self.persons), "at least 1"),
            )
            if not legal
        ]
        if problems:
            raise ValueError(f"st-gcn: {'; '.join(problems)}")


class Block(nn.Module):
    """One spatial and one temporal step: [N, C, F, V] -> [N, C', F', V]."""

    def __init__(
        self, c_in: int, c_out: int, config: STGCNConfig, graph: Tensor, stride: int, first: bool
    ) -> None:
        super().__init__()
        self.register_buffer("A", graph.clone(), persistent=False)
        self.importance = nn.Parameter(torch.ones_like(graph))
        self.mix = nn.Conv2d(c_in, c_out * len(graph), 1)
        self.mix_norm = ImageNorm(c_out)
        self.frames = nn.Conv2d(
            c_out, c_out, (config.kernel, 1), (stride, 1), (config.kernel // 2, 0)
        )  # fmt: skip
        self.frames_norm = ImageNorm(c_out)
        self.dropout = nn.Dropout(config.dropout)
        self.first = first
        same = c_in == c_out and stride == 1
        self.shortcut = (
            nn.Identity()
            if same or first
            else nn.Sequential(nn.Conv2d(c_in, c_out, 1, (stride, 1)), ImageNorm(c_out))
        )

    def forward(self, x: Tensor) -> Tensor:
        """The product with the graph, then the convolution over frames, each with its norm."""
        mixed = self.mix(x).unflatten(1, (len(self.A), -1))  # [N, K, C', F, V]
        y = torch.einsum("nkctv,kvw->nctw", mixed, self.A * self.importance)
        y = self.dropout(self.frames_norm(self.frames(F.relu(self.mix_norm(y)))))
        return F.relu(y if self.first else y + self.shortcut(x))


class STGCN(nn.Module):
    """x [T, N, C, F, V] -> class scores [N, classes]; steps are alone and their scores averaged.

    `clips` takes all persons of a clip at once, as the published figures count it.
    """

    def __init__(self, config: STGCNConfig) -> None:
        super().__init__()
        graph = torch.from_numpy(adjacency(config.layout))
        self.input_norm = ImageNorm(config.in_channels * graph.shape[1])
        widths = list(zip((config.in_channels, *config.channels), config.channels, strict=False))
        self.blocks = nn.ModuleList(
            Block(a, b, config, graph, 2 if depth and b > a else 1, depth == 0)
            for depth, (a, b) in enumerate(widths)
        )
        self.head = nn.Conv2d(config.channels[-1], config.classes, 1)

    @property
    def stages(self) -> tuple[str, ...]:
        """The blocks, in the order of depth."""
        return tuple(f"blocks.{i}" for i in range(len(self.blocks)))

    def forward(self, x: Tensor) -> Tensor:
        """x [T, N, C, F, V] -> scores [N, classes]."""
        scores = self.clips(x.flatten(0, 1).unsqueeze(-1))
        return scores.unflatten(0, x.shape[:2]).mean(0)

    def clips(self, x: Tensor) -> Tensor:
        """x [N, C, F, V, M], M persons -> scores [N, classes]."""
        n, c, f, v, m = x.shape
        rows = x.permute(0, 4, 3, 1, 2).reshape(n * m, v * c, f)
        y = self.input_norm(rows).reshape(n * m, v, c, f).permute(0, 2, 3, 1)
        for block in self.blocks:
            y = block(y)
        pooled = y.mean((2, 3), keepdim=True).unflatten(0, (n, m)).mean(1)
        return self.head(pooled).flatten(1)


class Clips(nn.Module):
    """A network of clips as it is published: x [N, C, F, V, M] -> scores. What `energy-report --torch`
    counts."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """All persons of a clip at once."""
        return self.network.clips(x)


def ntu60() -> nn.Module:
    """ST-GCN of NTU RGB+D 60: input 3x300x25x2."""
    return Clips(STGCN(STGCNConfig(3, 60, "ntu25", persons=2)))
