"""The linear layers of Signal-SGN beside those of train/layers.py, over [T, N, C, V]; each without state.

A complex tensor is two real ones, stacked along the channels: C real parts above C imaginary ones.
"""

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.fixed_maps import fourier, joint_fourier
from train.layers import channels_last, channels_second
from train.precision import mixed


class JointConv(nn.Module):
    """y[o, w] = sum_k sum_c W[k, o, c] x[c, w + k - K//2]: conv1d over joints in their order, zero beyond.

    weight [K, out, in], K odd; no bias.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int = 3) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"kernel is {kernel}; expected an odd number of joints")
        self.weight = nn.Parameter(torch.empty(kernel, c_out, c_in))
        nn.init.normal_(self.weight, std=math.sqrt(2.0 / (kernel * c_out)))

    def shifts(self, joints: int) -> np.ndarray:
        """[K, V, V]: entry [k, v, w] is 1 where output joint w reads input joint v at tap k."""
        kernel = self.weight.shape[0]
        return np.stack([np.eye(joints, k=kernel // 2 - k) for k in range(kernel)])

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, in, V] -> [T, N, out, V]."""
        kernel, c_out, _ = self.weight.shape
        margin = kernel // 2
        padded = F.pad(channels_last(x), (0, 0, margin, margin))
        taps = torch.cat([padded[:, :, k : k + x.shape[3]] for k in range(kernel)], dim=3)
        return (taps @ self.weight.transpose(1, 2).reshape(-1, c_out)).transpose(2, 3)


class JointFourier(nn.Module):
    """G[c, k] = sum_v w[v] x[c, v] exp(-2 pi i k v / V): windowed transform over the joints of a frame.

    window [V], learned, ones at the start. Out: real parts above imaginary ones.
    """

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.window = nn.Parameter(torch.ones(joints))
        transform = torch.as_tensor(joint_fourier(joints) / math.sqrt(joints), dtype=torch.float32)
        self.register_buffer("transform", transform, persistent=False)

    def matrix(self) -> Tensor:
        """[2, 1, V, V] as a JointMap has it; unitary where the window is ones."""
        return self.transform * self.window

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, C, V] -> [T, N, 2C, V]."""
        flat = channels_last(x)
        t, n, v, c = flat.shape
        mix = self.matrix()[:, 0].transpose(0, 1).reshape(2 * v, v)
        y = torch.bmm(mix.expand(t * n, -1, -1), flat.view(t * n, v, c))
        return y.view(t, n, v, 2 * c).transpose(2, 3)


class Window(nn.Module):
    """One learned weight per step, ones at the start: what both parts of a StepFourier share."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(steps))


class StepFourier(nn.Module):
    """Re (part 0) or Im (1) of G[k] = sum_t w[t] x[t] exp(-2 pi i k t / T), the whole window at once."""

    def __init__(self, window: Window, part: int) -> None:
        super().__init__()
        self._shared = (window,)  # in a tuple it is the owner's module alone, and once in a checkpoint
        steps = len(window.weight)
        transform = torch.as_tensor(fourier(steps)[part] / math.sqrt(steps), dtype=torch.float32)
        self.register_buffer("transform", transform, persistent=False)

    def matrix(self) -> Tensor:
        """[T, T] as a StepMap has it."""
        return self.transform * self._shared[0].weight

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, *shape] -> [T, N, *shape], step k holding frequency k."""
        return torch.tensordot(*mixed(self.matrix(), x), dims=1)


class MadeMix(nn.Module, ABC):
    """y = W x over the channels, with a W [out, in] that is made of what the layer holds."""

    @abstractmethod
    def weight(self) -> Tensor:
        """[out, in] as a ChannelMix has it."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, in, V] -> [T, N, out, V]."""
        return channels_second(F.linear(channels_last(x), self.weight()))


class ComplexMix(MadeMix):
    """Y = (Wr + i Wi) X over the channels of stacked complex tensors: a correct complex 1x1 convolution.

    Re Y = Wr Re X - Wi Im X ;  Im Y = Wi Re X + Wr Im X.   real, imaginary [out, in].
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.real = nn.Parameter(torch.empty(c_out, c_in))
        self.imaginary = nn.Parameter(torch.empty(c_out, c_in))
        for weight in (self.real, self.imaginary):
            nn.init.normal_(weight, std=math.sqrt(1.0 / c_out))

    def weight(self) -> Tensor:
        """[2 out, 2 in] as a ChannelMix has it."""
        above = torch.cat([self.real, -self.imaginary], dim=1)
        return torch.cat([above, torch.cat([self.imaginary, self.real], dim=1)])


class ComplexColumns(MadeMix):
    """The half of a ComplexMix that acts on real (part 0) or imaginary (1) parts of x.

    [T, N, in, V] -> [T, N, 2 out, V]. The sum of both is the whole product: nothing need be joined.
    """

    def __init__(self, mix: ComplexMix, part: int) -> None:
        super().__init__()
        self._shared = (mix,)
        self.part = part

    def weight(self) -> Tensor:
        """[2 out, in] as a ChannelMix has it."""
        return self._shared[0].weight().chunk(2, dim=1)[self.part]


class FixedMix(MadeMix):
    """y = W x over the channels, W [out, in] given and not trained."""

    def __init__(self, weight: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("fixed", torch.as_tensor(weight, dtype=torch.float32), persistent=False)

    def weight(self) -> Tensor:
        """[out, in] as a ChannelMix has it."""
        return self.fixed


class Gain(nn.Module):
    """y = g x with one learned number g."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(start))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return self.gain * x


class JointSum(nn.Module):
    """y[c, 0] = sum_v x[c, v]."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, C, V] -> [T, N, C, 1]."""
        return x.sum(3, keepdim=True)


class RealPart(MadeMix):
    """W Re X (or -W Im X) of stacked complex channels: one term of the real part of a complex product."""

    def __init__(self, channels: int, imaginary: bool = False) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.empty(channels, channels))
        self.imaginary = imaginary
        nn.init.normal_(self.mix, std=math.sqrt(1.0 / channels))

    def weight(self) -> Tensor:
        """[C, 2C] as a ChannelMix has it."""
        nothing = torch.zeros_like(self.mix)
        return torch.cat([nothing, -self.mix] if self.imaginary else [self.mix, nothing], dim=1)
