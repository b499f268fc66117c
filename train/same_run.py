"""Whether a folder holds the run that is to be resumed: settings, data and other runs it builds on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.teacher import told
from train.trainer import TrainingError


def refuse_another(run: Path, there: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """A run is resumed with the settings that it was begun with."""
    same = ("model", "model_config", "recipe", "dataset", "classes", "train_config", "qat", "init", "weights")
    if there.get("teacher") != about.get("teacher"):
        raise TrainingError(
            f"{run}: found {told(about.get('teacher'))}, the run learns from {told(there.get('teacher'))}; "
            "resume with that one, or start another folder"
        )
    there, about = _without_path(there), _without_path(about)
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


def _without_path(about: Mapping[str, Any]) -> dict[str, Any]:
    """Where another run lies is no setting: its sha256 is."""
    config, elsewhere = about.get("train_config"), {"teacher": "", "init": "", "weights": ""}
    return {**about, "train_config": {**config, **elsewhere} if isinstance(config, dict) else config}


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
