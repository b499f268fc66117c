"""Samples, or frames from outside, through a stream: scores as they evolve, and the time of each frame."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from convert.ir import BadInput
from deploy.record import Record
from deploy.stream import Stream, accumulated
from verbs.feed import Feed, per_sample, scores
from verbs.frames import STDIN, read_frames
from verbs.output import bar, json_line, say
from verbs.running import Loaded
from verbs.stream_check import Check, Outputs


@dataclass
class Clock:
    """Seconds of each frame; the first one apart, for it meets cold caches."""

    seconds: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float | int]:
        """Milliseconds, and frames a second; percentiles leave out the first frame where others follow."""
        times = 1e3 * np.array(self.seconds)
        rest = times[1:] if len(times) > 1 else times
        p50, p95, p99 = np.percentile(rest, (50, 95, 99))
        return {
            "frames": len(times), "first_ms": float(times[0]), "p50_ms": float(p50), "p95_ms": float(p95),
            "p99_ms": float(p99), "max_ms": float(rest.max()),
            "frames_per_s": float(1e3 * len(rest) / rest.sum()),
        }  # fmt: skip


@dataclass
class Session:
    """A stream with its clock, and what it said since it was last at rest."""

    loaded: Loaded
    stream: Stream
    check: Check | None
    clock: Clock = field(default_factory=Clock)
    totals: Outputs = field(default_factory=dict)

    def rest(self) -> None:
        """Begin anew."""
        self.stream.reset()
        self.totals = {}

    def take(self, x: np.ndarray) -> tuple[Outputs, np.ndarray]:
        """One frame: its outputs; and the class scores a window ending here would give, float64 [classes]."""
        start = time.perf_counter()
        got = self.stream.frame(x)
        self.clock.seconds.append(time.perf_counter() - start)
        for name, value in got.items():
            spiking = self.loaded.graph.nodes[name].spiking  # type: ignore[attr-defined]
            self.totals[name] = accumulated(self.totals.get(name), value, spiking)
        so_far = Record({n: v[None] for n, v in self.totals.items()}, {}, self.stream.frames)
        return got, scores(self.loaded.graph, so_far)[0]


def run_samples(session: Session, feed: Feed, show: int) -> np.ndarray:
    """Scores per sample [n, classes]; the first `show` are printed. The first row goes on from the state the
    stream has, every other one starts from rest."""
    if not len(feed.samples):
        raise BadInput("the split is empty: nothing to stream")
    rows, owners = [], []
    with bar(len(feed.samples), f"{session.loaded.target.name} stream") as progress:
        for owner, x in feed.batches(1):
            for sample, row in zip(owner, np.moveaxis(x, 1, 0), strict=True):
                if rows:
                    session.rest()
                rows.append(_row(session, row, _title(feed, sample) if sample < show else ""))
                owners.append(sample)
            progress.update(1)
    return per_sample(np.array(rows), np.array(owners))


def _title(feed: Feed, sample: int) -> str:
    return f"{feed.samples.ids[sample]}: {feed.class_names[feed.samples.labels[sample]]}"


def _row(session: Session, x: np.ndarray, title: str) -> np.ndarray:
    """The scores after the frames x [T, *shape] of one row."""
    after = []
    for t, frame in enumerate(x):
        _, so_far = session.take(frame)
        after.append(dict(session.totals))
        if title and t == 0:
            say(title)
        if title:
            say(f"  frame {t:4}  class {int(so_far.argmax()):3}  score {so_far.max():.4f}")
    if session.check is not None:
        session.check.row(x, after)
    return so_far


def run_frames(session: Session, source: str, classes: list[str]) -> None:
    """Frames from a file or stdin, one JSON line on stdout for each as it comes; only a check keeps them."""
    kept, after = [], []
    for x in read_frames(source, session.stream.source.shape):
        got, so_far = session.take(x)
        top = int(so_far.argmax())
        json_line({
            "frame": session.stream.frames - 1, "top": top,
            "class": classes[top] if top < len(classes) else None,
            "score": float(so_far[top]), "outputs": got, "ms": 1e3 * session.clock.seconds[-1],
        })  # fmt: skip
        if session.check is not None:
            kept.append(x)
            after.append(dict(session.totals))
    if not session.clock.seconds:
        raise BadInput(f"{'stdin' if source == STDIN else source}: holds no frame")
    if session.check is not None:
        session.check.row(np.array(kept), after)
