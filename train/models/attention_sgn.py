"""Base-SGN with spiking self-attention over joints behind each block (1D-SGC's, Signal-SGN, figure 3).

    Q, K, W = SN(BN(conv(S)))  split into heads, [T, N, heads, V, C/heads]
    M = SN_0.5(Q K^T)          [T, N, heads, V, V]: spikes on the attention map
    O = SN_0.5(0.125 M W)
    S' = SN(BN(conv(O)) + S)

S [T, N, C, V] spikes. Both products are of spikes by spikes: coincidence counts on a chip. Signal-SGN adds S
behind the last neuron, which leaves {0, 1, 2}; here it is added before, as everywhere in Base-SGN.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.layers import ChannelMix, ChannelNorm
from train.models.base_sgn import BaseSGN, BaseSGNConfig, count
from train.neurons import LIF

THRESHOLD = 0.5  # of the neurons behind the two products
SCALE = 0.125  # of M W, fixed


@dataclass(frozen=True, slots=True)
class AttentionSGNConfig(BaseSGNConfig):
    """A Base-SGN's, and the number of heads."""

    heads: int = 8

    def __post_init__(self) -> None:
        BaseSGNConfig.__post_init__(self)
        if not count(self.heads) or any(c % self.heads for c in self.channels):
            raise ValueError(
                f"base-sgn-attention: heads = {self.heads!r} "
                f"(expected a divisor of every width in {self.channels})"
            )

    def attention_neuron(self) -> LIF:
        """A spiking layer behind a product of spikes."""
        return LIF(self.dv, THRESHOLD, self.surrogate, self.backend, self.learn_dv)


class Attention(nn.Module):
    """Spiking self-attention over joints with its residual: [T, N, C, V] -> [T, N, C, V], spikes."""

    def __init__(self, channels: int, config: AttentionSGNConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query, self.key, self.value, self.project = (ChannelMix(channels, channels) for _ in range(4))
        self.query_norm, self.key_norm, self.value_norm = (ChannelNorm(channels) for _ in range(3))
        self.query_spike, self.key_spike, self.value_spike = (config.neuron() for _ in range(3))
        self.map_spike = config.attention_neuron()
        self.mixed_spike = config.attention_neuron()
        self.project_norm = ChannelNorm(channels)
        self.spike = config.neuron()

    def forward(self, s: Tensor) -> Tensor:
        """Spikes in, spikes out."""
        q = self._split(self.query_spike(self.query_norm(self.query(s))))
        k = self._split(self.key_spike(self.key_norm(self.key(s))))
        v = self._split(self.value_spike(self.value_norm(self.value(s))))
        m = self.map_spike(torch.matmul(q.transpose(-1, -2), k))
        o = self.mixed_spike(SCALE * torch.matmul(m, v.transpose(-1, -2)))
        o = o.transpose(-1, -2).flatten(2, 3)
        return self.spike(self.project_norm(self.project(o)) + s)

    def _split(self, s: Tensor) -> Tensor:
        """[T, N, C, V] -> [T, N, heads, C / heads, V]."""
        return s.unflatten(2, (self.heads, -1))


class AttentionSGN(BaseSGN):
    """x [T, N, C, V] -> class scores [N, classes]; an attention behind every block."""

    def __init__(self, config: AttentionSGNConfig) -> None:
        super().__init__(config)
        pairs = zip(self.blocks, config.channels, strict=True)
        self.blocks = nn.Sequential(*(m for block, c in pairs for m in (block, Attention(c, config))))

    @property
    def stages(self) -> tuple[str, ...]:
        """Each block with its attention."""
        return tuple(f"blocks.{k}" for k in range(1, len(self.blocks), 2))
