"""The nodes between neurons as layers, on integers in floats: [T, N, *shape], time first.

A product of integers is exact in float32 while every sum stays within 2^24, in float64 within 2^53. Each
layer proves which it needs from its fan-in, the width of its weights and the largest value that can come in
(`peak`, which every layer states of what it gives). Training cannot undo it: masters move, widths stay.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.qat.errors import NotTrainable
from train.qat.rounding import master, rounded, shifted
from train.qat.site import Site


def width(name: str, largest: int) -> torch.dtype:
    """The float that holds every integer up to `largest`."""
    if largest < 1 << 24:
        return torch.float32
    if largest < 1 << 53:
        return torch.float64
    raise NotTrainable(
        name, f"its sums may reach {largest}, above 2^53", "lower the weights or the exponents"
    )


class Encode(nn.Module):
    """Input: counts clip(round_half_even(x / scale), -limit, limit) of real values; spikes as they are."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.graded = site.fields["operand"] == "graded"
        self.scale = float(site.fields["scale"])
        self.peak = (1 << (site.fields["bits"] - 1)) - 1 if self.graded else 1

    def forward(self, x: Tensor) -> Tensor:
        if not self.graded:
            return x.to(torch.float32)
        counts = torch.round(x.to(torch.float64) / self.scale)  # in float64, as every target divides
        return counts.clamp(-self.peak, self.peak).to(torch.float32)


class Weighted(nn.Module):
    """A node with weights: y = product(x, mantissas) << exp, the mantissas rounded from `weight`."""

    field = "weight"

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.low, self.high = -(1 << (site.bits - 1)), (1 << (site.bits - 1)) - 1
        value, self.step, mantissa = site.master(self.field)
        self.weight = nn.Parameter(master(value, mantissa, self.step, self.low, self.high))
        self.kind, self.exp = site.fields[self.field].dtype, int(site.fields["weight_exp"])
        self._bound(site, tuple(self.weight.shape))

    def _bound(self, site: Site, shape: tuple[int, ...]) -> None:
        sum_peak = self.fan_in(site, shape) * -self.low * site.peaks[0]
        # A floor shift takes a negative sum at most 1 further.
        self.peak = sum_peak << self.exp if self.exp >= 0 else (sum_peak >> -self.exp) + 1
        self.width = width(site.name, max(sum_peak, self.peak))

    def fan_in(self, site: Site, shape: tuple[int, ...]) -> int:
        """Most weights in the sum of one output."""
        return math.prod(shape[1:])

    def integers(self) -> dict[str, np.ndarray]:
        """The trained fields of the node."""
        return {self.field: self.mantissa().detach().numpy().astype(self.kind)}

    def mantissa(self) -> Tensor:
        """What the chip holds, as floats."""
        return rounded(self.weight, self.step, self.low, self.high)

    def forward(self, x: Tensor) -> Tensor:
        return shifted(self.product(x.to(self.width), self.mantissa().to(self.width)), self.exp)

    @abstractmethod
    def product(self, x: Tensor, w: Tensor) -> Tensor:
        """The node's sums, before its exponent."""


class Affine(Weighted):
    """x flattened, W [out, in]; a pair without a synapse has no weight."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.shape = site.shape
        pairs = site.fields["synapses"]
        mask = None if pairs is None else torch.from_numpy(np.array(pairs, np.float32))
        self.register_buffer("mask", mask, persistent=False)

    def mantissa(self) -> Tensor:
        m = super().mantissa()
        return m if self.mask is None else m * self.mask

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        return F.linear(x.reshape(*x.shape[:2], -1), w).view(*x.shape[:2], *self.shape)


class ChannelMix(Weighted):
    """sum_c W[o, c] x[t, n, c, ...]."""

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        return mixed(x, w)


class StepConv(Weighted):
    """Taps W[:, :, k] over x k steps back."""

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        taps = [mixed(delayed(x, k), w[:, :, k]) for k in range(w.shape[2])]
        return sum(taps[1:], taps[0])


class GraphConv(Weighted):
    """sum_k W[k] x A[k]; the adjacency is fixed."""

    def __init__(self, site: Site) -> None:
        adjacency = site.fields["adjacency"]
        super().__init__(site)
        self.register_buffer("adjacency", torch.from_numpy(np.array(adjacency, np.float64)), persistent=False)

    def fan_in(self, site: Site, shape: tuple[int, ...]) -> int:
        columns = np.abs(site.fields["adjacency"].astype(np.int64)).sum(axis=1).max(initial=0)
        return shape[0] * shape[2] * max(int(columns), 1)

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        taps = [mixed(x @ a, m) for m, a in zip(w, self.adjacency.to(x.dtype), strict=True)]
        return sum(taps[1:], taps[0])


class Conv2d(Weighted):
    """As a product of patches: a convolution routine may transform its input, and lose the integers."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        f = site.fields
        self.stride, self.padding = tuple(f["stride"]), tuple(f["padding"])
        self.dilation, self.groups, self.shape = tuple(f["dilation"]), int(f["groups"]), site.shape

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        images = x.flatten(0, 1)
        patches = F.unfold(images, w.shape[2:], self.dilation, self.padding, self.stride)
        parts = patches.unflatten(1, (self.groups, -1))  # [N, groups, C/groups kh kw, places]
        y = w.flatten(1).unflatten(0, (self.groups, -1)) @ parts
        return y.reshape(*x.shape[:2], *self.shape)


class ChannelScale(Weighted):
    """scale[c] x[t, n, c, ...]."""

    field = "scale"

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        return x * w.view(-1, *(1,) * (x.dim() - 3))


class Move(nn.Module):
    """A node that moves values and changes none."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.fields, self.peak = site.fields, site.peaks[0]


class Reshape(Move):
    """The same values under another shape."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], *self.fields["shape"])


class Permute(Move):
    """Axes exchanged, T and N apart."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 1, *(axis + 2 for axis in self.fields["axes"]))


class Delay(Move):
    """x some steps back, 0 before the first."""

    def forward(self, x: Tensor) -> Tensor:
        return delayed(x, int(self.fields["steps"]))


class Add(nn.Module):
    """The sum of its inputs."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.peak = sum(site.peaks)
        self.width = width(site.name, self.peak)

    def forward(self, *inputs: Tensor) -> Tensor:
        first, *others = (x.to(self.width) for x in inputs)
        return sum(others, first)


class SpikeMatMul(nn.Module):
    """a b over the last two axes: coincidences counted. The gradient is the product's own."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.peak = site.shapes[0][-1] * math.prod(site.peaks)
        self.width = width(site.name, self.peak)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a.to(self.width) @ b.to(self.width)


class SpikeAnd(nn.Module):
    """a b, element by element."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.peak = math.prod(site.peaks)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b


def mixed(x: Tensor, w: Tensor) -> Tensor:
    """sum_c w[o, c] x[t, n, c, ...]."""
    return (w @ x.flatten(3)).view(*x.shape[:2], len(w), *x.shape[3:]) if x.dim() > 3 else x @ w.t()


def delayed(x: Tensor, steps: int) -> Tensor:
    """x some steps back, 0 before the first."""
    if steps == 0:
        return x
    late = x[: max(len(x) - steps, 0)]
    return torch.cat([x.new_zeros(len(x) - len(late), *x.shape[1:]), late])
