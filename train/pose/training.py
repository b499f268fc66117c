"""Training a pose network: `fit` is the whole of it. Epochs and files are those of `train.epochs`."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from train.description import describe
from train.epochs import Result, prepare_torch, run_epochs
from train.models import registry
from train.pose.config import PoseConfig
from train.pose.course import PoseCourse, gather
from train.pose.data.person import PoseSet
from train.pose.rcnn.course import PeopleCourse
from train.pose.rcnn.course import gather as gather_people
from train.pose.rcnn.recipe import SceneRecipe
from train.pose.recipe import PoseRecipe
from train.pose.weights import load_weights
from train.processes import ALONE, Processes
from train.synchronised import synchronise


def fit(
    config: PoseConfig,
    recipe: PoseRecipe | SceneRecipe,
    data: PoseSet,
    run: Path,
    *,
    data_options: Mapping[str, Any] | None = None,
    resume: bool = False,
    progress: bool = True,
    group: Processes = ALONE,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> Result:
    """Train on `data` (a training split) and fill the folder `run`; as `train.loop.fit`.

    recipe: of people's crops (`ogn`), or of whole images (`keypoint-rcnn`).

    The epoch is chosen by the PCK of what is held out of the split (`train.pose.data.person.hold_out`).
    """
    started = time.monotonic()
    course: PoseCourse | PeopleCourse
    if isinstance(recipe, SceneRecipe):  # whole images, not crops of people
        course = gather_people(config, recipe, data, group)
    else:
        course = gather(config, recipe, data, group)
    about = _about(config, recipe, data, data_options or {})
    prepare_torch(config, group)
    model = registry.build(config.model, about["model_config"])
    if config.weights:
        load_weights(model.backbone, Path(config.weights))
    if group.size > 1:
        synchronise(model)
    model = model.to(memory_format=torch.channels_last)  # what convolutions on CPUs and GPUs are fastest in
    best = run_epochs(
        course.objective(model),
        config,
        about,
        course,
        run,
        group=group,
        resume=resume,
        progress=progress,
        on_epoch=on_epoch,
    )
    return Result(run, best, time.monotonic() - started)


def _about(
    config: PoseConfig, recipe: PoseRecipe | SceneRecipe, data: PoseSet, options: Mapping[str, Any]
) -> dict[str, Any]:
    """The description that every checkpoint of the run carries."""
    codec = recipe.build_codec()
    heads = {"heads": tuple(codec.heads), "kinds": tuple(codec.heads.values())}
    return describe(
        config,
        {**config.model_settings, **heads, "joints": data.keypoints.size},
        recipe=recipe.to_dict(),
        codec=codec.description(),
        dataset={"name": data.name, "layout": data.keypoints.name, "options": dict(options)},
        classes=[],
        joints=list(data.keypoints.joints),
        weights=_sha256(Path(config.weights)) if config.weights else None,
    )


def _sha256(path: Path) -> str | None:
    """Of a file; None where there is none (loading it says so)."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
