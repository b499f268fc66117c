"""The layers of a `.net`, one after another, as populations and projections.

Time. slayer's blocks hand their spikes on one step later, netx's layers too, and a program is written without
these steps: aligned, every population `latency` steps behind the input. Without a bias nothing can be told
apart. With one, the phase counts: in slayer the bias of every layer begins at step 0, when the first input of
layer k is still k - 1 steps away (SDNN blocks hand on at once: no such step). A program says it so: all
populations have the same latency, and each projection but the first a delay of one step more.

    1  no bias behind a shift: aligned, latency k
    2  else: latency 1 everywhere, `delay + 1` between layers ("net.phase": "raw" in meta)

Delays. slayer delays what a layer gives, per channel; netx delays what it receives, per neuron. Both are
the same spikes for a layer without bias and recurrence, at rest before its input: 3 its incoming projections
carry the delay. Otherwise 4 the outgoing ones do, or, for the last layer, 5 a relay population. One delay
value, one projection. 6 A dataset of one delay a synapse, or one a source, is not slayer's and means what
netx does: 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from convert.ir import (
    DenseWeights,
    Input,
    LoihiLIF,
    Population,
    Program,
    Projection,
    Unsupported,
)
from convert.ir.loihi import LoihiNeuron
from convert.ir.program import DELAY_MAX, Weights
from convert.net_geometry import sparse

RELAY = LoihiLIF(dv=4096, vth=1)  # gives its source's spikes one chip step later
ALWAYS = {"dv": 4096, "vth": 0, "bias_mant": np.ones(1, np.int64)}  # spikes at every step
OVER = "shorten the delays; a chip holds 62 steps"


@dataclass(frozen=True, eq=False)
class Synapses:
    """Signed mantissas [out, in] of `bits` bits in one of the program's forms, their exponent, their port."""

    weights: Weights
    exp: int
    bits: int
    port: str = "a"


@dataclass(frozen=True, eq=False)
class Stage:
    """One layer of neurons, or the input, whose model is an Input.

    into, back: synapses from the stage before and from itself.  delays: int64 [out], [in] with `by_source`,
    or [out, in].  current: constant added to each neuron's input at every step, int64 [out], or None.
    shift: whether slayer hands its spikes on one step later.
    """

    key: str
    name: str
    shape: tuple[int, ...]
    model: Input | LoihiNeuron
    into: tuple[Synapses, ...] = ()
    back: Synapses | None = None
    delays: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))
    by_source: bool = False
    current: np.ndarray | None = None
    shift: bool = True
    notes: str = ""  # datasets the writer must write again, though they say nothing: "bias delay vThMant=8"

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def constant(self) -> bool:
        """Whether something goes on in it without input: a bias or a constant current."""
        return self.current is not None or np.any(getattr(self.model, "bias", 0))

    @property
    def outgoing(self) -> bool:
        """Cases 4 and 5: its delays belong to what it sends."""
        per_output = self.delays.ndim == 1 and not self.by_source
        return per_output and bool(self.delays.any()) and (self.constant or self.back is not None)


def program(stages: list[Stage], meta: Mapping[str, str]) -> Program:
    """The program of stages in order, the first an input."""
    raw = _raw(stages)
    made = _Program(raw)
    for before, stage in zip([None, *stages[:-1]], stages, strict=True):
        made.add(before, stage)
    output = made.finish(stages[-1])
    notes = {f"net.{s.key}": s.notes for s in stages if s.notes}
    about = {**meta, **notes, "net.phase": "raw" if raw else "aligned"}
    return Program(made.populations, tuple(made.projections), (output,), about)


def _raw(stages: list[Stage]) -> bool:
    """Case 2: a bias behind a step of shift."""
    shifted = False
    for stage in stages[1:]:
        if shifted and stage.constant:
            return True
        shifted = shifted or stage.shift
    return False


class _Program:
    def __init__(self, raw: bool) -> None:
        self.raw = raw
        self.populations: dict[str, Population] = {}
        self.projections: list[Projection] = []

    def add(self, before: Stage | None, stage: Stage) -> None:
        if before is None:
            self.populations[stage.key] = Population(stage.key, stage.shape, stage.model, 0)
            return
        behind = self.populations[before.key].latency
        latency = 1 if self.raw else behind + 1
        extra = int(self.raw and behind == latency and before.shift)
        if stage.current is not None:
            self._constant(stage, latency)
        self.populations[stage.key] = Population(stage.key, stage.shape, stage.model, latency)
        delays = _matrix(before, stage) + extra
        if delays.max() > DELAY_MAX:
            raise Unsupported(stage.name, f"a delay of {delays.max()} steps is outside 0..{DELAY_MAX}", OVER)
        for part in stage.into:
            self._project(before.key, stage, part, delays)
        if stage.back is not None:
            b = stage.back
            self.projections.append(
                Projection(f"{stage.key}->{stage.key}", stage.key, stage.key, b.weights, b.exp, 1, b.bits)
            )

    def _project(self, src: str, stage: Stage, part: Synapses, delays: np.ndarray) -> None:
        several = len(stage.into) > 1
        name = f"{src}->{stage.key}" + (f":{part.port}" if several else "")
        values = np.unique(delays)
        for value in values:
            weights, label = part.weights, name
            if len(values) > 1:
                weights = _chosen(part.weights, np.broadcast_to(delays == value, part.weights.shape))
                label = f"{name}@{value}"
                if not len(weights.values):
                    continue
            self.projections.append(
                Projection(label, src, stage.key, weights, part.exp, int(value), part.bits, part.port)
            )

    def _constant(self, stage: Stage, latency: int) -> None:
        """A neuron that always spikes, with the constant as its weights: what adds to a current each step."""
        key, weight = f"{stage.key}.always", stage.current
        assert weight is not None
        up = 0 if np.abs(weight).max() < 128 else 1
        self.populations[key] = Population(key, (1,), LoihiLIF(**ALWAYS), latency - 1)
        column = DenseWeights((weight.reshape(-1, 1) >> up).astype(np.int8))
        self.projections.append(Projection(f"{key}->{stage.key}", key, stage.key, column, up))

    def finish(self, stage: Stage) -> str:
        """Case 5: the name of the population that gives the last layer's output."""
        if not stage.outgoing:
            return stage.key
        if not isinstance(stage.model, LoihiLIF):
            raise Unsupported(
                stage.name, f"delays what the last layer gives, a {type(stage.model).__name__} with a bias",
                "remove the delay or the bias",
            )  # fmt: skip
        key, each = f"{stage.key}.delay", np.arange(stage.size)
        latency = self.populations[stage.key].latency + 1
        two = sparse(each, each, np.full(stage.size, 2, np.int8), (stage.size, stage.size))
        relay = Stage(key, stage.name, stage.shape, RELAY, (Synapses(two, 0, 8),))
        self.populations[key] = Population(key, stage.shape, RELAY, latency)
        self._project(stage.key, relay, relay.into[0], _per_neuron(stage)[None, :])
        return key


def _matrix(before: Stage, stage: Stage) -> np.ndarray:
    """Delays of the synapses into a stage, broadcastable to [out, in]."""
    out = np.zeros((1, 1), np.int64)
    if before.outgoing:
        out = out + _per_neuron(before)[None, :]
    if stage.outgoing:
        return out
    if stage.delays.ndim == 2:
        return out + stage.delays
    if stage.by_source:
        return out + stage.delays[None, :]
    return out + _per_neuron(stage)[:, None]


def _per_neuron(stage: Stage) -> np.ndarray:
    """int64 [out]: a delay a channel, repeated over its neurons."""
    return np.repeat(stage.delays, stage.size // len(stage.delays))


def _chosen(weights: Weights, keep: np.ndarray) -> Weights:
    target, source, value = weights.synapses()
    value = value.astype(weights.stored.dtype)
    here = keep[target, source]
    return sparse(target[here], source[here], value[here], weights.shape)
