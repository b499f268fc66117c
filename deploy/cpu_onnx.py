"""ONNX Runtime on the CPU: the scan model for windows; the step model for streams is `deploy.onnx_stream`.

Integer graphs are exact: same spikes and the same readout as the reference. Float graphs compute in float32,
so a neuron whose v comes within rounding of its threshold may spike otherwise than in float64; they are
compared with a tolerance.

Memory: a run is cut into slices of samples so that every node's values of all steps of a slice take about
64 MiB at 8 bytes a value (`SLICE_BYTES`); the runtime holds fewer of them at a time. A slice has at
least one sample. Larger slices measured no faster on Base-SGN (per sample, 32 at a time cost 20 % more
than 8: the state of a layer leaves the cache). The rasters of a batch lie in memory that the runner keeps,
for the next batch once nobody holds an array of this one (`deploy.raster_room`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import numpy as np

from convert.ir import BadInput, Graph, Unsupported, steps
from convert.to_onnx import scan_model
from deploy.onnx_session import Session, check_form, read_model
from deploy.onnx_stream import Stepper
from deploy.raster_room import Memory, RasterRoom
from deploy.record import RasterCounts, Record, joined
from deploy.target import Model, Runner, Target, check_input, kind

SLICE_BYTES = 64 * 2**20


class ScanRunner(Runner):
    """Runs scan models over whole windows; a model with other probes is built when it is first asked for."""

    def __init__(self, base: Session, graph: Graph | None, threads: int, values: int) -> None:
        self.base, self.graph, self.threads = base, graph, threads
        self.values = values  # values of all nodes in one step of one sample
        self._sessions = {frozenset(base.metadata["probes"]): base}
        self._memory = Memory()

    def run(self, x: np.ndarray, rasters: Collection[str] = ()) -> Record:
        check_input(x, self.base.source.shape)
        if self.graph is not None:  # a window node made for another length is named here, not in the runtime
            steps(self.graph, len(x))
        session = self._session(frozenset(rasters) - {self.base.source_name})
        encoded, samples = self.base.source.encode(x), x.shape[1]
        size = max(1, SLICE_BYTES // (8 * self.values * len(x)))
        room, parts = RasterRoom(self._memory, samples), []
        wanted = dict.fromkeys((*rasters, *session.metadata.get("products", ())))
        wanted.pop(session.source_name, None)
        for start in range(0, samples, size):
            part, got = self._slice(session, encoded[:, start : start + size])
            room.put(start, {n: got[f"{n}.raster"] for n in wanted})
            parts.append(part)
        last = frozenset(session.metadata.get("last", ()))
        found = {n: _raster(values, n in last) for n, values in room.arrays.items()}
        if session.source_name in rasters:
            found[session.source_name] = encoded
        record = replace(joined(parts), rasters=found)
        if session.metadata["counts"]:
            return record
        return replace(record, counts=RasterCounts(found, session.metadata["spiking"]))

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
        # Counts inside the model take a fifth of its time; where all rasters come out they hold them.
        counts = not set(self.graph.spiking()) <= probes
        model = scan_model(self.graph, sorted(probes), counts, laid=True).SerializeToString()
        self._sessions[probes] = Session(model, "graph", self.threads)
        return self._sessions[probes]

    def _slice(self, session: Session, encoded: np.ndarray) -> tuple[Record, dict[str, np.ndarray]]:
        """What a slice of samples gives, its rasters left out, and all that the runtime gave."""
        x = np.ascontiguousarray(encoded, session.x_dtype)
        start = time.perf_counter()
        got = session.run({"x": x})
        wall_s = time.perf_counter() - start
        outputs = {n: _wide(got[n]) for n in session.metadata["graph_outputs"]}
        counts = {n: got[f"{n}.count"] for n in session.metadata["spiking"] if f"{n}.count" in got}
        return Record(outputs, counts, steps=len(x), wall_s=wall_s), got


def _raster(raster: np.ndarray, last: bool) -> np.ndarray:
    """uint8 [T, N, *shape]: a view of what the runtime gave, so that nothing is moved."""
    spikes = raster.view(np.uint8)
    return spikes.transpose(0, 1, -1, *range(2, spikes.ndim - 1)) if last else spikes


def _wide(value: np.ndarray) -> np.ndarray:
    """The type a Record promises: float64, or int64 as the model gives it."""
    return value.astype(np.float64) if value.dtype.kind == "f" else value


@final
class OnnxCpu(Target):
    """ONNX Runtime. `exact` is the promise for integer graphs; float graphs are float32, within tolerance."""

    name, exact, takes = "onnx", True, ("float", "integer")
    streams = True
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

    def stream(self, model: Model, samples: int = 1) -> Stepper:
        """The step model with its state bound; single frames are small: one thread is the fastest."""
        if not isinstance(model, Graph):
            raise Unsupported("program", "ONNX Runtime runs graphs", "use loihi-sim for a program")
        return Stepper.of(model, samples, threads=max(1, self.threads))

    def from_file(self, path: Path, graph: Graph | None = None) -> Runner:
        """A runner for a written scan model; it has the rasters it was written with, or, where the graph it
        was written from is given, any (from a model written anew)."""
        session = Session(read_model(path), str(path), self.threads)
        check_form(session, "scan")
        return ScanRunner(session, graph, self.threads, _values(session.metadata))


def _values(metadata: Mapping[str, Any]) -> int:
    return sum(math.prod(shape) for shape in metadata["node_shapes"].values())
