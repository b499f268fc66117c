"""Run an artifact on a target over a feed: what simulate, verify and energy-report share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sized
from dataclasses import dataclass
from typing import Protocol

import click
import numpy as np
from tqdm import tqdm

from convert.artifact import POSE, Artifact
from convert.ir import BadInput, Graph, Input, Unsupported
from deploy.pose.network import PoseNetwork
from deploy.record import Record
from deploy.split import SplitRunner
from deploy.target import Model, Runner, Target, target, told
from verbs.feed import per_sample, scores
from verbs.options import cores
from verbs.output import bar

WHOLE = 1 << 20  # samples a batch where starting costs more than memory: the Lava worker


@dataclass(frozen=True, eq=False)
class Loaded:
    """A target with a model of an artifact on it. graph: the graph the model is or was lowered from.

    host: what runs on the CPU behind the target, None where the target runs the model whole.
    """

    target: Target
    form: str
    graph: Graph
    model: Model
    runner: Runner
    host: Graph | None = None

    @property
    def reader(self) -> Graph:
        """The part that gives the model's first output."""
        first = self.runner.outputs[0] if isinstance(self.runner, SplitRunner) else self.graph.outputs[0]
        return self.graph if self.host is None or first not in self.host.outputs else self.host


def best_target(artifact: Artifact) -> str:
    """The target an artifact is made for, of those that need nothing installed beside Basalt."""
    return "onnx" if artifact.kind in ("onnx", POSE) else "loihi-sim"


def load(artifact: Artifact, name: str, form: str | None, threads: int | None = None) -> Loaded:
    """Compile the form of the artifact that the target takes; refuse with a reason what it cannot."""
    if artifact.kind == POSE:
        return _pose(artifact, name, form, threads)
    where = target(name)
    if why := where.available():
        raise Unsupported(name, why, "or choose another target (`cli.py targets`)")
    forms = [f for f in ("float", "integer") if f in where.takes] or ["integer"]
    chosen = form or ("float" if artifact.kind == "onnx" and "float" in forms else "integer")
    if chosen not in forms:
        raise Unsupported(name, f"does not run {chosen} graphs", f"use --form {forms[0]}")
    graph = artifact.graph(chosen)
    model: Model = artifact.program() if "program" in where.takes else graph
    if reasons := where.supports(model):
        raise Unsupported(name, told(reasons), "see docs/support.md")
    if threads is not None and hasattr(where, "threads"):
        where.threads = threads
    runner = _shipped(artifact, where, chosen, graph) or where.compile(model)
    host = artifact.host() if chosen == "integer" else None  # a float graph is whole
    if host is not None:
        runner = SplitRunner(runner, graph, host, artifact.outputs())
    return Loaded(where, chosen, graph, model, runner, host)


def _pose(artifact: Artifact, name: str, form: str | None, threads: int | None) -> Loaded:
    """An artifact of kind pose: its own file runs, and its graph is counted, in 8 bits where the file is."""
    from deploy.pose.runner import PoseRunner

    if name != "onnx":
        raise Unsupported(name, f"{artifact.path} is of kind pose, an ONNX file", "use --target onnx")
    if form is not None:
        raise Unsupported(
            f"--form {form}", f"{artifact.path} has one form, {artifact.about['form']}", "leave it out"
        )
    graph, file = pose_graph(artifact), artifact.file("pose.onnx")
    runner = PoseRunner(PoseNetwork.load(file, threads or cores()), graph)
    return Loaded(target(name), str(artifact.about["form"]), graph, graph, runner)


def pose_graph(artifact: Artifact) -> Graph:
    """What an artifact of kind pose is counted on: its float graph, or the integers of its 8-bit model."""
    from convert.pose_int8 import eight_bit_graph

    graph = artifact.graph("float")
    return eight_bit_graph(graph, artifact.file("pose.onnx")) if artifact.about["form"] == "int8" else graph


def _shipped(artifact: Artifact, where: Target, form: str, graph: Graph) -> Runner | None:
    """The artifact's own ONNX file, where it has one: what was written is what is run."""
    name = "scan.onnx" if form == "float" else "integer-scan.onnx"
    if where.name != "onnx" or name not in artifact.about["files"]:
        return None
    return where.from_file(artifact.file(name), graph)  # type: ignore[attr-defined]


def watch(runner: Runner, progress: tqdm) -> None:
    """Let a runner that tells how far it is (the Lava worker, minutes a batch) move the bar itself."""
    runner = getattr(runner, "chip", runner)  # of a model in two parts
    if hasattr(runner, "progress"):

        def tell(done: int, of: int) -> None:
            progress.n = done
            progress.refresh()

        runner.progress = tell


def clipped(graph: Graph, x: np.ndarray) -> int:
    """How many input values a graded input cuts off: they lie beyond what calibration saw."""
    source = graph.nodes[graph.input()]
    if not isinstance(source, Input) or source.operand != "graded":
        return 0
    return int(np.count_nonzero(np.abs(x) > (source.limit + 0.5) * source.scale))


def say_cut(values: int) -> None:
    """The warning for values beyond the range of a graded input."""
    if values:
        click.echo(
            f"warning: {values} input values lie outside the graded range and were cut to it", err=True
        )


class Fed(Protocol):
    """What runs over a target: clips of skeletons (`verbs.feed.Feed`) or of poses (`verbs.pose_feed`)."""

    @property
    def samples(self) -> Sized:
        """What `batches` goes over."""
        ...

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(samples the rows belong to, x float32 [T, rows, *shape]), `size` samples a time."""
        ...


def run_all(
    loaded: Loaded,
    feed: Fed,
    batch: int,
    rasters: Collection[str] = (),
    each: Callable[[np.ndarray, Record], None] | None = None,
) -> np.ndarray:
    """Scores per sample [n, classes].

    `each` sees every batch with its rasters: (owners of the rows, record); nothing of it is kept here.
    """
    if not len(feed.samples):
        raise BadInput("the split is empty: nothing to run")
    rows, owners, cut = [], [], 0
    with bar(len(feed.samples), loaded.target.name) as progress:
        watch(loaded.runner, progress)
        for owner, x in feed.batches(WHOLE if loaded.target.name == "lava" else batch):
            cut += clipped(loaded.graph, x)
            record = loaded.runner.run(x, rasters)
            if each is not None:
                each(owner, record)
            rows.append(scores(loaded.reader, record))
            owners.append(owner)
            progress.n = len(np.unique(np.concatenate(owners)))
            progress.refresh()
    say_cut(cut)
    return per_sample(np.concatenate(rows), np.concatenate(owners))
