"""Layers that see the labels while they train: what they learn of them is a statistic, no gradient.

    with labelled(model, labels, present):
        model(x)

Outside of the block, and in evaluation, such a layer knows no label.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


class Labelled(nn.Module):
    """A layer with `labels`: int64 [N] of its rows while they are told, -1 where nobody is; else None."""

    labels: Tensor | None = None


@contextmanager
def labelled(model: nn.Module, labels: Tensor, present: Tensor) -> Iterator[None]:
    """Tell labels [B] to the layers of `model` that ask for them, for rows [B*M]; present bool [B, M]."""
    layers = [m for m in model.modules() if isinstance(m, Labelled)]
    rows = labels[:, None].expand(present.shape).masked_fill(~present, -1).flatten()
    try:
        for layer in layers:
            layer.labels = rows
        yield
    finally:
        for layer in layers:
            layer.labels = None
