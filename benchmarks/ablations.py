"""What each part of Signal-SGN and MK-SGN brings: the same training with and without it, over several seeds.

    python -m benchmarks.ablations --study mk-sgn --data DIR --out runs/ablations --seeds 0,1,2 --teacher RUN

signal-sgn    the whole model, and without FSN (frequency), MWTF (wavelet), TFSM (tfsm), one at a time
mk-sgn        built up: Base-SGN on the same modalities, SMF (fusion), SA-SGC (attention), and on top of both
              a teacher's intermediate layers (distil_features), its soft labels (distil_labels), or both

An arm is the study's configuration (--config: another one) but for the settings in its row of STUDIES. Runs
lie in OUT/STUDY/ARM-seedS (benchmarks.arms: they are gone on with, and taken where they are finished), the
table in OUT/ablations-STUDY.md. It holds every arm of the study that has finished runs of these seeds,
whichever --arm says to train. Accuracies are of the epoch that validation chose; with --test, the test's of
the same weights, read once a run and kept in its test.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch

from benchmarks import arms
from train import checkpoint
from train.begun import identity
from train.config import TrainConfig
from train.configuration import Configuration, configuration
from train.data import registry
from train.data.clip import ClipSet
from train.data.errors import DataError
from train.data.recipe import Recipe
from train.data.transform import prepare
from train.evaluate import evaluate
from train.files import json_bytes, write_whole
from train.loop import fit
from train.models.registry import entry
from train.skeletons import layout
from train.teacher import told

TEST = "test.json"


@dataclass(frozen=True, slots=True)
class Arm:
    """Fields of the model's config and of the training's that it sets; whether it learns from the teacher."""

    what: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    taught: bool = False


@dataclass(frozen=True, slots=True)
class Study:
    """The model, its configuration, and the arms by name in the order of the table."""

    model: str
    config: str
    arms: Mapping[str, Arm]


STUDIES = {
    "signal-sgn": Study(
        "signal-sgn",
        "nw-ucla-signal-sgn",
        {
            "whole": Arm("Signal-SGN"),
            "without-fsn": Arm("without FSN", {"frequency": False}),
            "without-mwtf": Arm("without MWTF", {"wavelet": "none"}),
            "without-tfsm": Arm("without TFSM", train={"tfsm": 0.0}),
        },
    ),
    "mk-sgn": Study(
        "mk-sgn",
        "nw-ucla-mk-sgn",
        {
            "base": Arm("Base-SGN, frames as an axis", {"fusion": False, "attention": False}),
            "smf": Arm("+ SMF", {"attention": False}),
            "sa-sgc": Arm("+ SMF + SA-SGC"),
            "distil-intermediate": Arm(
                "+ SMF + SA-SGC + distillation, intermediate", train={"distil_labels": 0.0}, taught=True
            ),
            "distil-soft": Arm(
                "+ SMF + SA-SGC + distillation, soft", train={"distil_features": 0.0}, taught=True
            ),
            "distil-both": Arm("+ SMF + SA-SGC + distillation, both", taught=True),
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A study as it was asked for: what a run of it is, and where."""

    name: str
    study: Study
    chosen: Configuration
    out: Path
    data: Path | None
    teacher: Path | None
    epochs: int | None
    threads: int

    @property
    def data_options(self) -> dict[str, Any]:
        """What a run keeps of its data, as `train` does."""
        here = {} if self.data is None else {"path": str(self.data.resolve())}
        return {**self.chosen.data, **here}

    @property
    def recipe(self) -> Recipe:
        """The same for every arm."""
        return Recipe.from_dict({**entry(self.study.model).recipe, **self.chosen.recipe})

    def config(self, arm: Arm, seed: int) -> TrainConfig:
        """The configuration's settings, the arm's, and what the command line says."""
        values: dict[str, Any] = {
            **self.chosen.train,
            **arm.train,
            "model": self.study.model,
            "model_settings": {**self.chosen.settings, **arm.settings},
            "seed": seed,
            "threads": self.threads,
            "teacher": str(self.teacher.resolve()) if arm.taught and self.teacher is not None else "",
        }
        try:
            return TrainConfig.from_dict(values | ({"epochs": self.epochs} if self.epochs else {}))
        except (ValueError, TypeError) as error:
            raise DataError(f"{self.chosen.name}: {error}") from error

    def run(self, arm: str, seed: int) -> Path:
        """The folder of a run."""
        return arms.folder(self.out / self.name, arm, seed)

    def finished(self, arm: str, seed: int) -> bool:
        """Whether the run is there with all its epochs."""
        config = self.config(self.study.arms[arm], seed)
        return arms.finished(self.run(arm, seed), config, self.recipe, self.data_options)

    def clips(self, split: str) -> ClipSet:
        """A split of the data."""
        return registry.load(self.chosen.dataset, self.data, split, **self.chosen.data)

    def lacks_teacher(self, arm: str) -> str:
        """Why the arm cannot be trained; "" if it can."""
        if not self.study.arms[arm].taught or (self.teacher is not None and self.teacher.exists()):
            return ""
        return "it needs --teacher RUN" if self.teacher is None else f"no teacher at {self.teacher}"


def planned(args: argparse.Namespace) -> Plan:
    """The plan of a command line; DataError for a configuration in which arms would be no comparison."""
    study = STUDIES[args.study]
    chosen = configuration(args.config or study.config)
    if chosen.model != study.model:
        raise DataError(f"--config {chosen.name}: is of {chosen.model or 'no model'}; expected {study.model}")
    plan = Plan(args.study, study, chosen, args.out, args.data, args.teacher, args.epochs, args.threads)
    seen: dict[str, str] = {}
    for name, arm in study.arms.items():
        key = json.dumps([plan.config(arm, 0).to_dict(), arm.taught], sort_keys=True)
        if key in seen:
            raise DataError(
                f"--config {chosen.name}: arms {seen[key]} and {name} are the same training; "
                "take a configuration of the whole model"
            )
        seen[key] = name
    return plan


def train_missing(plan: Plan, names: list[str], seeds: tuple[int, ...]) -> None:
    """Every asked arm and seed, a line each, seed by seed: what is interrupted has whole comparisons."""
    load = cache(lambda: plan.clips("train"))
    for name in names:
        if reason := plan.lacks_teacher(name):
            print(f"skipped {name}: {reason}", flush=True)
    pairs = [(seed, name) for seed in seeds for name in names if not plan.lacks_teacher(name)]
    for place, (seed, name) in enumerate(pairs, 1):
        head, run = f"[{place}/{len(pairs)}] {name}, seed {seed}", plan.run(name, seed)
        if not plan.finished(name, seed):
            print(f"{head}: training, {run}", flush=True)
        config = plan.config(plan.study.arms[name], seed)
        arms.trained(run, config, plan.recipe, load, fit, plan.data_options)
        best = checkpoint.description(run)
        share = best["metrics"]["accuracy_val"]
        print(f"{head}: validation {100 * share:.2f} % at epoch {best['epoch']}, "
              f"{arms.minutes(run):.1f} minutes of training, {run}", flush=True)  # fmt: skip


def tested(run: Path, clips: Callable[[], ClipSet], threads: int) -> float:
    """Test accuracy of a run's best epoch: its test.json's, where that is of these weights, else read now."""
    sha256, kept = checkpoint.description(run)["sha256"], run / TEST
    if kept.is_file():
        try:
            found = json.loads(kept.read_bytes())
            if found["checkpoint"] == sha256:
                return found["right"] / found["samples"]
        except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
            raise DataError(f"{kept}: found no result of a test; remove it to read the test again") from error
    torch.set_num_threads(threads)
    model, saved = checkpoint.load_model(run)
    data = clips()
    samples = prepare(data.clips, Recipe.from_dict(saved.about["recipe"]), layout(data.layout))
    right = int((evaluate(model, samples).argmax(1) == samples.labels).sum())
    count = len(samples.labels)
    write_whole(kept, json_bytes({"checkpoint": sha256, "samples": count, "right": right}))
    return right / count


def rows(plan: Plan, seeds: tuple[int, ...], test: bool) -> Iterator[tuple[str, ...]]:
    """A line of the table for every arm: of the finished runs of these seeds."""
    clips = cache(lambda: plan.clips("test"))
    for name, arm in plan.study.arms.items():
        lacking = plan.lacks_teacher(name)
        done = [] if lacking else [seed for seed in seeds if plan.finished(name, seed)]
        runs = [plan.run(name, seed) for seed in done]
        validation = [checkpoint.description(run)["metrics"]["accuracy_val"] for run in runs]
        cells = [arms.mean_and_spread(validation)]
        if test:
            cells.append(arms.mean_and_spread([tested(run, clips, plan.threads) for run in runs]))
        yield name, arm.what, ", ".join(map(str, done)) or "none", *cells


def page(plan: Plan, seeds: tuple[int, ...], test: bool) -> str:
    """The table, and what it was made with."""
    found = list(rows(plan, seeds, test))
    head = ("arm", "what", "seeds", "validation %", *(["test %"] if test else []))
    whole = plan.config(next(iter(plan.study.arms.values())), 0)
    about = (
        f"Configuration {plan.chosen.name}, {whole.epochs} epochs, data {plan.chosen.dataset}. Mean +- "
        "standard deviation over the seeds that are done; validation at the epoch that it chose."
    )
    if plan.teacher is not None and plan.teacher.exists():
        about += f" Learned from: {told(identity(checkpoint.description(plan.teacher)))}."
    return "\n\n".join((f"# Ablations of {plan.name}", about, arms.markdown(head, found))) + "\n"


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", choices=list(STUDIES), required=True)
    parser.add_argument("--data", type=Path, default=None, help="where the configuration's data set lies")
    parser.add_argument("--config", default=None, help="another configuration of the model, or a .toml file")
    parser.add_argument("--teacher", type=Path, default=None, metavar="RUN", help="of the distilled arms")
    parser.add_argument("--arm", action="append", metavar="NAME", help="train this one alone; repeatable")
    parser.add_argument("--test", action="store_true", help="the test's accuracies too")
    arms.add_options(parser)
    args = parser.parse_args(argv)
    known = STUDIES[args.study].arms
    if odd := [name for name in args.arm or () if name not in known]:
        parser.error(f"--arm {odd[0]}: {args.study} has {', '.join(known)}")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Train what is missing, then the table, printed and as a file."""
    args = parsed(argv)
    plan = planned(args)
    train_missing(plan, args.arm or list(plan.study.arms), args.seeds)
    text = page(plan, args.seeds, args.test)
    file = args.out / f"ablations-{plan.name}.md"
    write_whole(file, text.encode())
    print(f"\n{text}\n{file}")


if __name__ == "__main__":
    sys.exit(arms.ended(main))
