"""ONNX Runtime on the CPU: the scan model for windows, the step model for streams.

Integer graphs are exact: same spikes and the same readout as the reference. Float graphs compute in float32,
so a neuron whose v comes within rounding of its threshold may spike otherwise than in float64; they are
compared with a tolerance.

Memory: a run is cut into slices of samples so that every node's values of all steps of a slice take about
64 MiB at 8 bytes a value (`SLICE_BYTES`); the runtime holds fewer of them at a time. A slice has at
least one sample. Larger slices measured no faster on Base-SGN (per sample, 32 at a time cost 20 % more
than 8: the state of a layer leaves the cache).
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import onnxruntime

from convert.ir import BadInput, Graph, Input, Unsupported, steps
from convert.to_onnx import read_metadata, scan_model, step_model
from deploy.record import Record, joined
from deploy.target import Model, Runner, Target, check_input, kind

SLICE_BYTES = 64 * 2**20
_NUMPY = {"tensor(uint8)": np.uint8, "tensor(int32)": np.int32, "tensor(float)": np.float32}


class Session:
    """One model in the runtime, and its metadata; errors of the runtime become one line."""

    def __init__(self, model: bytes, where: str, threads: int) -> None:
        self.where = where
        self.metadata = read_metadata(model, where)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's classes have no common base but Exception
            reason = f"ONNX Runtime does not load it ({_line(error)})"
            raise Unsupported(where, reason, "convert the model again") from error
        self.outputs = [o.name for o in self.session.get_outputs()]
        self.x_dtype = _NUMPY[next(i.type for i in self.session.get_inputs() if i.name == "x")]
        described = dict(self.metadata["graph_input"])
        self.source_name = described.pop("name")
        self.source = Input(**described)

    def run(self, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name."""
        try:
            return dict(zip(self.outputs, self.session.run(None, dict(feed)), strict=True))
        except Exception as error:  # as above
            raise BadInput(f"{self.where}: ONNX Runtime failed ({_line(error)})") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


class ScanRunner(Runner):
    """Runs scan models over whole windows; a model with other probes is built when it is first asked for."""

    def __init__(self, base: Session, graph: Graph | None, threads: int, values: int) -> None:
        self.base, self.graph, self.threads = base, graph, threads
        self.values = values  # values of all nodes in one step of one sample
        self._sessions = {frozenset(base.metadata["probes"]): base}

    def run(self, x: np.ndarray, rasters: Collection[str] = ()) -> Record:
        check_input(x, self.base.source.shape)
        if self.graph is not None:
            steps(
                self.graph, len(x)
            )  # a window node made for another length is named here, not in the runtime
        session = self._session(frozenset(rasters) - {self.base.source_name})
        encoded = self.base.source.encode(x)
        size = max(1, SLICE_BYTES // (8 * self.values * len(x)))
        parts = [encoded[:, i : i + size] for i in range(0, x.shape[1], size)]
        return joined([self._slice(session, part, rasters) for part in parts])

    def _session(self, probes: frozenset[str]) -> Session:
        if probes in self._sessions:
            return self._sessions[probes]
        for held, session in self._sessions.items():
            if self.graph is None and probes <= held:
                return session
        if self.graph is None:
            missing = sorted(probes - set(self.base.metadata["probes"]))
            known = ", ".join(self.base.metadata["probes"]) or "none"
            raise BadInput(f"{self.base.where}: has no raster of {', '.join(missing)}; written with: {known}")
        model = scan_model(self.graph, sorted(probes)).SerializeToString()
        self._sessions[probes] = Session(model, "graph", self.threads)
        return self._sessions[probes]

    def _slice(self, session: Session, encoded: np.ndarray, rasters: Collection[str]) -> Record:
        x = np.ascontiguousarray(encoded, session.x_dtype)
        start = time.perf_counter()
        got = session.run({"x": x})
        wall_s = time.perf_counter() - start
        source = session.source_name
        return Record(
            outputs={n: _wide(got[n]) for n in session.metadata["graph_outputs"]},
            counts={n: got[f"{n}.count"] for n in session.metadata["spiking"] if f"{n}.count" in got},
            steps=len(x),
            rasters={n: encoded if n == source else got[f"{n}.raster"] for n in rasters},
            wall_s=wall_s,
        )


def _wide(value: np.ndarray) -> np.ndarray:
    """The type a Record promises: float64, or int64 as the model gives it."""
    return value.astype(np.float64) if value.dtype.kind == "f" else value


class Stepper:
    """Runs a step model frame by frame; the state is here, explicit, and zero at the start.

    >>> stepper = Stepper.of(graph, samples=1)
    >>> outputs = stepper(frame)          # frame [N, *shape] -> {output: [N, *shape]}, spikes as uint8
    """

    def __init__(self, session: Session, samples: int) -> None:
        _check_form(session, "step")
        self.session, self.samples = session, samples
        self._carried = [(s["input"], s["output"]) for s in session.metadata["states"]]
        self.reset()

    @classmethod
    def of(cls, graph: Graph, samples: int = 1, probes: Collection[str] = (), threads: int = 1) -> Stepper:
        """A stepper for a graph. Single frames are small: one thread is the fastest."""
        return cls(Session(step_model(graph, probes).SerializeToString(), "graph", threads), samples)

    @classmethod
    def from_file(cls, path: Path, samples: int = 1, threads: int = 1) -> Stepper:
        """A stepper for a written step model."""
        return cls(Session(_read(path), str(path), threads), samples)

    def reset(self) -> None:
        """Back to rest."""
        self.state = {
            s["input"]: np.zeros([self.samples if n == "N" else n for n in s["shape"]], s["dtype"])
            for s in self.session.metadata["states"]
        }

    def __call__(self, frame: np.ndarray) -> dict[str, np.ndarray]:
        """One step. frame: [N, *shape], values as the data set gives them."""
        check_input(frame[None], self.session.source.shape)
        if len(frame) != self.samples:
            raise BadInput(f"frame holds {len(frame)} samples, the stepper's state {self.samples}")
        x = np.ascontiguousarray(self.session.source.encode(frame), self.session.x_dtype)
        got = self.session.run({"x": x, **self.state})
        self.state = {name: got.pop(after) for name, after in self._carried}
        return got


@final
class OnnxCpu(Target):
    """ONNX Runtime. `exact` is the promise for integer graphs; float graphs are float32, within tolerance."""

    name, exact, takes = "onnx", True, ("float", "integer")
    what = "ONNX Runtime on the CPU: float32, or exact integers"

    def __init__(self, threads: int = 0) -> None:
        self.threads = threads  # 0: as many as the runtime finds

    def supports(self, model: Model) -> list[str]:
        if kind(model) == "program":
            return ["a program runs on loihi-sim or lava"]
        try:
            scan_model(model)  # type: ignore[arg-type]
        except Unsupported as why:
            return [str(why)]
        return []

    def compile(self, model: Model) -> Runner:
        if not isinstance(model, Graph):
            raise Unsupported("program", "ONNX Runtime runs graphs", "use loihi-sim or lava for a program")
        session = Session(scan_model(model).SerializeToString(), "graph", self.threads)
        return ScanRunner(session, model, self.threads, _values(session.metadata))

    def from_file(self, path: Path, graph: Graph | None = None) -> Runner:
        """A runner for a written scan model; it has the rasters it was written with, or, where the graph it
        was written from is given, any (from a model written anew)."""
        session = Session(_read(path), str(path), self.threads)
        _check_form(session, "scan")
        return ScanRunner(session, graph, self.threads, _values(session.metadata))


def _check_form(session: Session, form: str) -> None:
    found = session.metadata["basalt.form"]
    if found != form:
        raise BadInput(
            f"{session.where}: is a {found} model, expected a {form} model; convert the model again"
        )


def _values(metadata: Mapping[str, Any]) -> int:
    return sum(math.prod(shape) for shape in metadata["node_shapes"].values())


def _read(path: Path) -> bytes:
    if not Path(path).is_file():
        raise BadInput(f"{path}: no such file; write one with convert --to onnx")
    return Path(path).read_bytes()
