"""What a program must keep to, so that Lava computes it exactly.

Lava's bit-accurate models compute in 32-bit words without a check. Sums are bounded by `deploy.bounds`; what
may pass 2^30 is refused, for there Lava's words could wrap where the arithmetic of a program does not.

Graded messages of neurons have no useful bound before a run. They are bounded by what Lava itself sent
(`observed`), after the run: were a word ever to wrap, all messages up to then would be right and show it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from convert.ir import (
    ConvWeights,
    Input,
    LoihiDelta,
    LoihiLIFRefractory,
    LoihiRF,
    LoihiRFIZ,
    LoihiSigma,
    LoihiSigmaDelta,
    Program,
    Projection,
)
from deploy.bounds import NONE, current, drive, reach, shifted
from deploy.reference_neurons import oversized

BITS = range(1, 10)  # Lava holds mixed-sign weights in 9 bits
WORD = 1 << 30


def limits(program: Program, steps: int = 1, peaks: Mapping[str, int] = NONE) -> list[str]:
    """Reasons why Lava cannot run the program exactly over so many steps; empty if it can.

    peaks: largest messages of graded neurons, if known; until then they are taken to be 1.
    """
    reasons = []
    if len(program.inputs()) != 1:
        reasons.append(f"{len(program.inputs())} inputs ({', '.join(program.inputs())}); exactly one is fed")
    peaks = dict.fromkeys(_graded(program), 1) | dict(peaks)
    for name, population in program.populations.items():
        if isinstance(population.model, Input) and population.model.operand == "real":
            reasons.append(f"{name}: takes real values; spike messages are integers")
        if isinstance(population.model, LoihiLIFRefractory):
            reasons.append(f"{name}: Lava has refractory neurons in floating point only")
        if getattr(population.model, "carry", False):
            reasons.append(f"{name}: Lava 0.10.0 has no `carry`: it forgets the bits that a message loses")
    for p in program.projections:
        reasons += _projection(program, p, peaks)
    if not reasons:
        reasons += [r for name in program.neurons() for r in _state(program, name, steps, peaks)]
    return reasons


def observed(program: Program, sent: Mapping[str, np.ndarray]) -> dict[str, int]:
    """The largest message of each graded population, from rasters [T, N, ...]; refuses what a spike cannot
    carry, which Lava would have sent on."""
    peaks = {}
    for name in _graded(program):
        peaks[name] = int(np.abs(sent[name]).max(initial=0))
        limit = program.populations[name].model.message_limit  # type: ignore[union-attr]
        if peaks[name] > limit:
            t = int(np.argmax(np.abs(sent[name]).reshape(len(sent[name]), -1).max(axis=1) > limit))
            raise oversized(name, t, int(np.abs(sent[name][t]).max()), limit)
    return peaks


def _graded(program: Program) -> list[str]:
    models = {n: program.populations[n].model for n in program.neurons()}
    return [n for n, m in models.items() if m.spiking and m.message == "graded"]  # type: ignore[union-attr]


def _projection(program: Program, p: Projection, peaks: Mapping[str, int]) -> list[str]:
    source = program.populations[p.src].model
    if not isinstance(source, Input) and not source.spiking:
        return [f"{p.name}: leaves the readout {p.src}"]
    if p.bits not in BITS:
        return [f"{p.name}: weights of {p.bits} bits; Lava holds 1 to 9"]
    largest = reach(program, p, peaks)
    if isinstance(p.weights, ConvWeights) and p.weights.wrap:
        if p.exp < 0:
            return [f"{p.name}: Lava's Conv, asked for by `wrap`, knows no exponent below 0"]
        raw = shifted(p, largest)
    else:
        raw = max(largest << (9 - p.bits), shifted(p, largest))
    return [f"{p.name}: its sums may pass 2^30, Lava's words"] if raw >= WORD else []


def _state(program: Program, name: str, steps: int, peaks: Mapping[str, int]) -> list[str]:
    """What the neuron computes with must stay within the words too."""
    model, arriving = program.populations[name].model, drive(program, name, peaks)
    if isinstance(model, LoihiRF | LoihiRFIZ):
        worst = max(arriving, model.vth) << model.state_exp
    elif isinstance(model, LoihiSigma):
        worst = arriving * steps
    elif isinstance(model, LoihiDelta | LoihiSigmaDelta):
        up = model.spike_exp + model.state_exp
        value = arriving << up
        if isinstance(model, LoihiSigmaDelta):
            value = arriving * steps + (int(np.abs(model.bias).max()) << up)
        worst = max(6 * value, model.vth << up)  # delta and residue reach 2 |x| each, their error 6 |x|
    else:
        worst = current(model, arriving)  # type: ignore[arg-type]
    if worst >= WORD:
        return [f"{name}: its state may reach {worst}, above 2^30, where Lava's 32-bit words wrap"]
    return []
