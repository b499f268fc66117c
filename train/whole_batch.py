"""What a loss or a layer needs of the whole batch, where several processes hold a part of it each.

A process's loss counts by its share n / N of the batch's clips (train.trainer): the gradients are those of

    L = sum over processes of n / N times their loss.

`mean` is over rows (persons who are there), of which a process may have more than its share; `rows` are
everybody's, for losses that compare clips; `GlobalDropout` has the mask of one process with the whole batch.
Alone, each is what torch has.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from train import processes


def mean(each: Tensor, clips: int) -> Tensor:
    """each [R] of this process's rows, n = clips of its part -> its loss, such that L is the mean of all
    rows: sum(each) / R_all * N / n."""
    if not processes.several():
        return each.mean()
    here = torch.tensor([len(each), clips], dtype=torch.float64, device=each.device)
    all_rows, all_clips = processes.summed(here).tolist()
    return each.sum() * (all_clips / (clips * all_rows))


def rows(x: Tensor) -> Tensor:
    """x [R, ...] of this process -> [R_all, ...], in order of rank; gradients come back from all processes.

    A loss of all rows is the same in every process, and L is that loss.
    """
    return _Rows.apply(x, *_place(x)) if processes.several() else x


def _place(x: Tensor, axis: int = 0) -> tuple[int, ...]:
    """This process's rank and the rows of every process."""
    counts = processes.gathered(torch.tensor([x.shape[axis]], device=x.device)).flatten().tolist()
    return processes.rank(), *counts


class _Rows(torch.autograd.Function):
    """x [R, ...] -> [R_all, ...]; parts differ in length, and travel padded to the longest."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, rank: int, *counts: int) -> Tensor:
        ctx.mine = slice(sum(counts[:rank]), sum(counts[: rank + 1]))
        padded = x.new_zeros(max(counts), *x.shape[1:])
        padded[: len(x)] = x
        parts = processes.gathered(padded)
        return torch.cat([part[:n] for part, n in zip(parts, counts, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, g: Tensor) -> tuple[Tensor | None, ...]:
        whole = processes.summed(g.contiguous().clone())
        return whole[ctx.mine], *(None for _ in ctx.needs_input_grad[1:])


class GlobalDropout(nn.Dropout):
    """nn.Dropout that draws for the whole batch and takes its rows: all processes must draw alike.

    The batch is the second axis of x [T, N, C], steps before it, and else the first.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; on a CPU the mask of one process, where that one's x is contiguous."""
        if not (self.training and self.p and processes.several()):
            return super().forward(x)
        axis = 1 if x.dim() == 3 else 0
        rank, *counts = _place(x, axis)
        shape = list(x.shape)
        shape[axis] = sum(counts)
        mask = F.dropout(x.new_ones(shape), self.p)
        return x * mask.narrow(axis, sum(counts[:rank]), counts[rank])


def share_dropout(module: nn.Module) -> None:
    """Put a dropout of the whole batch for each plain one inside."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Dropout:
                setattr(parent, name, GlobalDropout(child.p))
