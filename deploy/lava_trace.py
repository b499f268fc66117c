"""Messages and states of every step from real Lava, for several programs in one run: what conformance needs.

Lava takes half a second to start; programs of one number of steps and samples lie side by side in one
network, joined by synapses of weight 0. Delays are Lava's own (DelayDense, DelaySparse) but for convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from convert.ir import LoihiLIFRefractory, Program, Projection, Unsupported, save_program
from deploy.lava_limits import limits, observed
from deploy.lava_sim import request, work
from deploy.target import told

RENAMED = {"refractory_period_end": "left"}  # Lava's name of a state -> ours


@dataclass(frozen=True, eq=False)
class LavaTrace:
    """sent: spiking population -> messages [T, N, *shape].  states: population -> name -> [T, N, *shape], the
    names as in `deploy.reference_neurons`; float64 from the float model, int64 else."""

    sent: dict[str, np.ndarray]
    states: dict[str, dict[str, np.ndarray]]


def lava_traces(
    programs: Sequence[Program], inputs: Sequence[np.ndarray], floating: bool = False
) -> list[LavaTrace]:
    """Run each program on its input [T, N, *shape], all in one Lava network. floating: programs of refractory
    neurons alone, in Lava's float model; the caller sees to it that floats are exact."""
    steps = len(inputs[0])
    for program in programs:
        reasons = _floating_reasons(program) if floating else limits(program, steps)
        if reasons:
            raise Unsupported("lava", told(reasons), "leave this program out")
    whole = _side_by_side(programs)
    asked = request(whole, steps, "synapse") | {"states": True, "float": floating}
    fed = {}
    for k, (program, x) in enumerate(zip(programs, inputs, strict=True)):
        (source,) = program.inputs()
        fed[f"{k}/{source}"] = program.populations[source].model.encode(x).reshape(*x.shape[:2], -1)  # type: ignore[union-attr]
    got = work(asked, lambda folder: save_program(folder / "program.npz", whole), fed)
    return [_trace(k, program, got, floating, steps) for k, program in enumerate(programs)]


def _floating_reasons(program: Program) -> list[str]:
    models = {n: program.populations[n].model for n in program.neurons()}
    return [
        f"{n}: is no refractory neuron" for n, m in models.items() if not isinstance(m, LoihiLIFRefractory)
    ]


def _side_by_side(programs: Sequence[Program]) -> Program:
    """One program of them all; names are prefixed by their number."""
    populations, projections = {}, []
    for k, program in enumerate(programs):
        for name, population in program.populations.items():
            populations[f"{k}/{name}"] = replace(population, name=f"{k}/{name}")
        projections += [_prefixed(p, k) for p in program.projections]
    return Program(populations, tuple(projections), ())


def _prefixed(p: Projection, k: int) -> Projection:
    return replace(p, name=f"{k}/{p.name}", src=f"{k}/{p.src}", dst=f"{k}/{p.dst}")


def _trace(k: int, program: Program, got: dict[str, np.ndarray], floating: bool, steps: int) -> LavaTrace:
    found = LavaTrace({}, {})
    for name in program.neurons():
        population = program.populations[name]
        if population.model.spiking:  # type: ignore[union-attr]
            found.sent[name] = _steps_first(got[f"raster/{k}/{name}"], population.shape)
        prefix = f"state/{k}/{name}/"
        for key in [key for key in got if key.startswith(prefix)]:
            state = _steps_first(got[key], population.shape)
            name_here = key.removeprefix(prefix)
            if name_here in RENAMED:  # the chip step until which v stands: as steps that are left
                clock = population.latency + 1 + np.arange(steps).reshape(-1, *(1,) * (state.ndim - 1))
                state = np.maximum(state - clock, 0)
            found.states.setdefault(name, {})[RENAMED.get(name_here, name_here)] = state
    if not floating and (reasons := limits(program, steps, observed(program, found.sent))):
        raise Unsupported("lava", told(reasons), "leave this program out")
    return found


def _steps_first(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """[N, T, size] as [T, N, *shape]."""
    return x.swapaxes(0, 1).reshape(x.shape[1], x.shape[0], *shape)
