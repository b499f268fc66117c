"""Graphs in a fine-tuned run's checkpoint: written beside the masters, read as the network they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from train.qat.description import Description
from train.qat.network import IntegerNetwork

if TYPE_CHECKING:
    from train.checkpoint import Checkpoint


def body(description: Description) -> dict[str, Any]:
    """What a checkpoint says of a graph: nodes as pairs, for JSON objects are written in order of keys."""
    shapes = {name: list(shape) for name, shape in description.shapes.items()}
    return {**description.body, "nodes": list(description.nodes().items()), "shapes": shapes}


def tensors(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Arrays as a checkpoint holds them."""
    return {f"{prefix}.{key}": torch.from_numpy(np.array(x)) for key, x in arrays.items()}


def network(checkpoint: Checkpoint) -> IntegerNetwork:
    """The integers of the checkpoint as a network, the CPU part behind it; its masters are the integers."""
    about = checkpoint.about
    host = about.get("host")
    return IntegerNetwork(
        _description(checkpoint, "integer"), host=None if host is None else _description(checkpoint, "host")
    )


def _description(checkpoint: Checkpoint, prefix: str) -> Description:
    found = checkpoint.about[prefix]
    arrays = {key: x.numpy() for key, x in checkpoint.under(prefix).items()}
    return Description(found, arrays, {name: tuple(shape) for name, shape in found["shapes"].items()})
