"""Streams on the Loihi simulator: every population takes the same aligned step in the frame it belongs to.

In aligned time (`convert.ir.program`) a projection without delay reads this frame and one with a delay an
earlier one, so all populations advance together, sources first, and what a chip would give out
`latency_steps` steps later is there at once. The state: each neuron's own arrays, and the messages of the
last frames of every population that is read with a delay, in rings (frame t in place t % depth).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import final

import numpy as np

from convert.ir import ArtifactError, Input, LoihiSigma, Population, Program, Unsupported
from deploy.bounds import peak
from deploy.loihi_neurons import Neurons, neurons
from deploy.loihi_plan import plan
from deploy.loihi_stream_kernels import add_currents, list_frame
from deploy.loihi_stream_layout import Layout, Listing
from deploy.stream import State, Stream
from deploy.stream_state import fingerprint


@dataclass(eq=False)
class _Layer:
    """One population at work. ring [depth, N, size]: its messages; currents [ports, N, size]; ports: of each,
    the rows of the table of projections, and its share of the currents."""

    population: Population
    ring: np.ndarray
    listings: list[Listing]
    neurons: Neurons | None = None
    ports: list[tuple[tuple[int, int], np.ndarray]] = field(default_factory=list)
    currents: np.ndarray | None = None
    scratch: tuple[np.ndarray, ...] = ()


@final
class LoihiStream(Stream):
    """A program, frame by frame."""

    target = "loihi-sim"

    def __init__(self, program: Program, samples: int = 1) -> None:
        made = plan(program)
        source: Input = made.source.model  # type: ignore[assignment]
        latency = max(program.populations[name].latency for name in program.outputs)
        super().__init__(source, samples, fingerprint(program), latency)
        self.plan = made
        self.graded = {n for n, p in program.populations.items() if p.message != "binary"}
        into = {
            n: {port: [p for p in program.into(n) if p.port == port] for port in _ports(program, n)}
            for n in program.neurons()
        }
        self.layout = Layout(into, made.reach, self.graded, samples)
        order = [n for group in made.groups for n in group]
        self.layers = {n: self._layer(n) for n in order}
        self._input = self.layers.pop(made.source.name)
        with suppress(Unsupported):  # a message too large: not of a frame that was asked for
            self(
                np.zeros((samples, *source.shape))
            )  # compiles what is not compiled yet: no frame has to wait
        self.reset()

    def _layer(self, name: str) -> _Layer:
        population, listings = self.plan.program.populations[name], self.layout.of(name)
        depth = max([1, *(held.depth for held in listings)])
        sums = isinstance(population.model, LoihiSigma)
        dtype = np.int64 if sums else np.int32 if name in self.graded else np.uint8
        layer = _Layer(population, np.zeros((depth, self.samples, population.size), dtype), listings)
        if isinstance(population.model, Input):
            return layer
        width, ports = self.plan.width[name], self.layout.span[name].values()
        layer.neurons = neurons(population, width, self.samples)
        layer.currents = np.zeros((len(ports), self.samples, population.size), width)
        layer.ports = list(zip(ports, layer.currents, strict=True))
        part, sums = np.zeros((2, population.size), width)
        layer.scratch = part, np.zeros(population.size, self.layout.short), sums
        return layer

    def _advance(self, encoded: np.ndarray) -> dict[str, np.ndarray]:
        t, first, made = self.frames, self._input, self.layout
        if t >= self.plan.steps:
            raise Unsupported(
                "program", f"{t} frames of sigma-delta sums may leave 64 bits", "reset the stream"
            )
        first.ring[t % len(first.ring)] = encoded.reshape(self.samples, -1)
        self._list(first, t)
        for layer in self.layers.values():
            for rows, acc in layer.ports:
                add_currents(rows, made.table, made.panels, made.weights, made.starts, made.targets,
                             made.lists, made.fills, made.values, t, acc, *layer.scratch)  # fmt: skip
            layer.neurons.step(layer.currents, layer.ring[t % len(layer.ring)])  # type: ignore[union-attr]
            self._list(layer, t)
        return {name: self._output(name, t) for name in self.plan.program.outputs}

    def _list(self, layer: _Layer, t: int) -> None:
        """Enter frame t of a population into its lists."""
        made, raster = self.layout, layer.ring[t % len(layer.ring)]
        graded = layer.population.name in self.graded
        for held in layer.listings:
            slot = t % held.depth * self.samples
            at, fill = held.list_at + slot * len(held.order), held.fill_at + slot * len(held.starts)
            list_frame(raster, held.order, held.starts, made.lists, at, made.fills, fill, made.values, graded)

    def _output(self, name: str, t: int) -> np.ndarray:
        layer, shape = self.layers[name], (self.samples, *self.plan.program.populations[name].shape)
        held: Neurons = layer.neurons  # type: ignore[assignment]
        if not held.model.spiking:
            return held.value.reshape(shape)
        sent = layer.ring[t % len(layer.ring)].reshape(shape)
        return sent.astype(np.int64) if name in self.graded else sent.copy()

    def _held(self) -> State:
        held = {
            f"{name}.{state}": array
            for name, layer in self.layers.items()
            for state, array in layer.neurons.states.items()  # type: ignore[union-attr]
        }
        rings = {layer.population.name: layer.ring for layer in (self._input, *self.layers.values())}
        return held | {f"{n}.past": ring for n, ring in rings.items() if len(ring) > 1}

    def _check(self, state: Mapping[str, np.ndarray]) -> None:
        for layer in (self._input, *self.layers.values()):
            name, limit = layer.population.name, peak(layer.population)
            if int(np.abs(state.get(f"{name}.past", np.zeros(1)).astype(np.int64)).max()) > limit:
                raise ArtifactError(f"state of {name} holds messages beyond {limit}; it was not written here")

    def _restored(self) -> None:
        """Step counters, and lists of the past, made anew from the rings."""
        for layer in (self._input, *self.layers.values()):
            if layer.neurons is not None:
                layer.neurons.at = self.frames
                getattr(layer.neurons, "fault", np.zeros(2))[:] = 0
            for t in range(max(0, self.frames - len(layer.ring)), self.frames):
                self._list(layer, t)


def _ports(program: Program, name: str) -> tuple[str, ...]:
    return program.populations[name].model.ports  # type: ignore[union-attr]
