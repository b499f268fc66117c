"""A model in two parts: the chip's on any target, and the rest on the CPU behind the chip's spikes.

The runner asks the chip's target for every spike of the cut (of a sigma-delta network: for its sums), and
computes the host part in float64 on the reference. The chip part keeps its promise of exact spikes; the host
part is one program for all targets, so equal spikes give equal results up to the order of a matrix routine's
sums (`HOST_TOLERANCE`).
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import final

import numpy as np

from convert.ir import BadInput, Graph, steps
from convert.passes.partition import cut
from deploy.record import Record
from deploy.reference import record, values
from deploy.target import Runner, check_input

HOST_TOLERANCE = 1e-9  # of an output's largest value; float64 sums of some thousand terms stay below 1e-12


@final
class SplitRunner(Runner):
    """chip: a runner of the chip's graph or program; graph: that graph; host: what is left of the model.

    outputs: the whole model's, in order.
    """

    def __init__(self, chip: Runner, graph: Graph, host: Graph, outputs: tuple[str, ...]) -> None:
        self.chip, self.host, self.outputs = chip, host, outputs
        self.source, self.shape = graph.input(), graph.shapes[graph.input()]
        self.cut = cut(graph, host)
        unknown = {*host.sources(), *outputs} - {*self.cut, self.source, *host.outputs, *graph.outputs}
        if unknown:
            raise BadInput(
                f"{', '.join(sorted(unknown))}: neither part of the model gives it; convert the model again"
            )

    def run(self, x: np.ndarray, rasters: Collection[str] = ()) -> Record:
        """Outputs of both parts; counts of the chip; rasters of both, an input as the chip encodes it."""
        check_input(x, self.shape)
        steps(self.host, len(x))  # refuses a wrong window before the chip works
        theirs = [n for n in rasters if n in self.host.spiking()]
        on_chip = self.chip.run(x, sorted({*self.cut, *(n for n in rasters if n not in theirs)}))
        start = time.perf_counter()
        fed = {n: on_chip.rasters[n] if n in self.cut else x for n in self.host.sources()}
        on_host = record(self.host, values(self.host, fed), theirs)
        wall_s = on_chip.wall_s + time.perf_counter() - start
        both = {**on_chip.outputs, **on_host.outputs}
        seen = {**on_chip.rasters, **on_host.rasters}
        return Record(
            {n: both[n] for n in self.outputs}, on_chip.counts, on_chip.steps, {n: seen[n] for n in rasters},
            wall_s,
        )  # fmt: skip

    def close(self) -> None:
        """Release what the chip's runner holds."""
        self.chip.close()
