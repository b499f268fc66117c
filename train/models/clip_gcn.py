"""What networks of whole clips have in common: ST-GCN's frame, of which CTR-GCN changes the blocks.

x      BN over the coordinates of all joints, of one person or of all together
y      ten blocks [N, C, F, V] -> [N, C', F', V]; frames halved where channels grow
head   scores of the mean over joints, frames and persons
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from train.image_layers import ImageNorm

WIDTHS = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)


class ClipGCN(nn.Module):
    """x [T, N, C, F, V] -> class scores [N, classes]; steps are alone and their scores averaged.

    `clips` takes all persons of a clip at once, as the published figures count it. A network adds what it
    has of its own: `input_norm`, of as many channels as it norms together, `blocks` and `scored`. It names
    no stages: its blocks' outputs are images, steps and persons folded together.
    """

    input_norm: ImageNorm
    blocks: nn.ModuleList

    def forward(self, x: Tensor) -> Tensor:
        """x [T, N, C, F, V] -> scores [N, classes]."""
        scores = self.clips(x.flatten(0, 1).unsqueeze(-1))
        return scores.unflatten(0, x.shape[:2]).mean(0)

    def clips(self, x: Tensor) -> Tensor:
        """x [N, C, F, V, M], M persons -> scores [N, classes]."""
        n, c, f, v, m = x.shape
        rows = x.permute(0, 4, 3, 1, 2).reshape(n, -1, self.input_norm.num_features, f)
        y = self.input_norm(rows.flatten(0, 1)).reshape(n * m, v, c, f).permute(0, 2, 3, 1)
        for block in self.blocks:
            y = block(y)
        return self.scored(y.mean((2, 3)).unflatten(0, (n, m)).mean(1))

    def scored(self, pooled: Tensor) -> Tensor:
        """pooled [N, C] -> scores [N, classes]."""
        raise NotImplementedError


class Clips(nn.Module):
    """A network of clips as it is published: x [N, C, F, V, M] -> scores. What `energy-report --torch`
    counts."""

    def __init__(self, network: ClipGCN) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """All persons of a clip at once."""
        return self.network.clips(x)


def depths(c_in: int, channels: tuple[int, ...]) -> Iterator[tuple[int, int, int, bool]]:
    """(channels in, channels out, stride over frames, whether it is the first) of each block."""
    for depth, (a, b) in enumerate(zip((c_in, *channels), channels, strict=False)):
        yield a, b, 2 if depth and b > a else 1, depth == 0


def shortcut(c_in: int, c_out: int, stride: int = 1) -> nn.Module:
    """The residual path [N, C, F, V] -> [N, C', F', V]: nothing where no shape changes."""
    if c_in == c_out and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(c_in, c_out, 1, (stride, 1)), ImageNorm(c_out))


def residual(y: Tensor, x: Tensor, path: nn.Module | None) -> Tensor:
    """relu(y + path(x)); the first block has no path."""
    return torch.relu(y if path is None else y + path(x))
