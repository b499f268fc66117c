"""`fuse`: several models, one decision."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from deploy.target import TARGETS
from verbs.classes import per_class, percent
from verbs.options import json_option, threads_option
from verbs.output import say, table, write_json


@click.command(short_help="One decision from several models.")
@click.argument("members", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="A B [C ...]")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE.json",
    help="Weights, scales, fingerprints, accuracies, confusions, predictions of every sample.",
)
@click.option(
    "--target",
    default=None,
    type=click.Choice(list(TARGETS)),
    help="Who scores artifacts. Default: onnx for onnx artifacts, loihi-sim for lava ones. Runs: torch.",
)
@click.option(
    "--form",
    type=click.Choice(["float", "integer"]),
    default=None,
    help="Which graph of artifacts. Default: float for onnx artifacts, integer for lava ones.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE.json",
    help="Use the weights and scales of this file, which an earlier fuse wrote for these models; nothing is "
    "fitted. A run that was refit or fine-tuned from one of them, or began with it, takes its weight.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=None,
    metavar="PATH",
    help="Where the data set lies. Default: where the first model was trained from.",
)
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    default="test",
    show_default=True,
    help="What is reported; with validation the test is not read at all.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="Only N samples of each split, spread evenly.",
)
@threads_option
@json_option
def fuse(
    members: tuple[Path, ...], out: Path, target: str | None, form: str | None, weights: Path | None,
    data: Path | None, split: str, limit: int | None, threads: int | None, json_path: Path | None,
) -> None:  # fmt: skip
    """Add up the class scores of runs and artifacts, with weights fitted on what their training held out.

    \b
    for s in joint bone joint-motion bone-motion; do
      python cli.py train --dataset nw-ucla --data DIR --stream $s --out runs/ucla-$s
    done
    python cli.py fuse runs/ucla-* --split validation --out out/fused-validation.json
    python cli.py fuse runs/ucla-* --out out/fused.json
    python cli.py fuse out/ucla-* --weights out/fused.json --out out/frozen.json

    A, B: run folders (their best checkpoint), .safetensors files, artifacts, mixed as you like. All must be
    trained on the same data set and have held out the same clips. The weights are frozen before the test
    split is loaded, and it is read once. docs/fusion.md says what is fitted and how artifacts are fused.
    """
    from verbs.fusing import fitted, rate
    from verbs.fusion_file import described, frozen
    from verbs.members import check_alike, open_member

    _check(members, out, weights)
    splits: dict[str, Any] = {}
    with ExitStack() as stack:
        opened = []
        for path in members:
            opened.append(open_member(path, target, form, threads))
            stack.callback(opened[-1].close)
        if (target or form) and all(m.by == "torch" for m in opened):
            option = "--target" if target else "--form"
            raise click.UsageError(f"{option}: there is no artifact among the members; leave it out")
        check_alike(opened)
        if weights is None:
            fusion, splits["validation"] = fitted(opened, data, limit)
        else:
            fusion = frozen(weights, opened)
        if split not in splits:
            splits[split] = rate(opened, split, data, limit).judged(fusion)
    origin = "validation" if weights is None else str(weights)
    body = {**described(opened, fusion), "fitted_on": origin, "limit": limit, "splits": splits}
    write_json(out, body)
    write_json(json_path, body)
    _print(body, split, out)


def _check(members: tuple[Path, ...], out: Path, weights: Path | None) -> None:
    """What is wrong with the command line itself."""
    if len(members) < 2:
        raise click.UsageError("fuse takes two models or more; `cli.py evaluate` and `simulate` score one")
    seen: dict[Path, Path] = {}
    for path in members:
        if path.resolve() in seen:
            raise click.UsageError(f"{path}: is named twice; name each model once")
        seen[path.resolve()] = path
    if weights is not None and weights.resolve() == out.resolve():
        raise click.UsageError(f"--out {out}: is the --weights file, which is not to change; choose another")


def _print(body: dict[str, Any], split: str, out: Path) -> None:
    """Members and fusions in a table, a line a class, and the accuracies once more."""
    found = body["splits"][split]
    say(_summary(body))
    parts = dict(zip(_titles(body["members"]), found["members"], strict=True))
    parts |= {"equal": found["equal"], "fitted": found["fitted"]}
    say("\n" + per_class(body["classes"], {title: of["confusion"] for title, of in parts.items()}) + "\n")
    if (apart := body["splits"].get("validation", {}).get("cross_validated")) is not None:
        say(f"validation, by weights fitted without the clips they judge (5 parts): {percent(apart)}")
    accuracies = (percent(found[which]["accuracy"]) for which in ("equal", "fitted"))
    say("{}: {} samples, equal weights {}, fitted weights {}".format(split, found["n_samples"], *accuracies))
    say(f"{out}: weights, accuracies and predictions; `fuse --weights` takes it")


def _summary(body: dict[str, Any]) -> str:
    """Who was fused, with which weight, and who is right how often."""
    members, splits = body["members"], body["splits"]

    def accuracies(of: Callable[[dict[str, Any]], dict[str, Any]]) -> list[str]:
        return [percent(of(found)["accuracy"]) for found in splits.values()]

    rows = [
        (m["path"], m["stream"], f"{m['target']} ({m['form']})", f"{m['weight']:.3f}",
         *accuracies(lambda found, place=place: found["members"][place]))
        for place, m in enumerate(members)
    ]  # fmt: skip
    equal = f"{1 / len(members):.3f}"
    rows.append(("equal weights", "", "", equal, *accuracies(lambda found: found["equal"])))
    rows.append(("fitted weights", "", "", "", *accuracies(lambda found: found["fitted"])))
    return table(("member", "stream", "scored by", "weight", *splits), rows, right=range(3, 4 + len(splits)))


def _titles(members: list[dict[str, Any]]) -> list[str]:
    """Short names of members that tell them apart: of their streams, else of their folders, else all."""
    for key in (lambda m: m["stream"], lambda m: Path(m["path"]).name, lambda m: m["path"]):
        names = [key(member) for member in members]
        if len(set(names)) == len(names):
            break
    return names
