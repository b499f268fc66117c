"""Messages between cores, per sample: what a placement is judged by.

    M[i, j] = sum over neurons n of core i  spikes(n) * (messages one spike of n sends to core j)

spikes(n): mean number of spikes (messages of any value but 0) of neuron n in a sample, measured, or a uniform
rate times the steps. The last row and column are the outside: inputs and what the host computes send from
there, and what only the host needs goes there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from convert.ir import Program
from deploy.cores.axons import axons
from deploy.cores.partition import Partition


@dataclass(frozen=True, eq=False)
class Activity:
    """Spikes per sample of every neuron of every population that sends: name -> float64 [size].

    source: how they were got, for people ('measured on 16 samples', 'assumed ...'); steps of a sample.
    """

    spikes: Mapping[str, np.ndarray]
    source: str
    steps: int


@dataclass(frozen=True, eq=False)
class Traffic:
    """matrix float64 [cores + 1, cores + 1]; sent: population -> its share, of the same shape."""

    matrix: np.ndarray
    sent: Mapping[str, np.ndarray]


def uniform(program: Program, rate: float, steps: int) -> Activity:
    """Every neuron and input at one rate [spikes per step]."""
    spikes = {n: np.full(p.size, rate * steps) for n, p in program.populations.items()}
    return Activity(spikes, f"assumed: every neuron at {rate:g} spikes per step, {steps} steps", steps)


def traffic(made: Partition, activity: Activity) -> Traffic:
    """Messages per sample between the cores of a partition."""
    count, program = len(made.cores), made.program
    sent: dict[str, np.ndarray] = {}
    for name, population in program.populations.items():
        users = [p.dst for p in program.projections if p.src == name]
        if not users:
            continue
        spikes, matrix = activity.spikes[name], np.zeros((count + 1, count + 1))
        ways = axons(made.cores, name)
        if name in made.outside:
            everyone = np.arange(population.size)
            matrix[count, :count] = ways.messages(everyone, spikes, count)
        else:
            for number, core in enumerate(made.cores):
                for piece in core.pieces:
                    if piece.population == name:
                        matrix[number, :count] += ways.messages(piece.neurons, spikes, count)
                        if made.outside.intersection(users):
                            matrix[number, count] += float(spikes[piece.neurons].sum())
        sent[name] = matrix
    total = sum(sent.values(), np.zeros((count + 1, count + 1)))
    return Traffic(total, sent)
