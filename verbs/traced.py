"""From a run to graphs: traced, folded and parted, quantised. What `convert` and `train --qat` begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convert.artifact import is_artifact
from convert.ir import BadInput, Graph, Unsupported
from verbs.feed import Feed, reduced

if TYPE_CHECKING:
    from convert.passes.partition import Split
    from convert.passes.quantise import Quantise
    from train.checkpoint import Checkpoint

CALIBRATION = 64  # training samples that quantisation sees


@dataclass(frozen=True, eq=False)
class Traced:
    """A run's float model: the torch module, the graph of it, the checkpoint they are of."""

    graph: Graph
    checkpoint: Checkpoint
    model: Any

    def scores(self, x: np.ndarray) -> np.ndarray:
        """The torch model's scores of rows x [T, rows, ...]."""
        import torch

        with torch.no_grad():
            out = self.model(torch.from_numpy(x)).numpy()
        return reduced(self.graph, out)


def traced(run: Path, do: str) -> Traced:
    """The best checkpoint of a run folder, or a .safetensors file; of a fine-tuned one its parent.

    do: what is wanted of it, for errors.
    """
    from train.checkpoint import float_model, load

    if is_artifact(run):
        raise BadInput(f"{run}: is an artifact already; {do} the run it was made from")
    checkpoint = load(run)
    about = checkpoint.about
    if "codec" in about:
        raise BadInput(f"{run}: is a pose network, expected one of skeletons; it has no integers to {do}")
    model = float_model(checkpoint)
    return Traced(float_graph(model, about), checkpoint, model)


def float_graph(model: Any, about: Mapping[str, Any]) -> Graph:
    """A float torch model of skeletons as a graph; about: its checkpoint's description, or what is kept of
    it."""
    from convert.from_torch import from_torch
    from train.data.recipe import Recipe
    from train.skeletons import layout

    joints = layout(about["dataset"]["layout"]).size
    return from_torch(model, Recipe.from_dict(about["recipe"]).shape(joints))


@dataclass(frozen=True, eq=False)
class Folded:
    """The float graph whole, what was pruned of its adjacencies, and its parts for chip and CPU."""

    graph: Graph
    pruned: list[Any]
    split: Split
    refused: Unsupported | None  # why a chip holds no part of it


def folded(graph: Graph, adjacency: str) -> Folded:
    """Batch norms folded, adjacencies in the form asked for, parted."""
    from convert.passes import adjacency as forms
    from convert.passes.fold_batchnorm import FOLD_BATCHNORM
    from convert.passes.partition import partition, refusal

    floating, pruned = forms.apply(FOLD_BATCHNORM(graph), adjacency)
    split = partition(floating)
    return Folded(floating, pruned, split, refusal(floating, split))


def quantised(chip: Graph, feed: Feed, bits: int, input_bits: int) -> tuple[Graph, Quantise]:
    """The integer graph by these samples, and the pass with its report and masters."""
    from convert.passes.quantise import Quantise
    from deploy.calibration import calibrate

    x = np.concatenate([rows for _, rows in feed.batches(CALIBRATION)], axis=1)
    quantise = Quantise(calibrate(chip, x), bits, input_bits)
    return quantise(chip), quantise
