"""HRNet-W32 for poses (Sun et al. 2019): branches of stride 4 to 32 side by side, fused again and again.

Parameters bear the names of the authors' release, so that weights from elsewhere load by name. The last
module gives the branch of stride 4 alone.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from train.pose.backbones.resnet import BasicBlock, Bottleneck

MODULES = (1, 4, 3)  # of stages 2, 3 and 4
BLOCKS = 4  # of a branch, a module


def _conv_norm(c_in: int, c_out: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
    nn.init.normal_(conv.weight, std=0.001 if kernel == 1 else 0.01)
    return [conv, nn.BatchNorm2d(c_out)]


def _exchange(source: int, target: int, widths: list[int]) -> nn.Module:
    """Branch `source` as branch `target` takes it."""
    if source == target:
        return nn.Identity()
    if source > target:
        grown = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
        return nn.Sequential(*_conv_norm(widths[source], widths[target], 1), grown)
    narrow, wide = widths[source], widths[target]
    halvings = [
        nn.Sequential(*_conv_norm(narrow, narrow, 3, 2), nn.ReLU()) for _ in range(target - source - 1)
    ]
    return nn.Sequential(*halvings, nn.Sequential(*_conv_norm(narrow, wide, 3, 2)))


class Exchange(nn.Module):
    """Each branch four blocks further, then each the sum of all; `outputs` of them are given."""

    def __init__(self, widths: list[int], outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(c, c) for _ in range(BLOCKS))) for c in widths
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_exchange(j, i, widths) for j in range(len(widths))) for i in range(outputs)
        )

    def forward(self, xs: list[Tensor]) -> list[Tensor]:
        """Branches in, branches out."""
        xs = [branch(x) for branch, x in zip(self.branches, xs, strict=True)]
        rows = [[layer(x) for layer, x in zip(row, xs, strict=True)] for row in self.fuse_layers]
        return [F.relu(sum(row[1:], row[0])) for row in rows]


class HRNet(nn.Module):
    """[N, 3, H, W] -> [N, width, H/4, W/4]; H and W are multiples of 32."""

    stride = 32

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.channels = width
        widths = [width << i for i in range(4)]
        self.conv1, self.bn1 = _conv_norm(3, 64, 3, 2)
        self.conv2, self.bn2 = _conv_norm(64, 64, 3, 2)
        self.layer1 = nn.Sequential(Bottleneck(64, 64), *(Bottleneck(256, 64) for _ in range(3)))
        for stage, modules in enumerate(MODULES, 2):
            before = [256] if stage == 2 else widths[: stage - 1]
            setattr(self, f"transition{stage - 1}", _transition(before, widths[:stage]))
            last = 1 if stage == 4 else stage
            exchanges = [Exchange(widths[:stage], stage) for _ in range(modules - 1)]
            setattr(self, f"stage{stage}", nn.ModuleList([*exchanges, Exchange(widths[:stage], last)]))

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] -> [N, width, H/4, W/4]."""
        x = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        xs = [self.layer1(x)]
        for stage in range(2, 5):
            moves = getattr(self, f"transition{stage - 1}")
            sources = [*xs, *[xs[-1]] * (len(moves) - len(xs))]
            xs = [x if move is None else move(x) for move, x in zip(moves, sources, strict=True)]
            for module in getattr(self, f"stage{stage}"):
                xs = module(xs)
        return xs[0]


def _transition(before: list[int], after: list[int]) -> nn.ModuleList:
    """None where a branch goes on as it is; the new branch comes from the deepest there was."""
    moves: list[nn.Module | None] = []
    for i, width in enumerate(after):
        if i < len(before):
            same = before[i] == width
            moves.append(None if same else nn.Sequential(*_conv_norm(before[i], width, 3), nn.ReLU()))
        else:
            moves.append(nn.Sequential(nn.Sequential(*_conv_norm(before[-1], width, 3, 2), nn.ReLU())))
    return nn.ModuleList(moves)
