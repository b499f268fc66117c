"""What every checkpoint of a run says of it, whatever it was trained for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from train.config import TrainConfig
from train.files import json_bytes
from train.models import registry
from train.pose.config import PoseConfig
from train.revision import revision
from train.trainer import SettingsError


def describe(config: TrainConfig | PoseConfig, settings: Mapping[str, Any], **own: Any) -> dict[str, Any]:
    """The model, how it is trained, by which revision, and what the task adds; as it will be read back.

    settings: fields of the model's config. A SettingsError for those that it cannot have.
    """
    try:
        model_config = registry.config(config.model, settings)
    except (ValueError, TypeError) as error:
        raise SettingsError(str(error)) from error
    about = {
        "model": config.model,
        "model_config": registry.to_dict(model_config),
        **own,
        "train_config": config.to_dict(),
        "seed": config.seed,
        "revision": revision(),
    }
    return json.loads(json_bytes(about))
