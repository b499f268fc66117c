"""FSC, Signal-SGN's frequency spiking convolution.

    P = SN(BN(conv(S)) + S)                 over K steps, causal (house); over 3 joints (paper and code)
    G = FFT(w P)                            over the joints of a frame, or over time; w learned
    F = SN(BN((Wr + i Wi) G))               2C channels: real parts above imaginary ones
    out = SN(BN(conv(F)) + P)              P itself, where the block is built without its transform

Over joints, transform, complex convolution and norm are one linear map a step between two spiking layers, so
they become synapses. Over time they need the whole window and go to the CPU. The released code repeats the
real part for the imaginary one (a defect): train/blocks/released.py keeps that form.
"""

from typing import ClassVar

from torch import Tensor, nn

from train.blocks.neuron import Neurons
from train.growth import Branches
from train.layers import ChannelMix, ChannelNorm, StepConv
from train.signal_layers import ComplexColumns, ComplexMix, JointConv, JointFourier, StepFourier, Window

AXES = ("joint", "time")


class FrequencyConv(nn.Module):
    """[T, N, C, V] spikes -> [T, N, C, V] spikes.

    axis: one of AXES, None: without the transform. steps: K of the convolution over steps, 0: over joints.
    """

    branches: ClassVar[Branches] = {
        "local_norm": ("local", "local_norm", "local_spike"),
        "project_norm": ("spectrum", "spectrum_norm", "spectrum_spike", "project", "project_norm", "spike"),
    }

    def __init__(
        self, channels: int, joints: int, frames: int, neurons: Neurons, axis: str | None, steps: int
    ) -> None:
        super().__init__()
        self.local = StepConv(channels, channels, steps) if steps else JointConv(channels, channels)
        self.local_norm = ChannelNorm(channels, neurons.branch_gain)
        self.local_spike = neurons.layer()
        self.spectrum = None
        if axis is None:
            return
        self.spectrum = JointSpectrum(channels, joints) if axis == "joint" else StepSpectrum(channels, frames)
        self.spectrum_norm = ChannelNorm(2 * channels)
        self.spectrum_spike = neurons.layer()
        self.project = ChannelMix(2 * channels, channels)
        self.project_norm = ChannelNorm(channels, neurons.branch_gain)
        self.spike = neurons.layer()

    def forward(self, s: Tensor) -> Tensor:
        """Spikes in, spikes out."""
        p = self.local_spike(self.local_norm(self.local(s)) + s)
        if self.spectrum is None:
            return p
        f = self.spectrum_spike(self.spectrum_norm(self.spectrum(p)))
        return self.spike(self.project_norm(self.project(f)) + p)


class JointSpectrum(nn.Sequential):
    """(Wr + i Wi) FFT_joints(w x): [T, N, C, V] -> [T, N, 2C, V], frequencies where joints were."""

    def __init__(self, channels: int, joints: int) -> None:
        super().__init__(JointFourier(joints), ComplexMix(channels, channels))


class StepSpectrum(nn.Module):
    """(Wr + i Wi) FFT_time(w x): [T, N, C, V] -> [T, N, 2C, V], frequencies where steps were."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.window = Window(frames)
        self.mix = ComplexMix(channels, channels)
        self.real, self.imaginary = StepFourier(self.window, 0), StepFourier(self.window, 1)
        self.of_real, self.of_imaginary = ComplexColumns(self.mix, 0), ComplexColumns(self.mix, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The sum of what both parts give."""
        return self.of_real(self.real(x)) + self.of_imaginary(self.imaginary(x))
