"""`inspect`: what a run, a checkpoint, an artifact or a .net file holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from verbs.covering import nodes, shares
from verbs.options import json_option
from verbs.output import say, table, write_json


@click.command(short_help="Look into a run, an artifact or a .net file.")
@click.argument("path", type=click.Path(path_type=Path))
@json_option
def inspect(path: Path, json_path: Path | None) -> None:
    """Print what PATH holds: a run folder or checkpoint, an artifact folder, or a Lava .net file.

    \b
    python cli.py inspect runs/demo
    python cli.py inspect out/demo/lava
    """
    from convert.artifact import is_artifact

    if is_artifact(path):
        found = _artifact(path)
    elif path.suffix == ".net":
        found = _net(path)
    else:
        found = _checkpoint(path)
    write_json(json_path, found)


def _artifact(path: Path) -> dict[str, Any]:
    from convert.artifact import POSE, open_artifact
    from convert.ir import text

    opened = open_artifact(path)
    source = opened.about["source"]
    if opened.kind == POSE:
        return _pose(opened)
    say(f"artifact of kind {opened.kind}, fingerprint {opened.fingerprint[:16]}")
    stream = f"stream {source['recipe']['stream']}, " if "stream" in source["recipe"] else ""
    known = f"{source['model']} trained on {source['dataset']['name']}, {stream}"
    say(f"{known}{len(source['classes'])} classes, epoch {source['epoch']}\n")
    say(text(opened.graph("float")))
    if why := opened.float_only:
        say(f"floats alone: {why['node']}: {why['reason']}")
        say(shares(opened.about["coverage"]))
        return {**opened.about, "fingerprint": opened.fingerprint}
    say(text(opened.graph("integer")))
    host = opened.host()
    if host is not None:
        say("on the CPU, behind the chip:\n" + text(host))
    say(_program(opened.program()))
    if "coverage" in opened.about:
        say("\n" + nodes(opened.about["coverage"]))
        say(shares(opened.about["coverage"]))
    return {**opened.about, "fingerprint": opened.fingerprint}


def _pose(opened: Any) -> dict[str, Any]:
    from convert.ir import text

    source = opened.about["source"]
    say(f"artifact of kind pose, {opened.about['form']}, fingerprint {opened.fingerprint[:16]}")
    say(
        f"{source['model']} trained on {source['dataset']['name']}, epoch {source['epoch']}; "
        f"{len(source['joints'])} joints, codec {json.dumps(source['codec'], sort_keys=True)}\n"
    )
    say(text(opened.graph("float")))
    say(f"against torch: {json.dumps(opened.about['parity_with_torch'], sort_keys=True)}")
    return {**opened.about, "fingerprint": opened.fingerprint}


def _program(program: Any) -> str:
    rows = [
        (
            p.name,
            _form(p.weights),
            "x".join(map(str, p.weights.shape)),
            p.weights.synapse_count(),
            p.exp,
            program.chip_delay(p),
        )
        for p in program.projections
    ]
    neurons = sum(program.populations[n].size for n in program.neurons())
    total = sum(row[3] for row in rows)
    head = f"program: {len(program.neurons())} populations, {neurons} neurons, {total} synapses, latency "
    head += f"{max(p.latency for p in program.populations.values())} steps\n"
    return head + table(
        ("projection", "form", "size", "synapses", "exp", "chip delay"), rows, right=(2, 3, 4, 5)
    )


def _form(weights: Any) -> str:
    name = type(weights).__name__.removesuffix("Weights").lower()
    return f"{name}, wraps" if getattr(weights, "wrap", False) else name


def _net(path: Path) -> dict[str, Any]:
    from convert.net_reader import read_net

    program = read_net(path)
    say(_program(program))
    return {"populations": {n: p.size for n, p in program.populations.items()}}


def _checkpoint(path: Path) -> dict[str, Any]:
    from train.checkpoint import load_model

    model, checkpoint = load_model(path)
    about = checkpoint.about
    size = sum(p.numel() for p in model.parameters())
    stream = about["recipe"].get("stream")  # a pose network has none
    of = f"{about['dataset']['name']} (stream {stream})" if stream else about["dataset"]["name"]
    say(f"{about['model']}, {size} parameters, trained on {of}, epoch {about['epoch']}")
    if "qat" in about:
        told = about["qat"]
        say(
            f"fine-tuned: {told['bits']} bits, inputs {told['input_bits']}, adjacency {told['adjacency']}; "
            f"integers of the float checkpoint {told['parent']['sha256'][:16]}"
        )
    for key in ("model_config", "recipe", "codec", "train_config", "metrics"):
        if key in about:
            say(f"{key}: {json.dumps(about[key], sort_keys=True)}")
    return dict(about)
