"""Streams on the Loihi simulator: every population takes the same aligned step in the frame it belongs to.

In aligned time (`convert.ir.program`) a projection without delay reads this frame and one with a delay an
earlier one, so all populations advance together, sources first, and what a chip would give out
`latency_steps` steps later is there at once. The state: each neuron's own arrays, and the messages of the
last frames of every population that is read with a delay, in rings (frame t in place t % depth).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from convert.ir import ArtifactError, Input, LoihiIntegrator, Population, Program
from deploy.loihi_neurons import Neurons
from deploy.loihi_plan import plan
from deploy.loihi_stream_kernels import add_currents, list_frame
from deploy.loihi_stream_layout import Layout, Listing
from deploy.stream import State, Stream
from deploy.stream_state import fingerprint

STATE = ("u", "v")  # arrays of `Neurons` that hold its state
VALUES = (np.dtype(np.int32), np.dtype(np.int64))


@dataclass(eq=False)
class _Layer:
    """One population at work. ring [depth, N, size]: its messages; rows: its projections in the table."""

    population: Population
    ring: np.ndarray
    listings: list[Listing]
    neurons: Neurons | None = None
    rows: tuple[int, int] = (0, 0)
    acc: np.ndarray | None = None
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
        self.graded = {made.source.name} if source.operand == "graded" else set()
        into = {n: {"a": list(program.into(n))} for n in program.neurons()}
        self.layout = Layout(into, made.reach, self.graded, samples)
        order = [n for group in made.groups for n in group]
        self.layers = {n: self._layer(n) for n in order}
        self._input = self.layers.pop(made.source.name)
        self(np.zeros((samples, *source.shape)))  # compiles what is not compiled yet: no frame has to wait
        self.reset()

    def _layer(self, name: str) -> _Layer:
        population, listings = self.plan.program.populations[name], self.layout.of(name)
        depth = max([1, *(held.depth for held in listings)])
        dtype = np.int32 if name in self.graded else np.uint8
        layer = _Layer(population, np.zeros((depth, self.samples, population.size), dtype), listings)
        if not isinstance(population.model, Input):
            width = self.plan.width[name]
            layer.neurons = Neurons(population, width, self.samples)
            layer.rows = self.layout.span[name]["a"]
            layer.acc = np.zeros((self.samples, population.size), width)
            part, sums = np.zeros((2, population.size), width)
            layer.scratch = part, np.zeros(population.size, self.layout.short), sums
        return layer

    def _advance(self, encoded: np.ndarray) -> dict[str, np.ndarray]:
        t, first = self.frames, self._input
        first.ring[t % len(first.ring)] = encoded.reshape(self.samples, -1)
        self._list(first, t)
        made = self.layout
        for layer in self.layers.values():
            add_currents(layer.rows, made.table, made.panels, made.weights, made.starts, made.targets,
                         made.lists, made.fills, made.values, t, layer.acc, *layer.scratch)  # fmt: skip
            layer.neurons.step(layer.acc, layer.ring[t % len(layer.ring)])  # type: ignore[union-attr]
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
        layer = self.layers[name]
        shape = (self.samples, *layer.population.shape)
        if isinstance(layer.population.model, LoihiIntegrator):
            return layer.neurons.v.astype(np.int64).reshape(shape)  # type: ignore[union-attr]
        return layer.ring[t % len(layer.ring)].reshape(shape).copy()

    def _held(self) -> State:
        held = {
            f"{n}.{key}": getattr(layer.neurons, key) for n, layer in self.layers.items() for key in STATE
        }
        rings = {layer.population.name: layer.ring for layer in (self._input, *self.layers.values())}
        return held | {f"{n}.past": ring for n, ring in rings.items() if len(ring) > 1}

    def _check(self, state: Mapping[str, np.ndarray]) -> None:
        for layer in (self._input, *self.layers.values()):
            name = layer.population.name
            limit = self.source.limit if name in self.graded else 1
            if int(np.abs(state.get(f"{name}.past", np.zeros(1)).astype(np.int64)).max()) > limit:
                raise ArtifactError(f"state of {name} holds messages beyond {limit}; it was not written here")

    def _restored(self) -> None:
        """Lists of the past, made anew from the rings."""
        for layer in (self._input, *self.layers.values()):
            for t in range(max(0, self.frames - len(layer.ring)), self.frames):
                self._list(layer, t)
