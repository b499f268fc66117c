"""Spiking self-attention over joints (1D-SGC's, Signal-SGN, figure 3).

    Q, K, W = SN(BN(conv(S)))  split into heads, [T, N, heads, V, C/heads]
    M = SN_0.5(Q K^T)          [T, N, heads, V, V]: spikes on the attention map
    O = SN_0.5(a M W)          a: 0.125, or as given
    S' = SN(BN(conv(O)) + S)

S [T, N, C, V] spikes. Both products are of spikes by spikes: coincidence counts on a chip.

The released code of Signal-SGN (`released`) has no neuron on the map, so that M is a count, and adds S behind
the last neuron, which leaves whole numbers:  S' = SN(BN(conv(O))) + S.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from train.blocks.neuron import Neurons
from train.growth import Branches
from train.layers import ChannelMix, ChannelNorm

SCALE = 0.125  # of M W in the released code, where M is a count


class SelfAttention(nn.Module):
    """The attention with its residual: [T, N, C, V] -> [T, N, C, V], spikes."""

    branches: ClassVar[Branches] = {
        "project_norm": (
            "query", "query_norm", "query_spike", "key", "key_norm", "key_spike",
            "value", "value_norm", "value_spike", "map_spike", "mixed_spike",
            "project", "project_norm", "spike",
        )
    }  # fmt: skip

    def __init__(
        self,
        channels: int,
        heads: int,
        neurons: Neurons,
        scale: float = SCALE,
        gain: float = 1.0,
        released: bool = False,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.scale = scale
        self.released = released
        self.query, self.key, self.value, self.project = (ChannelMix(channels, channels) for _ in range(4))
        self.query_norm, self.key_norm, self.value_norm = (ChannelNorm(channels) for _ in range(3))
        self.query_spike, self.key_spike, self.value_spike = (neurons.layer() for _ in range(3))
        self.map_spike = nn.Identity() if released else neurons.counting()
        self.mixed_spike = neurons.counting()
        self.project_norm = ChannelNorm(channels, gain)
        self.spike = neurons.layer()

    def forward(self, s: Tensor) -> Tensor:
        """Spikes in, spikes out; of the released form whole numbers."""
        q = self._split(self.query_spike(self.query_norm(self.query(s))))
        k = self._split(self.key_spike(self.key_norm(self.key(s))))
        v = self._split(self.value_spike(self.value_norm(self.value(s))))
        m = self.map_spike(torch.matmul(q.transpose(-1, -2), k))
        o = self.mixed_spike(self.scale * torch.matmul(m, v.transpose(-1, -2)))
        o = o.transpose(-1, -2).flatten(2, 3)
        current = self.project_norm(self.project(o))
        return self.spike(current) + s if self.released else self.spike(current + s)

    def _split(self, s: Tensor) -> Tensor:
        """[T, N, C, V] -> [T, N, heads, C / heads, V]."""
        return s.unflatten(2, (self.heads, -1))
