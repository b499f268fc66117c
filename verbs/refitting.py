"""`train --refit`: a run once more, on all of its training clips.

A run holds clips out to choose its epoch; once that is chosen they are worth more as training clips. The
number of epochs is what validation chose, the schedule is the run's, and the last of these epochs is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convert.ir import BadInput
from verbs.configuring import refuse_settled, said
from verbs.feed import load_clips, options_at
from verbs.options import cores

if TYPE_CHECKING:
    from train.config import TrainConfig
    from train.epochs import Result
    from train.processes import Processes

SETTLED = (  # what a run that is refit has from the run before it
    "model", "config_name", "dataset", "stream", "epochs", "batch", "lr", "frames", "repeat", "backend",
    "variant", "surrogate", "weights", "validation_subjects", "settings", "data_options",
)  # fmt: skip


def refitted(ctx: click.Context, given: Mapping[str, Any], group: Processes) -> Result:
    """The run of a `train --refit RUN`, from the options of `train`: what every process does."""
    from train.data.recipe import Recipe
    from train.loop import fit

    refuse_settled(ctx, "--refit", SETTLED)
    run = given["refit"]
    about = _chosen(run)
    config = _config(ctx, given, about)
    clips = load_clips(about, None, given["data"], "train")
    return fit(
        config, Recipe.from_dict(about["recipe"]), clips, given["out"],
        data_options=options_at(about, given["data"]), resume=given["resume"], group=group,
    )  # fmt: skip


def _chosen(run: Path) -> dict[str, Any]:
    """The description of a run that held clips out and chose its epoch by them; BadInput for another."""
    from train.checkpoint import description
    from train.records import completed, of_poses

    about = completed(description(run))  # `fit` reads the whole checkpoint
    kept = about.get("train_config")
    if of_poses(about["model"]):
        raise BadInput(f"{run}: is of {about['model']}, expected a run on skeletons; train it as it is")
    if "qat" in about:
        raise BadInput(f"{run}: is fine-tuned; refit the run it was made from, and fine-tune that")
    if not isinstance(kept, Mapping):
        raise BadInput(f"{run}: found no train_config, expected a run that `train` has left")
    if kept["validation"] == "none":
        raise BadInput(f"{run}: held nothing out, so that it chose no epoch; name the run that did")
    return about


def _config(ctx: click.Context, given: Mapping[str, Any], about: Mapping[str, Any]) -> TrainConfig:
    """The run's own settings, but all clips and the number of epochs that it chose."""
    from train.config import TrainConfig

    values = dict(about["train_config"])
    values |= {"refit": str(given["refit"].resolve()), "until": about["epoch"]}
    values |= {"validation": "none", "validation_subjects": None, "threads": given["threads"] or cores()}
    for name in ("init", "teacher"):
        if given[name] is not None:
            values[name] = str(given[name].resolve())
        elif values[name]:
            _refuse_changed(name, Path(values[name]), about)
    if said(ctx, "seed"):
        values["seed"] = given["seed"]
    if given["amp"] is not None:
        values["amp"] = given["amp"]
    try:
        return TrainConfig.from_dict(values)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{given['refit']}: {error}; take an unedited run") from error


def _refuse_changed(role: str, path: Path, about: Mapping[str, Any]) -> None:
    """The run that another one began with or learned from must still be what it was then."""
    from train.checkpoint import CheckpointError, description

    try:
        found = description(path)["sha256"]
    except CheckpointError as error:
        raise BadInput(f"--{role}: {error}; say where it lies now") from error
    if found != (known := about[role]["sha256"]):
        raise BadInput(
            f"--{role} {path}: found checkpoint {found[:12]}, the run has {known[:12]}; say where that lies"
        )
