"""Records of one run -> lines: calls of one layer add up, folded pools and norms are where they belong."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from energy.line import Line, Uncounted
from energy.torch_counts.record import Missing, Norm, Numbers, Pool, Record, Steady, Synaptic, Where

PLACED = "nnz_in", "sop_exact", "spikes_out"


@dataclass(eq=False)
class _Sum:
    """A line being added up."""

    where: Where
    item: str
    counts: dict[str, int] = field(default_factory=dict)
    numbers: list[Numbers] = field(default_factory=list)
    by_step: list[dict[str, np.ndarray] | None] = field(default_factory=list)
    folded: bool = False
    known: bool = True
    records: list[Synaptic] = field(default_factory=list)

    def add(self, counts: dict[str, int]) -> None:
        for name, n in counts.items():
            self.counts[name] = self.counts.get(name, 0) + n

    def line(self, run: int) -> Line:
        """As arrays of one sample of `run` steps."""
        first, found = self.where, self.numbers
        counts = {name: np.array([n], np.int64) for name, n in self.counts.items()}
        common = (first.node, first.type, first.in_shape, first.out_shape, counts, self.item)
        more = {"by_step": _steps(self.by_step)}
        if not found:
            return Line(*common, assumed_dense=not self.known, folded=self.folded, **more)
        return Line(
            *common, np.array([max(n.cls for n in found)], np.int8), _measures(found), all(n.spikes for n in
            found),
            not all(n.known for n in found), self.folded, recounts=_recounts(found), sums=any(n.sums for n in
            found),
            first=any(r.first for r in self.records), head=any(r.head for r in self.records),
            fixed=all(r.fixed for r in self.records),
            steps=self._steps(run), **more,
        )  # fmt: skip

    def _steps(self, run: int) -> int:
        """Steps that its input has. What reads a mean over the steps runs once, on [1, ...]; so does a loop's
        layer, but at every step."""
        return 1 if tuple(self.where.in_shape[:1]) == (1,) and len(self.records) < run else run


def lines(records: Iterable[Record], steps: int) -> tuple[Line, ...]:
    """The lines of a run of `steps`, in the order in which they first came up."""
    sums: dict[tuple[str, str], _Sum] = {}
    for record in records:
        where = record.where
        if isinstance(record, Synaptic):
            last = len(record.stages) - 1
            for place, stage in enumerate(record.stages):
                item = ".".join(part for part in (where.item, stage.item) if part)
                chosen = stage.plain
                if stage.behind is not None and record.pool is not None and record.pool.folded:
                    chosen = stage.behind
                into = sums.setdefault((where.node, item), _Sum(where, item))
                into.add({**chosen.counts(), "bias_adds": record.bias if place == last else 0})
                into.numbers.append(chosen)
                into.records.append(record)
                into.by_step.append(chosen.by_step)
                into.folded |= chosen.folded
        elif isinstance(record, Steady) and not (isinstance(record, Norm) and record.folded):
            into = sums.setdefault((where.node, where.item), _Sum(where, where.item))
            into.add(dict.fromkeys(record.counts, 0) if record.folded else record.counts)
            into.folded |= isinstance(record, Pool) and record.folded
            into.by_step.append(record.by_step)
            into.known &= record.known
    return tuple(s.line(steps) for s in sums.values() if s.counts)


def uncounted(records: Iterable[Record], values: int) -> tuple[Uncounted, ...]:
    """What had no rule, each once, with its share of all values that operations gave."""
    found: dict[tuple[str, str, str], int] = {}
    for record in records:
        if isinstance(record, Missing):
            key = (record.where.node, record.where.type, record.remedy)
            found[key] = found.get(key, 0) + record.values
    return tuple(Uncounted(node, kind, n / max(1, values), do) for (node, kind, do), n in found.items())


def _recounts(found: list[Numbers]) -> dict[str, np.ndarray]:
    every = [n.recounts() for n in found]
    names = [name for name in every[0] if all(name in r for r in every)]
    return {name: np.array([sum(r[name] for r in every)]) for name in names}


def _measures(found: list[Numbers]) -> dict[str, np.ndarray]:
    nnz, of = sum(n.nnz for n in found), sum(n.rate_values for n in found)
    signed, values = sum(n.signed for n in found), sum(n.values for n in found)
    return {
        "firing_rate": np.array([nnz / max(1, of)]),
        "mean_value": np.array([signed / values if values else math.nan]),
        "sop_paper": np.array([sum(n.paper() for n in found)]),
    }


def _steps(found: list[dict[str, np.ndarray] | None]) -> dict[str, np.ndarray] | None:
    """field -> int64 [1, T], summed over calls; None if some call's steps are not followed."""
    if not found or any(f is None for f in found):
        return None
    names = [name for name in PLACED if any(name in f for f in found if f)]
    lengths = {len(f[name]) for f in found if f for name in f}
    if not names or len(lengths) != 1:
        return None
    return {name: sum(f[name] for f in found if f and name in f)[None] for name in names}
