"""`simulate` of a sigma-delta pose network: joints, PCK where they are known, and what travelled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from convert.artifact import Artifact
from deploy.pose.sigma_delta import MapReader
from verbs.classes import percent
from verbs.output import bar, say, table, write_json
from verbs.pose_feed import PeopleClips, PoseFeed
from verbs.running import Loaded, clipped, load, say_cut, watch


def simulate_pose(
    opened: Artifact, feed: PoseFeed, name: str, form: str | None, threads: int | None, json_path: Path | None
) -> None:
    """Run all clips, print, and write the figures."""
    loaded, reader = load(opened, name, form, threads), MapReader.load(opened, threads or 1)
    try:
        result = _result(loaded, reader, feed)
    finally:
        loaded.runner.close()
    write_json(json_path, {"artifact": str(opened.path), "fingerprint": opened.fingerprint, **result})
    _print(result)


def _result(loaded: Loaded, reader: MapReader, feed: PoseFeed) -> dict[str, Any]:
    poses, last, wall_s, cut = [], [], 0.0, 0
    sent: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(feed.clips.frames, np.int64))
    with bar(len(feed.samples), loaded.target.name) as progress:
        watch(loaded.runner, progress)
        for owners, x in feed.batches(feed.size):
            cut += clipped(loaded.graph, x)
            found, score, messages, seconds = _run(loaded, reader, x)
            xy = feed.clips.back(range(owners[0], owners[-1] + 1), found)
            wall_s += seconds
            for population, raster in messages.items():
                sent[population] += np.count_nonzero(raster.reshape(len(raster), -1), axis=1)
            rows = np.round(np.concatenate([xy, score[..., None]], axis=-1), 3)
            poses += [
                {"id": feed.samples.ids[k], "frames": rows[:, n].tolist()} for n, k in enumerate(owners)
            ]
            last.append(xy[-1])
            progress.update(len(owners))
    say_cut(cut)
    frames = len(feed.samples) * feed.clips.frames
    return {
        "target": loaded.target.name, "form": loaded.form, "dataset": feed.clips.name,
        "n_samples": len(feed.samples), "n_steps": feed.clips.frames, **_judged(feed, np.concatenate(last)),
        "wall_s": wall_s, "frames_per_s": frames / wall_s, **_activity(loaded, sent, len(feed.samples)),
        "poses": poses,
    }  # fmt: skip


def _run(
    loaded: Loaded, reader: MapReader, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray, Mapping[str, np.ndarray], float]:
    """(xy [T, N, K, 2], score [T, N, K], messages of every population [T, N, ...], seconds of the target)."""
    if loaded.form == "float":  # holds no state: frames are images of their own
        record = loaded.runner.run(x.reshape(1, -1, *x.shape[2:]))
        maps = {n: y.reshape(*x.shape[:2], *y.shape[1:]) for n, y in record.outputs.items()}
        return *reader.read(maps), {}, record.wall_s
    senders, sums = loaded.graph.spiking(), loaded.graph.outputs
    record = loaded.runner.run(x, (*senders, *sums))
    found = reader.decoded({n: record.rasters[n] for n in sums})
    return *found, {n: record.rasters[n] for n in senders}, record.wall_s


def _judged(feed: PoseFeed, xy: np.ndarray) -> dict[str, Any]:
    """PCK of the last frame of every clip; null where nobody knows the joints."""
    from train.pose.predict import judged

    if not isinstance(feed.clips, PeopleClips):
        return {"pck": None, "measure": None, "threshold": None}
    keypoints = feed.clips.people.keypoints
    pck = judged(xy, feed.clips.people).pooled
    return {"pck": pck, "measure": keypoints.measure, "threshold": keypoints.threshold}


def _activity(loaded: Loaded, sent: Mapping[str, np.ndarray], samples: int) -> dict[str, Any]:
    """Messages (values that are not 0) of every population, by frame, all samples together."""
    populations = {
        name: {"neurons": int(np.prod(loaded.graph.shapes[name])), "messages_by_frame": frames.tolist()}
        for name, frames in sent.items()
    }
    neurons = sum(p["neurons"] for p in populations.values()) * samples
    frames = np.array([p["messages_by_frame"] for p in populations.values()]).sum(axis=0)
    first, later = _shares(frames, neurons) if populations else (None, None)
    return {
        "messages": int(frames.sum()), "share_of_first_frame": first, "share_of_later_frames": later,
        "populations": populations,
    }  # fmt: skip


def _shares(messages: Any, values: int) -> tuple[float, float | None]:
    """Messages over values: of the first frame, and of all later ones, if there are any."""
    later = float(np.sum(messages[1:])) / (values * (len(messages) - 1)) if len(messages) > 1 else None
    return float(messages[0]) / values, later


def _print(result: dict[str, Any]) -> None:
    rows = []
    for name, found in result["populations"].items():
        first, later = _shares(found["messages_by_frame"], found["neurons"] * result["n_samples"])
        total = sum(found["messages_by_frame"])
        rows.append((name, found["neurons"], total, percent(first), percent(later)))
    if rows:  # the float form sends none
        say(
            table(
                ("population", "neurons", "messages", "first frame", "later frames"), rows, right=range(1, 5)
            )
        )
    pck = "" if result["pck"] is None else f"PCK of the last frames {percent(result['pck'])}, "
    what = f"{result['n_samples']} clips of {result['n_steps']} frames of {result['dataset']}"
    sends = ""
    if rows:
        shares = (percent(result[f"share_of_{which}"]) for which in ("first_frame", "later_frames"))
        sends = "{} messages ({} of the values in first frames, {} later), ".format(
            result["messages"], *shares
        )
    say(
        f"{result['target']} ({result['form']}): {pck}{what}, "
        f"{sends}{result['wall_s']:.2f} s, {result['frames_per_s']:.1f} frames/s"
    )
