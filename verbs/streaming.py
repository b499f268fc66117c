"""`simulate --stream`: an artifact on a target, frame by frame."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from convert.artifact import SIGMA_DELTA, Artifact, open_artifact
from convert.ir import Unsupported
from deploy.stream import Stream
from deploy.stream_state import load_state, save_state
from deploy.target import target
from verbs.feed import Feed, load_feed
from verbs.output import write_json
from verbs.running import Loaded, load
from verbs.stream_check import Check
from verbs.stream_run import Session, run_frames, run_samples


@dataclass(frozen=True)
class Asked:
    """The options of `simulate` that a stream takes."""

    show: int | None
    frames: str | None
    state_in: Path | None
    state_out: Path | None
    check: bool
    dataset: str | None
    data: Path | None
    split: str
    limit: int | None
    threads: int | None


def stream_artifact(path: Path, name: str, form: str | None, asked: Asked, json_path: Path | None) -> None:
    """Open, run, print, write."""
    artifact = open_artifact(path)
    if artifact.kind == SIGMA_DELTA:
        reason = "answers with joints, and what a stream prints after a frame is a class"
        raise Unsupported(
            artifact.about["source"]["model"],
            reason,
            "simulate it without --stream: every frame has its joints",
        )
    if repeat := artifact.about["source"]["recipe"].get("repeat", 0):
        reason = f"takes the whole clip at each of its {repeat} steps: no frame has an answer of its own"
        raise Unsupported(artifact.about["source"]["model"], reason, "simulate it without --stream")
    if not target(name).streams:
        target(name).stream(artifact.graph("integer"))  # refuses, and says why
    loaded = load(artifact, name, form, asked.threads)
    if getattr(loaded, "host", None) is not None:
        reason = "a part of the model runs on the CPU over whole windows, behind the chip's spikes"
        raise Unsupported(name, reason, "simulate it without --stream")
    try:
        start = time.perf_counter()
        stream = _open(loaded, artifact, asked.threads or 1)
        result = {"target": name, "form": loaded.form, "open_s": time.perf_counter() - start}
        if asked.state_in is not None:
            load_state(asked.state_in, stream)
        session = Session(loaded, stream, Check(loaded) if asked.check else None)
        result |= _run(session, artifact, asked)
        if asked.state_out is not None:
            save_state(asked.state_out, stream)
        result["latency"] = session.clock.summary()
        result["latency_steps"] = stream.latency_steps
        result["check"] = session.check.as_json() if session.check else None
        write_json(json_path, {"artifact": str(path), "fingerprint": artifact.fingerprint, **result})
        _print(session, result, to_stderr=asked.frames is not None)
    finally:
        loaded.runner.close()


def _open(loaded: Loaded, artifact: Artifact, threads: int) -> Stream:
    """A stream of the artifact's own step model, where it has one; else of the model, made anew."""
    name = "step.onnx" if loaded.form == "float" else "integer-step.onnx"
    if loaded.target.name == "onnx" and name in artifact.about["files"]:
        from deploy.onnx_stream import Stepper

        return Stepper.from_file(artifact.file(name), threads=threads, graph=loaded.graph)
    if hasattr(loaded.target, "threads"):
        loaded.target.threads = threads
    return loaded.target.stream(loaded.model)


def _run(session: Session, artifact: Artifact, asked: Asked) -> dict[str, Any]:
    """Feed it; what is to be said of the result."""
    about = artifact.about["source"]
    if asked.frames is not None:
        run_frames(session, asked.frames, list(about["classes"]))
        return {"n_frames": session.stream.frames}
    feed = load_feed(about, asked.dataset, asked.data, asked.split, asked.limit)
    return _answers(run_samples(session, feed, asked.show or 0), feed)


def _answers(found: np.ndarray, feed: Feed) -> dict[str, Any]:
    predictions = found.argmax(axis=1)
    return {
        "n_samples": len(feed.samples),
        "accuracy": float((predictions == feed.samples.labels).mean()),
        "predictions": predictions.tolist(),
        "sample_ids": list(feed.samples.ids),
    }


def _print(session: Session, result: dict[str, Any], to_stderr: bool) -> None:
    """In words; on stderr where stdout is a stream of JSON. The check's verdict comes last."""
    lines = []
    if "accuracy" in result:
        lines.append(f"accuracy {100 * result['accuracy']:.2f} % on {result['n_samples']} samples")
    lines.append(
        "{target} ({form}) frame by frame: {frames} frames, first {first_ms:.3f} ms; then p50 {p50_ms:.3f}, "
        "p95 {p95_ms:.3f}, p99 {p99_ms:.3f}, max {max_ms:.3f} ms; {frames_per_s:.0f} frames/s".format(
            **result, **result["latency"]
        )
    )
    if result["latency_steps"]:
        lines.append(f"on a chip the output of a frame comes {result['latency_steps']} steps later")
    for line in lines:
        click.echo(line, err=to_stderr)
    if session.check is not None:
        click.echo(session.check.judged(), err=to_stderr)
