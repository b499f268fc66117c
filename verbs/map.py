"""`map`: an artifact onto the cores of a chip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

from convert.artifact import SIGMA_DELTA
from convert.ir import BadInput, Program, Unsupported
from verbs.options import OF_PEOPLE, clip_option, dataset_options, json_option
from verbs.output import say, table, write_json

BATCH = 32
SAMPLES = 16  # measured where --limit says nothing
STEPS = 16  # of a sample, where nothing is measured and the recipe is silent
FALLBACK = 0.1  # spikes per step and neuron, where no data is at hand


@click.command(name="map", short_help="Place an artifact on the cores of a chip.")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--chip",
    "chip_name",
    required=True,
    metavar="NAME",
    help="loihi1, loihi2, or a FILE.toml of your own (see deploy/cores/chips).",
)
@click.option("--chips", type=click.IntRange(min=1), default=None, metavar="N", help="At most N chips.")
@click.option(
    "--off-chip", multiple=True, metavar="POPULATION", help="Computed by the host, not placed; repeat it."
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, max=1),
    default=None,
    metavar="R",
    help="Do not measure: every neuron spikes R times a step.",
)
@clip_option
@dataset_options
@click.option("--seed", type=int, default=0, show_default=True, help="Of the placement.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=None, metavar="FILE",
              help="Write the map (format basalt-map) here.")  # fmt: skip
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), default=None, metavar="FILE",
              help="Also draw the mesh.")  # fmt: skip
@json_option
def map_(
    artifact: Path, chip_name: str, chips: int | None, off_chip: tuple[str, ...], rate: float | None,
    clip: int | None, dataset: str | None, data: Path | None, split: str, limit: int | None, seed: int,
    out: Path | None, svg: Path | None, json_path: Path | None,
) -> None:  # fmt: skip
    """Cut the populations of ARTIFACT into cores, place the cores, and say what each limit does.

    \b
    python cli.py map out/demo/lava --chip loihi2 --out map.json --svg map.svg
    python cli.py map out/demo/lava --chip loihi1 --off-chip embed_spike
    python cli.py map out/people-sdnn --chip loihi2 --data video.mp4

    Traffic is measured on --limit samples (16), or assumed by --rate; of a sigma-delta pose network, whose
    messages are changes, on clips (--clip). What cannot fit is refused with node, value, limit and remedy
    (exit 4).
    """
    from convert.artifact import open_artifact
    from deploy.cores.adjacency import forms
    from deploy.cores.chip import chip
    from deploy.cores.drawing import svg as drawn
    from deploy.cores.partition import partition
    from deploy.cores.placement import place
    from deploy.cores.report import report
    from deploy.cores.traffic import traffic
    from verbs.pose_feed import refuse_clip

    target, opened = chip(chip_name), open_artifact(artifact)
    program = opened.program()
    if opened.kind != SIGMA_DELTA:
        refuse_clip(opened, clip)
    _check_names(program, off_chip)
    with tqdm(desc="cutting", total=len(program.populations), unit="population", leave=False) as bar:
        made = partition(program, target, off_chip, _ticking(bar))
    _check_chips(made, chips)
    activity = _activity(opened, program, (dataset, data, split, limit, clip), rate)
    messages = traffic(made, activity)
    with tqdm(desc="placing", unit="move", leave=False) as bar:
        placed = place(target, messages, seed, progress=_moving(bar))
    with tqdm(desc="adjacency", unit="node", leave=False) as bar:
        found = forms(opened.graph("float"), target, _bits(opened), _ticking(bar))
    body = {"artifact": str(artifact), "fingerprint": opened.fingerprint,
            **report(made, placed, messages, activity, found, seed)}  # fmt: skip
    write_json(out, body)
    write_json(json_path, body)
    _draw(svg, drawn(body, messages))
    _print(body)
    if opened.about.get("adjacency", {}).get("form") == "factor":
        say("adjacency: factored already; map the same run converted with --adjacency dense to compare forms")


def _bits(opened: Any) -> int:
    return int(opened.about.get("quantisation", {}).get("bits", 8))


def _check_names(program: Program, off_chip: tuple[str, ...]) -> None:
    for name in off_chip:
        if name not in program.populations:
            known = ", ".join(program.populations)
            raise BadInput(f"--off-chip {name}: there is no such population; known: {known}")


def _check_chips(made: Any, chips: int | None) -> None:
    from deploy.cores.remedy import adjacency_left, remedy

    cores, target = len(made.cores), made.chip
    held = int(target.limit("cores_per_chip")) * (chips or 0)
    if chips is not None and cores > held:
        raise Unsupported(
            "program",
            f"needs {cores} cores, {chips} chips of {target.name} have {held}",
            remedy("chips", target.figures, adjacency_left(made.program)),
        )


def _ticking(bar: tqdm) -> Any:
    def tick(name: str) -> None:
        bar.set_postfix_str(name, refresh=False)
        bar.update()

    return tick


def _moving(bar: tqdm) -> Any:
    def move(done: int, of: int) -> None:
        bar.total, bar.n = of, done
        bar.refresh()

    return move


def _activity(opened: Any, program: Program, source: tuple[Any, ...], rate: float | None) -> Any:
    """Spikes per sample: measured, or assumed where --rate says so or no data is at hand."""
    from deploy.cores.traffic import uniform
    from verbs.pose_feed import open_feed

    dataset, data, split, limit, clip = source
    steps = _steps(opened, clip)
    if rate is not None:
        return uniform(program, rate, steps)
    try:
        feed = open_feed(opened, dataset, data, split, limit or SAMPLES, clip)
    except (BadInput, OSError) as error:
        if dataset or data:
            raise
        click.echo(f"warning: {error}; every neuron is taken to spike {FALLBACK} times a step", err=True)
        return uniform(program, FALLBACK, steps)
    return _measured(opened, program, feed, split)


def _steps(opened: Any, clip: int | None) -> int:
    """Of a sample, where none is at hand."""
    if opened.kind == SIGMA_DELTA:
        return clip or OF_PEOPLE
    recipe = opened.about["source"]["recipe"]
    return int(recipe.get("repeat", 0) or recipe.get("frames", STEPS))


def _measured(opened: Any, program: Program, feed: Any, split: str) -> Any:
    from deploy.cores.traffic import Activity
    from verbs.pose_feed import PoseFeed
    from verbs.running import load, run_all

    inputs = {n: np.zeros(program.populations[n].size) for n in program.inputs()}
    spikes = {n: np.zeros(program.populations[n].size) for n in program.neurons()}
    steps: set[int] = set()
    loaded = load(opened, "loihi-sim", "integer")

    def see(_: np.ndarray, record: Any) -> None:
        for name, total in inputs.items():
            total += np.count_nonzero(record.rasters[name], axis=(0, 1)).reshape(-1)
        for name, counts in record.counts.items():
            spikes[name] += counts.sum(axis=0).reshape(-1)
        steps.add(record.steps)

    samples, size, what = len(feed.samples), BATCH, f"samples of the {split} split"
    if isinstance(feed, PoseFeed):
        size, what = feed.size, f"clips of {feed.clips.frames} frames of {feed.clips.name}"
    try:
        run_all(loaded, feed, size, list(inputs), see)
    finally:
        loaded.runner.close()
    everyone = {n: total / samples for n, total in (inputs | spikes).items()}
    return Activity(everyone, f"measured on {samples} {what}", steps.pop())


def _draw(path: Path | None, text: str) -> None:
    from convert.ir.files import whole

    if path is not None:
        with whole(path) as draft:
            draft.write_text(text)


def _print(body: Mapping[str, Any]) -> None:
    say(_populations(body))
    say("")
    say(_limits(body))
    if body["adjacency"]:
        say("")
        say(_forms(body))
    say("")
    for line in _headline(body):
        say(line)


def _populations(body: Mapping[str, Any]) -> str:
    rows = [
        (
            p["population"], p["cores"], "-".join(str(n) for n in dict.fromkeys(p["neurons_per_core"])),
            p["synapses"], f"{p['bits_per_synapse']:.2f}" if p["synapses"] else "-",
            "+".join(sorted(p["encodings"])), p["axons_in_max"], p["axons_out_max"], p["stopped_by"] or "-",
        )
        for p in body["populations"]
    ]  # fmt: skip
    head = ("population", "cores", "neurons/core", "synapses", "bits/synapse", "encodings", "axons in",
            "axons out", "stopped by")  # fmt: skip
    return table(head, rows, right=(1, 2, 3, 4, 6, 7))


def _limits(body: Mapping[str, Any]) -> str:
    rows = []
    for name, u in body["utilisation"].items():
        limit = u["limit"]
        share = [f"{100 * u[k] / limit:.1f} %" if limit else f"{u[k]:.0f}" for k in ("min", "mean", "max")]
        rows.append((name, "-" if limit is None else limit, u["confidence"], *share))
    return table(("limit per core", "value", "confidence", "min", "mean", "max"), rows, right=(1, 3, 4, 5))


def _forms(body: Mapping[str, Any]) -> str:
    rows = [
        (
            f["node"], f["form"] if f["eps"] is None else f"prune:{f['eps']:.3g}", f["synapses"],
            "-" if f["bits"] is None else f"{f['bits'] / 8192:.0f}",
            "-" if f["cores"] is None else f["cores"],
            "" if f["refused"] is None else "cannot: " + f["refused"].split(",")[0],
        )
        for f in body["adjacency"]
    ]  # fmt: skip
    return table(("graph convolution", "form", "synapses", "KiB", "cores", ""), rows, right=(2, 3, 4))


def _headline(body: Mapping[str, Any]) -> list[str]:
    from deploy.cores.drawing import number

    totals, moved, neck = body["totals"], body["traffic"], body["bottleneck"]
    cores, chips = number(totals["cores"], "core"), number(totals["chips"], "chip")
    kinds = ", ".join(f"{n.replace('_', ' ')} {v:,.0f}" for n, v in moved["kinds"].items())
    alone = ", ".join(f"{n} {'?' if v is None else v}" for n, v in neck["cores_needed_alone"].items())
    return [
        f"{body['chip']['title']}: {cores} on {chips}, "
        f"{100 * totals['core_utilisation']:.0f} % of their cores; {totals['neurons']} neurons, "
        f"{totals['synapses']} synapses in {totals['synapse_bits'] / 8192:.0f} KiB",
        f"bottleneck: {neck['limit'] or 'none'}; cores each limit alone would need: {alone}",
        f"traffic per sample ({moved['activity']}): {moved['messages']:,.0f} messages ({kinds})",
        f"hops per sample: {moved['hops_before']:,.0f} in order, {moved['hops']:,.0f} as placed",
        *(f"advice: {line}" for line in body["advice"]),
    ]
