"""Class scores of prepared samples."""

import numpy as np
import torch
from torch import Tensor, nn

from train.data.samples import Samples
from train.processes import ALONE, Processes

BATCH = 64


def mean_over_persons(scores: Tensor, present: Tensor) -> Tensor:
    """scores [B*M, K], present bool [B, M] -> [B, K]: the mean over the persons who are there.

    Where nobody is, the mean over all: a sample always has scores.
    """
    batch, persons = present.shape
    weight = (present | ~present.any(1, keepdim=True)).to(scores.dtype)
    weighted = scores.view(batch, persons, -1) * weight[..., None]
    return weighted.sum(1) / weight.sum(1, keepdim=True)


def present_persons(x: Tensor, batch: int) -> Tensor:
    """x [T, B*M, C, V] -> bool [B, M]: an absent person is zero throughout."""
    return x.abs().amax((0, 2, 3)).view(batch, -1) > 0


@torch.no_grad()
def evaluate(model: nn.Module, samples: Samples, batch: int = BATCH, group: Processes = ALONE) -> np.ndarray:
    """float32 [n, K] class scores in the order of the samples; the model's mode is restored.

    Several processes take the batches in turn and each returns the scores of all: the batches, and so the
    bits, are those of one process.
    """
    was_training = model.training
    model.eval()
    parts: dict[int, Tensor] = {}
    for start in range(batch * group.rank, len(samples), batch * group.size):
        part = samples.take(np.arange(start, min(start + batch, len(samples))))
        x, present = (torch.from_numpy(a).to(group.device) for a in (part.folded(), part.present))
        parts[start] = mean_over_persons(model(x), present).cpu()
    model.train(was_training)
    if group.size == 1:
        return torch.cat(list(parts.values())).numpy()
    scores = torch.zeros(len(samples), group.told(parts[0].shape[1] if group.first else None))
    for start, found in parts.items():
        scores[start : start + len(found)] = found
    return group.total(scores).numpy()  # every row is one process's, and x + 0 = x


def accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of samples whose highest score is the label's; scores [n, K], labels [n]."""
    return float((scores.argmax(1) == labels).mean())
