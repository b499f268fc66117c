"""Random programs that hit the edges of Loihi's arithmetic: the same seed gives the same program.

A program has an input and a few populations of every kind of neuron, joined by every kind of synapse, with
delays and cycles. Thresholds are not drawn: they are taken from what the population holds when the program
so far is run, so that some values meet them exactly and some pass. Weights and exponents are lowered until
Lava's 32-bit words hold every sum; programs that stay silent are drawn anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.random_synapses import KINDS, projection
from convert.ir import (
    BasaltError,
    Input,
    LoihiDelta,
    LoihiIntegrator,
    LoihiLIF,
    LoihiLIFRefractory,
    LoihiLIFReset,
    LoihiNeuron,
    LoihiRF,
    LoihiRFIZ,
    LoihiSigma,
    LoihiSigmaDelta,
    LoihiTernaryLIF,
    Population,
    Program,
    Projection,
    Unsupported,
)
from convert.ir.loihi import VTH_MAX
from deploy.lava_limits import limits, observed
from deploy.reference_program import Trace, trace

FIXED = (
    LoihiLIF, LoihiIntegrator, LoihiLIFReset, LoihiTernaryLIF, LoihiRF, LoihiRFIZ, LoihiDelta, LoihiSigma,
    LoihiSigmaDelta,
)  # fmt: skip
MODELS = (*FIXED, LoihiLIFRefractory)  # the last has no fixed-point model in Lava
DECAYS = (0, 1, 100, 512, 2048, 3000, 4094, 4095, 4096)
EXACT_DECAYS = (0, 2048, 4096)  # what floats and integers agree on while no bit falls off
TRIES = 200


@dataclass(frozen=True, eq=False)
class Case:
    """A program, the input it is run on (int64 [T, N, *shape]) and its meaning there."""

    program: Program
    x: np.ndarray
    trace: Trace


def random_case(seed: int, first: type[LoihiNeuron], steps: int = 12, samples: int = 2) -> Case:
    """The program of a seed; its first population is of model `first`, its first synapses of kind
    `KINDS[seed % len(KINDS)]`. LoihiLIFRefractory: a program of such neurons alone, in exact decays."""
    for attempt in range(TRIES):
        rng = np.random.default_rng([seed, attempt])
        try:
            case = _Maker(rng, first, KINDS[seed % len(KINDS)], steps, samples).case()
        except Unsupported:  # a message too large, say
            continue
        if case is not None:
            return case
    raise Unsupported(f"seed {seed}", f"no program in {TRIES} tries", "widen the generator")


class _Maker:
    def __init__(
        self, rng: np.random.Generator, first: type[LoihiNeuron], kind: str, steps: int, samples: int
    ) -> None:
        self.rng, self.first, self.kind, self.steps, self.samples = rng, first, kind, steps, samples
        self.alone = first is LoihiLIFRefractory
        self.populations: dict[str, Population] = {}
        self.projections: list[Projection] = []

    def case(self) -> Case | None:
        """None if the program is silent, too large for Lava, or (refractory) not exact in floats."""
        self._input()
        for k in range(int(self.rng.integers(1, 3))):
            self._population(f"n{k}", self.first if k == 0 else self._model())
        self._cycle()
        program = self._fit()
        if program is None:
            return None
        found = trace(program, self.x)
        loud = all(found.sent[n].any() for n in list(self.populations)[:2])
        if not loud or (self.alone and not _float_exact(program, found)):
            return None
        return Case(program, self.x, found)

    def _model(self) -> type[LoihiNeuron]:
        return LoihiLIFRefractory if self.alone else FIXED[self.rng.integers(len(FIXED))]

    def _input(self) -> None:
        deep = self.kind.startswith("conv") or self.rng.random() < 0.4
        shape = tuple(int(n) for n in self.rng.integers(2, 5, 3)) if deep else (int(self.rng.integers(1, 9)),)
        large = self.kind == "conv-wrap" and not self.alone  # sums that wrap need large values
        graded = not self.alone and self.rng.random() < (0.8 if large else 0.4)
        bits = int(self.rng.integers(11 if large else 2, 13))
        model = Input(shape, "graded", bits=bits) if graded else Input(shape, "binary")
        size = (self.steps, self.samples, *shape)
        if graded:
            values = self.rng.integers(-model.limit, model.limit + 1, size)
            self.x = values * (self.rng.random(size) < 0.6)
        else:
            self.x = (self.rng.random(size) < self.rng.choice([0.2, 0.5, 0.9])).astype(np.int64)
        self.populations["x"] = Population("x", shape, model)

    def _sources(self) -> list[str]:
        return [n for n, p in self.populations.items() if isinstance(p.model, Input) or p.model.spiking]

    def _population(self, name: str, kind: type[LoihiNeuron]) -> None:
        latency = max(p.latency for p in self.populations.values()) + int(self.rng.choice([1, 1, 1, 2, 4]))
        sources, made = self._sources(), []
        main = "x" if name == "n0" else str(self.rng.choice(sources))
        how = self.kind if name == "n0" else str(self.rng.choice(KINDS))
        shape, first = projection(self.rng, how, self.populations[main], None, f"{name}:0", name)
        self.populations[name] = Population(name, shape, self._drawn(kind, shape), latency)
        made.append(first)
        for k in range(1, int(self.rng.choice([1, 1, 2, 3]))):
            source = self.populations[str(self.rng.choice(sources))]
            made.append(
                projection(self.rng, str(self.rng.choice(KINDS)), source, shape, f"{name}:{k}", name)[1]
            )
        ports = kind.ports
        if self.alone:
            made = [replace(p, exp=abs(p.exp) % 5) for p in made]
        for k, p in enumerate(made):
            delay = int(self.rng.choice([0, 0, 1, 3])) if p.delay == 0 else p.delay
            self.projections.append(replace(p, port=ports[k % len(ports)], delay=delay))
        self._threshold(name)

    def _decay(self, top: int, size: tuple[int, ...]) -> int | np.ndarray:
        if self.alone:
            return int(self.rng.choice([d for d in EXACT_DECAYS if d <= top] or [top]))
        if self.rng.random() < 0.25:  # one a channel, or one a neuron
            return np.minimum(self.rng.choice(DECAYS, (size[0], *(1,) * (len(size) - 1))), top)
        return min(int(self.rng.choice(DECAYS)), top)

    def _drawn(self, kind: type[LoihiNeuron], shape: tuple[int, ...]) -> LoihiNeuron:
        """The model with thresholds of 0 or 1, to be set when it is seen what they meet."""
        draw = self.rng
        if kind in (LoihiRF, LoihiRFIZ):
            turn, stay = 2 * np.pi / draw.uniform(2.2, 20), draw.choice([1.0, 0.99, 0.8, 0.3])
            sin, cos = int(4096 * stay * np.sin(turn)), int(4096 * stay * np.cos(turn))
            return kind(sin_decay=sin, cos_decay=cos, vth=0, state_exp=int(draw.integers(0, 8)))
        if kind is LoihiSigma:
            return LoihiSigma()
        if kind in (LoihiDelta, LoihiSigmaDelta):
            exps = {"spike_exp": int(draw.integers(0, 4)), "state_exp": int(draw.integers(0, 7))}
            more = {} if kind is LoihiDelta else {
                "act": str(draw.choice(["relu", "unit"])), "bias": self._each(shape, -50, 51)
            }  # fmt: skip
            return kind(vth=1, cum_error=bool(draw.random() < 0.4), **exps, **more)
        du, dv = self._decay(4095, shape), self._decay(4096, shape)
        if self.kind == "conv-wrap" and "n0" not in self.populations:
            du = 4095  # Lava's words hold sums of 24 bits only where the current keeps nothing
        if self.alone:
            du = int(draw.choice([2047, 4095]))
        mant = None if draw.random() < 0.5 else self._each(shape, -4096, 4096)
        common = {"du": du, "dv": dv, "bias_mant": mant, "bias_exp": int(draw.integers(0, 8))}
        if kind is LoihiTernaryLIF:
            return LoihiTernaryLIF(vth_hi=1, vth_lo=-1, **common)
        if kind is LoihiIntegrator:
            return LoihiIntegrator(**common)
        more = {}
        if kind is LoihiLIFReset:
            interval = int(draw.integers(1, 7))
            more = {"reset_interval": interval, "reset_offset": int(draw.integers(interval))}
        if kind is LoihiLIFRefractory:
            more = {"refractory": int(draw.integers(1, 5))}
        return kind(vth=1, **common, **more)

    def _each(self, shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
        """One value, or one a neuron; often small."""
        size = shape if self.rng.random() < 0.6 else ()
        values = self.rng.integers(low, high, size)
        return values // 64 if self.rng.random() < 0.6 else values

    def _threshold(self, name: str) -> None:
        """Take the threshold from what the population holds, mostly a value that occurs."""
        model = self.populations[name].model
        if isinstance(model, LoihiSigma | LoihiIntegrator):
            return
        held = trace(self._program(), self.x).held[name]
        up = getattr(model, "state_exp", 6) + getattr(model, "spike_exp", 0)
        if isinstance(model, LoihiTernaryLIF):
            high, low = self._meets(held, up), -self._meets(-held, up)
            new = {"vth_hi": max(high, low), "vth_lo": min(high, low)}
        else:
            held = np.abs(held) if isinstance(model, LoihiDelta | LoihiSigmaDelta) else held
            new = {"vth": max(0, self._meets(held, up))}
        self.populations[name] = replace(self.populations[name], model=replace(model, **new))

    def _meets(self, held: np.ndarray, up: int) -> int:
        above = held[held > 0]
        even = above[above % (1 << up) == 0]
        choice = even if even.size and self.rng.random() < 0.8 else above
        if not choice.size:
            return 1
        value = int(np.quantile(choice, self.rng.uniform(0.1, 0.9), method="nearest"))
        return min(value >> up, VTH_MAX)

    def _cycle(self) -> None:
        """Now and then a projection back, to the population itself or to an earlier one."""
        for name in [n for n in self._sources() if n != "x"]:
            if self.rng.random() < 0.35:
                target = str(self.rng.choice([n for n in self.populations if n != "x"]))
                src, dst = self.populations[name], self.populations[target]
                late = max(0, 1 + src.latency - dst.latency) + int(self.rng.integers(0, 3))
                kind = "sparse" if self.rng.random() < 0.5 else "dense"
                _, p = projection(self.rng, kind, src, dst.shape, f"{name}>{target}", target)
                p = replace(p, exp=abs(p.exp) % 5) if self.alone else p
                port = str(self.rng.choice(dst.model.ports))  # type: ignore[union-attr]
                self.projections.append(replace(p, delay=late, port=port))

    def _program(self) -> Program:
        outputs = [n for n in self.populations if n != "x"]
        return Program(self.populations, tuple(self.projections), tuple(outputs))

    def _fit(self) -> Program | None:
        """The program with exponents lowered until Lava's words hold it; None if they never do."""
        for _ in range(40):
            program = self._program()
            try:
                found = trace(program, self.x)
            except BasaltError:
                found = None
            if found is not None and (
                self.alone or not limits(program, self.steps, observed(program, found.sent))
            ):
                return program
            self.projections = [
                replace(p, exp=max(-8, p.exp - 1))
                if not getattr(p.weights, "wrap", False) or p.exp > 0
                else p
                for p in self.projections
            ]
        return None


def _float_exact(program: Program, found: Trace) -> bool:
    """Whether Lava's float model gives the same: no bit truncated, no wrap, no saturation."""
    for name in program.neurons():
        model, state = program.populations[name].model, found.states[name]
        for key, keep in (("u", 4095 - model.du), ("v", 4096 - model.dv)):  # type: ignore[union-attr]
            if (state[key] * keep % 4096).any() or np.abs(state[key]).max() >= (1 << 23) - 1:
                return False
        arrived = found.drive[name]["a"] << 6
        if np.abs(arrived).max() >= 1 << 22 or np.abs(found.held[name]).max() >= (1 << 23) - 1:
            return False
    return all(p.exp >= 0 for p in program.projections)  # floats keep what a floor shift drops
