"""What the Loihi simulator settles before the first step: refusals, proven bounds, order of execution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convert.ir import (
    BasaltError,
    ConvWeights,
    DenseWeights,
    Input,
    LoihiIntegrator,
    LoihiLIF,
    Population,
    Program,
    SparseWeights,
    Unsupported,
    Weights,
)

CONV_SUM = 1 << 23  # Lava's Conv wraps its sums to [-2^23, 2^23)
WRAP = 1 << 24
V_MAX = (1 << 23) - 1
BIAS_MAX = 1 << 20  # 13 bits of mantissa, exponent up to 7
NEURONS = (LoihiLIF, LoihiIntegrator)


@dataclass(frozen=True, eq=False)
class Plan:
    """program: what runs.  width: population -> int32 or int64, proven to hold its currents and state.
    reach: projection -> largest |W x| that can occur.  groups: populations in order of execution; a group of
    one runs many steps at once, a cycle step by step."""

    program: Program
    width: dict[str, np.dtype]
    reach: dict[str, int]
    groups: tuple[tuple[str, ...], ...]

    @cached_property
    def source(self) -> Population:
        """The one input."""
        return self.program.populations[self.program.inputs()[0]]


def plan(program: Program) -> Plan:
    """Check and bound a program; the first Unsupported found is raised."""
    for check in (_check_inputs, _check_populations, _check_projections):
        check(program)
    reach = {p.name: _row_sum(p.weights) * peak(program.populations[p.src]) for p in program.projections}
    for p in program.projections:
        if isinstance(p.weights, ConvWeights) and reach[p.name] >= CONV_SUM:
            raise Unsupported(
                p.name, f"a convolution's sums may reach {reach[p.name]}, Lava's Conv wraps at {CONV_SUM}",
                "train with smaller weights, or quantise to fewer bits",
            )  # fmt: skip
    width = {name: _width(program, name, reach) for name in program.neurons()}
    return Plan(program, width, reach, _groups(program))


def peak(population: Population) -> int:
    """Largest magnitude a population sends."""
    model = population.model
    return model.limit if isinstance(model, Input) and model.operand == "graded" else 1


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
        if not isinstance(model, (Input, *NEURONS)):
            raise Unsupported(
                name, f"{type(model).__name__} is no Loihi neuron", "quantise and lower the graph"
            )
        if isinstance(model, NEURONS) and model.bias_mant is not None:
            try:
                np.broadcast_to(model.bias_mant, population.shape)
            except ValueError:
                raise Unsupported(
                    name, f"bias of shape {model.bias_mant.shape} for neurons of {population.shape}",
                    "give one bias, or one a neuron",
                ) from None  # fmt: skip


def _check_projections(program: Program) -> None:
    for p in program.projections:
        if isinstance(program.populations[p.dst].model, Input):
            raise Unsupported(p.name, f"it leads into the input {p.dst}", "project onto neurons")
        if isinstance(program.populations[p.src].model, LoihiIntegrator):
            raise Unsupported(p.name, f"it leaves the readout {p.src}", "read out a population of its own")
        values = _stored(p.weights)
        fits = not values.size or (values.min() >= -(1 << 15) and values.max() < 1 << 15)
        if values.dtype.kind not in "iu" or not fits:
            raise Unsupported(
                p.name, f"{values.dtype} weights beyond 16 bits", "quantise to 16 bits or fewer"
            )


def _stored(weights: Weights) -> np.ndarray:
    if isinstance(weights, DenseWeights):
        return weights.matrix
    return weights.values if isinstance(weights, SparseWeights) else weights.kernel


def _row_sum(weights: Weights) -> int:
    """Largest sum of |weight| over the synapses of one target (a bound at borders of a convolution)."""
    stored = _stored(weights)
    if not stored.size:
        return 0
    if isinstance(weights, SparseWeights):
        sums = np.bincount(weights.rows, np.abs(stored.astype(np.float64)), minlength=1)  # exact below 2^53
    else:
        flat = stored.reshape(len(stored), -1)
        sums = np.maximum(flat, 0).sum(1, dtype=np.int64) - np.minimum(flat, 0).sum(1, dtype=np.int64)
    return int(sums.max())


def _width(program: Program, name: str, reach: dict[str, int]) -> np.dtype:
    """Smallest type for a, u, v. Where |a << 6| <= drive, u after its one wrap stays below `held`: it may
    leave 24 bits, by drive - 2^24 each step, against a decay of (du + 1) / 4096 of itself."""
    model = program.populations[name].model
    drive = sum(reach[p.name] << max(p.exp, 0) for p in program.into(name)) << 6
    held = max(1 << 23, -(-(drive - WRAP) * 4096 // (model.du + 1)))  # type: ignore[union-attr]
    largest = drive + held + V_MAX + BIAS_MAX
    for dtype in (np.int32, np.int64):
        if largest <= np.iinfo(dtype).max:
            return np.dtype(dtype)
    raise Unsupported(name, f"its current may reach {largest}, beyond 64 bits", "lower weights or exponents")


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
