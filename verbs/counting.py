"""What `energy-report` counts, cut into chunks that any process can count: run, count and price one of them.

A chunk is `batch` consecutive samples of the feed, known by its index alone. Counting one twice gives the
same chunk, so a chunk whose process died is simply counted again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from convert.artifact import open_artifact
from convert.ir import ArtifactError, BadInput, BasaltError
from deploy.record import Record
from energy.answers import Answers
from energy.chunk import Chunk, chunk
from energy.conventions import Convention
from energy.costs import open_cost_table
from energy.counts import counter
from energy.line import grouped
from energy.priced import Terms
from energy.rows import Json
from energy.split_counts import SplitCounter
from verbs.close_ups import spikes
from verbs.feed import Feed, per_sample, scores
from verbs.output import bar
from verbs.pose_feed import PoseFeed, counted_feed
from verbs.pricing import terms
from verbs.running import WHOLE, Loaded, clipped, load, say_cut, watch

BATCH = 64  # samples: what does not depend on their number is done once a batch; rasters are about 80 MB
_ONE_AT_A_TIME = Lock()  # a Dask worker may have threads; a runner is for one of them


@dataclass(frozen=True)
class Job:
    """All that a process needs to count a chunk: where model and data lie, what they must be, how to price.

    fingerprint: of the artifact; another one under the same path is refused.  close: ids of samples whose
    spikes are kept.  alone: no other process shares the machine, so that seconds mean something.  batch:
    samples of a chunk.  clip: frames of a sample of poses.
    """

    artifact: str
    fingerprint: str
    target: str
    form: str | None
    dataset: str | None
    data: str | None
    split: str
    limit: int | None
    cost_table: str
    conventions: tuple[Convention, ...]
    allow_uncounted: bool = False
    core_map: str | None = None
    host_table: str | None = None
    close: tuple[str, ...] = ()
    threads: int | None = None
    alone: bool = True
    batch: int = BATCH
    clip: int | None = None


class Counting:
    """A model on its target with the feed in front of it and the counter behind."""

    def __init__(self, loaded: Loaded, feed: Feed | PoseFeed, agreed: Terms, job: Job) -> None:
        self.loaded, self.feed, self._terms, self._job = loaded, feed, agreed, job
        self._table = open_cost_table(job.cost_table)
        self._counter = (
            counter(loaded.model) if loaded.host is None else SplitCounter(loaded.model, loaded.host)
        )
        self._size = WHOLE if loaded.target.name == "lava" else job.batch
        self.cut = 0  # input values beyond a graded input's range, of all chunks so far

    @classmethod
    def of(cls, job: Job) -> Counting:
        """Open everything a job names, in this process."""
        opened = open_artifact(Path(job.artifact))
        if opened.fingerprint != job.fingerprint:
            raise ArtifactError(f"{job.artifact}: another artifact than the one asked for lies here")
        data = None if job.data is None else Path(job.data)
        feed = counted_feed(opened, job.dataset, data, job.split, job.limit, job.clip)
        loaded = load(opened, job.target, job.form, job.threads)
        core_map = None if job.core_map is None else Path(job.core_map)
        agreed = terms(opened, loaded, job.conventions, job.allow_uncounted, core_map, job.host_table)
        return cls(loaded, feed, agreed, job)

    def __len__(self) -> int:
        """Number of chunks."""
        return -(-len(self.feed.samples) // self._size)

    def chunk(self, index: int) -> Chunk:
        """Read, prepare, run, count and price the samples from index . batch on; nothing of it is kept."""
        owners, x = self.feed.batch(index * self._size, self._size)
        self.cut += clipped(self.loaded.graph, x)
        record = self.loaded.runner.run(x, self._counter.rasters)
        counts = grouped(self._counter.count(record.rasters), owners)
        persons = np.unique(owners, return_counts=True)[1]
        shown = spikes(record, owners, self.feed.samples.ids, self._job.close)
        return chunk(index, counts, self._table, self._answers(owners, record), self._terms, shown, persons)

    def _answers(self, owners: np.ndarray, record: Record) -> Answers:
        samples, mine = self.feed.samples, np.unique(owners)
        share = [record.wall_s / len(mine)] * len(mine) if self._job.alone else None
        if isinstance(self.feed, PoseFeed):  # joints are no classes
            return Answers([samples.ids[i] for i in mine], latency_s=share)
        found = per_sample(scores(self.loaded.reader, record), owners).argmax(axis=1)
        return Answers([samples.ids[i] for i in mine], samples.labels[mine], found, share)


def in_turn(counting: Counting) -> Iterator[Chunk]:
    """All chunks, one after the other, in this process."""
    if not len(counting):
        raise BadInput("the split is empty: nothing to run")
    with bar(len(counting.feed.samples), counting.loaded.target.name) as progress:
        watch(counting.loaded.runner, progress)
        for index in range(len(counting)):
            made = counting.chunk(index)
            yield made
            progress.n += len(made.rows)
            progress.refresh()
    say_cut(counting.cut)


class WorkerError(BasaltError):
    """Another process could not count a chunk; the message and exit code are its own."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def counted(job: Job, index: int) -> Json:
    """One chunk as plain data, in whatever process; model and data stay open there for the next one.

    {"chunk": its state, "cut": input values cut}, or {"error": one line, "exit_code": number}.
    """
    try:
        with _ONE_AT_A_TIME:
            counting = _opened(job)
            before = counting.cut
            return {"chunk": counting.chunk(index).state(), "cut": counting.cut - before}
    except Exception as error:
        code = getattr(error, "exit_code", 3 if isinstance(error, OSError) else None)
        if code is None:
            raise  # a fault of ours, with its traceback
        return {"error": str(error), "exit_code": code}


def taken(answer: Json) -> tuple[Chunk, int]:
    """(chunk, input values cut) of what `counted` gave; WorkerError if it is an error."""
    if "error" in answer:
        raise WorkerError(answer["error"], answer["exit_code"])
    return Chunk.of_state(answer["chunk"]), answer["cut"]


@lru_cache(maxsize=1)
def _opened(job: Job) -> Counting:
    return Counting.of(job)


def placed(path: Path | str | None) -> str | None:
    """A file as another process finds it, whatever folder it runs in; a shipped table's name as it is."""
    if path is None or (isinstance(path, str) and not path.endswith(".toml")):
        return path
    return str(Path(path).resolve())
