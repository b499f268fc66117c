"""The exponential moving average of a model's weights."""

import copy
from typing import Generic

import torch

from train.course import Model


class Average(Generic[Model]):
    """w' = d w' + (1 - d) w after every update, d = min(decay, (1 + k) / (10 + k)) at update k.

    The smaller decay of the first updates forgets the initial weights. Batch-norm statistics are
    averaged as weights are; integer buffers are copied.
    """

    def __init__(self, model: Model, decay: float) -> None:
        if not 0.0 < decay < 1.0:
            raise ValueError(f"the decay of the average lies in (0, 1), got {decay}")
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, model: Model, k: int) -> None:
        """Take in the weights of `model` after its update k, counted from 0."""
        decay = min(self.decay, (1 + k) / (10 + k))
        new = model.state_dict()
        for name, average in self.model.state_dict().items():
            if average.is_floating_point():
                average.lerp_(new[name], 1.0 - decay)
            else:
                average.copy_(new[name])
