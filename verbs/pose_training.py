"""`train --model ogn`, `keypoint-rcnn`: a pose network on people, with the options that poses have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from verbs.configuring import said, settings
from verbs.options import cores
from verbs.settings import pair

if TYPE_CHECKING:
    from train.configuration import Configuration
    from train.epochs import Result
    from train.pose.config import PoseConfig
    from train.pose.recipe import PoseRecipe
    from train.processes import Processes

# Options of skeletons: a pose training has no such thing.
SKELETONS = (
    "stream", "frames", "repeat", "backend", "variant", "surrogate", "teacher", "init", "validation_subjects"
)  # fmt: skip


def pose_fit(ctx: click.Context, given: dict[str, Any], chosen: Configuration, group: Processes) -> Result:
    """A pose network trained from the beginning, or from --weights: what every process does."""
    from train.pose.data import registry
    from train.pose.training import fit

    if odd := [name for name in SKELETONS if said(ctx, name)]:
        raise click.UsageError(
            f"--{odd[0].replace('_', '-')}: {given['model']} has no such setting; leave it out"
        )
    config, recipe = _config(given, chosen), _recipe(given, chosen)
    options = {**chosen.data, **dict(pair(item) for item in given["data_options"])}
    data = given["data"]
    people = registry.load(chosen.dataset, data, "train", **options)
    kept = {**options, **({"path": str(data.resolve())} if data is not None else {})}
    if group.first:
        for line in people.dropped:
            click.echo(f"left out: {line}", err=True)
    return fit(config, recipe, people, given["out"], data_options=kept, resume=given["resume"], group=group)


def _config(given: dict[str, Any], chosen: Configuration) -> PoseConfig:
    from train.pose.config import PoseConfig

    found = settings(given)
    values = {
        **chosen.train,
        **found["train"],
        "model": given["model"],
        "model_settings": {**chosen.settings, **found["model"]},
        "seed": given["seed"],
        "threads": given["threads"] or cores(),
        "weights": "" if given["weights"] is None else str(given["weights"].resolve()),
    }
    values |= {k: given[k] for k in ("epochs", "batch", "lr", "amp") if given[k] is not None}
    try:
        return PoseConfig.from_dict(values)
    except (ValueError, TypeError) as error:
        raise click.UsageError(str(error)) from error


def _recipe(given: dict[str, Any], chosen: Configuration) -> PoseRecipe:
    from train.records import records

    recipe = records(given["model"])[1]
    try:
        return recipe.from_dict({**chosen.recipe, **settings(given)["recipe"]})
    except (ValueError, TypeError) as error:
        raise click.UsageError(str(error)) from error
