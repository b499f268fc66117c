"""Weights of a whole program as a stream on the Loihi simulator reads them: flat arrays, one table.

    dense     one row of contiguous weights a source: a graph convolution
    panels    sources that reach the same targets, with the matrix between them, one contiguous row a source:
              a convolution over steps or a mix of channels has one panel a joint
    columns   target and weight of each synapse, one after the other: an identity, a convolution over images

A population's spikes are listed once a frame, in the order of its panels (a `Listing`), and every projection
that leaves it reads the list: what is paid is a row, or a column, for each spike. Offsets and sizes of a
projection stand in one row of a table, so that one compiled call serves all projections of a population.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from convert.ir import DenseWeights, Projection, Weights
from deploy.bounds import wraps
from deploy.loihi_synapses import compressed

# Nanoseconds on one core of an AMD EPYC (Zen 3); only ratios matter, and no result depends on them.
ROW_NS, COLUMN_NS, SCATTER_NS = 0.04, 1.5, 1.0  # add a weight of a row; a synapse of a column; scatter a sum
PANEL_NS = 10.0  # begin a panel that has spikes
RATE, RATE_GRADED = 0.1, 1.0  # messages a neuron and step, assumed
UNROLL_MAX = 1 << 26  # cells of a sparse matrix that may be written out

# Columns of the table of projections, and of the table of panels.
KIND, LIST, FILL, SOURCES, FILLS, DEPTH, DELAY, GRADED, PANEL, PANELS, EXP, MOST, SUMMED, WRAPS = range(14)
FIRST, AT, WIDTH, LOW, TARGETS = range(5)
DENSE, GROUPED, COLUMNS = range(3)


@dataclass(frozen=True, eq=False)
class Panels:
    """order [in]: all sources, panel by panel; starts [P + 1]: where each panel begins in it; targets of each
    panel, and its rows [sources, targets]."""

    order: np.ndarray
    starts: np.ndarray
    targets: list[np.ndarray]
    rows: list[np.ndarray]

    def cost(self, rate: float) -> float:
        """Expected nanoseconds a frame."""
        sizes, widths = np.diff(self.starts), np.array([len(t) for t in self.targets])
        active = (1.0 - (1.0 - rate) ** sizes) * (widths > 0)
        return float((rate * sizes * widths * ROW_NS + active * (PANEL_NS + widths * SCATTER_NS)).sum())


def grouped(weights: Weights) -> Panels:
    """The panels of a sparse or shared matrix; sources without synapses form one of width 0."""
    starts, targets, values = compressed(weights)
    members: dict[bytes, list[int]] = {}
    for i in range(len(starts) - 1):
        members.setdefault(targets[starts[i] : starts[i + 1]].tobytes(), []).append(i)
    groups = list(members.values())
    return Panels(
        np.array([i for group in groups for i in group], np.int64),
        np.concatenate([[0], np.cumsum([len(group) for group in groups])]).astype(np.int64),
        [targets[starts[g[0]] : starts[g[0] + 1]].astype(np.int64) for g in groups],
        [np.array([values[starts[i] : starts[i + 1]] for i in g]) for g in groups],
    )


def form(weights: Weights, rate: float) -> Panels | int:
    """The panels of a projection, or DENSE or COLUMNS: what is expected to cost least at that rate."""
    if isinstance(weights, DenseWeights):
        return DENSE
    out, sources = weights.shape
    made = grouped(weights)
    costs = {COLUMNS: rate * sum(r.size for r in made.rows) * COLUMN_NS, GROUPED: made.cost(rate)}
    if out * sources <= UNROLL_MAX:
        costs[DENSE] = rate * out * sources * ROW_NS
    best = min(costs, key=lambda kind: costs[kind])
    return made if best == GROUPED else best


@dataclass(eq=False)
class Listing:
    """One order of the sources of a population, and where the lists of its last `depth` frames lie."""

    source: str
    order: np.ndarray
    starts: np.ndarray
    depth: int = 1
    list_at: int = 0
    fill_at: int = 0


class Layout:
    """The projections into each population, by port, for `samples` streams.

    table int64 [projections, 14]; panels int64 [all, 5]; weights int8 or int16; starts int64; targets, lists,
    fills and values int32. span: population -> port -> rows (first, last) of the table.
    """

    def __init__(
        self,
        into: dict[str, dict[str, list[Projection]]],
        reach: dict[str, int],
        graded: Collection[str],
        samples: int,
    ) -> None:
        self.samples, self.graded, self.reach = samples, graded, reach
        self.listings: list[Listing] = []
        self._flat: dict[str, list[np.ndarray]] = {"weights": [], "targets": [], "starts": []}
        self._rows: list[dict[int, int]] = []
        self._panels: list[tuple[int, ...]] = []
        self._at: dict[str, int] = {}
        self._held: dict[bytes, int] = {}
        every = [p for ports in into.values() for ps in ports.values() for p in ps]
        forms = {p.name: form(p.weights, RATE_GRADED if p.src in graded else RATE) for p in every}
        # Orders are those of panels; the other forms take any, so they come last.
        for p in sorted(every, key=lambda p: isinstance(forms[p.name], int)):
            self._listing(p.src, forms[p.name], p.weights.shape[1])
        self.span: dict[str, dict[str, tuple[int, int]]] = {}
        for name, ports in into.items():
            self.span[name] = {}
            for port, ps in ports.items():
                first = len(self._rows)
                for p in ps:
                    self._add(p, forms[p.name])
                self.span[name][port] = first, len(self._rows)
        self._finish()

    def of(self, source: str) -> list[Listing]:
        """The listings of a population."""
        return [listing for listing in self.listings if listing.source == source]

    def _listing(self, source: str, made: Panels | int, sources: int = 0) -> int:
        """The number of the listing with these panels; of any where they do not matter."""
        for k, held in enumerate(self.listings):
            if held.source == source and (isinstance(made, int) or _same(held, made)):
                return k
        if isinstance(made, int):
            self.listings.append(Listing(source, np.arange(sources), np.array([0, sources])))
        else:
            self.listings.append(Listing(source, made.order, made.starts))
        return len(self.listings) - 1

    def _add(self, p: Projection, made: Panels | int) -> None:
        k = self._listing(p.src, made)  # made before
        listing = self.listings[k]
        listing.depth = max(listing.depth, p.delay + 1)
        row = {KIND: GROUPED if isinstance(made, Panels) else made, LIST: k, DELAY: p.delay, EXP: p.exp,
               GRADED: int(p.src in self.graded), PANEL: len(self._panels)}  # fmt: skip
        wrapped = wraps(p, self.reach[p.name])
        if isinstance(made, Panels):
            lonely = _disjoint(made.targets)
            for first, targets, rows in zip(made.starts, made.targets, made.rows, strict=False):
                self._panel(int(first), targets, rows)
        elif made == DENSE:
            lonely = True
            stored = p.weights
            matrix = stored.matrix if isinstance(stored, DenseWeights) else stored.to_dense()
            self._panel(0, np.arange(len(matrix)), matrix.T[listing.order])
        else:
            lonely = self._columns(p.weights, listing.order)
        row |= {PANELS: len(self._panels) - row[PANEL], WRAPS: int(wrapped)}
        # A floor shift is of the whole sum: where a target's parts come one by one, they are summed first.
        row[SUMMED] = int(wrapped or (p.exp < 0 and not lonely))
        self._rows.append(row)

    def _panel(self, first: int, targets: np.ndarray, rows: np.ndarray) -> None:
        run = len(targets) > 0 and bool((np.diff(targets) == 1).all())
        low = int(targets[0]) if run else -1
        rows = rows.astype(np.int16)  # as the plan has checked
        key = rows.tobytes()  # a shared kernel is the same matrix at every joint: held once
        at = self._held.setdefault(key, self._at.get("weights", 0))
        if at == self._at.get("weights", 0):
            self._put("weights", rows.reshape(-1))
        self._panels.append((first, at, len(targets), low, self._put("targets", targets)))

    def _columns(self, weights: Weights, order: np.ndarray) -> bool:
        """Synapses source by source in this order; whether no target has two."""
        starts, targets, values = compressed(weights)
        sizes = np.diff(starts)[order]
        ends = np.concatenate([[0], np.cumsum(sizes)])
        picked = np.repeat(starts[:-1][order] - ends[:-1], sizes) + np.arange(ends[-1])
        at, to = self._put("weights", values[picked].astype(np.int16)), self._put("targets", targets[picked])
        self._panels.append((self._put("starts", ends), at, 0, -1, to))
        return len(np.unique(targets)) == len(targets)

    def _put(self, name: str, values: np.ndarray) -> int:
        """Append to a flat array; where it begins."""
        parts = self._flat[name]
        at = self._at.get(name, 0)
        parts.append(values)
        self._at[name] = at + len(values)
        return at

    def _finish(self) -> None:
        """Flat arrays of the smallest types, places of the lists, the table."""
        weights = np.concatenate([*self._flat["weights"], np.zeros(1, np.int16)])
        small = weights.min() >= -128 and weights.max() <= 127
        self.weights = weights.astype(np.int8 if small else np.int16)
        self.short = np.dtype(np.int16 if small else np.int32)  # sums of a few rows
        most = int(np.iinfo(self.short).max) // max(1, int(weights.max()), -int(weights.min()))
        self.targets = np.concatenate([*self._flat["targets"], np.zeros(1, np.int64)]).astype(np.int32)
        self.starts = np.concatenate([*self._flat["starts"], np.zeros(1, np.int64)]).astype(np.int64)
        self.panels = np.array([*self._panels, (0,) * 5], np.int64)
        lists = fills = 0
        for held in self.listings:
            held.list_at, held.fill_at = lists, fills
            lists += held.depth * self.samples * len(held.order)
            fills += held.depth * self.samples * len(held.starts)
        self.lists, self.fills = np.zeros(max(1, lists), np.int32), np.zeros(max(1, fills), np.int32)
        graded = any(held.source in self.graded for held in self.listings)
        self.values = np.zeros(len(self.lists) if graded else 1, np.int32)
        self.table = np.zeros((len(self._rows), 14), np.int64)
        for r, row in enumerate(self._rows):
            held = self.listings[row[LIST]]
            row |= {LIST: held.list_at, FILL: held.fill_at, SOURCES: len(held.order),
                    FILLS: len(held.starts), DEPTH: held.depth, MOST: most}  # fmt: skip
            self.table[r, list(row)] = list(row.values())
        del self._flat, self._rows, self._panels, self._held


def _same(held: Listing, made: Panels) -> bool:
    return np.array_equal(held.order, made.order) and np.array_equal(held.starts, made.starts)


def _disjoint(parts: list[np.ndarray]) -> bool:
    reached = np.concatenate([*parts, np.empty(0, np.int64)])
    return len(np.unique(reached)) == len(reached)
