"""How often a run met the edges of the arithmetic: a comparison that never meets one proves little."""

from __future__ import annotations

from collections import Counter

import numpy as np

from convert.ir import (
    ConvWeights,
    LoihiDelta,
    LoihiIntegrator,
    LoihiLIF,
    LoihiLIFRefractory,
    LoihiLIFReset,
    LoihiRF,
    LoihiRFIZ,
    LoihiSigma,
    LoihiSigmaDelta,
    LoihiTernaryLIF,
    Program,
    Projection,
)
from deploy.reference_neurons import HALF, decayed
from deploy.reference_program import Trace

LIF_FAMILY = (LoihiLIF, LoihiIntegrator, LoihiLIFReset, LoihiTernaryLIF, LoihiLIFRefractory)


def kinds(program: Program) -> Counter[str]:
    """Models of the program's populations, and its synapses under Lava's names."""
    found = Counter(type(program.populations[n].model).__name__ for n in program.neurons())
    for p in program.projections:
        kind = type(p.weights).__name__.removesuffix("Weights")
        if isinstance(p.weights, ConvWeights):
            kind += " with wrap" if p.weights.wrap else ""
        elif program.chip_delay(p):
            kind = f"Delay{kind}"
        found[kind] += 1
        found["recurrent"] += program.populations[p.src].latency >= program.populations[p.dst].latency
        found["negative exponent"] += p.exp < 0
    for name in program.neurons():
        model = program.populations[name].model
        found["decays one a neuron"] += bool(
            np.ndim(getattr(model, "du", 0)) or np.ndim(getattr(model, "dv", 0))
        )
    return found


def events(program: Program, found: Trace) -> Counter[str]:
    """Values that met the edge, over all steps, samples and neurons."""
    seen: Counter[str] = Counter()
    for name in program.neurons():
        model, held, states = program.populations[name].model, found.held[name], found.states[name]
        if isinstance(model, LIF_FAMILY):
            seen["u wrapped"] += _wrapped(model, found, name)
            seen["v saturated"] += int((np.abs(held) == HALF - 1).sum())
        if isinstance(model, LoihiTernaryLIF):
            edges = (held == model.vth_hi << 6) | (held == model.vth_lo << 6)
            seen["v at its threshold"] += int(edges.sum())
        elif isinstance(model, LIF_FAMILY) and model.spiking:
            seen["v at its threshold"] += int((held == model.vth << 6).sum())
        if isinstance(model, LoihiRF | LoihiRFIZ):
            seen["resonator at its threshold"] += int((held == model.vth << model.state_exp).sum())
            states_at = [np.abs(states[n]) == HALF - 1 for n in ("real", "imag")]
            seen["resonator saturated"] += int(np.sum(states_at))
        if isinstance(model, LoihiDelta | LoihiSigmaDelta):
            threshold = model.vth << (model.spike_exp + model.state_exp)
            seen["delta at its threshold"] += int(((np.abs(held) == threshold) & (held != 0)).sum())
            seen["residue kept"] += int((states["residue"] != 0).sum())
            lost = states["act"] & ((1 << model.state_exp) - 1)
            seen["bits below state_exp"] += int((lost != 0).sum())
        if isinstance(model, LoihiSigma):
            seen["sigma read"] += int((states["sigma"] != 0).sum())
        if isinstance(model, LoihiLIFRefractory):
            seen["v stood still"] += int((states["left"][:-1] > 0).sum())
    for p in program.projections:
        if isinstance(p.weights, ConvWeights) and p.weights.wrap:
            seen["convolution wrapped"] += _conv_wraps(p, found)
    return seen


def _wrapped(model: LoihiLIF, found: Trace, name: str) -> int:
    u = found.states[name]["u"]
    before = np.concatenate([np.zeros_like(u[:1]), u[:-1]])
    if isinstance(model, LoihiLIFReset):
        before[model.reset_offset :: model.reset_interval] = 0
    free = decayed(before, model.du + 1) + (found.drive[name]["a"] << 6)
    return int((free != u).sum())


def _conv_wraps(p: Projection, found: Trace) -> int:
    sent = found.sent[p.src]
    sums = sent[: len(sent) - p.delay].reshape(-1, p.weights.shape[1]) @ p.weights.to_dense().T
    sums = sums << p.exp if p.exp >= 0 else sums >> -p.exp
    return int(((sums >= HALF) | (sums < -HALF)).sum())
