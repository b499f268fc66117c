"""Seconds of a training epoch: Base-SGN of ours beside the same network of SpikingJelly's modules.

    python -m benchmarks.training_vs_spikingjelly [--data DIR] [--threads 2] [--share 1] [--quick] [--json F]

On NW-UCLA (--data) or the synthetic set, with its own recipe and schedule. All three train from the same
weights, on the same augmented batches in the same order, through the same optimiser, average and loss; every
batch is timed on ours, on SpikingJelly step by step and on its multi-step modules, one after the other in an
order that turns, so that a load on the machine falls on all. Only forward, backward and update are timed.

Before that, the first batch goes through all of them in float64, on equal weights: every spike count must be
the same, and the loss up to TOLERANCE. In float32 sums round in another order and spikes within rounding of
their thresholds flip: the losses of the first batch, and the means, are printed. Seconds are those on the
wall and those of the processor, which a load on the machine moves less. See requirements-bench.txt.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.machine import describe, machine
from train.config import TrainConfig
from train.configuration import of_dataset
from train.data import registry
from train.data.recipe import Recipe
from train.data.split import Split, hold_out
from train.data.transform import standardised
from train.models import registry as models
from train.neurons import LIF
from train.objective import Objective
from train.skeletons import Layout, layout
from train.trainer import Trainer, batches

TOLERANCE = 1e-9
"""Relative, of a loss in float64: sums of 10^5 terms in another order, 1e-16 each; no spike may flip."""


@dataclass(slots=True)
class Row:
    """One network under training, the seconds of its updates and their losses."""

    name: str
    trainer: Trainer
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def update(self, x: Tensor, labels: Tensor) -> None:
        """One timed iteration."""
        start, start_cpu = time.perf_counter(), time.process_time()
        loss, _, _ = self.trainer.update(x, labels)
        self.seconds.append(time.perf_counter() - start)
        self.cpu_seconds.append(time.process_time() - start_cpu)
        self.losses.append(loss)


def setting(data: Path | None, threads: int, quick: bool) -> tuple[Split, Recipe, Layout, TrainConfig, int]:
    """Clips, recipe, layout, settings and classes of the set's own configuration."""
    name = "synthetic" if data is None else "nw-ucla"
    chosen = of_dataset(name, {})
    clips = registry.load(name, data, "train", **({"train_per_class": 4} if quick and data is None else {}))
    config = TrainConfig.from_dict({**(chosen.train if chosen else {}), "threads": threads})
    recipe = Recipe.from_dict({"stream": "joint+bone", **(chosen.recipe if chosen else {})})
    if quick:
        config, recipe = replace(config, batch=4), replace(recipe, frames=8)
    here = layout(clips.layout)
    split = hold_out(clips.clips, config.validation, None, config.validation_fraction, clips.unseen)
    return split, standardised(split.train, recipe, here, 0), here, config, len(clips.class_names)


def rows(config: TrainConfig, here: Layout, classes: int, iterations: int) -> list[Row]:
    """Ours, and the two peers with its weights."""
    from benchmarks.spikingjelly_sgn import MODES, Peer

    torch.manual_seed(config.seed)
    ours = models.build(config.model, {"in_channels": 6, "classes": classes, "layout": here.name})
    nets = {"basalt": ours, **{f"spikingjelly {name}": Peer(ours, mode) for name, mode in MODES.items()}}
    count = sum(p.numel() for p in ours.parameters())
    if any(sum(p.numel() for p in net.parameters()) != count for net in nets.values()):
        raise SystemExit("the networks have other numbers of weights")
    smooth = config.label_smoothing
    return [Row(name, Trainer(Objective(net, (), smooth), config, iterations)) for name, net in nets.items()]


def check(found: list[Row], x: Tensor, labels: Tensor) -> int:
    """Equal weights, equal batch, float64: equal loss and spikes, or it ends here; how many spikes."""
    answers = {row.name: exact(row.trainer.objective, x.double(), labels) for row in found}
    loss, spikes = answers["basalt"]
    for name, (other, count) in answers.items():
        if count != spikes or not math.isclose(other, loss, rel_tol=TOLERANCE):
            raise SystemExit(
                f"{name}: loss {other} and {count} spikes; basalt: {loss} and {spikes}: not the same network"
            )
    return spikes


@torch.no_grad()
def exact(objective: Objective, x: Tensor, labels: Tensor) -> tuple[float, int]:
    """Loss and spikes of a copy in float64, in training mode."""
    from benchmarks.spikingjelly_sgn import NEURON, strict

    copied, counts = strict(copy.deepcopy(objective).double()).train(), []
    for module in copied.modules():
        if isinstance(module, LIF | NEURON):
            module.register_forward_hook(lambda _m, _a, out: counts.append(int(torch.count_nonzero(out))))
    return float(copied(x, labels)[0]), sum(counts)


def compare(asked: argparse.Namespace) -> list[dict]:
    """Train all on a share of an epoch, batch by batch; a row each."""
    split, recipe, here, config, classes = setting(asked.data, asked.threads, asked.quick)
    torch.set_num_threads(asked.threads)
    per_epoch = -(-len(split.train) // config.batch)
    count = max(3, round(asked.share * per_epoch))
    found = rows(config, here, classes, per_epoch * config.epochs)
    first = next(batches(split.train, recipe, here, config, 1))
    print(f"first batch in float64: the same loss, the same {check(found, *first[:2])} spikes", flush=True)
    warm_up(found, first)
    for k, (x, labels, _) in enumerate(islice(batches(split.train, recipe, here, config, 1), count)):
        for row in found[k % 3 :] + found[: k % 3]:
            row.update(x, labels)
    best, best_cpu = sum(found[0].seconds), sum(found[0].cpu_seconds)
    return [
        {
            "network": row.name, "batches": len(row.seconds), "epoch_s": sum(row.seconds) / count * per_epoch,
            "ratio": sum(row.seconds) / best, "cpu_ratio": sum(row.cpu_seconds) / best_cpu,
            "epoch_cpu_s": sum(row.cpu_seconds) / count * per_epoch, "first_loss": row.losses[0],
            "mean_loss": sum(row.losses) / len(row.losses),
        }
        for row in found
    ]  # fmt: skip


def warm_up(found: list[Row], batch: tuple[Tensor, Tensor, int]) -> None:
    """Compile and allocate on one batch; no weight, average, momentum or statistic moves."""
    for row in found:
        objective = row.trainer.objective.train()
        kept = {k: v.clone() for k, v in objective.state_dict().items()}
        objective(*batch[:2])[0].backward()
        objective.zero_grad()
        objective.load_state_dict(kept)


def main() -> None:
    """Parse, run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the NW-UCLA folder; without it the synthetic set")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--share", type=float, default=1.0, help="share of an epoch that is run")
    parser.add_argument("--quick", action="store_true", help="three small batches")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if find_spec("spikingjelly") is None:
        raise SystemExit("SpikingJelly is not there; see requirements-bench.txt")
    if asked.quick:
        asked.share = 0.0
    print(f"{describe()}, torch {torch.__version__}, threads {asked.threads}", flush=True)
    found = compare(asked)
    head = ("network", "batches", "s/epoch", "ratio", "cpu s", "ratio", "first loss", "mean loss")
    print("{:>20}{:>9}{:>9}{:>7}{:>9}{:>7}{:>12}{:>11}".format(*head))
    for row in found:
        print(
            f"{row['network']:>20}{row['batches']:9}{row['epoch_s']:9.2f}{row['ratio']:7.2f}"
            f"{row['epoch_cpu_s']:9.2f}{row['cpu_ratio']:7.2f}{row['first_loss']:12.6f}{row['mean_loss']:11.4f}"
        )
    if asked.json:
        asked.json.write_text(json.dumps({"machine": machine(), "rows": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
