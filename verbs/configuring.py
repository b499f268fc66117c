"""What a training is configured with: a configuration file, options beside it, and --set."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from verbs.settings import fitted, pair

if TYPE_CHECKING:
    from train.configuration import Configuration
    from train.models.registry import Entry

POSES = ("pose", "people")  # tasks that the data sets of people serve
PEOPLE = "synthetic-people"  # what poses are trained on where nothing is said
# Fields that --set would lose to an option's default or to the data: where they come from instead.
ELSEWHERE = {
    "model": "use --model", "seed": "use --seed", "threads": "use --threads", "stream": "use --stream",
    "backend": "use --backend", "validation_subjects": "use --validation-subjects",
    "teacher": "use --teacher", "init": "use --init", "refit": "use --refit",
    "model_settings": "set the model's fields one by one", "in_channels": "it follows from --stream",
    "classes": "it follows from the data", "layout": "it follows from the data",
}  # fmt: skip
OF_POSES = {
    "joints": "it follows from the data", "heads": "they follow from codec",
    "kinds": "they follow from codec", "weights": "use --weights",
}  # fmt: skip


def said(ctx: click.Context, option: str) -> bool:
    """Whether the command line says it, rather than a default."""
    return ctx.get_parameter_source(option) is not click.core.ParameterSource.DEFAULT


def refuse_settled(
    ctx: click.Context, by: str, names: Iterable[str], why: Mapping[str, str] | None = None
) -> None:
    """Refuse those options of `train` that the run named by the option `by` has settled, or `why`."""
    for name in names:
        if said(ctx, name):
            option = {"config_name": "config", "data_options": "data-option", "settings": "set"}.get(
                name, name.replace("_", "-")
            )
            found = (why or {}).get(name, "what the run has")
            raise click.UsageError(f"--{option}: with {by} it is {found}; leave it out")


def configured(ctx: click.Context, given: dict[str, Any]) -> Configuration:
    """The configuration asked for, else the data set's own, else an empty one."""
    from train.configuration import Configuration, configuration, of_dataset

    options = dict(pair(item) for item in given["data_options"])
    if given["config_name"] is None:
        if named(given["model"]).task in POSES and not said(ctx, "dataset"):
            given["dataset"] = PEOPLE
        own = of_dataset(given["dataset"], options, given["model"])
        return own or Configuration("none", "", given["dataset"])
    found = configuration(given["config_name"])
    if said(ctx, "dataset") and given["dataset"] != found.dataset:
        raise click.UsageError(
            f"--dataset {given['dataset']}: --config {found.name} is of {found.dataset}; leave one out"
        )
    if found.model not in ("", given["model"]):
        if said(ctx, "model"):
            raise click.UsageError(
                f"--model {given['model']}: --config {found.name} is of {found.model}; leave one out"
            )
        given["model"] = found.model
    if odd := [key for key, value in found.data.items() if options.get(key, value) != value]:
        raise click.UsageError(
            f"--data-option {odd[0]}={options[odd[0]]}: --config {found.name} says {found.data[odd[0]]}; "
            "leave one of them out"
        )
    return found


def settings(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """--set pairs sorted to whose field they are: 'train', 'recipe' or 'model'."""
    from train.records import records

    named(given["model"])
    train, recipe = records(given["model"])
    owners = {"train": train, "recipe": recipe, "model": named(given["model"]).config}
    known = {(owner, f.name): f for owner, kind in owners.items() for f in dataclasses.fields(kind)}
    found: dict[str, dict[str, Any]] = {owner: {} for owner in owners}
    elsewhere = ELSEWHERE | (OF_POSES if named(given["model"]).task in POSES else {})
    for item in given["settings"]:
        key, value = pair(item)
        if key in elsewhere:
            raise click.UsageError(f"--set {key}: {elsewhere[key]}")
        owner = next((o for o in owners if (o, key) in known), None)
        if owner is None:
            names = ", ".join(sorted({name for _, name in known}))
            raise click.UsageError(f"--set {key}: no such field; known: {names}")
        found[owner][key] = fitted(key, value, known[owner, key].default)
    return found


def named(model: str) -> Entry:
    """The model of that name, or a usage error that lists the known ones."""
    from train.models.registry import entry

    try:
        return entry(model)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
