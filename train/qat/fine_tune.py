"""Fine-tuning a run's integer graph: the training loop over an IntegerNetwork. `fine_tune` is all of it.

The run that it leaves is one like any other. Its checkpoints say `qat` (what was chosen, of which parent),
`integer` and `host` (nodes of the graphs), and hold the float masters as model.*; best.safetensors has the
arrays of the graphs too, as integer.* and host.*, and the parent, whose config it has, as parent.*.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from train.checkpoint import Checkpoint, CheckpointError
from train.config import TrainConfig
from train.data.clip import ClipSet
from train.data.recipe import Recipe
from train.epochs import Result, prepare_torch, run_epochs
from train.files import json_bytes
from train.material import gather
from train.objective import Objective
from train.processes import ALONE, Processes
from train.qat.description import Description
from train.qat.kept import body, tensors
from train.qat.network import IntegerNetwork
from train.qat.parent import FromParent
from train.revision import revision

DEFAULTS: Mapping[str, Any] = {
    "epochs": 5, "optimizer": "sgd", "momentum": 0.9, "lr": 0.005, "schedule": "one-cycle", "warm_up": 0.1,
    "weight_decay": 0.0, "average": 0.98, "tfsm": 0.0, "amp": "none", "until": 0, "refit": "",
}  # fmt: skip
"""What fine-tuning does otherwise than its parent's training; data, batch and validation are the parent's.

The learning rate belongs to the optimiser: at that of sgd, adamw undoes in an epoch what the parent learned.
"""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was asked for: widths, the form of learned adjacencies, the weight of the parent's scores."""

    bits: int = 8
    input_bits: int = 8
    adjacency: str = "dense"
    distil: float = 1.0


def settings(parent: Checkpoint, given: Mapping[str, Any]) -> TrainConfig:
    """The parent's training config with DEFAULTS, and what is given, in place; ValueError for a bad value."""
    kept = parent.about.get("train_config")
    if not isinstance(kept, dict):
        raise CheckpointError(parent.path, "no train_config", "a run that `train` has left")
    known = {f.name for f in fields(TrainConfig)}
    return TrainConfig.from_dict({**{k: v for k, v in kept.items() if k in known}, **DEFAULTS, **given})


def fine_tune(
    parent: Checkpoint,
    model: nn.Module,
    start: Description,
    choice: Choice,
    config: TrainConfig,
    data: ClipSet,
    run: Path,
    *,
    host: Description | None,
    layers: list[dict[str, Any]],
    resume: bool = False,
    progress: bool = True,
    group: Processes = ALONE,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> Result:
    """Fine-tune the integer graph `start` of `model`, the float network of the checkpoint `parent`.

    data: the training split the parent was trained on. host: the float graph of the CPU behind it, where that
    gives the scores. layers: how each layer was quantised, kept for people.
    The graph as it is given is a candidate (epoch 0): validation never gets worse. Where the parent held
    nothing out, the last epoch is kept.
    """
    started = time.monotonic()
    material = gather(config, Recipe.from_dict(parent.about["recipe"]), data, group)
    about = _about(parent, choice, config) | {"validation": material.record}
    about |= {"integer": {**body(start), "layers": layers}, "host": None if host is None else body(host)}
    about = json.loads(json_bytes(about))  # as it will be read back
    prepare_torch(config, group)
    network = IntegerNetwork(start, parent.about["model_config"].get("surrogate", "sigmoid"), host)
    terms = [FromParent(model, choice.distil)] if choice.distil else []
    fixed = {f"parent.{k}": x for k, x in model.state_dict().items()}
    fixed |= tensors("host", dict(host.arrays)) if host is not None else {}

    def beside(tuned: nn.Module) -> dict[str, Tensor]:
        return fixed | tensors("integer", tuned.integers())  # type: ignore[operator]

    best = run_epochs(
        Objective(network, terms, config.label_smoothing), config, about, material, run,
        group=group, resume=resume, progress=progress, on_epoch=on_epoch, beside=beside, from_start=True,
    )  # fmt: skip
    return Result(run, best, time.monotonic() - started)


def _about(parent: Checkpoint, choice: Choice, config: TrainConfig) -> dict[str, Any]:
    """What every checkpoint of the run says, its graphs apart."""
    kept = {key: parent.about[key] for key in ("model", "model_config", "recipe", "dataset", "classes")}
    source = {"sha256": parent.about["sha256"], "epoch": parent.about["epoch"]}
    source["accuracy_val"] = parent.about.get("metrics", {}).get("accuracy_val")
    source |= {key: parent.about[key] for key in ("refit", "init") if parent.about.get(key)}
    return {
        **kept,
        "train_config": config.to_dict(),
        "seed": config.seed,
        "revision": revision(),
        "qat": {**asdict(choice), "parent": source},
    }
