"""Output axons: what messages a spike becomes, once it is known on which cores its targets lie.

A spike of neuron i becomes, for each core that holds a target of it: one message if a list of its own lies
there, and one for each place at which a shared list of it is laid (per pair of populations). An output axon
is one entry of a core's table: one per (neuron, core) for lists; for shared lists one per (place, core)
however many neurons of the sending core mean that place, and it takes `encoding.shared_slots` slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deploy.cores.core import Core


@dataclass(frozen=True, eq=False)
class Axons:
    """Where the messages of one population go.

    listed: core -> bool [neurons];  shared: (core, place int64 [neurons], -1 for none), one a bundle.
    """

    listed: dict[int, np.ndarray]
    shared: tuple[tuple[int, np.ndarray], ...]

    def slots(self, neurons: np.ndarray, per_shared: int) -> int:
        """Output axon slots of a core that holds these neurons."""
        own = sum(int(mask[neurons].sum()) for mask in self.listed.values())
        places = 0
        for _, bases in self.shared:
            here = bases[neurons]
            places += len(np.unique(here[here >= 0]))
        return own + per_shared * places

    def messages(self, neurons: np.ndarray, spikes: np.ndarray, cores: int) -> np.ndarray:
        """Messages these neurons send to each core, if they spike `spikes` times: float64 [cores]."""
        out = np.zeros(cores)
        for core, mask in self.listed.items():
            out[core] += float(spikes[neurons] @ mask[neurons])
        for core, bases in self.shared:
            out[core] += float(spikes[neurons] @ (bases[neurons] >= 0))
        return out


def axons(cores: Sequence[Core], population: str) -> Axons:
    """The axons of a population into these cores."""
    listed: dict[int, np.ndarray] = {}
    shared: list[tuple[int, np.ndarray]] = []
    for number, core in enumerate(cores):
        bundles: dict[str, list[np.ndarray]] = {}
        for block in core.blocks():
            if block.src == population and block.bases is not None:
                known = bundles.setdefault(block.dst, [])
                if not any(np.array_equal(block.bases, bases) for bases in known):
                    known.append(block.bases)
        shared += [(number, bases) for known in bundles.values() for bases in known]
        if population in core.lists:
            listed[number] = core.lists[population]
    return Axons(listed, tuple(shared))
