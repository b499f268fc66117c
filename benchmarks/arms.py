"""What comparisons of trainings share: arms x seeds, runs that are gone on with, means over seeds and spread.

A run lies in FOLDER/ARM-seedS. It is trained where it is not there, resumed where it is not finished, and
taken as it is where it is: the same command ends what was interrupted, and prints a finished table again at
no cost. A folder of other settings than the arm's is refused, finished or not.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train import checkpoint
from train.begun import identity
from train.configuration import FROM_DATA
from train.models.registry import entry
from train.run_folder import LAST, RUN
from train.same_run import refuse_another
from verbs.group import fail, failed


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of every such comparison: what is trained is the rest."""
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--epochs", type=count, default=None, help="in place of the configuration's")
    parser.add_argument("--seeds", type=seeds, default=(0,), metavar="S,S,...", help="default: 0")
    parser.add_argument("--threads", type=count, default=2, help="default: 2")


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1")
    return int(text)


def seeds(text: str) -> tuple[int, ...]:
    """Numbers between commas, each once."""
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts) or len({*map(int, parts)}) < len(parts):
        raise argparse.ArgumentTypeError(f"{text!r}: expected different whole numbers, such as 0,1,2")
    return tuple(map(int, parts))


def folder(out: Path, arm: str, seed: int) -> Path:
    """Of a run."""
    return out / f"{arm}-seed{seed}"


def finished(run: Path, config: Any, recipe: Any, data_options: Mapping[str, Any]) -> bool:
    """Whether the run has all its epochs; TrainingError if it is finished with other settings than these.

    config: a TrainConfig or PoseConfig, recipe the one of its task. Threads may be others, and where data and
    other runs lie.
    """
    if not (run / LAST).is_file():
        return False
    there = checkpoint.description(run / LAST)
    if there["epoch"] < there.get("train_config", {}).get("epochs", config.epochs):
        return False
    refuse_another(run, there, _wanted(there, config, recipe, data_options))
    return True


def trained(
    run: Path,
    config: Any,
    recipe: Any,
    load: Callable[[], Any],
    fit: Callable[..., Any],
    data_options: Mapping[str, Any],
) -> Path:
    """The run, with all its epochs. load gives the training split; fit is a task's `fit`."""
    if not finished(run, config, recipe, data_options):
        begun = (run / RUN).is_file()
        fit(config, recipe, load(), run, data_options=data_options, resume=begun)
    return run


def _wanted(
    there: Mapping[str, Any], config: Any, recipe: Any, data_options: Mapping[str, Any]
) -> dict[str, Any]:
    """The description of a run, as it would be with these settings on the data that it saw."""
    of_data = FROM_DATA[entry(config.model).task]
    found = {k: v for k, v in there["model_config"].items() if k in of_data}
    seen = {k: there["recipe"][k] for k in ("mean", "spread") if k in there["recipe"]}
    options = {**data_options, "path": there["dataset"].get("options", {}).get("path")}
    if options["path"] is None:
        del options["path"]
    teacher = getattr(config, "teacher", "")
    return {
        **there,
        "model": config.model,
        "model_config": {**found, **config.model_settings},
        "recipe": {**recipe.to_dict(), **seen},
        "dataset": {**there["dataset"], "options": options},
        "teacher": identity(checkpoint.description(Path(teacher))) if teacher else None,
        "train_config": {**config.to_dict(), "threads": there.get("train_config", {}).get("threads")},
    }


def minutes(run: Path) -> float:
    """Of training, by the run's log."""
    return sum(json.loads(line)["epoch_s"] for line in (run / "log.jsonl").read_text().splitlines()) / 60


def mean_and_spread(shares: Sequence[float]) -> str:
    """Shares of 1 in per cent: their mean, and the standard deviation of a sample where there are several."""
    if not shares:
        return "-"
    percent = 100 * np.array(shares)
    spread = f" +- {percent.std(ddof=1):.2f}" if len(percent) > 1 else ""
    return f"{percent.mean():.2f}{spread}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = (f"| {' | '.join(cells)} |" for cells in (head, *rows))
    first, *rest = lines
    return "\n".join([first, "|---" * len(head) + "|", *rest])


def ended(main: Callable[[], None]) -> int:
    """The exit code of a main; errors that have one are one line, as `cli.py` has them."""
    try:
        main()
    except KeyboardInterrupt:
        return fail("interrupted; the same command goes on", 130)
    except Exception as error:
        return failed(error)
    return 0
