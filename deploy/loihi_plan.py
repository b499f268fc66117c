"""What the Loihi simulator settles before the first step: refusals, proven bounds, order of execution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convert.ir import (
    BasaltError,
    Input,
    LoihiDelta,
    LoihiRF,
    LoihiRFIZ,
    LoihiSigma,
    LoihiSigmaDelta,
    Population,
    Program,
    Unsupported,
)
from deploy.bounds import current, drive, shifted
from deploy.bounds import reach as bounded
from deploy.loihi_neurons import NEURONS

V_MAX = (1 << 23) - 1
BIAS_MAX = 1 << 20  # 13 bits of mantissa, exponent up to 7
STATE_MAX = 1 << 40  # more than a resonator's products, or a sigma-delta neuron's threshold and bias shifted
EXACT = 1 << 62
SUMS = (LoihiDelta, LoihiSigma, LoihiSigmaDelta)


@dataclass(frozen=True, eq=False)
class Plan:
    """program: what runs.  width: population -> int32 or int64, proven to hold its currents and state.
    reach: projection -> largest |W x| that can occur.  groups: populations in order of execution; a group of
    one runs many steps at once, a cycle step by step.  steps: the most that one run may have."""

    program: Program
    width: dict[str, np.dtype]
    reach: dict[str, int]
    groups: tuple[tuple[str, ...], ...]
    steps: int

    @cached_property
    def source(self) -> Population:
        """The one input."""
        return self.program.populations[self.program.inputs()[0]]


def plan(program: Program) -> Plan:
    """Check and bound a program; the first Unsupported found is raised."""
    for check in (_check_inputs, _check_populations, _check_projections):
        check(program)
    reach = {p.name: bounded(program, p) for p in program.projections}
    width = {name: _width(program, name, reach) for name in program.neurons()}
    return Plan(program, width, reach, _groups(program), _steps(program))


def _check_inputs(program: Program) -> None:
    names = program.inputs()
    if len(names) != 1:
        raise Unsupported(
            ", ".join(names) or "program", f"{len(names)} inputs, loihi-sim feeds one", "join them"
        )
    model = program.populations[names[0]].model
    if model.operand == "real":  # type: ignore[union-attr]
        raise Unsupported(
            names[0], "real-valued input, a chip takes spikes or integers", "quantise the graph"
        )
    if names[0] in program.outputs:
        raise Unsupported(names[0], "an input is named as an output", "name populations of neurons")
    if model.operand == "graded" and not 1 <= model.bits <= 24:  # type: ignore[union-attr]
        raise Unsupported(names[0], f"{model.bits}-bit values, expected 1..24", "lower `bits`")  # type: ignore[union-attr]


def _check_populations(program: Program) -> None:
    for name, population in program.populations.items():
        model = population.model
        if not isinstance(model, Input) and type(model) not in NEURONS:
            raise Unsupported(
                name, f"{type(model).__name__} is no Loihi neuron", "quantise and lower the graph"
            )
        for field in ("du", "dv", "bias_mant", "bias"):
            _check_shape(name, population.shape, field, getattr(model, field, None))


def _check_shape(name: str, shape: tuple[int, ...], field: str, value: object) -> None:
    try:
        fits = value is None or np.broadcast_shapes(np.shape(value), shape) == tuple(shape)  # type: ignore[arg-type]
    except ValueError:
        fits = False
    if not fits:
        what = "bias" if field == "bias_mant" else field
        raise Unsupported(
            name,
            f"{what} of shape {np.shape(value)} for neurons of {shape}",
            "give one, or one a neuron",  # type: ignore[arg-type]
        )


def _check_projections(program: Program) -> None:
    for p in program.projections:
        if isinstance(program.populations[p.dst].model, Input):
            raise Unsupported(p.name, f"it leads into the input {p.dst}", "project onto neurons")
        source = program.populations[p.src].model
        if not isinstance(source, Input) and not source.spiking:
            raise Unsupported(p.name, f"it leaves the readout {p.src}", "read out a population of its own")
        values = p.weights.stored
        fits = not values.size or (values.min() >= -(1 << 15) and values.max() < 1 << 15)
        if values.dtype.kind not in "iu" or not fits:
            raise Unsupported(
                p.name, f"{values.dtype} weights beyond 16 bits", "quantise to 16 bits or fewer"
            )


def _width(program: Program, name: str, reach: dict[str, int]) -> np.dtype:
    """Smallest type for sums and states. Resonators (products with 12-bit decays) and sigma-delta neurons
    (sums over all steps, see `_steps`) are computed in 64 bits."""
    model, arriving = program.populations[name].model, drive(program, name)
    raw = max((max(reach[p.name], shifted(p, reach[p.name])) for p in program.into(name)), default=0)
    if isinstance(model, SUMS):
        largest = max(raw, _changed(program, name) + STATE_MAX)
    elif isinstance(model, LoihiRF | LoihiRFIZ):
        largest = max(raw, (arriving << model.state_exp) + STATE_MAX)
    else:
        largest = max(raw, current(model, arriving) + V_MAX + BIAS_MAX)  # type: ignore[arg-type]
    for dtype in (np.int32, np.int64):
        if largest <= np.iinfo(dtype).max:
            return np.dtype(dtype)
    raise Unsupported(name, f"its current may reach {largest}, beyond 64 bits", "lower weights or exponents")


def _changed(program: Program, name: str) -> int:
    """What one step can add to a sigma-delta neuron: delta and residue reach 2 |x| each, errors 6 |x|."""
    model, arriving = program.populations[name].model, drive(program, name)
    return 6 * (
        arriving << (model.spike_exp + model.state_exp) if isinstance(model, LoihiDelta) else arriving
    )


def _steps(program: Program) -> int:
    """Steps over which no sigma can outgrow 64 bits."""
    sums = [
        n for n in program.neurons() if isinstance(program.populations[n].model, LoihiSigma | LoihiSigmaDelta)
    ]
    return min(((EXACT - STATE_MAX) // max(1, _changed(program, n)) for n in sums), default=EXACT)


def _groups(program: Program) -> tuple[tuple[str, ...], ...]:
    """Strongly connected populations together, sources first; a group is in order of latency, which every
    projection without delay ascends."""
    names = list(program.populations)
    above: dict[str, set[str]] = {n: {p.src for p in program.into(n)} for n in names}
    for middle in names:  # transitive closure
        for n in names:
            if middle in above[n]:
                above[n] |= above[middle]
    groups, done = [], set()
    while len(done) < len(names):
        first = next(n for n in names if n not in done and all(a in done or n in above[a] for a in above[n]))
        group = [n for n in names if n == first or (n in above[first] and first in above[n])]
        groups.append(tuple(sorted(group, key=lambda n: program.populations[n].latency)))
        done.update(group)
    return tuple(groups)


def reasons(program: Program) -> list[str]:
    """Why the program cannot run here; empty if it can."""
    try:
        plan(program)
    except BasaltError as error:
        return [str(error)]
    return []


def recurrent(program: Program, group: tuple[str, ...]) -> bool:
    """A group that must go step by step: several populations, or one that feeds itself."""
    return len(group) > 1 or any(p.src == group[0] for p in program.into(group[0]))
