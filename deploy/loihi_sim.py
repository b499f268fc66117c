"""Target `loihi-sim`: programs in Lava's bit-accurate Loihi arithmetic, compiled, batched, on all cores.

Semantics: `convert.ir.program` (aligned steps) and `convert.ir.loihi` (the neurons). Samples run from rest,
in batches over threads; within a batch a population runs all its steps before the next one begins, since in
aligned time nothing flows backwards; only populations on a cycle go step by step together, in one compiled
loop where they are plain LIF (`deploy.loihi_cycle`). A projection takes the layout that suits the activity
just measured (`deploy.loihi_synapses`); results do not depend on it, on threads, or on batches.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock
from typing import final

import numpy as np

from convert.ir import BadInput, Input, LoihiSigma, Program, Unsupported
from deploy import loihi_kernels as kernels
from deploy.loihi_coincidence import coincidences
from deploy.loihi_cycle import Cycle, fits
from deploy.loihi_neurons import Neurons, neurons
from deploy.loihi_plan import Plan, plan, reasons, recurrent
from deploy.loihi_spikes import Desk, Spikes
from deploy.loihi_stream import LoihiStream
from deploy.loihi_synapses import LAYOUTS, Synapses
from deploy.record import Record, joined
from deploy.target import Model, Runner, Target, check_input

ROWS = 256  # (step, sample) rows of a batch, unless one sample has more steps: weights are read once for all
CURRENTS = 1 << 19  # currents computed at a time; fewer would read the weights more often from far away
KEPT = 1 << 24  # cells of a raster whose memory, and whose list of spikes, is kept from run to run
Watch = Callable[[int, Mapping[str, np.ndarray]], None]


class _Batch:
    """One batch of samples on its way through the program. encoded: [T N, size] of the input."""

    def __init__(self, runner: LoihiRunner, encoded: np.ndarray, samples: int, desk: Desk) -> None:
        self.runner, self.program, self.desk = runner, runner.plan.program, desk
        self.samples, self.steps = samples, len(encoded) // samples
        self.rasters = {runner.plan.source.name: encoded}
        self.lists: dict[str, Spikes] = {}
        self.advancing: tuple[str, ...] = ()
        self.neurons: dict[str, Neurons] = {}
        self.watched: tuple[str, Watch] | None = None

    def run(self, kept: Collection[str]) -> None:
        """All groups in order; a raster is let go after its last reader, unless it is to be kept."""
        groups = self.runner.plan.groups
        last = {p.src: k for k, group in enumerate(groups) for n in group for p in self.program.into(n)}
        for k, group in enumerate(groups):
            members = [n for n in group if n != self.runner.plan.source.name]
            for name in members:
                self._prepare(name, name in kept)
            if members:
                self._run_group(members, recurrent(self.program, group))
            for name in [n for n in self.rasters if last.get(n, -1) <= k and n not in kept]:
                del self.rasters[name]
                self.lists.pop(name, None)

    def _prepare(self, name: str, kept: bool) -> None:
        population = self.program.populations[name]
        made = self.neurons[name] = neurons(population, self.runner.plan.width[name], self.samples)
        shape, kind = (self.steps * self.samples, population.size), made.raster_dtype
        fresh = kept or shape[0] * shape[1] > KEPT
        self.rasters[name] = (self.desk.given if fresh else self.desk.array)(("raster", name), shape, kind)

    def _listed(self, name: str, first: int, end: int) -> Spikes | None:
        """Rows first..end of a population that has run all its steps, listed once for all its readers."""
        raster = self.rasters[name]
        if name in self.advancing or raster.dtype != np.uint8 or raster.size > KEPT:
            return None
        if name not in self.lists:
            self.lists[name] = self.desk.listed(name, raster)
        return self.lists[name].rows(first, end)

    def _run_group(self, members: list[str], cyclic: bool) -> None:
        watched = self.watched is not None and self.watched[0] in members
        if not cyclic and not watched and members[0] in self.runner.coincidences:
            self._advance(members[0], 0, self.steps, np.empty((1, 0, 0), np.int32))  # it has no currents
            return
        largest = max((self.neurons[name].size for name in members), default=1)
        rows = max(kernels.TILE, min(ROWS, CURRENTS // max(1, largest)))
        stride = 1 if cyclic or watched else min(self.steps, max(1, rows // self.samples))
        if cyclic and not watched and (cycle := self.runner.cycle(members)) is not None:
            block = min(self.steps, max(1, rows // self.samples))
            cycle.run(self.neurons, self.desk, self.steps, block, self._from_outside(members), self.rasters)
            return
        width, rows, self.advancing = self.runner.plan.width, stride * self.samples, tuple(members)
        acc = {}
        for name in members:
            shape = len(self.neurons[name].model.ports), rows, self.neurons[name].size
            acc[name] = self.desk.array(("acc", name), shape, width[name])
        for start in range(0, self.steps, stride):
            for name in members:
                self._advance(name, start, min(self.steps, start + stride), acc[name])
        self.advancing = ()

    def _from_outside(self, members: list[str]) -> Callable[[str, int, int, np.ndarray], None]:
        def add(name: str, start: int, stop: int, acc: np.ndarray) -> None:
            into = [s for s in self.runner.into[name] if s.projection.src not in members]
            self._add(into, start, stop, acc[None])

        return add

    def _advance(self, name: str, start: int, stop: int, acc: np.ndarray) -> None:
        """Aligned steps start..stop of one population."""
        n, pair = self.samples, self.runner.coincidences.get(name)
        if pair is not None and (self.watched is None or self.watched[0] != name):
            out, counts = self.rasters[name][start * n : stop * n], self.neurons[name].counts
            pair.meet(self.rasters, self._listed, (start, stop), n, out, counts, self.desk)
            return
        acc = acc[:, : (stop - start) * n]
        acc.fill(0)
        self._add(self.runner.into[name], start, stop, acc)
        self.neurons[name].step(acc, self.rasters[name][start * n : stop * n])
        if self.watched is not None and self.watched[0] == name:
            self.watched[1](start, self.neurons[name].states)

    def _add(self, into: list[Synapses], start: int, stop: int, acc: np.ndarray) -> None:
        """acc [ports, rows, size] += what the projections bring for aligned steps start..stop."""
        n = self.samples
        for synapses in into:
            first, end = start - synapses.projection.delay, stop - synapses.projection.delay
            silent = max(0, -first)  # nothing was sent before step 0
            if end > 0:
                src, low, high = synapses.projection.src, (first + silent) * n, end * n
                spikes = self._listed(src, low, high)
                synapses.add(self.rasters[src][low:high], acc[synapses.port, silent * n :], self.desk, spikes)

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
        self._lock, self._cycles = Lock(), dict[tuple[str, ...], Cycle | None]()
        self._desks: dict[bool, list[Desk]] = {True: [], False: []}  # idle: of the pool, of one thread

    def run(self, x: np.ndarray, rasters: Collection[str] = ()) -> Record:
        """Run from rest; see `Runner.run`."""
        self._check_rasters(rasters)
        self._check_steps(len(x))
        batches = list(self._encode(check_input(np.asarray(x), self.plan.source.shape)))
        start = time.perf_counter()
        if len(batches) == 1 or self.pool is None:
            records = [self._run_batch(encoded, n, rasters, self.pool is not None) for encoded, n in batches]
        else:
            records = list(self.pool.map(lambda b: self._run_batch(*b, rasters, False), batches))
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
        batch = _Batch(self, self._compact(np.asarray(x)), samples, self._desk(self.pool is not None))

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

    def cycle(self, members: list[str]) -> Cycle | None:
        """The compiled loop for these populations, if there is one for them; made once."""
        key = tuple(members)
        with self._lock:
            if key not in self._cycles:
                into = [s for name in members for s in self.into[name]]
                compiled = fits(self.plan.program, self.plan.width, members, into)
                self._cycles[key] = Cycle(self.plan.program, members, self.into) if compiled else None
            return self._cycles[key]

    def _check_steps(self, steps: int) -> None:
        if steps > self.plan.steps:
            reason = f"sigma-delta sums may pass 64 bits in {steps} steps"
            raise Unsupported("program", reason, f"run at most {self.plan.steps}")

    def _check_rasters(self, names: Collection[str]) -> None:
        populations = self.plan.program.populations
        known = {
            n for n, p in populations.items() if isinstance(p.model, Input | LoihiSigma) or p.model.spiking
        }
        for name in names:
            if name not in known:
                raise BadInput(f"raster of {name!r} asked for; known: {', '.join(sorted(known))}")

    def _run_batch(self, encoded: np.ndarray, samples: int, kept: Collection[str], shared: bool) -> Record:
        try:
            desk = self._desks[shared].pop()
        except IndexError:
            desk = self._desk(shared)
        batch = _Batch(self, encoded, samples, desk)
        batch.run(kept)
        self._desks[shared].append(desk)
        return batch.record(kept)

    def _desk(self, shared: bool) -> Desk:
        shapes = [s.weights.shape for group in self.into.values() for s in group]
        targets, sources = np.max(shapes, axis=0, initial=1)
        return Desk(int(sources), int(targets), self.pool if shared else None, self.threads if shared else 1)

    def _encode(self, x: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """Batches: ([T n, size] spikes uint8 or values int32, n), at least one a thread if samples allow."""
        steps, samples = x.shape[:2]
        size = max(1, min(ROWS // steps, -(-samples // self.threads)))
        for low in range(0, samples, size):
            part = x[:, low : low + size]
            yield self._compact(part), part.shape[1]

    def _compact(self, x: np.ndarray) -> np.ndarray:
        """x [T, n, *shape] as the kernels take it, [T n, size]: spikes uint8, values int32."""
        source = self.plan.source
        flat = x.shape[0] * x.shape[1], source.size
        if self.graded:
            return np.ascontiguousarray(source.model.encode(x).reshape(flat), np.int32)  # type: ignore[union-attr]
        ones = x == 1
        if np.count_nonzero(ones) != np.count_nonzero(x):
            source.model.encode(x)  # type: ignore[union-attr] # says what is neither 0 nor 1
        return np.ascontiguousarray(ones).reshape(flat).view(np.uint8)


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
