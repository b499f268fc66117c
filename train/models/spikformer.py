"""Spikformer (Zhou et al., ICLR 2023) and Spikingformer (Zhou et al., 2023): spiking transformers of images.

    patches   four convolutions 3x3 of C/8, C/4, C/2, C channels, each with norm and neurons, `pools` of them
              halved by a maximum; position: one more convolution, added
    attention q, k, v = SN(BN(W s));  o = SN_0.5(0.125 (q k^T) v);  s' = SN(BN(W o))       heads of D / h
    mlp       SN(BN(W_2 SN(BN(W_1 s))))                                                   4 D inside
    Spikformer     s + attention(s), s + mlp(s): sums of spikes travel, {0, 1, 2, ...}
    Spikingformer  neurons stand in front of each linear map and sums of currents travel: only spikes are
                   operands
    head      W mean over tokens and steps + b

x [T, N, 3, H, W]: an image is shown T times. Image models: not for skeletons, so not among those that `train`
trains; built by `energy-report --torch train.models.spikformer:spikformer_4_384` and by whoever trains on
images. Where Spikingformer's paper is silent on the patches' order we take neuron, convolution, norm,
maximum.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.blocks.neuron import Neurons
from train.image_layers import ImageNorm
from train.models.base_sgn import count
from train.stepwise import Stepwise

SCALE = 0.125


@dataclass(frozen=True, slots=True)
class SpikformerConfig:
    """width D, depth blocks, heads; size: side of the image; pools: convolutions of the patches that are
    halved, by place from 0. residual: 'spikes' (Spikformer) or 'currents' (Spikingformer)."""

    classes: int
    width: int
    depth: int
    heads: int
    size: int
    pools: tuple[int, ...] = (0, 1, 2, 3)
    residual: str = "spikes"
    steps: int = 4
    in_channels: int = 3

    def __post_init__(self) -> None:
        problems = [
            f"{name} = {getattr(self, name)!r} (expected {expected})"
            for name, legal, expected in (
                ("classes", count(self.classes), "at least 1"),
                ("width", count(self.width) and self.width % 8 == 0, "a multiple of 8"),
                ("depth", count(self.depth), "at least 1"),
                ("heads", count(self.heads) and self.width % self.heads == 0, "a divisor of width"),
                ("size", self.size % (1 << len(self.pools)) == 0, f"a multiple of {1 << len(self.pools)}"),
                ("pools", set(self.pools) <= {0, 1, 2, 3}, "places from 0 to 3"),
                ("residual", self.residual in ("spikes", "currents"), "spikes or currents"),
                ("steps", count(self.steps), "at least 1"),
                ("in_channels", count(self.in_channels), "at least 1"),
            )
            if not legal
        ]
        if problems:
            raise ValueError(f"spikformer: {'; '.join(problems)}")

    @property
    def neurons(self) -> Neurons:
        """What the layers are made of: decay 1/2 a step, threshold 1."""
        return Neurons(0.5, 1.0)


class Linear(nn.Module):
    """A linear map of tokens with its norm: [T, N, L, C] -> [T, N, L, C']."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.weight, self.norm = nn.Linear(c_in, c_out), ImageNorm(c_out)

    def forward(self, s: Tensor) -> Tensor:
        """Spikes in, currents out."""
        rows = self.weight(s).flatten(0, 2)
        return self.norm(rows).view(*s.shape[:3], -1)


class Patches(nn.Module):
    """[T, N, C, H, W] -> [T, N, L, D]: spikes, or currents where the residual is of currents."""

    def __init__(self, config: SpikformerConfig) -> None:
        super().__init__()
        widths = [config.width // 8, config.width // 4, config.width // 2, config.width]
        self.pools, self.spikes = config.pools, config.residual == "spikes"
        pairs = zip((config.in_channels, *widths), (*widths, config.width), strict=False)
        bias = False
        self.convs = nn.ModuleList(Stepwise(nn.Conv2d(a, b, 3, padding=1, bias=bias)) for a, b in pairs)
        self.norms = nn.ModuleList(Stepwise(ImageNorm(b)) for b in (*widths, config.width))
        self.neurons = nn.ModuleList(config.neurons.layer() for _ in range(5 if self.spikes else 4))
        self.halve = Stepwise(nn.MaxPool2d(3, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The four stages, then the position added to what they gave."""
        for place in range(4):
            x = self.norms[place](
                self.convs[place](x if self.spikes or place == 0 else self.neurons[place - 1](x))
            )
            x = self.neurons[place](x) if self.spikes else x
            x = self.halve(x) if place in self.pools else x
        if self.spikes:
            x = x + self.neurons[4](self.norms[4](self.convs[4](x)))
        else:
            x = x + self.norms[4](self.convs[4](self.neurons[3](x)))
        return x.flatten(3).transpose(2, 3)


class Attention(nn.Module):
    """Spiking self-attention: both products are of spikes, no softmax. [T, N, L, D] spikes -> spikes or
    currents."""

    def __init__(self, config: SpikformerConfig) -> None:
        super().__init__()
        neurons, d = config.neurons, config.width
        self.heads = config.heads
        self.query, self.key, self.value, self.project = (Linear(d, d) for _ in range(4))
        self.query_spike, self.key_spike, self.value_spike = (neurons.layer() for _ in range(3))
        self.mixed_spike = neurons.counting()

    def forward(self, s: Tensor) -> Tensor:
        """0.125 (q k^T) v, head by head."""
        q, k, v = (
            spike(linear(s)).unflatten(3, (self.heads, -1)).transpose(2, 3)  # [T, N, h, L, D / h]
            for linear, spike in (
                (self.query, self.query_spike), (self.key, self.key_spike), (self.value, self.value_spike)
            )
        )  # fmt: skip
        mixed = SCALE * (torch.matmul(q, k.transpose(-1, -2)) @ v)
        return self.project(self.mixed_spike(mixed.transpose(2, 3).flatten(3)))


class Block(nn.Module):
    """Attention and MLP, each with its residual."""

    def __init__(self, config: SpikformerConfig) -> None:
        super().__init__()
        neurons, d = config.neurons, config.width
        self.spikes = config.residual == "spikes"
        self.attention = Attention(config)
        self.wide, self.narrow = Linear(d, 4 * d), Linear(4 * d, d)
        self.attention_spike, self.wide_spike, self.narrow_spike = (neurons.layer() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """Neurons behind the linear maps (spikes), or in front of them (currents)."""
        if self.spikes:
            x = x + self.attention_spike(self.attention(x))
            return x + self.narrow_spike(self.narrow(self.wide_spike(self.wide(x))))
        x = x + self.attention(self.attention_spike(x))
        return x + self.narrow(self.wide_spike(self.wide(self.narrow_spike(x))))


class Spikformer(nn.Module):
    """x [T, N, C, H, W] -> class scores [N, classes]."""

    def __init__(self, config: SpikformerConfig) -> None:
        super().__init__()
        self.patches = Patches(config)
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.depth)))
        self.last_spike = nn.Identity() if config.residual == "spikes" else config.neurons.layer()
        self.head = nn.Linear(config.width, config.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the mean over tokens and steps."""
        tokens = self.last_spike(self.blocks(self.patches(x)))
        return self.head(tokens.mean(2).mean(0))


def spikformer_4_384() -> nn.Module:
    """Spikformer-4-384 of CIFAR-10: input 4x3x32x32, time-major."""
    return Spikformer(SpikformerConfig(10, 384, 4, 12, 32, pools=(2, 3)))


def spikformer_8_512() -> nn.Module:
    """Spikformer-8-512 of ImageNet: input 4x3x224x224, time-major."""
    return Spikformer(SpikformerConfig(1000, 512, 8, 8, 224))


def spikingformer_8_512() -> nn.Module:
    """Spikingformer-8-512 of ImageNet: input 4x3x224x224, time-major."""
    return Spikformer(SpikformerConfig(1000, 512, 8, 8, 224, residual="currents"))


def spikingformer_8_768() -> nn.Module:
    """Spikingformer-8-768 of ImageNet: input 4x3x224x224, time-major."""
    return Spikformer(SpikformerConfig(1000, 768, 8, 8, 224, residual="currents"))
