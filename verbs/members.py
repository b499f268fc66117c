"""The models of a fusion, or the one that `evaluate` looks at: opened, compared, asked for scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.artifact import POSE, Artifact, is_artifact, open_artifact
from convert.ir import BadInput
from train.data import registry
from train.data.clip import ClipSet
from verbs.feed import BEGUN_BY, Feed, feed_of, held_out, source
from verbs.running import best_target, load, run_all

BATCH = 32


@dataclass(frozen=True, eq=False)
class Member:
    """A model that gives class scores [n, K] of a feed.

    about: what feeding it takes (`verbs.feed.source`)
    checkpoint: sha256 of the trained weights, the same for a run and what was converted from it
    fingerprint: the artifact's, else the checkpoint's; by: "torch" or the target; model: a run's torch module
    parent: of a fine-tuned run, or of its artifact, what it says of the float run that it was made from
    """

    path: Path
    about: Mapping[str, Any]
    checkpoint: str
    fingerprint: str
    by: str
    form: str
    scores: Callable[[Feed], np.ndarray]
    close: Callable[[], None]
    model: Any = None
    parent: Mapping[str, Any] | None = None

    @property
    def lineage(self) -> tuple[str, ...]:
        """The checkpoint, and those of the runs of its stream before it: what it was fine-tuned from, what
        it, or that, was refit from and began with."""
        parent = self.parent or {}
        before = (parent, *(run.get(key) for run in (self.about, parent) for key in BEGUN_BY))
        return (self.checkpoint, *(run["sha256"] for run in before if run and "stream" not in run))

    def rate(self, clips: ClipSet, limit: int | None = None) -> tuple[Feed, np.ndarray]:
        """The samples of clips, and its scores of them, float64 [n, K]."""
        feed = feed_of(clips, self.about, limit)
        return feed, np.asarray(self.scores(feed), np.float64)

    def as_json(self) -> dict[str, Any]:
        """Who it is."""
        return {
            "path": str(self.path), "model": self.about["model"], "stream": self.about["recipe"]["stream"],
            "epoch": self.about["epoch"], "target": self.by, "form": self.form, "checkpoint": self.checkpoint,
            "fingerprint": self.fingerprint,
        }  # fmt: skip


def open_member(path: Path, target: str | None, form: str | None, threads: int | None) -> Member:
    """A run or checkpoint, whose torch model gives the scores, or an artifact on a target (None: its own)."""
    if not path.exists():
        raise BadInput(f"{path}: no such run or artifact; make one with `cli.py train` or `cli.py convert`")
    if is_artifact(path) or path.suffix == ".net":
        return _on_target(open_artifact(path), target, form, threads)
    return open_run(path, threads)


def open_run(path: Path, threads: int | None) -> Member:
    """The best checkpoint of a run folder, or a .safetensors file, run by torch."""
    import torch

    from train.checkpoint import load_model
    from train.evaluate import evaluate

    if threads is not None:
        torch.set_num_threads(threads)
    model, checkpoint = load_model(path)
    digest = checkpoint.about["sha256"]

    def scores(feed: Feed) -> np.ndarray:
        return evaluate(model, feed.samples.prepared())

    tuned = checkpoint.about.get("qat")
    form, parent = ("integer", tuned.get("parent")) if tuned else ("float", None)
    about = source(checkpoint.about)
    return Member(path, about, digest, digest, "torch", form, scores, lambda: None, model, parent)


def _on_target(artifact: Artifact, target: str | None, form: str | None, threads: int | None) -> Member:
    if artifact.kind == POSE:
        raise BadInput(
            f"{artifact.path}: is a pose network, which has no classes; `cli.py evaluate` takes it"
        )
    loaded = load(artifact, target or best_target(artifact), form, threads)

    def scores(feed: Feed) -> np.ndarray:
        return run_all(loaded, feed, BATCH)

    about = artifact.about
    digest = about.get("checkpoint", {}).get("sha256", artifact.fingerprint)
    return Member(
        artifact.path, about["source"], digest, artifact.fingerprint, loaded.target.name, loaded.form, scores,
        loaded.runner.close, parent=about.get("fine_tuned", {}).get("parent"),
    )  # fmt: skip


def check_alike(members: Sequence[Member]) -> None:
    """BadInput where two members are one model, or are not of the same data set, options and classes."""
    first = members[0]
    known = _data(first.about)
    for place, member in enumerate(members):
        for other in members[:place]:
            if member.checkpoint == other.checkpoint:
                raise BadInput(
                    f"{member.path}: holds the same model as {other.path} (checkpoint "
                    f"{member.checkpoint[:12]}); name each model once"
                )
        if (found := _data(member.about)) != known:
            raise BadInput(
                f"{member.path}: trained on {_named(found)}, {first.path} on {_named(known)}; "
                "fuse models of the same data set and options"
            )
        if list(member.about["classes"]) != list(first.about["classes"]):
            raise BadInput(
                f"{member.path}: its {len(member.about['classes'])} classes are not the "
                f"{len(first.about['classes'])} classes of {first.path}; fuse models of the same classes"
            )


def common_validation(members: Sequence[Member], clips: ClipSet) -> ClipSet:
    """Of a training split, the clips that every member's training held out; BadInput where they differ."""
    found = [_held_out(member, clips) for member in members]
    first = [clip.id for clip in found[0].clips]
    for member, part in zip(members, found, strict=True):
        ids = [clip.id for clip in part.clips]
        if ids != first:
            raise BadInput(
                f"{member.path}: training held out {len(ids)} clips for validation, {members[0].path} "
                f"{len(first)}, of which {len(set(ids) & set(first))} are the same; weights are fitted on "
                "what no member trained on: train with the same --validation-subjects and --set validation"
            )
    return found[0]


def _held_out(member: Member, clips: ClipSet) -> ClipSet:
    try:
        return held_out(clips, member.about)
    except ValueError as error:
        raise BadInput(f"{member.path}: {error}") from error


def _data(about: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The data set of a model, and its options with the defaults filled in; not where it lies."""
    known = about["dataset"]
    options = {k: v for k, v in known.get("options", {}).items() if k != "path"}
    return known["name"], registry.defaults(known["name"]) | options


def _named(data: tuple[str, dict[str, Any]]) -> str:
    name, options = data
    return " ".join([name, *(f"{key}={value}" for key, value in sorted(options.items()))])
