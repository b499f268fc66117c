"""Target `loihi-sim`: programs in Lava's bit-accurate Loihi arithmetic, compiled, batched, on all cores.

Semantics: `convert.ir.program` (aligned steps) and `convert.ir.loihi` (the neurons). Samples run from rest,
in batches over threads; within a batch a population runs all its steps before the next one begins, since in
aligned time nothing flows backwards; only populations on a cycle go step by step together. Which layout a
projection uses is settled by the activity just measured (`deploy.loihi_synapses`); results do not depend on
it, on threads, or on batches.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import final

import numpy as np

from convert.ir import BadInput, Input, Program, Unsupported
from deploy import loihi_kernels as kernels
from deploy.loihi_coincidence import coincidences
from deploy.loihi_neurons import Neurons, neurons
from deploy.loihi_plan import Plan, plan, reasons, recurrent
from deploy.loihi_stream import LoihiStream
from deploy.loihi_synapses import LAYOUTS, Desk, Synapses
from deploy.record import Record, joined
from deploy.target import Model, Runner, Target, check_input

ROWS = 256  # (step, sample) rows of a batch, unless one sample has more steps: weights are read once for all
CURRENTS = 1 << 16  # currents computed at a time: what fits the second-level cache
Watch = Callable[[int, Mapping[str, np.ndarray]], None]


class _Batch:
    """One batch of samples on its way through the program. encoded: [T N, size] of the input."""

    def __init__(self, runner: LoihiRunner, encoded: np.ndarray, samples: int, desk: Desk) -> None:
        self.runner, self.program, self.desk = runner, runner.plan.program, desk
        self.samples, self.steps = samples, len(encoded) // samples
        self.rasters = {runner.plan.source.name: encoded}
        self.neurons: dict[str, Neurons] = {}
        self.watched: tuple[str, Watch] | None = None

    def run(self, kept: Collection[str]) -> None:
        """All groups in order; a raster is let go after its last reader, unless it is to be kept."""
        groups = self.runner.plan.groups
        last = {p.src: k for k, group in enumerate(groups) for n in group for p in self.program.into(n)}
        for k, group in enumerate(groups):
            members = [n for n in group if n != self.runner.plan.source.name]
            for name in members:
                self._prepare(name)
            self._run_group(members, recurrent(self.program, group))
            for name in [n for n in self.rasters if last.get(n, -1) <= k and n not in kept]:
                del self.rasters[name]

    def _prepare(self, name: str) -> None:
        population = self.program.populations[name]
        made = self.neurons[name] = neurons(population, self.runner.plan.width[name], self.samples)
        self.rasters[name] = np.empty((self.steps * self.samples, population.size), made.raster_dtype)

    def _run_group(self, members: list[str], cyclic: bool) -> None:
        watched = self.watched is not None and self.watched[0] in members
        largest = max((self.neurons[name].size for name in members), default=1)
        rows = max(kernels.TILE, min(ROWS, CURRENTS // max(1, largest)))
        stride = 1 if cyclic or watched else min(self.steps, max(1, rows // self.samples))
        width, rows = self.runner.plan.width, stride * self.samples
        ports = {name: len(self.neurons[name].model.ports) for name in members}
        acc = {n: np.empty((ports[n], rows, self.neurons[n].size), width[n]) for n in members}
        for start in range(0, self.steps, stride):
            for name in members:
                self._advance(name, start, min(self.steps, start + stride), acc[name])

    def _advance(self, name: str, start: int, stop: int, acc: np.ndarray) -> None:
        """Aligned steps start..stop of one population."""
        n, pair = self.samples, self.runner.coincidences.get(name)
        if pair is not None and (self.watched is None or self.watched[0] != name):
            out, counts = self.rasters[name][start * n : stop * n], self.neurons[name].counts
            pair.meet(self.rasters, (start, stop), n, out, counts)
            return
        acc = acc[:, : (stop - start) * n]
        acc.fill(0)
        for synapses in self.runner.into[name]:
            first, end = start - synapses.projection.delay, stop - synapses.projection.delay
            silent = max(0, -first)  # nothing was sent before step 0
            if end > 0:
                raster = self.rasters[synapses.projection.src][(first + silent) * n : end * n]
                synapses.add(raster, acc[synapses.port, silent * n :], self.desk)
        self.neurons[name].step(acc, self.rasters[name][start * n : stop * n])
        if self.watched is not None and self.watched[0] == name:
            self.watched[1](start, self.neurons[name].states)

    def record(self, kept: Collection[str]) -> Record:
        """The batch's share of the result."""
        populations, counts, outputs = self.program.populations, {}, {}
        for name, made in self.neurons.items():
            shape = (self.samples, *populations[name].shape)
            if made.model.spiking:
                counts[name] = made.counts.astype(np.int64).reshape(shape)
        for name in self.program.outputs:
            outputs[name] = self.neurons[name].value.reshape(self.samples, *populations[name].shape)
        rasters = {}
        for name in kept:
            raster = self.rasters[name].reshape(self.steps, self.samples, *populations[name].shape)
            binary = getattr(populations[name].model, "message", "graded") == "binary"  # an Input has none
            rasters[name] = raster if binary else raster.astype(np.int64)
        return Record(outputs, counts, self.steps, rasters)


@final
class LoihiRunner(Runner):
    """A program in the layouts of the simulator."""

    def __init__(self, made: Plan, threads: int, method: str, compact: bool = True) -> None:
        self.plan, self.threads = made, threads
        source = made.source
        self.graded = source.model.operand == "graded"  # type: ignore[union-attr]
        self.coincidences = coincidences(made.program) if compact else {}
        self.into: dict[str, list[Synapses]] = {n: [] for n in made.program.neurons()}
        for p in made.program.projections:
            src, dst = (made.program.populations[n].model for n in (p.src, p.dst))
            graded = self.graded if isinstance(src, Input) else src.message != "binary"
            port = dst.ports.index(p.port)  # type: ignore[union-attr]
            self.into[p.dst].append(Synapses(p, made.reach[p.name], graded, method, port))
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def run(self, x: np.ndarray, rasters: Collection[str] = ()) -> Record:
        """Run from rest; see `Runner.run`."""
        self._check_rasters(rasters)
        self._check_steps(len(x))
        batches = list(self._encode(check_input(np.asarray(x), self.plan.source.shape)))
        start = time.perf_counter()
        if len(batches) == 1 or self.pool is None:
            desk = self._desk(self.pool)
            records = [self._run_batch(encoded, n, rasters, desk) for encoded, n in batches]
        else:
            records = list(self.pool.map(lambda b: self._run_batch(*b, rasters, self._desk()), batches))
        wall = time.perf_counter() - start
        return replace(joined(records), wall_s=wall)

    def trace(self, x: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
        """u and v of one population after every step, int64 [T, N, *shape]; v after the reset."""
        states = self.states(x, name)
        return states["u"], states["v"]

    def states(self, x: np.ndarray, name: str) -> dict[str, np.ndarray]:
        """The states of one population after every step, by name (`u`, `v`, ...), int64 [T, N, *shape]."""
        if name not in self.into:
            raise BadInput(f"population {name!r} has no state; known: {', '.join(self.into)}")
        check_input(np.asarray(x), self.plan.source.shape)
        self._check_steps(len(x))
        steps, samples = x.shape[:2]
        population = self.plan.program.populations[name]
        kept: dict[str, np.ndarray] = {}
        batch = _Batch(self, self._compact(np.asarray(x)), samples, self._desk(self.pool))

        def watch(step: int, states: Mapping[str, np.ndarray]) -> None:
            for key, value in states.items():
                kept.setdefault(key, np.zeros((steps, samples, population.size), np.int64))[step] = value

        batch.watched = (name, watch)
        batch.run(())
        return {key: value.reshape(steps, samples, *population.shape) for key, value in kept.items()}

    def close(self) -> None:
        """End the threads."""
        if self.pool is not None:
            self.pool.shutdown()

    def _check_steps(self, steps: int) -> None:
        if steps > self.plan.steps:
            reason = f"sigma-delta sums may pass 64 bits in {steps} steps"
            raise Unsupported("program", reason, f"run at most {self.plan.steps}")

    def _check_rasters(self, names: Collection[str]) -> None:
        populations = self.plan.program.populations
        known = {n for n, p in populations.items() if isinstance(p.model, Input) or p.model.spiking}
        for name in names:
            if name not in known:
                raise BadInput(f"raster of {name!r} asked for; known: {', '.join(sorted(known))}")

    def _run_batch(self, encoded: np.ndarray, samples: int, kept: Collection[str], desk: Desk) -> Record:
        batch = _Batch(self, encoded, samples, desk)
        batch.run(kept)
        return batch.record(kept)

    def _desk(self, pool: ThreadPoolExecutor | None = None) -> Desk:
        shapes = [s.weights.shape for group in self.into.values() for s in group]
        targets, sources = np.max(shapes, axis=0, initial=1)
        return Desk(int(sources), int(targets), pool, self.threads if pool is not None else 1)

    def _encode(self, x: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """Batches: ([T n, size] spikes uint8 or values int32, n), at least one a thread if samples allow."""
        steps, samples = x.shape[:2]
        size = max(1, min(ROWS // steps, -(-samples // self.threads)))
        for low in range(0, samples, size):
            part = x[:, low : low + size]
            yield self._compact(part), part.shape[1]

    def _compact(self, x: np.ndarray) -> np.ndarray:
        source = self.plan.source
        encoded = source.model.encode(x)  # type: ignore[union-attr]
        flat = encoded.reshape(x.shape[0] * x.shape[1], source.size)
        if self.graded:
            return np.ascontiguousarray(flat, np.int32)
        return np.ascontiguousarray(flat, np.uint8)


@final
class LoihiSim(Target):
    """threads: all cores if None.  method: 'auto', or one layout of `deploy.loihi_synapses` for all.
    compact: run coincidence populations as what they are (`deploy.loihi_coincidence`)."""

    name, exact, takes, streams = "loihi-sim", True, ("program",), True
    what = "Lava's bit-accurate Loihi arithmetic, compiled with numba, event-driven or dense"

    def __init__(self, threads: int | None = None, method: str = "auto", compact: bool = True) -> None:
        if method != "auto" and method not in LAYOUTS:
            raise BadInput(f"method {method!r} is unknown; known: auto, {', '.join(LAYOUTS)}")
        if threads is not None and threads < 1:
            raise BadInput(f"threads = {threads}, expected at least 1")
        self.threads = threads or len(os.sched_getaffinity(0))
        self.method, self.compact = method, compact

    def supports(self, model: Model) -> list[str]:
        """Reasons why not: graphs, real inputs, sums beyond 64 bits."""
        if not isinstance(model, Program):
            return ["a graph runs on reference or onnx"]
        return reasons(model)

    def compile(self, model: Model) -> LoihiRunner:
        """Bound and order the program; its layouts are made when first used."""
        if not isinstance(model, Program):
            raise Unsupported("graph", "loihi-sim runs programs", "lower the integer graph first")
        return LoihiRunner(plan(model), self.threads, self.method, self.compact)

    def stream(self, model: Model, samples: int = 1) -> LoihiStream:
        """The program frame by frame, on one thread."""
        if not isinstance(model, Program):
            raise Unsupported("graph", "loihi-sim runs programs", "lower the integer graph first")
        return LoihiStream(model, samples)
