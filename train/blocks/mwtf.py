"""MWTF, Signal-SGN's multi-scale wavelet transform feature fusion, over the whole window.

    x = W X                                     X [T, N, C, V] spikes -> k channels
    S_j, D_j = trend and detail of level j      J levels, brought back to T steps by linear interpolation
    A_j = attend(D_j, S_j) + attend(S_j, D_j)
    out = GAP(SN(BN(conv(sum_j A_j))))          [1, N, C]: mean over T and V

    attend(a, b): q, k = SN(BN(conv(a))), v = SN(BN(conv(b)))
                  g = SN_0.5(sum_joints k AND v),  SN(BN(conv(q AND g)))

All neurons here are IF. The paper's learned scale of the sum is a factor of the convolution behind it.
legendre8 is the released code's multiwavelet, whose k = 8 channels are one vector of coefficients; any
orthogonal wavelet of PyWavelets transforms each channel alone. Two tensors meet by AND alone, as everywhere.
"""

import numpy as np
from torch import Tensor, nn

from train.blocks.neuron import Neurons
from train.fixed_maps import interpolation, legendre, wavelet_bands
from train.layers import ChannelMix, ChannelNorm, JointMean, StepMap, StepMean
from train.signal_layers import FixedMix, JointSum

CHANNELS = 8
LEGENDRE = "legendre8"


class WaveletFusion(nn.Module):
    """[T, N, C, V] spikes -> [1, N, C] real."""

    def __init__(self, channels: int, frames: int, neurons: Neurons, wavelet: str, levels: int) -> None:
        super().__init__()
        self.down = ChannelMix(channels, CHANNELS)
        multi = wavelet == LEGENDRE
        self.bands = MultiwaveletBands(frames, levels) if multi else Bands(frames, levels, wavelet)
        self.of_trend = nn.ModuleList(CrossAttention(neurons) for _ in range(levels))
        self.of_detail = nn.ModuleList(CrossAttention(neurons) for _ in range(levels))
        self.up = ChannelMix(CHANNELS, channels)
        self.up_norm = ChannelNorm(channels)
        self.spike = neurons.integrating()
        self.joint_mean = JointMean()
        self.step_mean = StepMean()

    def forward(self, s: Tensor) -> Tensor:
        """[T, N, C, V] -> [1, N, C]."""
        found = None
        pairs = zip(self.bands(self.down(s)), self.of_trend, self.of_detail, strict=True)
        for (trend, detail), of_trend, of_detail in pairs:
            both = of_detail(detail, trend) + of_trend(trend, detail)
            found = both if found is None else found + both
        return self.step_mean(self.joint_mean(self.spike(self.up_norm(self.up(found)))))


class CrossAttention(nn.Module):
    """a, b [T, N, k, V] -> spikes [T, N, k, V]: a asks, b is what is attended to."""

    def __init__(self, neurons: Neurons) -> None:
        super().__init__()
        self.query, self.key, self.value, self.project = (ChannelMix(CHANNELS, CHANNELS) for _ in range(4))
        self.query_norm, self.key_norm, self.value_norm = (ChannelNorm(CHANNELS) for _ in range(3))
        self.project_norm = ChannelNorm(CHANNELS)
        self.query_spike, self.key_spike, self.value_spike, self.spike = (
            neurons.integrating() for _ in range(4)
        )
        self.joint_sum = JointSum()
        self.gate_spike = neurons.integrating(neurons.attention)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Real in, spikes out."""
        q = self.query_spike(self.query_norm(self.query(a)))
        k = self.key_spike(self.key_norm(self.key(a)))
        v = self.value_spike(self.value_norm(self.value(b)))
        gate = self.gate_spike(self.joint_sum(k * v))
        return self.spike(self.project_norm(self.project(q * gate)))


class Bands(nn.Module):
    """x [T, N, k, V] -> (trend, detail) of each level, each interpolated to T steps; every channel alone."""

    def __init__(self, frames: int, levels: int, wavelet: str) -> None:
        super().__init__()
        pairs = wavelet_bands(frames, levels, wavelet)
        maps = [[_fixed(_back(frames, band)) for band in pair] for pair in pairs]
        self.trends = nn.ModuleList(trend for trend, _ in maps)
        self.details = nn.ModuleList(detail for _, detail in maps)

    def forward(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Level 1 first."""
        return [(trend(x), detail(x)) for trend, detail in zip(self.trends, self.details, strict=True)]


class MultiwaveletBands(nn.Module):
    """The same with a multiwavelet: k channels of two neighbouring steps give those of one coarser step."""

    def __init__(self, frames: int, levels: int) -> None:
        super().__init__()
        if frames % (1 << levels):
            raise ValueError(f"{levels} levels halve {frames} steps: expected a multiple of {1 << levels}")
        self.levels = nn.ModuleList(_Level(frames >> j, frames) for j in range(levels))

    def forward(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Level 1 first."""
        found = []
        for level in self.levels:
            x, trend, detail = level(x)
            found.append((trend, detail))
        return found


class _Level(nn.Module):
    """s of n steps -> s of n/2 steps, and trend and detail interpolated to `frames`."""

    def __init__(self, n: int, frames: int) -> None:
        super().__init__()
        pick = np.eye(n)
        self.even, self.odd = _fixed(pick[0::2]), _fixed(pick[1::2])
        h, g = legendre(CHANNELS)
        self.h0, self.h1 = FixedMix(h[:, :CHANNELS]), FixedMix(h[:, CHANNELS:])
        self.g0, self.g1 = FixedMix(g[:, :CHANNELS]), FixedMix(g[:, CHANNELS:])
        back = interpolation(frames, n // 2)
        self.trend_back, self.detail_back = _fixed(back), _fixed(back)

    def forward(self, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        even, odd = self.even(s), self.odd(s)
        trend, detail = self.h0(even) + self.h1(odd), self.g0(even) + self.g1(odd)
        return trend, self.trend_back(trend), self.detail_back(detail)


def _back(frames: int, band: np.ndarray) -> np.ndarray:
    """[T, T]: a band's coefficients, then interpolation to T steps."""
    return interpolation(frames, len(band)) @ band


def _fixed(matrix: np.ndarray) -> StepMap:
    """A map over steps that follows from the config: no part of a checkpoint."""
    return StepMap(matrix, kept=False)
