"""The contract of a target, and the list of all of them.

A target takes a float `Graph`, an integer `Graph` or a `Program`, compiles it once and runs batches. It says
whether it promises spike-for-spike equality with the integer reference (`exact`), and refuses what it cannot
hold with node, reason and remedy: nothing is approximated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from convert.ir import BadInput, Graph, Program, Unsupported
from deploy.record import Record

if TYPE_CHECKING:
    from deploy.stream import Stream

Model = Graph | Program
STREAM_REMEDY = "stream on onnx or loihi-sim"


class Runner(ABC):
    """A compiled model."""

    @abstractmethod
    def run(self, x: np.ndarray, rasters: Collection[str] = ()) -> Record:
        """Run from rest. x: [T, N, *shape], values as the data set gives them (the input node encodes);
        rasters: names of inputs and spiking nodes whose every step is wanted, and of LoihiSigma readouts
        where the reference or loihi-sim runs."""

    def close(self) -> None:  # noqa: B027 - most runners hold nothing that must be released
        """Release processes and files the runner holds."""


class Target(ABC):
    """A place where a model runs."""

    name: ClassVar[str]
    exact: ClassVar[bool]  # integer models: same spikes as the reference, promised
    takes: ClassVar[tuple[str, ...]]  # of: 'float' graph, 'integer' graph, 'program'
    streams: ClassVar[bool] = False  # whether `stream` gives one
    what: ClassVar[str]  # one line for `cli targets`

    def available(self) -> str | None:
        """None, or why this machine cannot run the target and what to do."""
        return None

    @abstractmethod
    def supports(self, model: Model) -> list[str]:
        """Reasons why the model cannot run here; empty if it can."""

    @abstractmethod
    def compile(self, model: Model) -> Runner:
        """Make the model ready to run; Unsupported with node, reason and remedy if it cannot."""

    def stream(self, model: Model, samples: int = 1) -> Stream:
        """The model at rest, ready for frames; Unsupported if it cannot run frame by frame here."""
        raise Unsupported(self.name, "it runs whole windows, not frame by frame", STREAM_REMEDY)


TARGETS: dict[str, str] = {
    "reference": "deploy.reference:Reference",
    "onnx": "deploy.cpu_onnx:OnnxCpu",
    "loihi-sim": "deploy.loihi_sim:LoihiSim",
    "lava": "deploy.lava_sim:LavaSim",
}


def target(name: str) -> Target:
    """The target of that name; its libraries are imported only now."""
    if name not in TARGETS:
        raise BadInput(f"target {name!r} is unknown; known: {', '.join(TARGETS)}")
    module, cls = TARGETS[name].split(":")
    return getattr(import_module(module), cls)()


def told(reasons: Sequence[str]) -> str:
    """Reasons 'node: why' of `Target.supports` as one text; those of one why once, with the first node."""
    alike: dict[str, list[str]] = {}
    for reason in reasons:
        alike.setdefault(reason.partition(": ")[2] or reason, []).append(reason)
    return "; ".join(
        f"{first.partition(': ')[0]} and {len(others)} more: {why}" if others else first
        for why, (first, *others) in alike.items()
    )


def kind(model: Model) -> str:
    """'float', 'integer' or 'program'."""
    if isinstance(model, Program):
        return "program"
    return "integer" if model.stage == "integer" else "float"


def check_input(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """x itself, if it is [T >= 1, N >= 1, *shape] and finite; BadInput otherwise."""
    if x.ndim != len(shape) + 2 or x.shape[2:] != tuple(shape):
        raise BadInput(f"input has shape {x.shape}, expected (steps, samples, {', '.join(map(str, shape))})")
    if 0 in x.shape[:2]:
        raise BadInput(f"input has shape {x.shape}: no steps or no samples")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise BadInput("input holds NaN or infinity")
    return x
