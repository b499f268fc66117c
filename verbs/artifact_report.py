"""The energy report of an artifact: run on a target, counted chunk by chunk, wherever that is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from convert.artifact import Artifact, open_artifact
from energy.bills import check_conventions, check_host
from energy.chunk import Chunk
from energy.costs import open_cost_table
from energy.priced import Terms
from energy.report import Report
from energy.rows import Json
from energy.shown import Shown
from train.data.clip import ClipSet
from verbs.close_ups import chosen, skeletons
from verbs.conventions import chosen as conventions_of
from verbs.counting import BATCH, Counting, Job, in_turn, placed
from verbs.feed import Feed, feed_of, load_clips
from verbs.output import say, write_json
from verbs.pricing import described, logged, measured, terms
from verbs.provenance import provenance
from verbs.report_options import Asked, told
from verbs.running import Loaded, best_target, load


def report_artifact(path: Path, asked: Asked) -> None:
    """Everything `energy-report ARTIFACT` does."""
    prices, conventions = open_cost_table(asked.cost_table), conventions_of(asked.conventions, asked.switches)
    check_conventions(prices, conventions)
    opened = open_artifact(path)
    about = opened.about["source"]
    clips = load_clips(about, asked.dataset, asked.data, asked.split, listed=True)
    feed = feed_of(clips, about, asked.limit)
    loaded = load(opened, asked.name or best_target(opened), asked.form, asked.threads)
    agreed = terms(opened, loaded, conventions, asked.allow_uncounted, asked.core_map, asked.host_table)
    check_host(prices, agreed.host)
    found = logged(asked.power_log, asked.measure, len(feed.samples))
    close = chosen(feed, asked.page_samples)
    header = _header(path, asked, clips, opened, loaded, feed, agreed)
    try:
        shown = Shown(close, skeletons(clips, about["recipe"], close))
        with Report(asked.out, prices, header, agreed, shown) as report:
            job = _job(path, asked, opened, loaded, agreed, close)
            for made in _chunks(Counting(loaded, feed, agreed, job), job, asked):
                report.take(made)
            report.measured = found or (measured(loaded, feed, BATCH) if asked.measure else None)
            summary = report.close()
    finally:
        loaded.runner.close()
    say(report.table())
    told(asked.out, len(feed.samples))
    write_json(asked.json_path, summary)


def _header(
    path: Path, asked: Asked, clips: ClipSet, opened: Artifact, loaded: Loaded, feed: Feed, agreed: Terms
) -> Json:
    latency = "not measured: several processes shared the machine"
    if asked.alone:
        latency = f"seconds of a batch of {BATCH} on {loaded.target.name}, shared evenly by its samples"
    return {
        "artifact": str(path), "split": asked.split, "layout": clips.layout, "dataset": clips.name,
        "latency": latency, **described(agreed), **provenance(opened, loaded, feed),
    }  # fmt: skip


def _job(path: Path, asked: Asked, opened: Artifact, loaded: Loaded, agreed: Terms, close: list[str]) -> Job:
    """What another process needs to count a chunk of this report."""
    return Job(
        str(path.resolve()), opened.fingerprint, loaded.target.name, asked.form, asked.dataset,
        placed(asked.data), asked.split, asked.limit, str(placed(asked.cost_table)), agreed.conventions,
        asked.allow_uncounted, placed(asked.core_map), placed(asked.host_table), tuple(close), asked.threads,
        asked.alone,
    )  # fmt: skip


def _chunks(counting: Counting, job: Job, asked: Asked) -> Iterator[Chunk]:
    """Every chunk of the report, from wherever it is counted."""
    if asked.cluster is not None:
        from verbs.cluster import on_cluster

        return on_cluster(job, asked.cluster, len(counting), len(counting.feed.samples))
    if asked.workers > 1:
        from verbs.workers import in_processes

        return in_processes(job, asked.workers, len(counting), len(counting.feed.samples))
    return in_turn(counting)
