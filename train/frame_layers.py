"""Linear leaves over [T, N, C, V, F]: a clip at every step, its frames F the last axis.

Each is linear at inference and keeps no state. In memory the tensors lie as [T, N, F, V, C], so that every
layer is one or a few large matrix products; `ChannelMix`, `ChannelNorm` and `GraphConv` of train/layers.py
work on this shape too. Joints stand before frames because a graph convolution then is a 1x1 convolution of
C V channels over the frames, which a chip holds as one kernel.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.layers import ChannelNorm, channels_last, channels_second


class FrameConv(nn.Module):
    """y[o, v, f] = sum_c sum_k W[o, c, k] x[c, v, s f + d (k - (K - 1) / 2)]; x is zero outside the clip.

    weight [out, in, K], K odd; s the stride over frames: F frames become ceil(F / s); d the dilation, frames
    from tap to tap. No bias. MK-SGN's STC.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"FrameConv: kernel {kernel} is even; an odd one is centred on its frame")
        self.stride, self.dilation = stride, dilation
        self.weight = nn.Parameter(torch.empty(c_out, c_in, kernel))
        nn.init.kaiming_normal_(self.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, in, V, F] -> [T, N, out, V, F']."""
        rows = channels_last(x)
        if self.weight.shape[2] == 1:
            # A product is faster, and torch 2.13's convolution of kernel 1, stride 2 and less than 8 channels
            # writes beyond its memory (channels last).
            return channels_second(F.linear(rows[:, :, :: self.stride], self.weight[:, :, 0]))
        image = rows.flatten(0, 1).permute(0, 3, 1, 2)  # [T N, C, F, V], channels last in memory
        y = F.conv2d(
            image, self.weight[..., None], stride=(self.stride, 1), dilation=(self.dilation, 1),
            padding=(self.dilation * (self.weight.shape[2] // 2), 0),
        )  # fmt: skip
        return channels_second(y.permute(0, 2, 3, 1).unflatten(0, rows.shape[:2]))


def frame_shortcut(channels: int, stride: int) -> nn.Module:
    """What comes round a branch over frames: the input, or where frames change ConvBN of every s-th."""
    if stride == 1:
        return nn.Identity()
    return nn.Sequential(FrameConv(channels, channels, 1, stride), ChannelNorm(channels))


class FrameMean(nn.Module):
    """y[c, v] = 1/F sum_f x[c, v, f]."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, C, V, F] -> [T, N, C, V]."""
        return x.mean(4)


class ModalityMix(nn.Module):
    """y[m O + o, ...] = sum_c W[m, o, c] x[m C + c, ...]: a 1x1 convolution for each of M modalities.

    weight [M, O, C]; the modalities lie stacked along the channels, in and out.
    """

    def __init__(self, modalities: int, c_in: int, c_out: int) -> None:
        super().__init__()
        # Each modality is normalised and thresholded on its own: unit variance for inputs of unit variance.
        self.weight = nn.Parameter(torch.randn(modalities, c_out, c_in) / math.sqrt(c_in))

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, M C, V, ...] -> [T, N, M O, V, ...]."""
        return channels_second(F.linear(channels_last(x), torch.block_diag(*self.weight)))
