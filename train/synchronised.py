"""Batch norm whose batch is that of all processes: every one normalises by the same mean and variance.

    y = weight (x - m) / sqrt(q + eps) + bias,   m, q: mean and variance over the R rows of all processes
    dL/dx = weight / sqrt(q + eps) (g - sum(g)/R - z sum(g z)/R),   z = (x - m) / sqrt(q + eps)

Both sums are over all rows of all processes, as m and q are functions of every x: L is then the sum of the
processes' losses. The gradients of weight and bias are this process's alone; DistributedDataParallel adds
those of the others. Torch's SyncBatchNorm computes the same, on GPUs only.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from train import processes


def norm(x: Tensor, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> Tensor:
    """x [R, C] of this process -> [R, C]; moves the layer's running statistics as `F.batch_norm` does."""
    mean, variance, rows = _statistics(x.detach())
    with torch.no_grad():
        unbiased = variance * (rows / (rows - 1.0))
        layer.running_mean.lerp_(mean.to(x.dtype), layer.momentum)
        layer.running_var.lerp_(unbiased.to(x.dtype), layer.momentum)
    scale = (variance + layer.eps).rsqrt()
    return _Norm.apply(x, layer.weight, layer.bias, mean.to(x.dtype), scale.to(x.dtype), 1.0 / rows)


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x [R, C] -> mean [C], biased variance [C], rows (0-d), over all processes; float64.

    One exchange: means and variances of the parts, then Chan's formula. The sum of squares less the square
    of the sum would lose all digits where the mean is far from 0.
    """
    mean = x.mean(0)
    variance = (x - mean).square().mean(0)
    mine = torch.stack([torch.full_like(mean, len(x)), mean, variance]).double()
    counts, means, variances = processes.gathered(mine).unbind(1)
    rows = counts[:, 0].sum()
    whole = (counts * means).sum(0) / rows
    return whole, (counts * (variances + (means - whole).square())).sum(0) / rows, rows


class _Norm(torch.autograd.Function):
    """[R, C], weight and bias [C]; mean and scale = 1 / sqrt(q + eps) [C], share = 1 / rows."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, scale: Tensor, share: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, scale, share)
        slope = weight * scale
        return torch.addcmul(bias - mean * slope, x, slope)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale, share = ctx.saved_tensors
        z = (x - mean).mul_(scale)
        mine = torch.stack([g.sum(0), (g * z).sum(0)])
        g_sum, gz_sum = processes.summed(mine.clone()) * share.to(g.dtype)
        g_x = (g - g_sum).addcmul_(z, gz_sum, value=-1.0).mul_(weight * scale)
        return g_x, mine[1], mine[0], None, None, None


class GlobalNorm(nn.BatchNorm1d):
    """nn.BatchNorm1d of [R, C] whose training statistics are those of all processes."""

    def forward(self, x: Tensor) -> Tensor:
        """[R, C] -> [R, C]."""
        if not (self.training and processes.several()):
            return super().forward(x)
        self.num_batches_tracked.add_(1)
        return norm(x, self)


class GlobalImageNorm(nn.BatchNorm2d):
    """nn.BatchNorm2d of [N, C, H, W] whose training statistics are those of all processes."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H, W]."""
        if not (self.training and processes.several()):
            return super().forward(x)
        self.num_batches_tracked.add_(1)
        rows = x.permute(0, 2, 3, 1)
        return norm(rows.flatten(0, -2), self).view(rows.shape).permute(0, 3, 1, 2)


GLOBAL: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: GlobalNorm,
    nn.BatchNorm2d: GlobalImageNorm,
}


def synchronise(module: nn.Module) -> None:
    """Put a norm of all processes, of the same parameters and names, for each plain batch norm inside."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) in GLOBAL:
                wide = GLOBAL[type(child)](child.num_features, child.eps, child.momentum)
                wide._parameters, wide._buffers = child._parameters, child._buffers
                setattr(parent, name, wide)


def pooled(means: tuple[Tensor, ...], count: int) -> tuple[tuple[Tensor, ...], int]:
    """Means over `count` things here as means over those of all processes, and how many these are.

    One process gets back what it gave; a process without any gives zeros. All take part in every call.
    """
    if not processes.several():
        return means, count
    flat = torch.cat([m.flatten() for m in means])
    total = processes.summed(torch.cat([flat * count, flat.new_tensor([count])]))
    everyone = int(total[-1])
    parts = (total[:-1] / max(everyone, 1)).split([m.numel() for m in means])
    return tuple(p.view_as(m) for p, m in zip(parts, means, strict=True)), everyone
