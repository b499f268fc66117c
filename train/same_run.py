"""Whether a folder holds the run that is to be resumed: settings, data and other runs it builds on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.records import completed
from train.teacher import told
from train.trainer import TrainingError


def refuse_another(run: Path, there: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """A run is resumed with the settings that it was begun with.

    Fields that its records did not have then are at their defaults: `train.records.completed`.
    """
    same = ("model", "model_config", "recipe", "dataset", "classes", "train_config", "qat", "init", "refit",
            "weights")  # fmt: skip
    if there.get("teacher") != about.get("teacher"):
        raise TrainingError(
            f"{run}: found {told(about.get('teacher'))}, the run learns from {told(there.get('teacher'))}; "
            "resume with that one, or start another folder"
        )
    there, about = (_settings_alone(completed(one)) for one in (there, about))
    old, new = there.get("recipe"), about["recipe"]
    if isinstance(old, dict) and {k for k in new if old.get(k) != new[k]} & {"mean", "spread"}:
        # Other settings of the recipe move them too; equal settings leave only the clips.
        if all(old.get(k) == new[k] for k in new if k not in ("mean", "spread")):
            raise TrainingError(
                f"{run}: found another mean and spread of the training clips; "
                "the data is not what the run began with: restore it"
            )
        about = {**about, "recipe": {**new, "mean": old.get("mean"), "spread": old.get("spread")}}
    if odd := [key for key in same if there.get(key) != about.get(key)]:
        raise TrainingError(
            f"{run}: the run to resume has another {differences(there, about, odd)}; "
            "resume with the settings of the run, or start another folder"
        )


def _settings_alone(about: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is told elsewhere: where another run lies is no setting, nor is what else is said of a
    parent, its sha256 is; and the model's config has every field of it."""
    config, tuned = about.get("train_config"), about.get("qat")
    elsewhere = {"teacher": "", "init": "", "refit": "", "weights": "", "model_settings": {}}
    if isinstance(tuned, dict) and isinstance(parent := tuned.get("parent"), dict):
        tuned = {**tuned, "parent": parent.get("sha256")}
    config = {**config, **elsewhere} if isinstance(config, dict) else config
    return {**about, "train_config": config, "qat": tuned}


def differences(old: Mapping[str, Any], new: Mapping[str, Any], keys: list[str]) -> str:
    """The differing settings by name, with both values where they are small."""
    out = []
    for key in keys:
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            names = sorted(k for k in {*a, *b} if a.get(k) != b.get(k))
            out += [f"{key}.{k} ({a.get(k)} there, {b.get(k)} here)" for k in names]
        else:
            out.append(f"{key} ({a} there, {b} here)")
    return ", ".join(out)
