"""`energy-report`: synaptic operations and energy of every sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from deploy.target import TARGETS
from verbs.conventions import chosen as conventions_of
from verbs.conventions import convention_options
from verbs.options import dataset_options, json_option, threads_option, workers_options
from verbs.output import say, write_json
from verbs.torch_counting import checked, report_torch, torch_options


@click.command(short_help="Operations and energy of every sample.")
@click.argument("artifact", type=click.Path(path_type=Path), required=False)
@click.option(
    "--cost-table",
    required=True,
    metavar="NAME|FILE",
    help="Joules per operation: a table that `cost-tables` lists, or a TOML file of your own.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="Folder for report.html, samples.jsonl and .parquet (a line a sample), summary.json.",
)
@click.option(
    "--target",
    "name",
    default=None,
    type=click.Choice(list(TARGETS)),
    help="Who produces the spikes. Default: onnx for onnx artifacts, loihi-sim for lava ones.",
)
@click.option(
    "--form",
    type=click.Choice(["float", "integer"]),
    default=None,
    help="Which graph is counted. Default: float for onnx artifacts, integer for lava ones.",
)
@click.option(
    "--page-samples",
    type=click.IntRange(min=0),
    default=12,
    show_default=True,
    metavar="N",
    help="Samples whose spikes and skeleton the page shows; about 0.1 MB each.",
)
@convention_options
@click.option(
    "--host-table",
    default=None,
    metavar="NAME|FILE",
    help="Beside a chip's table: an arithmetic one for what no spiking chip does (values, the CPU's part).",
)
@click.option(
    "--map",
    "core_map",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    help="The JSON of `cli.py map`: messages and hops are priced by it.",
)
@click.option(
    "--measure",
    is_flag=True,
    help="Also measure this machine's joules (RAPL), two minutes or more; null with the reason if it cannot.",
)
@click.option(
    "--power-log",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    help="An analyser's CSV (time_s, power_w, phase run or idle) of a device at work on these samples.",
)
@torch_options
@dataset_options
@workers_options
@threads_option
@json_option
def energy_report(
    artifact: Path | None,
    cost_table: str,
    out: Path,
    name: str | None,
    form: str | None,
    page_samples: int,
    conventions: tuple[str, ...],
    switches: tuple[tuple[str, str], ...],
    allow_uncounted: bool,
    host_table: str | None,
    core_map: Path | None,
    measure: bool,
    factory: str | None,
    source: str | None,
    time_major: bool,
    operand: str,
    power_log: Path | None,
    dataset: str | None,
    data: Path | None,
    split: str,
    limit: int | None,
    workers: int,
    cluster: str | None,
    threads: int | None,
    json_path: Path | None,
) -> None:
    """Count the operations that really happened, per sample and layer, and price them.

    Counts are facts: spikes times fan-out, borders and zero weights included, 64-bit integers. Joules are a
    model: the exact count and Spikformer's convention stand side by side (or those you name), priced by the
    table you name, with the spread over every single switch. What could not be counted is listed, and then no
    joules are printed. report.html opens in any browser, without a network.

    \b
    python cli.py energy-report out/demo/lava --split test --cost-table horowitz45-fp32 --out out/energy
    python cli.py energy-report --torch train.models.spikformer:spikformer_4_384 --time-major \\
        --input 4x3x32x32 --cost-table horowitz45-fp32 --out out/spikformer
    """
    checked(artifact, factory, source)
    from convert.artifact import open_artifact
    from energy.bills import check_conventions, check_host
    from energy.costs import open_cost_table
    from energy.report import Report
    from energy.shown import Shown
    from verbs.close_ups import chosen, skeletons
    from verbs.counting import BATCH, Counting, Job, placed
    from verbs.feed import feed_of, load_clips
    from verbs.pricing import described, logged, measured, terms
    from verbs.provenance import provenance
    from verbs.running import best_target, load

    prices = open_cost_table(cost_table)
    asked = conventions_of(conventions, switches)
    check_conventions(prices, asked)
    if factory is not None and source is not None:
        from energy.priced import Terms

        host = None if host_table is None else open_cost_table(host_table)
        check_host(prices, host)
        plain = Terms(asked, allow_uncounted, host=host)
        report_torch(factory, source, time_major, operand, out, prices, plain, limit, json_path)
        return
    opened = open_artifact(artifact)
    about = opened.about["source"]
    clips = load_clips(about, dataset, data, split)
    feed = feed_of(clips, about, limit)
    name = name or best_target(opened)
    loaded = load(opened, name, form, threads)
    agreed = terms(opened, loaded, asked, allow_uncounted, core_map, host_table)
    check_host(prices, agreed.host)
    found = logged(power_log, measure, len(feed.samples))
    close = chosen(feed, page_samples)
    alone = workers == 1 and cluster is None
    job = Job(
        str(artifact.resolve()), opened.fingerprint, name, form, dataset, placed(data), split, limit,
        str(placed(cost_table)), tuple(asked), allow_uncounted, placed(core_map), placed(host_table),
        tuple(close), threads, alone,
    )  # fmt: skip
    header = {
        "artifact": str(artifact), "split": split, "layout": clips.layout, "dataset": clips.name,
        "latency": _latency(name, alone), **described(agreed), **provenance(opened, loaded, feed),
    }  # fmt: skip
    try:
        shown = Shown(close, skeletons(clips, about["recipe"], close))
        with Report(out, prices, header, agreed, shown) as report:
            for made in _chunks(Counting(loaded, feed, agreed, job), job, workers, cluster):
                report.take(made)
            report.measured = found or (measured(loaded, feed, BATCH) if measure else None)
            summary = report.close()
    finally:
        loaded.runner.close()
    say(report.table())
    say(
        f"{out / 'report.html'}: open it in a browser; {len(feed.samples)} samples in {out / 'samples.jsonl'}"
    )
    write_json(json_path, summary)


def _latency(target: str, alone: bool) -> str:
    """What `latency_s` of this report is of."""
    from verbs.counting import BATCH

    if not alone:
        return "not measured: several processes shared the machine"
    return f"seconds of a batch of {BATCH} on {target}, shared evenly by its samples"


def _chunks(counting: Any, job: Any, workers: int, cluster: str | None) -> Any:
    """Every chunk of the report, from wherever it is counted."""
    from verbs.counting import in_turn

    if cluster is not None:
        from verbs.cluster import on_cluster

        return on_cluster(job, cluster, len(counting), len(counting.feed.samples))
    if workers > 1:
        from verbs.workers import in_processes

        return in_processes(job, workers, len(counting), len(counting.feed.samples))
    return in_turn(counting)
