"""What a target gives back: outputs, spike counts, and rasters where asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Record:
    """The run of N samples over T steps on one target.

    outputs: readout -> its value after the last step [N, *shape] (float64, or int64 in units of v);
             for a spiking output the sum of its messages over the steps: its spike count, if binary.
    counts:  spiking node or population -> its messages that are not 0, per neuron over all steps, int64
             [N, *shape].
    rasters: name -> [T, N, *shape], in any memory order, of what was asked for: binary spikes uint8, ternary
             and graded messages int64, an Input as encoded (int64, float64), a LoihiSigma its sum after each
             step (int64). A target may add products of spikes that it has at hand (uint8).
    steps:   T.   wall_s: seconds the target took, compilation and encoding left out.
    """

    outputs: Mapping[str, np.ndarray]
    counts: Mapping[str, np.ndarray]
    steps: int
    rasters: Mapping[str, np.ndarray] = field(default_factory=dict)
    wall_s: float = 0.0

    @property
    def samples(self) -> int:
        return len(next(iter(self.outputs.values())))

    def rate(self, name: str) -> float:
        """Firing rate: spikes per neuron and step, over all samples."""
        return float(self.counts[name].mean()) / self.steps


class RasterCounts(Mapping[str, np.ndarray]):
    """Counts of nodes of which every step is there: summed when asked for, and only then."""

    def __init__(self, rasters: Mapping[str, np.ndarray], names: Collection[str]) -> None:
        self._rasters, self._names = rasters, tuple(names)
        self._found: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._found:
            self._found[name] = np.count_nonzero(self._rasters[name], axis=0).astype(np.int64)
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def joined(records: list[Record]) -> Record:
    """Records of consecutive batches as one."""
    first = records[0]
    if len(records) == 1:
        return first
    return Record(
        outputs={n: np.concatenate([r.outputs[n] for r in records]) for n in first.outputs},
        counts={n: np.concatenate([r.counts[n] for r in records]) for n in first.counts},
        steps=first.steps,
        rasters={n: np.concatenate([r.rasters[n] for r in records], axis=1) for n in first.rasters},
        wall_s=sum(r.wall_s for r in records),
    )
