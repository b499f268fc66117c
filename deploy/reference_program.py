"""The meaning of a program: numpy, int64, aligned steps, one population after the other. Slow and obvious.

Within a step populations go in order of latency: a projection without delay always leads to a later one, and
everything else comes from an earlier step, so any cycle works.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from convert.ir import (
    BadInput,
    ConvWeights,
    Input,
    LoihiNeuron,
    LoihiSigma,
    Program,
    Projection,
    Unsupported,
)
from deploy.record import Record
from deploy.reference_neurons import FAMILIES, State, rest, step
from deploy.target import check_input

Series = dict[str, np.ndarray]
EXACT = 1 << 62


@dataclass(frozen=True, eq=False)
class Trace:
    """Everything a run of T steps and N samples passes through; arrays int64 [T, N, *shape].

    sent: population -> messages (an input: encoded; a readout: its value).  states: population -> state
    after each step.  drive: population -> port -> what arrived.  held: what met the threshold.
    """

    sent: Series
    states: dict[str, Series]
    drive: dict[str, Series]
    held: Series


def trace(program: Program, x: np.ndarray) -> Trace:
    """Run from rest. x: [T, N, *shape] of the one input, as `Runner.run` takes it."""
    (source,) = _inputs(program)
    population = program.populations[source]
    encoded = population.model.encode(check_input(np.asarray(x), population.shape))  # type: ignore[union-attr]
    if encoded.dtype.kind != "i":
        raise Unsupported(source, "real-valued input, a chip takes spikes or integers", "quantise the graph")
    run = encoded.shape[:2]
    matrices = {p.name: _matrix(program, p) for p in program.projections}
    found = Trace({source: encoded}, {}, {}, {})
    state: dict[str, State] = {}
    order = sorted(program.neurons(), key=lambda n: program.populations[n].latency)
    for name in order:
        model, shape = program.populations[name].model, (*run, *program.populations[name].shape)
        state[name] = rest(model, shape[1:])  # type: ignore[arg-type]
        found.sent[name], found.held[name] = np.zeros((2, *shape), np.int64)
        found.states[name] = {n: np.zeros(shape, np.int64) for n in state[name]}
        found.drive[name] = {port: np.zeros(shape, np.int64) for port in model.ports}  # type: ignore[union-attr]
    for t in range(run[0]):
        for name in order:
            for p in program.into(name):
                if t >= p.delay:
                    arrived = _arrived(p, matrices[p.name], found.sent[p.src][t - p.delay])
                    found.drive[name][p.port][t] += arrived.reshape(found.drive[name][p.port][t].shape)
            _advance(name, program.populations[name].model, state[name], found, t)  # type: ignore[arg-type]
    return found


def _inputs(program: Program) -> tuple[str]:
    names = program.inputs()
    if len(names) != 1:
        raise Unsupported("program", f"{len(names)} inputs, the reference feeds one", "join them")
    return names  # type: ignore[return-value]


def _matrix(program: Program, p: Projection) -> np.ndarray:
    """int64 [in, out]."""
    source = program.populations[p.src].model
    if not isinstance(source, Input) and not source.spiking:
        raise Unsupported(p.name, f"it leaves the readout {p.src}", "read out a population of its own")
    return p.weights.to_dense().T


def _arrived(p: Projection, matrix: np.ndarray, sent: np.ndarray) -> np.ndarray:
    """shift(W s, exp) of one step, [N, out]; sent [N, *shape]."""
    rows = sent.reshape(len(sent), -1)
    reach = int(np.abs(matrix).sum(axis=0).max(initial=0)) * int(np.abs(rows).max(initial=0))
    if reach << max(p.exp, 0) >= EXACT:
        raise Unsupported(p.name, f"its sums may reach {reach} << {p.exp}, beyond 64 bits", "lower weights")
    product = rows @ matrix
    shifted = product << p.exp if p.exp >= 0 else product >> -p.exp
    if isinstance(p.weights, ConvWeights) and p.weights.wrap:
        return (shifted + (1 << 23)) % (1 << 24) - (1 << 23)
    return shifted


def _advance(name: str, model: LoihiNeuron, state: State, found: Trace, t: int) -> None:
    inputs = tuple(found.drive[name][port][t] for port in model.ports)
    message, found.held[name][t] = step(name, model, state, inputs, t)
    result = FAMILIES[type(model)].result
    found.sent[name][t] = message if result is None else state[result]
    for key, value in state.items():
        found.states[name][key][t] = value


def record(program: Program, found: Trace, rasters: Collection[str] = ()) -> Record:
    """The Record of a trace."""
    counts, outputs, kept = {}, {}, {}
    for name in program.neurons():
        if program.populations[name].model.spiking:  # type: ignore[union-attr]
            counts[name] = np.count_nonzero(found.sent[name], axis=0).astype(np.int64)
    for name in program.outputs:
        sent = found.sent[name]
        outputs[name] = sent.sum(axis=0) if name in counts else sent[-1]
    for name in rasters:
        sums = name in found.sent and isinstance(program.populations[name].model, LoihiSigma)
        if name not in counts and name not in program.inputs() and not sums:
            raise BadInput(f"raster of {name!r} asked for; known: {', '.join([*program.inputs(), *counts])}")
        model = program.populations[name].model
        binary = not isinstance(model, Input) and model.message == "binary"
        kept[name] = found.sent[name].astype(np.uint8 if binary else np.int64)
    steps = len(next(iter(found.sent.values())))
    return Record(outputs, counts, steps, kept)


def run(program: Program, x: np.ndarray, rasters: Collection[str] = ()) -> Record:
    """Run a program from rest; as `Runner.run`."""
    return record(program, trace(program, x), rasters)
