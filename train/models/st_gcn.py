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
from train.models.clip_gcn import WIDTHS, ClipGCN, Clips, depths, residual, shortcut
from train.skeletons import adjacency


@dataclass(frozen=True, slots=True)
class STGCNConfig:
    """What it takes to build an ST-GCN. persons: seen together by the first norm and the head; a training run
    has one, its persons are folded into the batch and their scores averaged by the caller."""

    in_channels: int
    classes: int
    layout: str
    channels: tuple[int, ...] = WIDTHS
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
        self.shortcut = None if first else shortcut(c_in, c_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """The product with the graph, then the convolution over frames, each with its norm."""
        mixed = self.mix(x).unflatten(1, (len(self.A), -1))  # [N, K, C', F, V]
        y = torch.einsum("nkctv,kvw->nctw", mixed, self.A * self.importance)
        y = self.dropout(self.frames_norm(self.frames(F.relu(self.mix_norm(y)))))
        return residual(y, x, self.shortcut)


class STGCN(ClipGCN):
    """Every person has the norm of the input of its own."""

    def __init__(self, config: STGCNConfig) -> None:
        super().__init__()
        graph = torch.from_numpy(adjacency(config.layout))
        self.input_norm = ImageNorm(config.in_channels * graph.shape[1])
        self.blocks = nn.ModuleList(
            Block(a, b, config, graph, stride, first)
            for a, b, stride, first in depths(config.in_channels, config.channels)
        )
        self.head = nn.Conv2d(config.channels[-1], config.classes, 1)

    def scored(self, pooled: Tensor) -> Tensor:
        """By a convolution over one place, as published."""
        return self.head(pooled[..., None, None]).flatten(1)


def ntu60() -> nn.Module:
    """ST-GCN of NTU RGB+D 60: input 3x300x25x2."""
    return Clips(STGCN(STGCNConfig(3, 60, "ntu25", persons=2)))
