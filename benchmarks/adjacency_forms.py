"""What the form of the learned adjacencies costs: accuracy of the integer program, synapses, cores.

    python -m benchmarks.adjacency_forms RUN --form dense --form prune:0.1 --form factor [--chip loihi2]

The program of each form on the validation clips of RUN (held-out training clips: the test split is not read),
on loihi-sim; cores from the mapper without traffic. --data says where the training data lies.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from convert.from_torch import from_torch
from convert.ir import Graph
from convert.passes.adjacency import apply
from convert.passes.fold_batchnorm import FOLD_BATCHNORM
from convert.passes.lower import lower
from convert.passes.quantise import Quantise
from deploy.calibration import calibrate
from deploy.cores.chip import chip
from deploy.cores.partition import partition
from deploy.loihi_sim import LoihiSim
from train.checkpoint import load_model
from train.data.recipe import Recipe
from train.skeletons import layout
from verbs.feed import Feed, load_feed, per_sample, scores, source

CALIBRATION = 64


def main() -> None:
    """Print one line a form."""
    args = _arguments()
    model, checkpoint = load_model(args.run)
    about = checkpoint.about
    joints = len(layout(about["dataset"]["layout"]).joints)
    folded = FOLD_BATCHNORM(from_torch(model, Recipe.from_dict(about["recipe"]).shape(joints)))
    calibration = load_feed(about, None, args.data, "train", CALIBRATION)
    x = np.concatenate([rows for _, rows in calibration.batches(CALIBRATION)], axis=1)
    held = load_feed(source(about), None, args.data, "validation", None)
    print(f"{len(held.samples)} validation samples")
    for form in args.form:
        print(_line(form, folded, x, held, args.chip), flush=True)


def _arguments() -> Namespace:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--form", action="append", required=True)
    parser.add_argument("--chip", default="loihi2")
    parser.add_argument("--data", type=Path, default=None)
    return parser.parse_args()


def _line(form: str, folded: Graph, x: np.ndarray, held: Feed, name: str) -> str:
    floating, pruned = apply(folded, form)
    integer = Quantise(calibrate(floating, x))(floating)
    program = lower(integer)
    runner = LoihiSim(threads=1).compile(program)
    rows, owners = [], []
    for owner, batch in held.batches(32):
        rows.append(scores(integer, runner.run(batch)))
        owners.append(owner)
    found = per_sample(np.concatenate(rows), np.concatenate(owners)).argmax(axis=1)
    right = int((found == held.samples.labels).sum())
    synapses = sum(p.weights.synapse_count() for p in program.projections)
    cores = len(partition(program, chip(name)).cores)
    pairs = ", ".join(f"{p.kept_pairs}/{p.pairs} pairs" for p in pruned)
    of = len(held.samples)
    return f"{form}: {right} of {of} right ({right / of:.1%}), {synapses} synapses, {cores} cores; {pairs}"


if __name__ == "__main__":
    main()
