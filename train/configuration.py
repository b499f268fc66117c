"""Configurations: what a data set and a protocol are trained with, as TOML files in train/configs/.

    what = "..."             one line for people
    dataset = "ntu60"        a name of train.data.registry; of train.pose.data.registry for a pose model
    model = "mk-sgn"         a name of train.models.registry; none: for every model
    [data]                   options of the data set, such as protocol = "xsub"
    [recipe]                 fields of train.data.recipe.Recipe, or train.pose.recipe.PoseRecipe
    [settings]               fields of the model's config, where a model is named
    [train]                  fields of train.config.TrainConfig, or train.pose.config.PoseConfig

A field that is not in the file keeps the default of its class; what the command line says goes before both.
Where a file is for every model, the model's own recipe (train.models.registry) goes before the file's. A data
set without a file of its own is trained with the defaults alone.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from train.data.errors import DataError
from train.models.registry import MODELS, entry, fields_of
from train.records import records, sources

FOLDER = Path(__file__).parent / "configs"
FROM_DATA = {
    "action": {"in_channels", "classes", "layout", "frames"},
    "pose": {"joints", "heads", "kinds"},
    "people": {"joints", "heads", "kinds"},
}
"""Task -> fields of a model that follow from data and recipe, for poses from the codec."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One file: its name (the file's stem) and its tables."""

    name: str
    what: str
    dataset: str
    model: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)


def names() -> tuple[str, ...]:
    """The names of the configurations that come with Basalt."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def configuration(name: str) -> Configuration:
    """A configuration of ours by its name, or one of a file that ends in .toml."""
    if name.endswith(".toml"):
        return _read(Path(name))
    if name not in names():
        raise DataError(f"unknown configuration {name!r}; expected {', '.join(names())}, or a .toml file")
    return _read(FOLDER / f"{name}.toml")


def of_dataset(dataset: str, options: Mapping[str, Any], model: str = "") -> Configuration | None:
    """Our configuration of a data set under these options and, where they are silent, the set's defaults.

    The model's own goes before the one for every model.
    """
    source = sources(model)
    if dataset not in source.names():
        return None
    given = source.defaults(dataset) | dict(options)
    fitting = [
        found
        for found in (_read(path) for path in sorted(FOLDER.glob("*.toml")) if _is_for(path, dataset, model))
        if all(given.get(k) == v for k, v in found.data.items())
    ]
    return max(fitting, key=lambda found: found.model != "", default=None)


def _is_for(path: Path, dataset: str, model: str) -> bool:
    """Whether the file is of this data set and of this model or every one.

    Only then is it checked: checking a file of poses brings what only poses need.
    """
    content = _content(path)
    return content.get("dataset") == dataset and content.get("model", "") in ("", model)


def _content(path: Path) -> dict[str, Any]:
    """The TOML of a file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError.of(
            path, found=f"no readable TOML ({error})", expected="a configuration", do="correct --config"
        ) from error


def _read(path: Path) -> Configuration:
    """The file, each field known; values are checked by whoever takes them."""
    content = _content(path)
    model = content.get("model", "")
    if model != "" and model not in [*MODELS]:
        raise DataError.of(
            path, found=f"model {model!r}", expected=f"one of {', '.join(MODELS)}", do="correct the name"
        )
    if odd := _unknown(content, model):
        raise DataError.of(
            path, found=f"unknown {', '.join(odd)}", expected="known fields", do="correct the file"
        )
    if content.get("dataset") not in (names := sources(model).names()):
        raise DataError.of(
            path,
            found=f"dataset {content.get('dataset')!r}",
            expected=f"one of {', '.join(names)}",
            do="name the data set",
        )
    return Configuration(path.stem, **{"what": "", **content})


def _unknown(content: Mapping[str, Any], model: str) -> list[str]:
    """What a file holds that no configuration, or none of this model, has."""
    elsewhere = {"model", "model_settings", "seed", "threads", "teacher", "weights", "init"}
    train, recipe = records(model)
    known = {
        "recipe": {f.name for f in fields(recipe)},
        "train": {f.name for f in fields(train)} - elsewhere,
    }
    if model:
        known["settings"] = fields_of(model) - FROM_DATA[entry(model).task]
    odd = sorted(set(content) - {"what", "dataset", "model", "data", *known})
    for table in ("data", *known):
        if not isinstance(content.get(table, {}), dict):
            odd.append(f"{table} that is no table")
        elif table in known:
            odd += sorted(f"{table}.{key}" for key in set(content.get(table, {})) - known[table])
    return odd
