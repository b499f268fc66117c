"""The records that a run is made of: its settings, recipe, model's config and data's options; and old ones.

Which classes they are follows from the model's task. Those of poses, which bring OpenCV, are imported for
pose models alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import ModuleType
from typing import Any

from train.models.registry import MODELS, entry


def of_poses(model: str) -> bool:
    """Whether the model is trained on people in images: on crops of them ("pose"), or whole ("people")."""
    return model in MODELS and entry(model).task in ("pose", "people")


def records(model: str) -> tuple[type, type]:
    """The classes of the training's settings and of the data's recipe that a model of this task takes."""
    if of_poses(model):
        from train.pose.config import PoseConfig
        from train.pose.rcnn.recipe import SceneRecipe
        from train.pose.recipe import PoseRecipe

        return PoseConfig, SceneRecipe if entry(model).task == "people" else PoseRecipe
    from train.config import TrainConfig
    from train.data.recipe import Recipe

    return TrainConfig, Recipe


def sources(model: str) -> ModuleType:
    """The registry of the data sets that a model is trained on."""
    if of_poses(model):
        from train.pose.data import registry as poses

        return poses
    from train.data import registry as actions

    return actions


def completed(about: Mapping[str, Any]) -> dict[str, Any]:
    """The description of a run, as JSON holds it, with every field that its records have by now.

    A field that was added after the run was begun takes its default, which must therefore be what was done
    before there was such a field. Values that are there stay, known or not; so does what is no record at all.
    """
    model = about.get("model")
    if not isinstance(model, str) or model not in MODELS:
        return dict(about)
    settings, recipe = records(model)
    found = {
        "train_config": _filled(about.get("train_config"), _defaults(settings)),
        "model_config": _filled(about.get("model_config"), _defaults(entry(model).config)),
        "recipe": _filled(about.get("recipe"), _defaults(recipe)),
        "dataset": _with_options(about.get("dataset"), model),
        "qat": _filled(about.get("qat"), _tuning() if "qat" in about else {}),
    }
    return {**about, **{key: value for key, value in found.items() if key in about}}


def _filled(values: Any, defaults: Mapping[str, Any]) -> Any:
    """The mapping with the defaults of what it lacks; anything else as it is."""
    return {**defaults, **values} if isinstance(values, Mapping) else values


def _defaults(record: type) -> dict[str, Any]:
    """The fields of a dataclass that have a default, as JSON holds them."""
    found: dict[str, Any] = {}
    for field in fields(record):
        if field.default_factory is not MISSING:
            found[field.name] = field.default_factory()
        elif field.default is not MISSING:
            found[field.name] = list(field.default) if isinstance(field.default, tuple) else field.default
    return found


def _with_options(dataset: Any, model: str) -> Any:
    """The record of a data set with the options that it has by now."""
    if not isinstance(dataset, Mapping) or not isinstance(name := dataset.get("name"), str):
        return dataset
    return {**dataset, "options": _filled(dataset.get("options", {}), sources(model).defaults(name))}


def _tuning() -> dict[str, Any]:
    from train.qat.fine_tune import Choice

    return _defaults(Choice)
