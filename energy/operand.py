"""What kind of number flows on each edge of a graph, per sample: the operand class.

    binary   {0, 1}       spikes: a synapse is one addition (AC)
    ternary  {-1, 0, 1}   signed spikes: one addition or subtraction (AC)
    integer  graded spikes, sums of spikes, weighted integers (MAC)
    real     everything else (MAC)

The class is inherited from the producer and never guessed from the values; an all-zero tensor has the class
of what made it. Rules, by structure:

    spiking neuron                       binary, ternary or integer: as its messages are
    Input binary | graded | real         binary | integer (ternary where its limit is 1) | real
    Reshape, Permute, Delay, Slice       as their input
    Concat                               the widest class of its inputs
    SpikeAnd                             the wider class of its operands
    SpikeMatMul                          real if an operand is real, else integer: a count
    Add                                  real if any addend is real, else integer
    AvgPool2d, JointMean                 as their input where folded into the weights (`plan`), else real
    all other nodes                      integer in an integer graph, else real; their values are not computed

One refinement per sample, downward only: an Add whose addends are all spikes (binary or ternary) in this
sample, and whose sums all stay within -1..1 with at least one of them not zero, is itself a spike tensor in
this sample: no two spikes met. It takes the widest class of its addends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convert.ir import (
    Add,
    BadInput,
    ChannelScale,
    Concat,
    Delay,
    Graph,
    GraphConv,
    Input,
    Neuron,
    Node,
    Permute,
    Product,
    Reshape,
    Shape,
    Slice,
    SpikeMatMul,
    WindowNode,
    steps,
)
from energy import tally
from energy.fanout import weighted
from energy.pools import POOLS, mean, overlaps, route

_MOVES = (Reshape, Permute, Delay, Concat, Slice)
CLASSES = ("binary", "ternary", "integer", "real")
BINARY, TERNARY, INTEGER, REAL = range(4)


@dataclass(frozen=True, eq=False)
class Tensor:
    """The values on one edge, flat, with their class per sample.

    values: [T, N, P], or None where they were not computed (then every value counts as non-zero).
    classes: int8 [N], indices into CLASSES.  route: int64 [P] to the flat positions of the consumer's input
    where a folded pool lies between (-1: dropped), None where values are the input itself.
    """

    values: np.ndarray | None
    classes: np.ndarray
    route: np.ndarray | None = None

    @cached_property
    def kept(self) -> np.ndarray | None:
        """`values`, less the positions that a folded pool drops."""
        if self.values is None or self.route is None or (self.route >= 0).all():
            return self.values
        return self.values[:, :, self.route >= 0]

    @cached_property
    def events(self) -> np.ndarray:
        """bool [T, N, P]: value is not zero."""
        if self.values.dtype == np.uint8 and (self.classes == BINARY).all():
            return self.values.view(np.bool_)
        return self.values != 0

    @cached_property
    def events_by_step(self) -> np.ndarray:
        """int64 [N, T]: non-zero values of each step."""
        return tally.nonzero(self.events)

    @cached_property
    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """(sum |x|, sum x) over the kept values of all steps, [N]: int64 of integers, float64 of reals."""
        kept = self.kept
        if (self.classes == BINARY).all():  # ones and zeros
            found = self.events_by_step if kept is self.values else tally.nonzero(kept != 0)
            return found.sum(axis=1), found.sum(axis=1)
        if kept.dtype.kind in "iub":
            total = tally.totals(kept)
            return (tally.totals(tally.sizes(kept)) if tally.peaks(kept)[0] < 0 else total), total
        rows = np.ascontiguousarray(np.moveaxis(kept, 1, 0)).reshape(kept.shape[1], -1)
        # Of rows: the same in every batch.
        return np.abs(rows).sum(axis=1, dtype=np.float64), rows.sum(axis=1, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Plan:
    """What follows from the graph alone.

    folded: pools and means taken into the weights behind them.  spikes: nodes whose values are spikes, or
    sums and means of spikes: what the papers count as spiking input.  sums: of these, sums and counts.
    """

    folded: frozenset[str]
    spikes: frozenset[str]
    sums: frozenset[str] = frozenset()


def plan(graph: Graph, fold_pool: bool) -> Plan:
    """Decide folding. A pool folds if it has no overlapping windows, carries spikes or their sums, is no
    output, and every user is a weighted node or a Reshape, Delay or pool of which the same holds. GraphConv
    and ChannelScale do not count as weighted here: what follows their first product needs real values."""
    absorbed: dict[str, bool] = {}
    for name in reversed(graph.nodes):
        users = graph.users_of(name)
        free = name not in graph.outputs and bool(users)
        absorbed[name] = free and all(_absorbs(graph.nodes[u], absorbed[u]) for u in users)
    spikes: set[str] = set()
    sums: set[str] = set()
    folded: set[str] = set()
    discrete: set[str] = set()
    for name, node, inputs in graph:
        below = bool(inputs) and all(i in spikes for i in inputs)
        known = bool(inputs) and all(i in discrete for i in inputs)
        if isinstance(node, POOLS) and fold_pool and known and absorbed[name] and not overlaps(node):
            folded.add(name)
            discrete.add(name)
        if isinstance(node, (*_MOVES, Add, Product)) and known:
            discrete.add(name)
        if _discrete_source(node):
            discrete.add(name)
        if _spike_source(node) or (below and isinstance(node, (*_MOVES, Add, Product, *POOLS))):
            spikes.add(name)
            counting = isinstance(node, Add | SpikeMatMul) or any(i in sums for i in inputs)
            counting = counting and not _spike_source(node)  # a neuron on a sum gives spikes
            if counting and not (isinstance(node, POOLS) and name not in folded):  # a mean is no whole number
                sums.add(name)
    return Plan(frozenset(folded), frozenset(spikes), frozenset(sums))


def _absorbs(user: Node, absorbed: bool) -> bool:
    if isinstance(user, (Reshape, Permute, Delay, *POOLS)):
        return absorbed and not (isinstance(user, POOLS) and overlaps(user))
    return weighted(user) and not isinstance(user, GraphConv | ChannelScale | WindowNode)


def _spike_source(node: Node) -> bool:
    spiking = isinstance(node, Neuron) and node.spiking and neuron_class(node) != INTEGER
    return spiking or (isinstance(node, Input) and node.operand == "binary")


def _discrete_source(node: Node) -> bool:
    graded = isinstance(node, Input) and node.operand == "graded"
    return _spike_source(node) or graded or (isinstance(node, Neuron) and node.spiking)


def neuron_class(node: Neuron) -> int:
    """Class of what a spiking neuron sends; float neurons send spikes."""
    return {"binary": BINARY, "ternary": TERNARY, "graded": INTEGER}[getattr(node, "message", "binary")]


def input_class(node: Input) -> int:
    """Class of what an Input lets in."""
    if node.operand == "graded":
        return TERNARY if node.limit == 1 else INTEGER
    return BINARY if node.operand == "binary" else REAL


def check_raster(name: str, raster: np.ndarray | None, size: int, cls: int) -> np.ndarray:
    """raster as [T, N, size], if it is one and its values fit the class its producer declares."""
    if raster is None:
        raise BadInput(
            f"{name}: no raster; counting needs all its steps, ask the target for rasters={name!r}"
        )
    if raster.ndim < 2 or 0 in raster.shape[:2] or math.prod(raster.shape[2:]) != size:
        raise BadInput(f"{name}: raster {raster.shape}, expected (steps, samples, ...), {size} values a step")
    flat = raster.reshape(*raster.shape[:2], size)
    if cls == REAL:
        if not np.isfinite(flat).all():
            raise BadInput(f"{name}: raster holds NaN or infinity; expected finite values, mend the input")
        return flat
    if flat.dtype.kind not in "iub":
        raise BadInput(f"{name}: raster of {flat.dtype}, expected integers; pass encoded values")
    low, high = {BINARY: (0, 1), TERNARY: (-1, 1)}.get(cls, (None, None))
    if low is not None and flat.size and (flat.min() < low or flat.max() > high):
        found, want = f"{flat.min()}..{flat.max()}", f"{low}..{high} ({CLASSES[cls]})"
        raise BadInput(f"{name}: raster values {found}, expected {want}; pass its spikes")
    return flat


class Operands:
    """The tensors of one batch, computed from the rasters on demand by Add, Reshape, Delay and means only."""

    def __init__(self, graph: Graph, rasters: Mapping[str, np.ndarray], plan: Plan) -> None:
        self._graph, self._plan = graph, plan
        self._tensors: dict[str, Tensor] = {}
        self.steps, self.samples = self._read(rasters)

    def _read(self, rasters: Mapping[str, np.ndarray]) -> tuple[int, int]:
        """(T, N) of the run; `lengths` gets the steps of every node, others than T behind a window node."""
        runs: dict[str, tuple[int, int]] = {}
        for name in (*self._graph.sources(), *self._graph.spiking()):
            node = self._graph.nodes[name]
            cls = input_class(node) if isinstance(node, Input) else neuron_class(node)  # type: ignore[arg-type]
            values = check_raster(name, rasters.get(name), math.prod(self._graph.shapes[name]), cls)
            runs[name] = values.shape[:2]
            self._tensors[name] = Tensor(values, np.full(values.shape[1], cls, np.int8))
        run = one_run({n: runs[n] for n in self._graph.sources()})
        self.lengths = steps(self._graph, run[0])
        for name, found in runs.items():
            if found != (want := (self.lengths[name], run[1])):
                raise BadInput(f"{name}: {found} steps and samples, expected {want}; run them as one")
        return run

    def size(self, name: str) -> int:
        """Values of a node at one step."""
        return math.prod(self._graph.shapes[name])

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._tensors:
            self._tensors[name] = self._compute(name)
        return self._tensors[name]

    def _compute(self, name: str) -> Tensor:
        node, inputs = self._graph.nodes[name], self._graph.inputs_of(name)
        if isinstance(node, Reshape):
            return self[inputs[0]]
        if isinstance(node, Permute):
            return _permuted(self[inputs[0]], node, self._graph.shapes[inputs[0]])
        if isinstance(node, Delay):
            return _delayed(self[inputs[0]], node.steps)
        if isinstance(node, Slice):
            return _sliced(self[inputs[0]], node, self._graph.shapes[inputs[0]])
        if isinstance(node, Concat):
            return _joined([self[i] for i in inputs])
        if isinstance(node, Product):
            shapes = tuple(self._graph.shapes[i] for i in inputs)
            return _product(node, shapes, self[inputs[0]], self[inputs[1]])
        if isinstance(node, Add):
            return _sum([self[i] for i in inputs])
        if isinstance(node, POOLS):
            return self._pooled(name, self[inputs[0]])
        unknown = INTEGER if self._graph.stage == "integer" else REAL
        return Tensor(None, np.full(self.samples, unknown, np.int8))

    def _pooled(self, name: str, x: Tensor) -> Tensor:
        node = self._graph.nodes[name]
        in_shape = self._graph.shapes[self._graph.inputs_of(name)[0]]
        if name in self._plan.folded:
            step = route(node, in_shape)
            way = step if x.route is None else np.where(x.route < 0, -1, step[x.route])
            return Tensor(x.values, x.classes, way)
        values = None if x.values is None else mean(node, x.values, in_shape)
        return Tensor(values, np.full(self.samples, REAL, np.int8))


def one_run(runs: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """(T, N) that all rasters share; BadInput naming the first that differs."""
    first, run = next(iter(runs.items()))
    for name, other in runs.items():
        if other != run:
            raise BadInput(f"{name}: {other} steps and samples, expected {run} as {first}; run them as one")
    return run


def _permuted(x: Tensor, node: Permute, shape: Shape) -> Tensor:
    if x.route is not None:  # a folded pool lies before: its windows move
        source = np.arange(math.prod(shape)).reshape(shape).transpose(node.axes).reshape(-1)
        place = np.argsort(source)
        return Tensor(x.values, x.classes, np.where(x.route < 0, -1, place[x.route]))
    if x.values is None:
        return Tensor(None, x.classes)
    lead = x.values.shape[:2]
    moved = x.values.reshape(*lead, *shape).transpose(0, 1, *(axis + 2 for axis in node.axes))
    return Tensor(moved.reshape(*lead, -1), x.classes)


def _product(node: Product, shapes: tuple[Shape, ...], a: Tensor, b: Tensor) -> Tensor:
    classes = np.maximum(a.classes, b.classes)
    if isinstance(node, SpikeMatMul):  # sums
        classes = np.where(classes == REAL, REAL, INTEGER).astype(np.int8)
    if a.values is None or b.values is None:
        return Tensor(None, classes)
    return Tensor(_multiplied(node, shapes, a.values, b.values), classes)


def _multiplied(node: Product, shapes: tuple[Shape, ...], a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The product of flat values [T, N, P] of these shapes, flat again; exact where both are integers."""
    exact, kind, lead = np.dtype(np.float64), np.float64, a.shape[:2]
    if a.dtype.kind in "iub" and b.dtype.kind in "iub":
        reach = max(map(abs, tally.peaks(a))) * max(map(abs, tally.peaks(b)))
        reach *= shapes[0][-1] if isinstance(node, SpikeMatMul) else 1
        exact, kind = tally.whole(-reach, reach), tally.holding(reach)  # the float product is the fast one
    left, right = a.reshape(*lead, *shapes[0]).astype(kind), b.reshape(*lead, *shapes[1]).astype(kind)
    out = left @ right if isinstance(node, SpikeMatMul) else left * right
    return out.reshape(*lead, -1).astype(exact)


def _delayed(x: Tensor, steps: int) -> Tensor:
    if x.values is None or steps == 0:
        return x
    values = np.zeros_like(x.values)
    values[steps:] = x.values[:-steps]
    return Tensor(values, x.classes, x.route)


def _sliced(x: Tensor, node: Slice, shape: Shape) -> Tensor:
    """Folded pools never lie before: `plan` folds none that a Slice or a Concat reads."""
    places = math.prod(shape[1:])
    whole = x.values
    kept = None if whole is None else whole[:, :, node.start * places : node.stop * places]
    return Tensor(kept, x.classes)


def _joined(parts: list[Tensor]) -> Tensor:
    classes = np.stack([x.classes for x in parts]).max(axis=0)
    if any(x.values is None for x in parts):
        return Tensor(None, classes)
    return Tensor(np.concatenate([x.values for x in parts], axis=2), classes)


def _sum(addends: list[Tensor]) -> Tensor:
    classes = np.stack([x.classes for x in addends]).max(axis=0)
    base = np.where(classes == REAL, REAL, INTEGER).astype(np.int8)
    if any(x.values is None for x in addends):
        return Tensor(None, base)
    kind = np.dtype(np.float64)
    if all(x.values.dtype.kind in "iub" for x in addends):
        ends = [tally.peaks(x.values) for x in addends]
        kind = tally.whole(sum(least for least, _ in ends), sum(most for _, most in ends))
    values = addends[0].values.astype(kind)
    for x in addends[1:]:
        np.add(values, x.values, out=values, casting="unsafe")  # whole numbers that `kind` holds
    peak = np.abs(values).max(axis=2, initial=0).max(axis=0)
    alone = (classes <= TERNARY) & (peak == 1)  # peak 0: silent, nothing to be read from it
    return Tensor(values, np.where(alone, classes, base).astype(np.int8))
