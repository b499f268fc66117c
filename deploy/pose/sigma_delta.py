"""A pose network as a sigma-delta network: frames are steps, what travels between layers are changes.

    program   images -> sums of the readouts           Loihi simulator, integers, exact
    host      sums -> maps: times unit, plus bias      float64
    decoder   maps -> joints                           ONNX Runtime, the codec's own equations

A frame from rest is a run of one step: then every layer sends all it has, and the network is the dense
integer network of the same weights, up to the thresholds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from convert.artifact import SIGMA_DELTA, Artifact
from convert.ir import BadInput, Graph, Program
from deploy.loihi_sim import LoihiSim
from deploy.onnx_session import Session, check_form, read_model
from deploy.record import Record
from deploy.reference import values

DECODER = "pose-decoder"


@dataclass(frozen=True, eq=False)
class Seen:
    """A run of T frames of N videos. xy [T, N, K, 2] pixels of the input, score [T, N, K]; float64."""

    xy: np.ndarray
    score: np.ndarray
    record: Record


class MapReader:
    """What is behind the readouts: the host's graph and the decoder.

    heads: the codec's maps, in the order of the host's outputs; kinds: "scalar" or "vector" each.
    """

    def __init__(
        self, host: Graph, decoder: bytes, heads: Sequence[str], kinds: Sequence[str], where: str,
        threads: int = 1,
    ) -> None:  # fmt: skip
        self._host = host
        self._heads = list(zip(heads, kinds, host.outputs, strict=True))
        self._decoder = Session(decoder, where, threads)
        check_form(self._decoder, DECODER)

    @classmethod
    def load(cls, artifact: Artifact, threads: int = 1) -> MapReader:
        """That of an artifact of kind sdnn; BadInput for another kind."""
        host = artifact.host()
        if artifact.kind != SIGMA_DELTA or host is None:
            raise BadInput(
                f"{artifact.path}: is of kind {artifact.kind}; expected one of convert --to {SIGMA_DELTA}"
            )
        settings, place = artifact.about["source"]["model_config"], artifact.file("decoder.onnx")
        return cls(host, read_model(place), settings["heads"], settings["kinds"], str(place), threads)

    def decoded(self, sums: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Sums of the readouts [T, N, C, h, w] -> xy [T, N, K, 2], score [T, N, K]."""
        return self.read(values(self._host, {name: x.astype(np.float64) for name, x in sums.items()}))

    def read(self, maps: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Maps by output of the float graph [T, N, C, h, w] -> xy [T, N, K, 2], score [T, N, K]."""
        feed = {}
        for head, kind, node in self._heads:
            y = maps[node].reshape(-1, *maps[node].shape[2:])
            if kind == "vector":
                y = y.reshape(len(y), -1, 2, *y.shape[2:])
            feed[head] = np.ascontiguousarray(y, np.float32)
        found = self._decoder.run(feed)
        lead = maps[self._heads[0][2]].shape[:2]
        xy, score = (found[n].reshape(*lead, *found[n].shape[1:]).astype(np.float64) for n in ("xy", "score"))
        return xy, score


class SigmaDeltaPose:
    """A program on the Loihi simulator, and what reads its sums."""

    def __init__(self, program: Program, reader: MapReader, threads: int = 1) -> None:
        self.program, self.reader = program, reader
        self._runner = LoihiSim(threads).compile(program)

    @classmethod
    def load(cls, artifact: Artifact, threads: int = 1) -> SigmaDeltaPose:
        """That of an artifact of kind sdnn; BadInput for another kind."""
        reader = MapReader.load(artifact, threads)
        return cls(artifact.program(), reader, threads)

    def joints(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x [N, 3, H, W], each an image of its own -> xy float64 [N, K, 2], score float64 [N, K]."""
        seen = self.video(x[None])
        return seen.xy[0], seen.score[0]

    def video(self, x: np.ndarray, rasters: Collection[str] = ()) -> Seen:
        """x [T, N, 3, H, W]: N videos of T frames, from rest, as the network takes its images."""
        record = self._runner.run(x, (*self.program.outputs, *rasters))
        sums = {name: record.rasters[name] for name in self.program.outputs}
        return Seen(*self.reader.decoded(sums), record)

    def close(self) -> None:
        """End the simulator's threads."""
        self._runner.close()
