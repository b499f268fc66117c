"""`simulate`: an artifact on a target over a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from convert.ir import steps as node_steps
from deploy.record import Record
from deploy.target import TARGETS
from verbs.options import clip_option, dataset_options, json_option, threads_option
from verbs.output import say, table, write_json

BATCH = 32


@click.command(short_help="Run an artifact on a target.")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--target",
    "name",
    required=True,
    type=click.Choice(list(TARGETS)),
    help="Where to run; see `cli.py targets`.",
)
@click.option(
    "--form",
    type=click.Choice(["float", "integer"]),
    default=None,
    help="Float or integer graph. Default: float for onnx artifacts, integer for others.",
)
@click.option("--stream", "streaming", is_flag=True, help="Frame by frame, with latencies.")
@click.option(
    "--show",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="With --stream: print the decision after each frame of the first N samples.",
)
@click.option(
    "--frames",
    default=None,
    metavar="FILE|-",
    help="With --stream: frames from a .npy file or from JSON lines; a JSON line on stdout for each.",
)
@click.option(
    "--state-in",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    help="With --stream: go on from this state instead of from rest.",
)
@click.option(
    "--state-out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    help="With --stream: write the state after the last frame.",
)
@click.option(
    "--check", is_flag=True, help="With --stream: compare with whole-window runs; exit 5 if not the same."
)
@clip_option
@dataset_options
@threads_option
@json_option
def simulate(
    artifact: Path,
    name: str,
    form: str | None,
    streaming: bool,
    show: int | None,
    frames: str | None,
    state_in: Path | None,
    state_out: Path | None,
    check: bool,
    clip: int | None,
    dataset: str | None,
    data: Path | None,
    split: str,
    limit: int | None,
    threads: int | None,
    json_path: Path | None,
) -> None:
    """Classify a split with the converted model on one target; report accuracy, speed and firing rates.

    Of a sigma-delta pose network: joints of every frame, PCK where they are known, and the messages that
    travel, in the first frame of each clip and in the later ones.

    \b
    python cli.py simulate out/demo/lava --target loihi-sim --split test
    python cli.py simulate out/demo/onnx --target onnx --form integer --limit 50 --json result.json
    python cli.py simulate out/demo/onnx --target onnx --stream --show 1 --limit 10 --check
    python cli.py simulate out/demo/lava --target loihi-sim --stream --frames - < frames.jsonl
    python cli.py simulate out/people-sdnn --target loihi-sim --data video.mp4 --clip 16
    """
    needs = {"--show": show, "--frames": frames, "--state-in": state_in, "--state-out": state_out,
             "--check": check or None}  # fmt: skip
    if streaming:
        from verbs.streaming import Asked, stream_artifact

        _exclude("--frames", frames, {"--dataset": dataset, "--data": data, "--limit": limit, "--show": show})
        _exclude("--check", check or None, {"--state-in": state_in})
        _exclude("--stream", True, {"--clip": clip})
        asked = Asked(show, frames, state_in, state_out, check, dataset, data, split, limit, threads)
        stream_artifact(artifact, name, form, asked, json_path)
        return
    if extra := [option for option, value in needs.items() if value is not None]:
        raise click.UsageError(f"{extra[0]} needs --stream")
    from convert.artifact import open_artifact
    from verbs.pose_feed import PoseFeed, open_feed
    from verbs.running import load, run_all

    opened = open_artifact(artifact)
    feed = open_feed(opened, dataset, data, split, limit, clip)
    if isinstance(feed, PoseFeed):
        from verbs.pose_simulate import simulate_pose

        simulate_pose(opened, feed, name, form, threads, json_path)
        return
    loaded = load(opened, name, form, threads)
    records: list[Record] = []
    try:
        found = run_all(loaded, feed, BATCH, each=lambda _, record: records.append(record))
    finally:
        loaded.runner.close()
    result = _result(loaded, feed, found, records)
    write_json(json_path, {"artifact": str(artifact), "fingerprint": opened.fingerprint, **result})
    _print(result)


def _exclude(option: str, value: object, others: dict[str, object]) -> None:
    """A usage error if an option is given beside one that it makes no sense with."""
    if value is not None and (met := [o for o, v in others.items() if v is not None]):
        raise click.UsageError(f"{option} does not go with {met[0]}")


def _result(loaded: Any, feed: Any, found: np.ndarray, records: list[Record]) -> dict[str, Any]:
    predictions = found.argmax(axis=1)
    wall = sum(r.wall_s for r in records)
    steps = records[0].steps
    rows = sum(r.samples for r in records)
    lengths = node_steps(loaded.graph, steps)
    populations = {}
    for name in loaded.graph.spiking():
        spikes = sum(int(r.counts[name].sum()) for r in records)
        neurons = int(np.prod(loaded.graph.shapes[name]))
        populations[name] = {
            "neurons": neurons,
            "spikes": spikes,
            "firing_rate": spikes / (neurons * rows * lengths[name]),
        }
    return {
        "target": loaded.target.name,
        "form": loaded.form,
        "n_samples": len(feed.samples),
        "n_steps": steps,
        "accuracy": float((predictions == feed.samples.labels).mean()),
        "wall_s": wall,
        "samples_per_s": len(feed.samples) / wall,
        "spikes": sum(p["spikes"] for p in populations.values()),
        "populations": populations,
        "predictions": predictions.tolist(),
        "sample_ids": list(feed.samples.ids),
    }


def _print(result: dict[str, Any]) -> None:
    rows = [
        (n, p["neurons"], p["spikes"], f"{p['firing_rate']:.4f}") for n, p in result["populations"].items()
    ]
    if rows:  # a network of real values has none
        say(table(("population", "neurons", "spikes", "firing rate"), rows, right=(1, 2, 3)))
    say(
        f"{result['target']} ({result['form']}): accuracy {100 * result['accuracy']:.2f} % on "
        f"{result['n_samples']} samples of {result['n_steps']} steps, {result['spikes']} spikes, "
        f"{result['wall_s']:.2f} s, {result['samples_per_s']:.1f} samples/s"
    )
