"""`energy-report`: synaptic operations and energy of every sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from deploy.target import TARGETS
from verbs.options import dataset_options, json_option, threads_option
from verbs.output import say, write_json

BATCH = 16


@click.command(short_help="Operations and energy of every sample.")
@click.argument("artifact", type=click.Path(path_type=Path))
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
    help="Folder for samples.jsonl (one line a sample) and summary.json.",
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
@dataset_options
@threads_option
@json_option
def energy_report(
    artifact: Path,
    cost_table: str,
    out: Path,
    name: str | None,
    form: str | None,
    dataset: str | None,
    data: Path | None,
    split: str,
    limit: int | None,
    threads: int | None,
    json_path: Path | None,
) -> None:
    """Count the operations that really happened, per sample and layer, and price them.

    Counts are facts: spikes times fan-out, borders and zero weights included, 64-bit integers. Joules are a
    model: the papers' convention and the exact count stand side by side, priced by the table you name. What
    could not be counted is listed, and then no joules are printed.

    \b
    python cli.py energy-report out/demo/lava --split test --cost-table horowitz45-fp32 --out out/energy
    """
    from convert.artifact import open_artifact
    from energy.costs import cost_table as shipped
    from energy.costs import load_cost_table
    from energy.report import Report
    from verbs.feed import load_feed
    from verbs.running import best_target, load

    prices = load_cost_table(Path(cost_table)) if cost_table.endswith(".toml") else shipped(cost_table)
    opened = open_artifact(artifact)
    feed = load_feed(opened.about["source"], dataset, data, split, limit)
    name = name or best_target(opened)
    loaded = load(opened, name, form, threads)
    header = {
        "artifact": str(artifact),
        "fingerprint": opened.fingerprint,
        "target": name,
        "form": loaded.form,
        "dataset": dataset or opened.about["source"]["dataset"]["name"],
        "split": split,
        "model": opened.about["source"]["model"],
        "n_samples": len(feed.samples),
    }
    try:
        with Report(out, prices, header) as report:
            _fill(report, loaded, feed)
            summary = report.close()
    finally:
        loaded.runner.close()
    say(report.table())
    say(f"{out / 'samples.jsonl'}: {len(feed.samples)} samples; {out / 'summary.json'}")
    write_json(json_path, summary)


def _fill(report: Any, loaded: Any, feed: Any) -> None:
    """Run batch after batch and hand each one's counts to the report; nothing of a batch is kept."""
    from energy.counts import counter
    from energy.line import grouped
    from energy.split_counts import SplitCounter
    from verbs.feed import per_sample, scores
    from verbs.running import run_all

    counting = counter(loaded.model) if loaded.host is None else SplitCounter(loaded.model, loaded.host)
    samples = feed.samples

    def each(owners: np.ndarray, record: Any) -> None:
        counts = grouped(counting.count(record.rasters), owners)
        indices = np.unique(owners)
        answers = per_sample(scores(loaded.reader, record), owners).argmax(axis=1)
        report.add(counts, [samples.ids[i] for i in indices], samples.labels[indices], answers)

    run_all(loaded, feed, BATCH, counting.rasters, each)
