"""Offset fusion against a plain heatmap: the same network, people, epochs and seeds; LSPET's test split.

    python -m benchmarks.pose_fusion --data DIR --out runs/fusion --seeds 0,1,2

Arms, trained alike but for the maps they give:

    heatmap    a heatmap alone (codec heatmap), read by its highest cell, by a quarter, by DARK
    offset     heatmap and offsets (codec offset); the same maps read by none, peak, mean, vote and fused

Runs lie in OUT/ARM-seedS; what is interrupted goes on by the same command (benchmarks.arms). PCK counts
joints within a part of the torso; at 0.05 a cell counts, at 0.2 hardly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks import arms
from train import checkpoint
from train.configuration import configuration
from train.pose.codecs.offset import OFFSETS
from train.pose.config import PoseConfig
from train.pose.data import registry
from train.pose.data.person import PoseSet
from train.pose.pck import Pck
from train.pose.predict import by_torch, judged, predict
from train.pose.recipe import PoseRecipe
from train.pose.training import fit

CONFIG = "lspet-ogn"
THRESHOLDS = (0.05, 0.1, 0.2)
ARMS = {
    "heatmap": {"codec": "heatmap", "reading": "quarter"},
    "offset": {"codec": "offset", "offset": "fused"},
}
READINGS = {  # fields of the recipe: the same maps, read in another way
    "heatmap": {
        "argmax": {"reading": "argmax"},
        "quarter": {"reading": "quarter"},
        "dark": {"codec": "dark"},
    },
    "offset": {name: {"offset": name} for name in OFFSETS},
}


def trained(arm: str, seed: int, args: argparse.Namespace) -> Path:
    """The run of an arm and a seed; trained, or resumed, where it is not finished."""
    chosen = configuration(args.config)
    values = {**chosen.train, "seed": seed, "threads": args.threads, "model_settings": dict(chosen.settings)}
    config = PoseConfig.from_dict(values | ({"epochs": args.epochs} if args.epochs else {}))
    recipe = PoseRecipe.from_dict({**chosen.recipe, **ARMS[arm]})
    options = {"train_limit": args.limit} if args.limit else {}
    kept = {**options, "path": str(args.data.resolve())}
    run = arms.folder(args.out, arm, seed)
    return arms.trained(
        run, config, recipe, lambda: registry.load("lspet", args.data, "train", **options), fit, kept
    )


def readings(run: Path, arm: str, people: PoseSet) -> Iterator[tuple[str, dict[float, Pck]]]:
    """(how the maps are read, PCK by threshold), of the same weights."""
    model, saved = checkpoint.load_model(run)
    recipe = PoseRecipe.from_dict(saved.about["recipe"])
    for reading, fields in READINGS[arm].items():
        read = replace(recipe, **fields)
        poses = predict(by_torch(model, read.build_codec()), people.people, read)
        yield reading, {t: judged(poses.xy, people, t) for t in THRESHOLDS}


def table(found: dict[tuple[str, str], list[dict[float, float]]]) -> str:
    """Mean and spread over seeds, a line a reading."""
    rows = [
        (arm, reading, *(arms.mean_and_spread([pck[t] for pck in of_seeds]) for t in THRESHOLDS))
        for (arm, reading), of_seeds in found.items()
    ]
    return arms.markdown(("arm", "reading", *(f"PCK@{t:g}" for t in THRESHOLDS)), rows)


def main() -> None:
    """Train what is missing, judge everything, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="LSPET's folder")
    parser.add_argument("--config", default=CONFIG, help="a pose configuration, or a .toml file")
    parser.add_argument("--limit", type=int, default=0, help="so many training people alone; 0: all")
    arms.add_options(parser)
    args = parser.parse_args()
    people, found = registry.load("lspet", args.data, "test"), {}
    for seed in args.seeds:
        for arm in ARMS:
            run = trained(arm, seed, args)
            print(f"{arm}, seed {seed}: {arms.minutes(run):.1f} minutes of training, {run}", flush=True)
            for reading, pck in readings(run, arm, people):
                found.setdefault((arm, reading), []).append({t: pck[t].pooled for t in THRESHOLDS})
    names = ",".join(map(str, args.seeds))
    print(f"\nLSPET test, {len(people)} people, in boxes of their joints; seeds {names}\n\n{table(found)}")


if __name__ == "__main__":
    sys.exit(arms.ended(main))
