"""Signal-SGN (Zheng et al., ACM MM 2025): skeletons as spike signals, frames as steps.

    S = SN(BN(conv(X)));  L blocks of 1D-SGC and FSC;  f = GAP(S) + beta MWTF(S);  scores = FC(f)

X [T, N, C, V]. GAP is the mean over steps and joints. The blocks run on a chip; what follows needs the whole
window. Variants (docs/models.md says which result used which):

    binary      ours, the default: spikes between all linear maps, residual sums before a neuron
    released    the form of the released code: integer sums between linear maps, one neuron behind both
                products of the attention, adjacency from identity matrices, the imaginary part a second real
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from train.blocks.fsc import AXES, FrequencyConv
from train.blocks.mwtf import LEGENDRE, WaveletFusion
from train.blocks.neuron import BRANCH_GAIN, KINDS, Neurons
from train.blocks.released import ReleasedBlock
from train.blocks.sgc import MERGES, SpatialGraphConv
from train.fixed_maps import wavelet_bands
from train.growth import Branches
from train.layers import ChannelMix, ChannelNorm, JointMean, StepMean
from train.models.base_sgn import count
from train.neurons import LeakyIntegrator
from train.signal_layers import Gain
from train.skeletons import adjacency

VARIANTS = ("binary", "released")
GRAPHS = ("skeleton", "identity")
BINARY_ALONE = {"spectrum": True, "fft_axis": "joint", "steps": 5, "merge": "currents"}
"""Fields of the binary variant and their defaults: the released form has no choice there."""


@dataclass(frozen=True, slots=True)
class SignalSGNConfig:
    """What it takes to build a Signal-SGN; dv [1/step], threshold [units of v].

    frames      T, the steps of a window        heads     of the attention over joints, 0: none
    frequency   whether blocks hold FSC         fft_axis  joint (on chip) or time (whole window)
    spectrum    whether FSC holds its transform; without it its convolution alone is left
    steps       K of FSC's causal convolution over steps; 0: over 3 joints, as in the paper
    wavelet     none, legendre8, or an orthogonal wavelet of PyWavelets; levels: J of MWTF
    graph       what the learned adjacency starts from: skeleton or identity
    threshold   0.7: a spike that comes round a branch (1 into the neuron) passes at once; at 1 it would not
    activation  spike; relu: the twin of real values, for comparing energy
    branch_gain what the norms of residual branches start from: less the deeper the network
    merge       how the branches of 1D-SGC meet: currents (ours) or spikes (the paper's figure)
    """

    in_channels: int
    classes: int
    layout: str
    frames: int
    variant: str = "binary"
    channels: tuple[int, ...] = (64, 64, 128, 256)
    heads: int = 8
    frequency: bool = True
    spectrum: bool = True
    fft_axis: str = "joint"
    steps: int = 5
    wavelet: str = "haar"
    levels: int = 3
    beta: float = 0.42
    graph: str = "skeleton"
    merge: str = "currents"
    dropout: float = 0.3
    activation: str = "spike"
    dv: float = 0.5
    learn_dv: bool = False
    threshold: float = 0.7
    branch_gain: float = BRANCH_GAIN
    surrogate: str = "sigmoid"
    backend: str = "house"

    def __post_init__(self) -> None:
        heads = self.heads == 0 or (count(self.heads) and not any(c % self.heads for c in self.channels))
        problems = [
            f"{name} = {getattr(self, name)!r} (expected {expected})"
            for name, legal, expected in (
                ("in_channels", count(self.in_channels), "at least 1"),
                ("classes", count(self.classes), "at least 1"),
                ("frames", count(self.frames), "at least 1"),
                ("channels", bool(self.channels) and all(map(count, self.channels)), "whole numbers from 1"),
                ("variant", self.variant in VARIANTS, " or ".join(VARIANTS)),
                ("heads", heads, f"0, or a divisor of every width in {self.channels}"),
                ("fft_axis", self.fft_axis in AXES, " or ".join(AXES)),
                ("steps", self.steps == 0 or count(self.steps), "a whole number"),
                ("activation", self.activation in KINDS, " or ".join(KINDS)),
                ("graph", self.graph in GRAPHS, " or ".join(GRAPHS)),
                ("merge", self.merge in MERGES, " or ".join(MERGES)),
                ("branch_gain", self.branch_gain > 0, "a number above 0"),
                ("dropout", 0.0 <= self.dropout < 1.0, "0 <= dropout < 1"),
            )
            if not legal
        ]
        if self.variant == "released":
            odd = [name for name, own in BINARY_ALONE.items() if getattr(self, name) != own]
            problems += [f"{name} = {getattr(self, name)!r} (the released form has none)" for name in odd]
        if problems:
            raise ValueError(f"signal-sgn: {'; '.join(problems)}")
        self._check_wavelet()
        self.neurons.layer()  # refuses an unknown surrogate or back-end and a dv out of range

    def _check_wavelet(self) -> None:
        name = "haar" if self.wavelet == LEGENDRE else self.wavelet
        if name == "none":
            return
        try:
            wavelet_bands(self.frames, self.levels, name)
        except ValueError as error:
            raise ValueError(
                f"signal-sgn: wavelet = {self.wavelet!r}, levels = {self.levels}: {error}"
            ) from None

    @property
    def neurons(self) -> Neurons:
        """What the layers are made of."""
        return Neurons(
            self.dv, self.threshold, surrogate=self.surrogate, backend=self.backend, learn_dv=self.learn_dv,
            kind=self.activation, branch_gain=self.branch_gain,
        )  # fmt: skip


class Block(nn.Module):
    """1D-SGC, then FSC: [T, N, C, V] spikes -> [T, N, C', V] spikes."""

    def __init__(self, c_in: int, c_out: int, config: SignalSGNConfig, graph: Tensor) -> None:
        super().__init__()
        joints, neurons = graph.shape[1], config.neurons
        self.spatial = SpatialGraphConv(c_in, c_out, graph, neurons, config.heads, config.merge)
        axis = config.fft_axis if config.spectrum else None
        self.frequency = (
            FrequencyConv(c_out, joints, config.frames, neurons, axis, config.steps)
            if config.frequency
            else nn.Identity()
        )

    def forward(self, s: Tensor) -> Tensor:
        """Spikes in, spikes out."""
        return self.frequency(self.spatial(s))


class SignalSGN(nn.Module):
    """x [T, N, C, V] -> class scores [N, classes]. Persons are folded into N by the caller."""

    branches: ClassVar[Branches] = {"beta": ("wavelet", "beta")}

    def __init__(self, config: SignalSGNConfig) -> None:
        super().__init__()
        first, last = config.channels[0], config.channels[-1]
        graph = torch.from_numpy(_graph(config))
        kind = ReleasedBlock if config.variant == "released" else Block
        self.embed = ChannelMix(config.in_channels, first)
        self.embed_norm = ChannelNorm(first)
        self.embed_spike = config.neurons.layer()
        widths = zip((first, *config.channels), config.channels, strict=False)
        self.blocks = nn.Sequential(*(kind(a, b, config, graph) for a, b in widths))
        self.joint_mean = JointMean()
        self.step_mean = StepMean()
        self.wavelet = (
            None
            if config.wavelet == "none"
            else WaveletFusion(last, config.frames, config.neurons, config.wavelet, config.levels)
        )
        self.beta = Gain(config.beta) if self.wavelet is not None else None
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(last, config.classes)
        self.readout = LeakyIntegrator(dv=0.0, read="mean")  # of one step: the window's

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the modules whose outputs are its depths, [T, N, C, V] spikes."""
        return tuple(f"blocks.{k}" for k in range(len(self.blocks)))

    def forward(self, x: Tensor) -> Tensor:
        """x [T, N, C, V] -> scores [N, classes]."""
        s = self.blocks(self.embed_spike(self.embed_norm(self.embed(x))))
        found = self.step_mean(self.joint_mean(s))
        if self.wavelet is not None:
            found = found + self.beta(self.wavelet(s))
        return self.readout(self.head(self.dropout(found)))


def _graph(config: SignalSGNConfig) -> np.ndarray:
    """float32 [3, V, V]: what the learned adjacency starts from."""
    skeleton = adjacency(config.layout)
    if config.graph == "skeleton" and config.variant != "released":
        return skeleton
    return np.stack([np.eye(skeleton.shape[1], dtype=np.float32)] * len(skeleton))
