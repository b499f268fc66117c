"""`energy-report`: synaptic operations and energy of every sample."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import click
import numpy as np

from deploy.target import TARGETS
from verbs.conventions import chosen as conventions_of
from verbs.conventions import convention_options
from verbs.options import dataset_options, json_option, threads_option
from verbs.output import say, write_json
from verbs.torch_counting import checked, report_torch, torch_options

BATCH = 16


@click.command(short_help="Operations and energy of every sample.")
@click.argument("artifact", type=click.Path(path_type=Path), required=False)
@click.option(
    "--cost-table",
    required=True,
    metavar="NAME|FILE",
    help="Joules per operation: a shipped table (horowitz45-fp32) or a TOML file of your own.",
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
@torch_options
@dataset_options
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
    dataset: str | None,
    data: Path | None,
    split: str,
    limit: int | None,
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
    from energy.bills import check_conventions
    from energy.costs import open_cost_table
    from energy.report import Report
    from energy.shown import Shown
    from verbs.close_ups import chosen, skeletons
    from verbs.feed import feed_of, load_clips
    from verbs.pricing import described, measured, terms
    from verbs.provenance import provenance
    from verbs.running import best_target, load

    prices = open_cost_table(cost_table)
    asked = conventions_of(conventions, switches)
    check_conventions(prices, asked)
    if factory is not None and source is not None:
        from energy.costs import open_cost_table as host_of
        from energy.priced import Terms

        host = None if host_table is None else host_of(host_table)
        plain = Terms(asked, allow_uncounted, host=host)
        report_torch(factory, source, time_major, operand, out, prices, plain, limit, json_path)
        return
    assert artifact is not None
    opened = open_artifact(artifact)
    about = opened.about["source"]
    clips = load_clips(about, dataset, data, split)
    feed = feed_of(clips, about, limit)
    name = name or best_target(opened)
    loaded = load(opened, name, form, threads)
    agreed = terms(opened, loaded, asked, allow_uncounted, core_map, host_table)
    close = chosen(feed, page_samples)
    header = {
        "artifact": str(artifact),
        "target": name,
        "form": loaded.form,
        "dataset": clips.name,
        "layout": clips.layout,
        "split": split,
        "model": about["model"],
        "class_names": list(feed.class_names),
        "n_samples": len(feed.samples),
        "latency": f"seconds of a batch of {BATCH} on {name}, shared evenly by its samples",
        **described(agreed),
        **provenance(opened, opened.graph("float"), feed.samples),
    }
    try:
        shown = Shown(close, skeletons(clips, about["recipe"], close))
        with Report(out, prices, header, agreed, shown) as report:
            _fill(report, loaded, feed)
            report.measured = measured(loaded, feed, BATCH) if measure else None
            summary = report.close()
    finally:
        loaded.runner.close()
    say(report.table())
    say(
        f"{out / 'report.html'}: open it in a browser; {len(feed.samples)} samples in {out / 'samples.jsonl'}"
    )
    write_json(json_path, summary)


def _fill(report: Any, loaded: Any, feed: Any) -> None:
    """Run batch after batch and hand each one's counts to the report; nothing of a batch is kept."""
    from energy.answers import Answers
    from energy.chunk import chunk
    from energy.counts import counter
    from energy.line import grouped
    from energy.split_counts import SplitCounter
    from verbs.close_ups import spikes
    from verbs.feed import per_sample, scores
    from verbs.running import run_all

    counting = counter(loaded.model) if loaded.host is None else SplitCounter(loaded.model, loaded.host)
    samples, indices = feed.samples, count()

    def each(owners: np.ndarray, record: Any) -> None:
        mine, persons = np.unique(owners, return_counts=True)
        found = per_sample(scores(loaded.reader, record), owners).argmax(axis=1)
        share = [record.wall_s / len(mine)] * len(mine)
        answers = Answers([samples.ids[i] for i in mine], samples.labels[mine], found, share)
        counts = grouped(counting.count(record.rasters), owners)
        shown = spikes(record, owners, samples, report.shown.chosen)
        report.take(chunk(next(indices), counts, report.cost_table, answers, report.terms, shown, persons))

    run_all(loaded, feed, BATCH, counting.rasters, each)
