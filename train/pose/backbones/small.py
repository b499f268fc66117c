"""A small network for CPUs: down to stride 32 and up again to stride 4, with sums across.

    stem      two 3x3 convolutions of stride 2: 3 -> c/2 -> c, stride 4
    down      stride 8, 16, 32 with 2c, 4c, 6c channels: a 3x3 convolution of stride 2, then bottlenecks
    up        from 32 to 16, 8 and 4: a 1x1 convolution whose channels become 2x2 cells, plus the way down, a
    block

Every layer is a convolution, a norm, a ReLU, a sum or a move of values, so that the same network becomes a
graph, integers and a sigma-delta network (docs/pose-training.md). Cells made of channels need no
interpolation: upsampling is one product, and linear.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


class ConvNorm(nn.Sequential):
    """A convolution without bias and its norm; odd kernels keep the size, a stride of 2 halves it."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        super().__init__(conv, nn.BatchNorm2d(c_out))


class Bottleneck(nn.Module):
    """relu(x + f(x)), f: 1x1 to half the channels, 3x3 there, 1x1 back. [N, C, H, W] -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = ConvNorm(channels, channels // 2, 1)
        self.mix = ConvNorm(channels // 2, channels // 2, 3)
        self.expand = ConvNorm(channels // 2, channels, 1)
        nn.init.zeros_(self.expand[1].weight)  # a block begins as the identity

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H, W]."""
        y = F.relu(self.mix(F.relu(self.reduce(x))))
        return F.relu(x + self.expand(y))


class Cells(nn.Module):
    """Channels become cells: y[c, 2i + a, 2j + b] = x[4c + 2a + b, i, j].

    lead: axes in front of the channels, 1 for [N, C, H, W], 2 for [T, N, C, H, W].
    """

    def __init__(self, channels: int, lead: int = 1) -> None:
        super().__init__()
        self.channels, self.lead = channels, lead

    def forward(self, x: Tensor) -> Tensor:
        """[..., 4C, H, W] -> [..., C, 2H, 2W]."""
        n = self.lead
        x = x.unflatten(n, (self.channels, 2, 2))  # [..., C, a, b, H, W]
        x = x.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
        return x.flatten(n + 3, n + 4).flatten(n + 1, n + 2)


class Rise(nn.Module):
    """Twice the size, the channels of the way down that joins it, and one block."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.widen = ConvNorm(c_in, 4 * c_out, 1)
        self.cells = Cells(c_out)
        self.block = Bottleneck(c_out)

    def forward(self, x: Tensor, across: Tensor) -> Tensor:
        """[N, C, H, W], [N, C', 2H, 2W] -> [N, C', 2H, 2W]."""
        return self.block(F.relu(self.cells(self.widen(x)) + across))


class Small(nn.Module):
    """[N, 3, H, W] -> [N, c, H/4, W/4]; H and W are multiples of 32."""

    stride = 32  # of the deepest maps: what sizes must divide by
    way_up = ("up",)  # what a pyramid of its own takes the place of

    def __init__(self, width: int = 32, blocks: tuple[int, ...] = (1, 2, 3, 3)) -> None:
        super().__init__()
        self.channels = width
        self.widths = wide = (width, 2 * width, 4 * width, 6 * width)
        self.stem = nn.Sequential(
            ConvNorm(3, width // 2, 3, 2), nn.ReLU(), ConvNorm(width // 2, width, 3, 2), nn.ReLU(),
            *(Bottleneck(width) for _ in range(blocks[0])),
        )  # fmt: skip
        self.down = nn.ModuleList(
            nn.Sequential(ConvNorm(a, b, 3, 2), nn.ReLU(), *(Bottleneck(b) for _ in range(n)))
            for (a, b), n in zip(pairwise(wide), blocks[1:], strict=True)
        )
        self.up = nn.ModuleList(Rise(a, b) for b, a in pairwise(wide))

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] -> [N, c, H/4, W/4]."""
        levels = self.levels(x)
        y = levels.pop()
        for step in list(self.up)[::-1]:
            y = step(y, levels.pop())
        return y

    def levels(self, x: Tensor) -> list[Tensor]:
        """[N, 3, H, W] -> the way down: maps of strides 4, 8, 16, 32 with `widths` channels."""
        found = [self.stem(x)]
        for step in self.down:
            found.append(step(found[-1]))
        return found
