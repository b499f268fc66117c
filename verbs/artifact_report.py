"""The energy report of an artifact: run on a target, counted chunk by chunk, wherever that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from convert.artifact import POSE, SIGMA_DELTA, Artifact, open_artifact
from convert.ir import BadInput
from energy.bills import check_conventions, check_host
from energy.chunk import Chunk
from energy.conventions import Convention, convention
from energy.costs import CostTable, open_cost_table
from energy.priced import Terms
from energy.report import Report
from energy.rows import Json
from energy.shown import Shown
from verbs.close_ups import chosen, skeletons
from verbs.conventions import chosen as conventions_of
from verbs.counting import BATCH, Counting, Job, in_turn, placed
from verbs.feed import Feed, feed_of, load_clips
from verbs.output import say, write_json
from verbs.pose_feed import PoseFeed, counted_feed, refuse_clip
from verbs.pricing import described, logged, measured, terms
from verbs.provenance import provenance
from verbs.report_options import Asked, told
from verbs.running import Loaded, best_target, load

CLIP, IMAGE = "clips of {} frames from rest, a step a frame", "single images"
DECODER = "the decoder (maps to joints) is outside the count"
COUNTED = {  # kind and form of a pose network -> what its samples are, and what of them is not counted
    (SIGMA_DELTA, "sigma-delta"): f"{CLIP}; {DECODER}",
    (POSE, "float"): f"{IMAGE}; {DECODER}",
    (POSE, "int8"): f"{IMAGE}; {DECODER}, and so is bringing the sums of layers back to 8 bits",
}


def report_artifact(path: Path, asked: Asked) -> None:
    """Everything `energy-report ARTIFACT` does."""
    opened = open_artifact(path)
    prices, conventions = open_cost_table(asked.cost_table), _conventions(opened, asked)
    check_conventions(prices, conventions)
    _check_table(opened, prices, asked.host_table)
    fed = _fed(opened, asked)
    feed = fed.feed
    loaded = load(opened, asked.name or best_target(opened), asked.form, asked.threads)
    agreed = terms(opened, loaded, conventions, asked.allow_uncounted, asked.core_map, asked.host_table)
    check_host(prices, agreed.host)
    found = logged(asked.power_log, asked.measure, len(feed.samples))
    close = chosen(feed, asked.page_samples)
    job = _job(path, asked, opened, loaded, agreed, close, fed.batch)
    header = _header(path, asked, fed, opened, loaded, agreed, job)
    try:
        shown = Shown(close, fed.skeletons(close))
        with Report(asked.out, prices, header, agreed, shown) as report:
            for made in _chunks(Counting(loaded, feed, agreed, job), job, asked):
                report.take(made)
            report.measured = found or (measured(loaded, feed, fed.batch) if asked.measure else None)
            summary = report.close()
    finally:
        loaded.runner.close()
    say(report.table())
    if "counted" in fed.told:
        say(f"counted: {fed.told['counted']}")
    told(asked.out, len(feed.samples))
    write_json(asked.json_path, summary)


@dataclass(frozen=True, eq=False)
class _Fed:
    """What a report runs on. told: lines of its header; skeletons: of the samples shown closely; batch:
    samples of a chunk."""

    feed: Feed | PoseFeed
    told: Json
    skeletons: Callable[[list[str]], dict[str, Json]]
    batch: int = BATCH


def _fed(opened: Artifact, asked: Asked) -> _Fed:
    about = opened.about["source"]
    if opened.kind not in (POSE, SIGMA_DELTA):
        refuse_clip(opened, asked.clip)
        clips = load_clips(about, asked.dataset, asked.data, asked.split, listed=True)
        told = {"layout": clips.layout, "dataset": clips.name}
        return _Fed(
            feed_of(clips, about, asked.limit), told, lambda close: skeletons(clips, about["recipe"], close)
        )
    feed = counted_feed(opened, asked.dataset, asked.data, asked.split, asked.limit, asked.clip)
    assert isinstance(feed, PoseFeed)
    counted = COUNTED[opened.kind, opened.about["form"]].format(feed.clips.frames)
    told = {"layout": about["dataset"]["layout"], "dataset": feed.clips.name, "counted": counted}
    return _Fed(feed, told, lambda close: {}, feed.size)


def _conventions(opened: Artifact, asked: Asked) -> tuple[Convention, ...]:
    """Those asked for; of changes, `exact` alone, and another is refused."""
    if opened.kind != SIGMA_DELTA:
        return conventions_of(asked.conventions, asked.switches)
    found = conventions_of(asked.conventions, asked.switches, (convention("exact"),))
    if odd := [c.name for c in found if c.rate != "events"]:
        raise BadInput(
            f"{', '.join(odd)}: charges dense operations by a rate of spikes, and changes of a sigma-delta "
            "network have sizes; leave it out: exact counts the changes that travelled"
        )
    return found


def _check_table(opened: Artifact, prices: CostTable, host: str | None) -> None:
    """BadInput, before anything runs, where a chip's table would have to price values, or messages that have
    sizes."""
    if opened.kind == POSE and prices.kind == "chip":
        raise BadInput(
            f"{prices.name} prices operations on spikes, and {opened.path} is a pose network that sends "
            "none; choose an arithmetic table"
        )
    if opened.kind == SIGMA_DELTA and prices.kind == "chip" and host is None:
        raise BadInput(
            f"{prices.name} prices operations on spikes alone, and sigma-delta messages have sizes; "
            "choose an arithmetic table, or name one for them with --host-table"
        )


def _header(
    path: Path, asked: Asked, fed: _Fed, opened: Artifact, loaded: Loaded, agreed: Terms, job: Job
) -> Json:
    latency = "not measured: several processes shared the machine"
    if asked.alone:
        latency = f"seconds of a batch of {job.batch} on {loaded.target.name}, shared evenly by its samples"
    return {
        "artifact": str(path), "split": asked.split, "latency": latency, **fed.told, **described(agreed),
        **provenance(opened, loaded, fed.feed),
    }  # fmt: skip


def _job(
    path: Path, asked: Asked, opened: Artifact, loaded: Loaded, agreed: Terms, close: list[str], batch: int
) -> Job:
    """What another process needs to count a chunk of this report."""
    return Job(
        str(path.resolve()), opened.fingerprint, loaded.target.name, asked.form, asked.dataset,
        placed(asked.data), asked.split, asked.limit, str(placed(asked.cost_table)), agreed.conventions,
        asked.allow_uncounted, placed(asked.core_map), placed(asked.host_table), tuple(close), asked.threads,
        asked.alone, batch, asked.clip,
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
