"""Windows of tracks to actions: the action model's own recipe, through torch or the artifact's target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convert.artifact import POSE, is_artifact, open_artifact
from convert.ir import BadInput, Unsupported
from deploy.pose.skeleton import SkeletonMap, skeleton_map
from deploy.pose.windows import Window
from verbs.feed import Feed, per_sample, scores
from verbs.pipeline_energy import uncounted
from verbs.pipeline_poses import Energy
from verbs.pose_run import task_at
from verbs.running import Loaded, best_target, load, run_all
from verbs.stage_clock import StageClock

if TYPE_CHECKING:
    from energy.line import Counts

BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the action model says of one window. scores: float64 [classes] as the model gives them; share:
    their softmax; pj: what it cost, None where it was not counted."""

    window: Window
    scores: np.ndarray
    share: np.ndarray
    pj: float | None

    @property
    def label(self) -> int:
        """The class of the highest score."""
        return int(self.scores.argmax())


class ActionStage:
    """A run (torch, counted on its folded graph) or an artifact on a target."""

    def __init__(
        self,
        path: Path,
        joints: Sequence[str],
        target: str | None,
        threads: int | None,
        energy: Energy,
        clock: StageClock,
    ) -> None:
        self.path, self._why, self._clock = path, "", clock
        if is_artifact(path):
            self._open_artifact(path, target, threads)
        else:
            self._open_run(path, target, threads)
        self.classes = tuple(self.source["classes"])
        self.mapping: SkeletonMap = skeleton_map(joints, self.source["dataset"]["layout"])
        self.about = {
            "action": str(path), "model": self.source["model"], "by": self.by, "form": self.form,
            "checkpoint": self.checkpoint, "layout": self.mapping.layout,
        }  # fmt: skip
        counted = f"{self._loaded.form} graph on {self._loaded.target.name}" if self._loaded else ""
        self._energy = energy(
            "action", {"network": str(path), "by": self.by, "form": self.form, "counted_as": counted}
        )

    def _open_artifact(self, path: Path, target: str | None, threads: int | None) -> None:
        artifact = open_artifact(path)
        if artifact.kind == POSE:
            raise BadInput(
                f"{path}: is a pose network, expected an action model; exchange --pose and --action"
            )
        self._loaded: Loaded | None = load(artifact, target or best_target(artifact), None, threads)
        self.source, self._torch = artifact.about["source"], None
        self.by, self.form = self._loaded.target.name, self._loaded.form
        self.checkpoint = artifact.about.get("checkpoint", {}).get("sha256", artifact.fingerprint)

    def _open_run(self, path: Path, target: str | None, threads: int | None) -> None:
        from verbs.members import open_member

        if target is not None:
            raise BadInput(f"--target {target}: {path} is a run, which torch runs; convert it for a target")
        if task_at(path) in ("pose", "people"):
            raise BadInput(
                f"{path}: is a pose network, expected an action model; exchange --pose and --action"
            )
        member = open_member(path, None, None, threads)
        self.source, self._torch = member.about, member.scores
        self.by, self.form, self.checkpoint = "torch", member.form, member.checkpoint
        self._loaded = self._counted_graph(member.model, threads)

    def _counted_graph(self, model: Any, threads: int | None) -> Loaded | None:
        """The folded float graph of the same weights on ONNX Runtime, to count on; None with a reason."""
        from deploy.cpu_onnx import OnnxCpu
        from verbs.traced import float_graph, folded

        if self.form != "float":
            self._why = "a fine-tuned run is of integers: convert it, and give the artifact, to count them"
            return None
        try:
            graph = folded(float_graph(model, self.source), "dense").graph
            where = OnnxCpu(threads or 0)
            return Loaded(where, "float", graph, graph, where.compile(graph))
        except Unsupported as why:
            self._why = str(why)
            return None

    def close(self) -> None:
        """Release what the target holds."""
        if self._loaded is not None:
            self._loaded.runner.close()

    def answers(self, windows: Sequence[Window]) -> list[Answer]:
        """One for each window, all of which have joints; counted as they pass."""
        if not windows:
            return []
        feed = self._feed(windows)
        found = None
        if self._loaded is not None:
            with self._clock.stage("action" if self._torch is None else "counting"):
                found = self._counted(feed)
        if self._torch is not None:
            found = np.asarray(self._torch(feed), np.float64)
        assert found is not None
        return [
            Answer(window, row, _softmax(row), self._energy.pj.get(name))
            for window, row, name in zip(windows, found, feed.samples.ids, strict=True)
        ]

    def energy(self) -> list[dict[str, Any]]:
        """Lines of energy.json."""
        if self._loaded is None:
            return [uncounted("action", str(self.path), self._why)]
        return [self._energy.summary()]

    def _feed(self, windows: Sequence[Window]) -> Feed:
        from train.data.clip import Clip
        from train.data.recipe import Recipe
        from train.data.transform import prepare
        from train.skeletons import layout

        clips = [
            Clip(f"track{w.track}/{w.start}-{w.stop - 1}", w.joints[None], 0, w.track)
            for w in windows
            if w.joints is not None
        ]
        recipe = Recipe.from_dict(self.source["recipe"])
        return Feed(prepare(clips, recipe, layout(self.mapping.layout)), self.classes)

    def _counted(self, feed: Feed) -> np.ndarray:
        """Scores by the target, while its spikes are counted."""
        from energy.counts import counter
        from energy.line import grouped
        from energy.split_counts import SplitCounter

        loaded = self._loaded
        assert loaded is not None
        counting = counter(loaded.model) if loaded.host is None else SplitCounter(loaded.model, loaded.host)

        def each(owners: np.ndarray, record: Any) -> None:
            with self._clock.stage("counting"):
                counts: Counts = grouped(counting.count(record.rasters), owners)
                answers = per_sample(scores(loaded.reader, record), owners).argmax(axis=1)
                self._energy.add(counts, [feed.samples.ids[i] for i in np.unique(owners)], answers.tolist())

        return run_all(loaded, feed, BATCH, counting.rasters, each)


def _softmax(row: np.ndarray) -> np.ndarray:
    raised = np.exp(row - row.max())
    return raised / raised.sum()
