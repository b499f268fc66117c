"""The folder of a run: made new, or found again to resume; what may not be mixed is refused."""

import hashlib
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from train import checkpoint
from train.course import Course
from train.files import json_bytes, write_whole
from train.processes import Processes
from train.same_run import differences, refuse_another
from train.trainer import TrainingError

LAST, RUN = "last.safetensors", "run.json"


def refuse_unlike(group: Processes, about: Mapping[str, Any], course: Course) -> None:
    """Every process must train the same run: commands and data of several machines may differ."""
    ids = hashlib.sha256("\n".join(course.ids()).encode())
    options = {k: v for k, v in about["dataset"]["options"].items() if k != "path"}  # a machine's own
    described = {**about, "dataset": {**about["dataset"], "options": options}, "clips": ids.hexdigest()}
    mine = json.loads(json_bytes(described))  # as it comes from process 0
    first = group.told(mine)
    if odd := [key for key in mine if mine[key] != first[key]]:
        raise TrainingError(
            f"process {group.rank} of {group.size} differs from process 0: {differences(first, mine, odd)}; "
            "start all with the same settings, data and code"
        )


def opened(
    run: Path, about: Mapping[str, Any], course: Course, resume: bool, group: Processes
) -> checkpoint.Checkpoint | None:
    """Make the run folder, or find the checkpoint to continue from; None is a start from the beginning.

    The first process does, and tells the others: they need not see the folder.
    """
    last = _opened(run, about, course, resume, group) if group.first else None
    described = group.told(last and last.about)
    if described is None:
        return None
    return checkpoint.Checkpoint(run / LAST, group.told_tensors(last.tensors if last else {}), described)


def _opened(
    run: Path, about: Mapping[str, Any], course: Course, resume: bool, group: Processes
) -> checkpoint.Checkpoint | None:
    if resume and (run / RUN).is_file() and not (run / LAST).exists():
        refuse_another(run, _read_facts(run / RUN), about)  # interrupted in its first epoch
        return None
    if resume:
        last = checkpoint.load(run / LAST)
        refuse_another(run, last.about, about)
        return last
    if (run / LAST).exists() or (run / RUN).exists():
        raise TrainingError(f"{run}: holds a run already; resume it or choose another folder")
    run.mkdir(parents=True, exist_ok=True)
    facts = {
        **course.facts(),
        "processes": group.size,
        "device": group.device.type,
        "versions": {
            "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
        },
    }  # fmt: skip
    write_whole(run / RUN, json_bytes({**about, **facts}))
    return None


def _read_facts(path: Path) -> dict[str, Any]:
    """What run.json says."""
    try:
        facts = json.loads(path.read_bytes())
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        raise TrainingError(f"{path}: found no JSON object, expected what a run was begun with; start anew")
    return facts
