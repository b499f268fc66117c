"""Base-SGN: the spiking twin of ST-GCN / 2s-AGCN, frames as steps (MK-SGN's foundation).

    embed     S_0 = SN(BN(W X))
    spatial   Y = sum_k W_k S (A_k + B_k);  Z = SN(BN(Y) + R(S)),  R identity, or ConvBN where C changes
    temporal  U = SN(BN(conv_t(Z)) + Z),  conv over steps, causal: delays 0..kernel-1
    head      scores = mean over steps of (W mean over joints of S + b), by a leak-free integrator

S [T, N, C, V] spikes; K = 3 partitions of the skeleton graph, A_k fixed, B_k learned.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.blocks.neuron import Neurons
from train.layers import ChannelMix, ChannelNorm, GraphConv, JointMean, StepConv, shortcut
from train.neurons import LeakyIntegrator
from train.skeletons import adjacency


@dataclass(frozen=True, slots=True)
class BaseSGNConfig:
    """What it takes to build a Base-SGN; dv [1/step], threshold [units of v]."""

    in_channels: int
    classes: int
    layout: str
    channels: tuple[int, ...] = (64, 64, 128, 128)
    kernel: int = 5
    dv: float = 0.5
    learn_dv: bool = False
    threshold: float = 1.0
    surrogate: str = "sigmoid"
    backend: str = "house"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        problems = [
            f"{name} = {getattr(self, name)!r} (expected {expected})"
            for name, legal, expected in (
                ("in_channels", count(self.in_channels), "at least 1"),
                ("classes", count(self.classes), "at least 1"),
                ("channels", bool(self.channels) and all(map(count, self.channels)), "whole numbers from 1"),
                ("kernel", count(self.kernel), "a whole number from 1"),
                ("dropout", 0.0 <= self.dropout < 1.0, "0 <= dropout < 1"),
            )
            if not legal
        ]
        if problems:
            raise ValueError(f"base-sgn: {'; '.join(problems)}")
        self.neurons.layer()  # refuses an unknown surrogate or back-end and a dv out of range

    @property
    def neurons(self) -> Neurons:
        """What the layers are made of."""
        return Neurons(
            self.dv, self.threshold, surrogate=self.surrogate, backend=self.backend, learn_dv=self.learn_dv
        )


def count(n: object) -> bool:
    """Whether n is a whole number from 1."""
    return isinstance(n, int) and not isinstance(n, bool) and n >= 1


class Block(nn.Module):
    """One spatial and one temporal step, each with its residual: [T, N, C, V] -> [T, N, C', V]."""

    def __init__(self, c_in: int, c_out: int, config: BaseSGNConfig, graph: Tensor) -> None:
        super().__init__()
        self.graph = GraphConv(c_in, c_out, graph)
        self.graph_norm = ChannelNorm(c_out)
        self.residual = shortcut(c_in, c_out)
        self.graph_spike = config.neurons.layer()
        self.steps = StepConv(c_out, c_out, config.kernel)
        self.steps_norm = ChannelNorm(c_out)
        self.steps_spike = config.neurons.layer()

    def forward(self, s: Tensor) -> Tensor:
        """Spikes in, spikes out."""
        z = self.graph_spike(self.graph_norm(self.graph(s)) + self.residual(s))
        return self.steps_spike(self.steps_norm(self.steps(z)) + z)


class BaseSGN(nn.Module):
    """x [T, N, C, V] -> class scores [N, classes]. Persons are folded into N by the caller."""

    def __init__(self, config: BaseSGNConfig) -> None:
        super().__init__()
        graph = torch.from_numpy(adjacency(config.layout))
        first = config.channels[0]
        self.embed = ChannelMix(config.in_channels, first)
        self.embed_norm = ChannelNorm(first)
        self.embed_spike = config.neurons.layer()
        widths = zip((first, *config.channels), config.channels, strict=False)
        self.blocks = nn.Sequential(*(Block(a, b, config, graph) for a, b in widths))
        self.joint_mean = JointMean()
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.channels[-1], config.classes)
        self.readout = LeakyIntegrator(dv=0.0, read="mean")

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the modules whose outputs are its depths, [T, N, C, V] spikes."""
        return tuple(f"blocks.{k}" for k in range(len(self.blocks)))

    def forward(self, x: Tensor) -> Tensor:
        """x [T, N, C, V] -> scores [N, classes]."""
        s = self.embed_spike(self.embed_norm(self.embed(x)))
        s = self.blocks(s)
        return self.readout(self.head(self.dropout(self.joint_mean(s))))
