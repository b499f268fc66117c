"""The contract of a stream: a frame goes in, the output of that frame comes out, the state is explicit.

    stream = open_stream("loihi-sim", program)
    outputs = stream.frame(x)          # x [*shape] -> {output: value of this frame}

A stream equals the whole window: after t frames a readout's value is what `Runner.run` gives on those t
frames, and a spiking output's messages, summed over the frames, are what it gives for that output. Integer
models equal it in every bit; the float32 of ONNX Runtime within rounding.

A stream that goes on for days holds the memory it was opened with: nothing grows with the frames.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, final

import numpy as np

from convert.ir import ArtifactError, BadInput, Input
from deploy.target import Model, target

FRAMES = "frames"  # name in the state of how many frames the stream has taken since rest
State = dict[str, np.ndarray]


class Stream(ABC):
    """A model at rest, ready for frames; `samples` independent streams go in lockstep (one by default).

    latency_steps: chip steps after which a frame's output would leave a chip; here it is there at once.
    fingerprint: of the model (`deploy.stream_state.fingerprint`); a state belongs to it.
    """

    target: ClassVar[str]

    def __init__(self, source: Input, samples: int, fingerprint: str, latency_steps: int = 0) -> None:
        if samples < 1:
            raise BadInput(f"samples = {samples}, expected at least 1")
        self.source, self.samples, self.fingerprint = source, samples, fingerprint
        self.latency_steps, self.frames = latency_steps, 0
        self._torn = False

    @abstractmethod
    def _advance(self, encoded: np.ndarray) -> dict[str, np.ndarray]:
        """One step; encoded [N, *shape] as `Input.encode` gives it. `frames` counts those before this one.
        Outputs [N, *shape] are the caller's own copies."""

    @abstractmethod
    def _held(self) -> State:
        """The live arrays of the state, by name; what is written into them is the state."""

    def _check(self, state: Mapping[str, np.ndarray]) -> None:  # noqa: B027 - most arrays may hold any number
        """ArtifactError if a state of the right shapes holds what the stream never would."""

    def _restored(self) -> None:  # noqa: B027 - most streams hold nothing that follows from the state
        """Make anew what follows from the state, after it was written."""

    @final
    def __call__(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """The next frame of all streams: [N, *shape] in, {output: [N, *shape]} out: readouts in their own
        units (float32, or int64 counts of v), spikes uint8 {0, 1}, other messages int64."""
        x = np.asarray(frames)
        if x.shape[:1] != (self.samples,) and x.shape[1:] == self.source.shape:
            raise BadInput(f"frame holds {len(x)} samples, the stream's state {self.samples}")
        check_frame(x, (self.samples, *self.source.shape))
        encoded = self.source.encode(x)
        if self._torn:
            raise BadInput("a frame failed half way through the model; reset or restore the stream")
        self._torn = True
        got = self._advance(encoded)
        self._torn = False
        self.frames += 1
        return got

    @final
    def frame(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """The next frame of the one stream: [*shape] in, {output: [*shape]} out; see `__call__`."""
        if self.samples != 1:
            raise BadInput(f"frame() feeds one stream, this one holds {self.samples}; call the stream itself")
        x = np.asarray(x)
        check_frame(x, self.source.shape)
        return {name: value[0] for name, value in self(x[None]).items()}

    @final
    def state(self) -> State:
        """A copy of everything the next frame depends on."""
        if self._torn:
            raise BadInput("a frame failed half way through the model: there is no state to save")
        return {FRAMES: np.array(self.frames, np.int64), **{n: a.copy() for n, a in self._held().items()}}

    @final
    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a state that `state` gave; ArtifactError, and no change, if it is not of this model."""
        _check_state(state, {FRAMES: np.zeros((), np.int64), **self._held()})
        self._check(state)
        self.frames = int(state[FRAMES])  # first: which arrays are live may depend on it
        for name, array in self._held().items():
            array[...] = state[name]
        self._torn = False
        self._restored()

    @final
    def reset(self) -> None:
        """Back to rest."""
        self.frames = 0
        for array in self._held().values():
            array[...] = 0
        self._torn = False
        self._restored()


def check_frame(x: np.ndarray, shape: tuple[int, ...]) -> None:
    """BadInput unless x is numbers of that shape, all finite."""
    if x.shape != tuple(shape):
        raise BadInput(f"frame has shape {x.shape}, expected ({', '.join(map(str, shape))})")
    if x.dtype.kind not in "biuf":
        raise BadInput(f"frame holds {x.dtype}, expected numbers")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise BadInput("frame holds NaN or infinity")


def _check_state(state: Mapping[str, np.ndarray], held: State) -> None:
    if missing := sorted(held.keys() - state.keys()):
        raise ArtifactError(f"state lacks {missing[0]}; it belongs to another model")
    if foreign := sorted(state.keys() - held.keys()):
        raise ArtifactError(f"state holds {foreign[0]}, which the model does not; it belongs to another")
    for name, array in held.items():
        found = np.asarray(state[name])
        if found.shape != array.shape or found.dtype != array.dtype:
            raise ArtifactError(
                f"state of {name} is {found.dtype} {found.shape}, expected {array.dtype} {array.shape}; "
                "it belongs to another model or another number of streams"
            )
    if int(state[FRAMES]) < 0:
        raise ArtifactError(f"state says {int(state[FRAMES])} frames were taken, expected 0 or more")


def open_stream(name: str, model: Model, samples: int = 1) -> Stream:
    """A stream of a model on the target of that name; Unsupported where it cannot be one."""
    return target(name).stream(model, samples)


def accumulated(total: np.ndarray | None, value: np.ndarray, spiking: bool) -> np.ndarray:
    """What the whole-window run would give so far: a readout's value, or messages summed, int64."""
    if not spiking:
        return value
    return value.astype(np.int64) if total is None else total + value
