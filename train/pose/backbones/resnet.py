"""ResNet-18 and ResNet-50 (He et al. 2015, the stride on the 3x3), and SimpleBaseline's three deconvolutions.

Parameters bear the names that torchvision gave them, so that weights from elsewhere load by name.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

STAGES = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}


def _conv(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def shortcut(c_in: int, c_out: int, stride: int) -> nn.Sequential | None:
    """What comes round a block: nothing, or a 1x1 convolution where the shape changes."""
    if stride == 1 and c_in == c_out:
        return None
    return nn.Sequential(_conv(c_in, c_out, 1, stride), nn.BatchNorm2d(c_out))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the input added."""

    expansion = 1

    def __init__(self, c_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(c_in, channels, 3, stride), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = _conv(channels, channels, 3), nn.BatchNorm2d(channels)
        self.downsample = shortcut(c_in, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C_in, H, W] -> [N, C, H/s, W/s]."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 to four times the channels, and the input added."""

    expansion = 4

    def __init__(self, c_in: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(c_in, channels, 1), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = _conv(channels, channels, 3, stride), nn.BatchNorm2d(channels)
        self.conv3, self.bn3 = _conv(channels, 4 * channels, 1), nn.BatchNorm2d(4 * channels)
        self.downsample = shortcut(c_in, 4 * channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C_in, H, W] -> [N, 4C, H/s, W/s]."""
        y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """[N, 3, H, W] -> [N, 256, H/4, W/4]; H and W are multiples of 32."""

    stride = 32
    channels = 256
    way_up = ("deconv_layers",)

    def __init__(self, depth: int) -> None:
        super().__init__()
        kind = BasicBlock if depth == 18 else Bottleneck
        self.widths = tuple((64 << number) * kind.expansion for number in range(4))
        self.conv1, self.bn1 = _conv(3, 64, 7, 2), nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        c_in = 64
        for number, blocks in enumerate(STAGES[depth]):
            layers = []
            for block in range(blocks):
                layers.append(kind(c_in, 64 << number, 2 if number and not block else 1))
                c_in = (64 << number) * kind.expansion
            setattr(self, f"layer{number + 1}", nn.Sequential(*layers))
        self.deconv_layers = nn.Sequential(*_deconvolutions(c_in, self.channels))

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] -> [N, 256, H/4, W/4]."""
        return self.deconv_layers(self.levels(x)[-1])

    def levels(self, x: Tensor) -> list[Tensor]:
        """[N, 3, H, W] -> maps of strides 4, 8, 16, 32 with `widths` channels."""
        found = [self.maxpool(F.relu(self.bn1(self.conv1(x))))]
        for number in range(1, 5):
            found.append(getattr(self, f"layer{number}")(found[-1]))
        return found[1:]


def _deconvolutions(c_in: int, channels: int) -> list[nn.Module]:
    """SimpleBaseline's: three times twice the size."""
    layers: list[nn.Module] = []
    for _ in range(3):
        deconv = nn.ConvTranspose2d(c_in, channels, 4, 2, 1, bias=False)
        nn.init.normal_(deconv.weight, std=0.001)
        layers += [deconv, nn.BatchNorm2d(channels), nn.ReLU()]
        c_in = channels
    return layers
