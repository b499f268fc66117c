"""How much of the gradient reaches the first layer of a deep spiking network, surrogate by surrogate.

    python -m benchmarks.surrogate_depth [--model signal-sgn] [--data DIR] [--batch 16]

The norm of dL/dS at the output of every stage, over that at the last one, of an untrained model (seed 0) on
the first training batch of NW-UCLA (--data) or of the synthetic set: `train --set surrogate=...`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from train.config import TrainConfig
from train.configuration import of_dataset
from train.data import registry
from train.data.recipe import Recipe
from train.data.transform import standardised
from train.models import registry as models
from train.objective import Objective, tapped
from train.skeletons import layout
from train.surrogate import SURROGATES
from train.trainer import batches


def norms(name: str, surrogate: str, batch: tuple[torch.Tensor, torch.Tensor], sizes: dict) -> list[float]:
    """The norm of the gradient behind each stage, first to last."""
    torch.manual_seed(0)
    model = models.build(name, {**sizes, "surrogate": surrogate}).train()
    objective = Objective(model)
    with tapped(model, model.stages) as taps:
        x, labels = batch
        loss = objective(x, labels)[0]
        found = torch.autograd.grad(loss, [taps[stage] for stage in model.stages])
    return [float(g.norm()) for g in found]


def batch_of(name: str, data: Path | None, size: int) -> tuple[tuple[torch.Tensor, torch.Tensor], dict]:
    """The first training batch, and what the model must fit of it."""
    dataset = "synthetic" if data is None else "nw-ucla"
    clips = registry.load(dataset, data, "train")
    chosen = of_dataset(dataset, {})
    values = {**(chosen.recipe if chosen else {}), **models.entry(name).recipe, "frames": 16}
    here = layout(clips.layout)
    recipe = standardised(clips.clips, Recipe.from_dict(values), here, 0)
    x, labels, _ = next(batches(clips.clips, recipe, here, TrainConfig(batch=size), 1))
    sizes = {"in_channels": x.shape[2], "classes": len(clips.class_names), "layout": here.name}
    return (x, labels), sizes | ({"frames": 16} if "frames" in models.fields_of(name) else {})


def main() -> None:
    """One row a surrogate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    spiking = sorted(n for n in models.MODELS if "surrogate" in models.fields_of(n))
    parser.add_argument("--model", default="signal-sgn", choices=spiking)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--batch", type=int, default=16)
    asked = parser.parse_args()
    batch, sizes = batch_of(asked.model, asked.data, asked.batch)
    for surrogate in sorted(SURROGATES):
        found = norms(asked.model, surrogate, batch, sizes)
        print(f"{surrogate:14}", *(f"{norm / found[-1]:10.2g}" for norm in found))


if __name__ == "__main__":
    main()
