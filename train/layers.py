"""The linear leaves of the skeleton models, over [T, N, C, V]: steps, batch, channels, joints.

Each is linear (or affine) at inference and keeps no state. `StepConv` reaches back in steps, `StepMap` and
`StepMean` need the whole window; the others work on every step alone. In memory the tensors lie as [T, N, V,
C]: every layer is then one or a few large matrix products without a copy. The logical shape stays [T, N, C,
V]; a plain contiguous input is accepted as well. `ChannelMix`, `ChannelNorm` and `GraphConv` also take axes
behind the joints, [T, N, C, V, F] (train.frame_layers), which lie as [T, N, F, V, C].
"""

import math
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from train import processes, synchronised
from train.precision import full, mixed


def channels_last(x: Tensor) -> Tensor:
    """[T, N, C, V, ...] -> [T, N, ..., V, C], contiguous; free of a copy where x lies that way already."""
    return channels_second(x).contiguous()


def channels_second(rows: Tensor) -> Tensor:
    """[T, N, ..., V, C] -> [T, N, C, V, ...], a view."""
    return rows.permute(0, 1, *range(rows.dim() - 1, 1, -1))


class ChannelMix(nn.Module):
    """y[o, v] = sum_c W[o, c] x[c, v] + b[o]: a 1x1 convolution. weight [out, in], bias [out]."""

    def __init__(self, c_in: int, c_out: int, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(c_out, c_in))
        self.bias = nn.Parameter(torch.zeros(c_out)) if bias else None
        nn.init.kaiming_normal_(self.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, in, V, ...] -> [T, N, out, V, ...]."""
        return channels_second(F.linear(channels_last(x), self.weight, self.bias))


class GraphConv(nn.Module):
    """y[o, w] = sum_k sum_c sum_v W[k, o, c] x[c, v] (A[k, v, w] + B[k, v, w]), in every frame alike.

    weight [K, out, in]; A [K, V, V] the fixed skeleton graph (a buffer); B [K, V, V] learned, small
    at the start. MK-SGN's spatial step; the learned B is 2s-AGCN's. With normalised, each column of A + B is
    divided by its Euclidean length (Signal-SGN).
    """

    def __init__(self, c_in: int, c_out: int, adjacency: Tensor, normalised: bool = False) -> None:
        super().__init__()
        k = adjacency.shape[0]
        self.normalised = normalised
        self.weight = nn.Parameter(torch.empty(k, c_out, c_in))
        self.register_buffer("A", adjacency.clone())
        self.B = nn.Parameter(torch.full_like(adjacency, 1e-6))
        # The K products are summed, so that each starts with 1/K of the variance.
        nn.init.normal_(self.weight, std=math.sqrt(2.0 / (k * c_out)))

    def adjacency(self) -> Tensor:
        """[K, V, V]: what the joints are mixed by."""
        mix = self.A + self.B
        # A column without an edge stays zero: its length is a few 1e-6 of B, not what it is divided by.
        return mix / mix.norm(dim=1, keepdim=True).clamp_min(1e-4) if self.normalised else mix

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, in, V, ...] -> [T, N, out, V, ...]."""
        rows = channels_last(x)
        *places, v, c = rows.shape
        k, c_out, _ = self.weight.shape
        flat = rows.view(-1, v, c)
        # Joints first, all k at once, with rows ordered (w, k): the result of one joint is then one
        # row of k C numbers, and the channels of all partitions are summed by a single product.
        mix = self.adjacency().permute(2, 0, 1).reshape(v * k, v)
        # bmm over an expanded view: matmul would fold the batch by transposing x, at twice the time.
        mixed = torch.bmm(mix.expand(len(flat), -1, -1), flat).view(-1, k * c)
        y = mixed @ self.weight.transpose(1, 2).reshape(k * c, c_out)
        return channels_second(y.view(*places, v, c_out))


class _CausalConv(torch.autograd.Function):
    """x [T, P, in], weight [out, in, K] -> y [T, P, out], y_t = sum_k x_{t-k} W_k^T."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        y = x @ weight[:, :, 0].t()
        for k in range(1, min(weight.shape[2], len(x))):
            y[k:].flatten(0, 1).addmm_(x[:-k].flatten(0, 1), weight[:, :, k].t())
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, g: Tensor) -> tuple[Tensor | None, Tensor]:
        x, weight = ctx.saved_tensors
        g = g.contiguous()
        g_weight = torch.zeros_like(weight)
        g_x = g @ weight[:, :, 0]
        g_weight[:, :, 0] = g.flatten(0, 1).t() @ x.flatten(0, 1)
        for k in range(1, min(weight.shape[2], len(x))):
            later, earlier = g[k:].flatten(0, 1), x[:-k].flatten(0, 1)
            g_x[:-k].flatten(0, 1).addmm_(later, weight[:, :, k])
            g_weight[:, :, k] = later.t() @ earlier
        return g_x, g_weight


class StepConv(nn.Module):
    """y_t[o, v] = sum_k sum_c W[o, c, k] x_{t-k}[c, v]; x is zero before the first step.

    Causal: tap k is a delay of k steps. weight [out, in, K]; no bias.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(c_out, c_in, kernel))
        nn.init.kaiming_normal_(self.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, in, V] -> [T, N, out, V]."""
        rows, weight = mixed(channels_last(x), self.weight)
        t, n, v, c = rows.shape
        y = _CausalConv.apply(rows.view(t, n * v, c), weight)
        return y.view(t, n, v, -1).transpose(2, 3)


class ChannelNorm(nn.BatchNorm1d):
    """y = weight (x - mean) / sqrt(var + eps) + bias per channel: batch norm over all other axes.

    Training uses the batch's mean and variance, inference the running ones; an affine map per
    channel. gain: what the weight starts from. The batch is that of all processes, where several train
    together; always in float32.
    """

    def __init__(self, channels: int, gain: float = 1.0) -> None:
        super().__init__(channels)
        nn.init.constant_(self.weight, gain)

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, C, V, ...] -> [T, N, C, V, ...]."""
        rows = channels_last(full(x))
        if self.training:
            self.num_batches_tracked.add_(1)
            if processes.several():
                return channels_second(synchronised.norm(rows.flatten(0, -2), self).view(rows.shape))
        # As an image of one column in channels-last order: torch's fast path for this memory order.
        image = rows.view(1, -1, 1, rows.shape[-1]).permute(0, 3, 1, 2)
        y = F.batch_norm(
            image, self.running_mean, self.running_var, self.weight, self.bias,
            self.training, self.momentum, self.eps,
        )  # fmt: skip
        return channels_second(y.permute(0, 2, 3, 1).reshape(rows.shape))


def shortcut(c_in: int, c_out: int) -> nn.Module:
    """What comes round a branch: the input, or where channels change ConvBN of it."""
    return nn.Identity() if c_in == c_out else nn.Sequential(ChannelMix(c_in, c_out), ChannelNorm(c_out))


class JointMean(nn.Module):
    """y[c] = 1/V sum_v x[c, v]."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, C, V] -> [T, N, C]."""
        return x.mean(3)


class JointMap(nn.Module):
    """y[j C + c, w] = sum_i sum_v M[j, i, w, v] x[i C + c, v]: a fixed map of the joints.

    matrix [W, V], or [J, I, W, V] where J and I parts (real, imaginary) lie stacked along the channels;
    `train.fixed_maps` makes them. Not trained.
    """

    def __init__(self, matrix: np.ndarray) -> None:
        super().__init__()
        matrix = np.asarray(matrix)
        parted = matrix if matrix.ndim == 4 else matrix[None, None]
        self.register_buffer("matrix", torch.as_tensor(parted, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, I C, V] -> [T, N, J C, W]."""
        _, parts_in, joints, _ = self.matrix.shape
        parted = x.unflatten(2, (parts_in, -1))
        y = torch.einsum("jiwv,tnicv->tnjcw", self.matrix, parted)
        return y.reshape(*x.shape[:2], -1, joints)


class WindowError(ValueError):
    """A window of another length than the one a fixed map was made for."""

    exit_code: ClassVar[int] = 3


class StepMap(nn.Module):
    """y[t'] = sum_t M[t', t] x[t]: a fixed map of the whole window. matrix [T', T]; not trained.

    kept: whether a checkpoint holds the matrix; it need not where it follows from the model's config.
    """

    def __init__(self, matrix: np.ndarray, kept: bool = True) -> None:
        super().__init__()
        values = torch.as_tensor(np.asarray(matrix), dtype=torch.float32)
        self.register_buffer("matrix", values, persistent=kept)

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, *shape] -> [T', N, *shape]."""
        if len(x) != self.matrix.shape[1]:
            want = self.matrix.shape[1]
            raise WindowError(
                f"StepMap takes {want} steps, got {len(x)}; feed {want} or build it for {len(x)}"
            )
        return torch.tensordot(*mixed(self.matrix, x), dims=1)


class StepMean(nn.Module):
    """y = 1/T sum_t x[t]: the mean over the window, one step."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, *shape] -> [1, N, *shape]."""
        return x.mean(0, keepdim=True)
