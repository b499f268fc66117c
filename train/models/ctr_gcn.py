"""CTR-GCN (Chen, Zhang, Yuan, Li, Deng and Hu, ICCV 2021): a topology of its own for every channel.

    x        BN over the coordinates of all joints of all persons
    CTR-GC   R = tanh(mean_f(phi X) - mean_f(psi X)^T)  [C_r, V, V];  A' = A_k + alpha (W_r R)   [C', V, V]
             Z = relu(BN(sum_k (W_k X) A'_k) + R_1(X))
    temporal U = [conv_{5,1}, conv_{5,2}, max_3, one frame], a quarter of the channels each, behind 1x1 convs
    block    relu(U + R_2(X))
    head     W mean over joints, frames and persons of X_10 + b

A_k [V, V] learned from the skeleton on; C_r = 8 from the coordinates, else C / 8; alpha learned from 0, one
for the K topologies of a block. Widths and strides as ST-GCN's. From the paper and its published figures:
1,446,672 parameters and 1,939,164,160 MACs for two persons of 64 frames (NTU RGB+D 60); 1,426,892 and
617,726,720 for one of 52 (NW-UCLA).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.image_layers import ImageNorm
from train.models.base_sgn import count
from train.models.clip_gcn import WIDTHS, ClipGCN, Clips, depths, residual, shortcut
from train.skeletons import adjacency

REDUCTION = 8


@dataclass(frozen=True, slots=True)
class CTRGCNConfig:
    """What it takes to build a CTR-GCN. persons: as `train.models.st_gcn.STGCNConfig`'s."""

    in_channels: int
    classes: int
    layout: str
    channels: tuple[int, ...] = WIDTHS
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2)
    dropout: float = 0.0
    persons: int = 1

    def __post_init__(self) -> None:
        parts = len(self.dilations) + 2
        wide = bool(self.channels) and all(
            count(c) and c % parts == 0 and c >= REDUCTION for c in self.channels
        )
        problems = [
            f"{name} = {getattr(self, name)!r} (expected {expected})"
            for name, legal, expected in (
                ("in_channels", count(self.in_channels), "at least 1"),
                ("classes", count(self.classes), "at least 1"),
                ("channels", wide, f"multiples of {parts} from {REDUCTION}"),
                ("dilations", all(map(count, self.dilations)), "whole numbers from 1"),
                ("kernel", count(self.kernel) and self.kernel % 2 == 1, "an odd number"),
                ("dropout", 0.0 <= self.dropout < 1.0, "0 <= dropout < 1"),
                ("persons", count(self.persons), "at least 1"),
            )
            if not legal
        ]
        if problems:
            raise ValueError(f"ctr-gcn: {'; '.join(problems)}")


class Topology(nn.Module):
    """One refined topology and the product with it: [N, C, F, V] -> [N, C', F, V]."""

    def __init__(self, c_in: int, c_out: int, raw: bool) -> None:
        super().__init__()
        inner = REDUCTION if raw else c_in // REDUCTION
        self.query, self.key = (nn.Conv2d(c_in, inner, 1) for _ in range(2))
        self.value, self.refine = nn.Conv2d(c_in, c_out, 1), nn.Conv2d(inner, c_out, 1)

    def forward(self, x: Tensor, shared: Tensor, alpha: Tensor) -> Tensor:
        """shared [V, V]: the topology that all channels start from."""
        q, k = self.query(x).mean(2), self.key(x).mean(2)
        own = self.refine(torch.tanh(q.unsqueeze(-1) - k.unsqueeze(-2)))  # [N, C', V, V]
        return torch.einsum("ncuv,nctv->nctu", alpha * own + shared, self.value(x))


class Spatial(nn.Module):
    """CTR-GC over K topologies, with norm and residual."""

    def __init__(self, c_in: int, c_out: int, graph: Tensor, raw: bool) -> None:
        super().__init__()
        self.shared = nn.Parameter(graph.transpose(1, 2).contiguous())
        self.alpha = nn.Parameter(torch.zeros(1))
        self.topologies = nn.ModuleList(Topology(c_in, c_out, raw) for _ in graph)
        self.norm = ImageNorm(c_out)
        nn.init.constant_(self.norm.weight, 1e-6)
        self.shortcut = shortcut(c_in, c_out)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, F, V] -> [N, C', F, V]."""
        parts = [t(x, a, self.alpha) for t, a in zip(self.topologies, self.shared, strict=True)]
        y = parts[0]
        for part in parts[1:]:
            y = y + part
        return residual(self.norm(y), x, self.shortcut)


def _branch(channels: int, width: int, *behind: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, width, 1), ImageNorm(width), nn.ReLU(), *behind)


class Temporal(nn.Module):
    """Convolutions of several dilations, a maximum and a single frame, side by side."""

    def __init__(self, channels: int, config: CTRGCNConfig, stride: int) -> None:
        super().__init__()
        width, k = channels // (len(config.dilations) + 2), config.kernel
        dilated = (
            _branch(
                channels, width,
                nn.Conv2d(width, width, (k, 1), (stride, 1), (d * (k // 2), 0), (d, 1)), ImageNorm(width),
            )
            for d in config.dilations
        )  # fmt: skip
        largest = nn.MaxPool2d((3, 1), (stride, 1), (1, 0))
        single = nn.Sequential(nn.Conv2d(channels, width, 1, (stride, 1)), ImageNorm(width))
        self.branches = nn.ModuleList((*dilated, _branch(channels, width, largest, ImageNorm(width)), single))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, F, V] -> [N, C, F', V]."""
        return torch.cat([branch(x) for branch in self.branches], 1)


class Block(nn.Module):
    """CTR-GC, then frames: [N, C, F, V] -> [N, C', F', V]."""

    def __init__(
        self, c_in: int, c_out: int, config: CTRGCNConfig, graph: Tensor, stride: int, first: bool
    ) -> None:
        super().__init__()
        self.spatial = Spatial(c_in, c_out, graph, first)
        self.temporal = Temporal(c_out, config, stride)
        self.shortcut = None if first else shortcut(c_in, c_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """The first block has no residual of its own."""
        return residual(self.temporal(self.spatial(x)), x, self.shortcut)


class CTRGCN(ClipGCN):
    """All persons have one norm of the input together."""

    def __init__(self, config: CTRGCNConfig) -> None:
        super().__init__()
        graph = torch.from_numpy(adjacency(config.layout))
        self.input_norm = ImageNorm(config.persons * config.in_channels * graph.shape[1])
        self.blocks = nn.ModuleList(
            Block(a, b, config, graph, stride, first)
            for a, b, stride, first in depths(config.in_channels, config.channels)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.channels[-1], config.classes)

    def scored(self, pooled: Tensor) -> Tensor:
        """Dropout, then one linear layer."""
        return self.head(self.dropout(pooled))


def ntu60() -> nn.Module:
    """CTR-GCN of NTU RGB+D 60: input 3x64x25x2."""
    return Clips(CTRGCN(CTRGCNConfig(3, 60, "ntu25", persons=2)))


def nw_ucla() -> nn.Module:
    """CTR-GCN of NW-UCLA: input 3x52x20x1."""
    return Clips(CTRGCN(CTRGCNConfig(3, 10, "kinect20")))
