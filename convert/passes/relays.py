"""Delays longer than a chip's, chained: a projection's delay ends at 62 chip steps, a relay adds 63.

A relay of a population copies its spikes one chip step after they arrive: LoihiLIF, du = 4095, dv = 4096
(no memory), vth = 1, an identity projection of weight 2. Relay j of population p is called `p~j`, has latency
`latency(p) + 63 j` and is fed by relay j - 1 over a delay of 62: in aligned steps it spikes exactly as p
does. A projection whose chip delay would be D > 62 leaves relay ceil((D - 62) / 63) instead and keeps its
aligned delay. All projections that leave p share its relays. Graded values have no relay.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convert.ir import LoihiLIF, LoihiTernaryLIF, Population, Projection, SparseWeights, Unsupported
from convert.ir.program import DELAY_MAX

HOP = DELAY_MAX + 1  # chip steps from one relay to the next: the delay and the relay's own step
RELAYS_MAX = 32  # of one population: about 2000 steps; each is a copy of the whole population
_MODELS = {
    "binary": LoihiLIF(du=4095, dv=4096, vth=1),
    "ternary": LoihiTernaryLIF(du=4095, dv=4096, vth_hi=1, vth_lo=-1),
}


def relayed(
    populations: dict[str, Population], projections: list[Projection]
) -> tuple[dict[str, Population], list[Projection]]:
    """The same network with every chip delay within 0..62; relays stand behind the population they copy."""
    wanted: dict[str, int] = {}
    out = []
    for p in projections:
        late = _chip_delay(populations, p)
        hops = max(0, -(-(late - DELAY_MAX) // HOP))
        if hops:
            _check(populations[p.src], p, late, hops)
            wanted[p.src] = max(hops, wanted.get(p.src, 0))
            number = p.name.split(":")[0]
            p = replace(p, src=f"{p.src}~{hops}", name=f"{number}:{p.src}~{hops}->{p.dst}")
        out.append(p)
    kept: dict[str, Population] = {}
    for name, population in populations.items():
        kept[name] = population
        for copy in _relays(population, wanted.get(name, 0)):
            if copy.name in populations:
                raise Unsupported(copy.name, f"the relays of {name} would have this name", "rename the node")
            before = list(kept)[-1]
            weights = _identity(population.size)
            out.append(Projection(f"{len(out)}:{before}->{copy.name}", before, copy.name, weights))
            kept[copy.name] = copy
    return kept, out


def _chip_delay(populations: dict[str, Population], p: Projection) -> int:
    return populations[p.dst].latency - populations[p.src].latency - 1 + p.delay


def _check(source: Population, p: Projection, late: int, hops: int) -> None:
    if source.message not in _MODELS:
        raise Unsupported(
            p.dst,
            f"hears {source.name} {late} chip steps late, above the {DELAY_MAX} of a projection, and graded "
            "values have no relay",
            "delay behind a spiking neuron, or shorten the delay",
        )
    if hops > RELAYS_MAX:
        raise Unsupported(
            p.dst,
            f"hears {source.name} {late} chip steps late, above the {DELAY_MAX + HOP * RELAYS_MAX} that "
            f"{RELAYS_MAX} relays reach",
            "shorten the delay",
        )


def _relays(source: Population, count: int) -> list[Population]:
    if not count:
        return []
    model = _MODELS[source.message]
    latencies = (source.latency + HOP * (j + 1) for j in range(count))
    return [Population(f"{source.name}~{j}", source.shape, model, n) for j, n in enumerate(latencies, 1)]


def _identity(size: int) -> SparseWeights:
    index = np.arange(size + 1)
    return SparseWeights(index, index[:-1], np.full(size, 2, np.int8), (size, size))
