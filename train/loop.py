"""Training on skeletons: `fit` is the whole of it. Epochs and files are those of `train.epochs`."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from train import checkpoint
from train.begun import begin, continued, identity, origin
from train.config import TrainConfig
from train.data import streams
from train.data.clip import ClipSet
from train.data.transform import Recipe
from train.description import describe
from train.epochs import Result, prepare_torch, run_epochs
from train.material import gather
from train.models import registry
from train.objective import Objective
from train.processes import ALONE, Processes
from train.teacher import Teacher
from train.terms import registry as term_registry
from train.terms.registry import Setting
from train.trainer import SettingsError


def fit(
    config: TrainConfig,
    recipe: Recipe,
    data: ClipSet,
    run: Path,
    *,
    data_options: Mapping[str, Any] | None = None,
    resume: bool = False,
    progress: bool = True,
    group: Processes = ALONE,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> Result:
    """Train on `data` (a training split) and fill the folder `run`.

    Mean and spread of the input come from the training clips alone. data_options are kept for whoever
    loads the same data again. on_epoch gets every log entry after its files are written. An
    interruption leaves the files of the last whole epoch. Of a `group`, every process calls this with
    the same arguments; the first one writes the files, calls on_epoch and shows the progress.
    """
    started = time.monotonic()
    teacher = Teacher.load(Path(config.teacher)) if config.teacher else None
    recipe = recipe if teacher is None else teacher.shared(recipe, data)
    start = checkpoint.load(Path(config.init)) if config.init else None
    recipe = recipe if start is None else continued(start.path, start.about, recipe, data)
    material = gather(config, recipe, data, group, teacher)
    about = _about(config, material.recipe, data, data_options or {}, teacher)
    about["init"] = None if start is None else origin(start.about, recipe)
    about["refit"] = identity(checkpoint.load(Path(config.refit)).about) if config.refit else None
    about["validation"] = material.record
    prepare_torch(config, group)
    model = registry.build(config.model, about["model_config"])
    if start is not None:
        begin(model, config.model, start)
    sample = torch.from_numpy(material.example.folded())
    setting = Setting(model, sample, len(data.class_names), material.layout, teacher, material.places)
    terms = term_registry.build(config, setting)
    objective = Objective(model, terms, config.label_smoothing, material.places)
    best = run_epochs(
        objective, config, about, material, run, group=group, resume=resume, progress=progress,
        on_epoch=on_epoch, until=config.until,
    )  # fmt: skip
    return Result(run, best, time.monotonic() - started)


def _about(
    config: TrainConfig, recipe: Recipe, data: ClipSet, options: Mapping[str, Any], teacher: Teacher | None
) -> dict[str, Any]:
    """The description that every checkpoint of the run carries."""
    settings = {
        **config.model_settings,
        "in_channels": streams.channels(recipe.stream),
        "classes": len(data.class_names),
        "layout": data.layout,
    }
    if "frames" in registry.fields_of(config.model):  # a model of a whole window
        settings["frames"] = recipe.frames
    try:
        registry.check_repeat(config.model, recipe.repeat)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    return describe(
        config,
        settings,
        recipe=recipe.to_dict(),
        dataset={"name": data.name, "layout": data.layout, "options": dict(options)},
        classes=list(data.class_names),
        teacher=teacher.identity if teacher is not None else None,
    )
