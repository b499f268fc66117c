"""Distillation from the float parent: what keeps a fine-tuned program close to the network it is of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train.evaluate import mean_over_persons
from train.objective import Seen, Term


class FromParent(Term):
    """weight * KL(softmax(parent's scores) || softmax(scores)), mean over the batch [nats].

    The parent sees the same augmented samples, is in evaluation and is not trained.
    """

    def __init__(self, parent: nn.Module, weight: float) -> None:
        super().__init__()
        self._parent = (
            parent.eval().requires_grad_(False),
        )  # in a tuple: no module of ours, no weight either
        self.weight = weight

    def forward(self, seen: Seen) -> dict[str, Tensor]:
        with torch.no_grad():
            wanted = mean_over_persons(self._parent[0](seen.x), seen.present)
        close = F.kl_div(
            F.log_softmax(seen.scores, 1), F.log_softmax(wanted, 1), log_target=True, reduction="batchmean"
        )
        return {"parent": self.weight * close}
