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
    Repeat2d, MaxPool2d                  as their input: the largest of spikes is a spike
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
from typing import Any

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
    LinearNode,
    MaxPool2d,
    Neuron,
    Node,
    Permute,
    Product,
    Repeat2d,
    Reshape,
    Shape,
    Slice,
    SpikeAnd,
    SpikeMatMul,
    WindowNode,
    steps,
)
from energy import tally
from energy.fanout import weighted
from energy.pools import POOLS, largest, mean, overlaps, route
from energy.tensor import BINARY, CLASSES, INTEGER, REAL, TERNARY, Tensor

_SPIKES = {BINARY: (0, 1), TERNARY: (-1, 1)}  # the values of a spike
_MOVES = (Reshape, Permute, Delay, Concat, Slice, Repeat2d, MaxPool2d)  # keep the class of their input


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
    for name in reversed(tuple(graph.nodes)):
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


def neuron_class(node: Node) -> int:
    """Class of what a spiking node sends: its messages', or spikes."""
    return {"binary": BINARY, "ternary": TERNARY, "graded": INTEGER}[getattr(node, "message", "binary")]


def input_class(node: Input) -> int:
    """Class of what an Input lets in."""
    if node.operand == "graded":
        return TERNARY if node.limit == 1 else INTEGER
    return BINARY if node.operand == "binary" else REAL


def check_raster(name: str, raster: np.ndarray | None, shape: Shape, cls: int) -> np.ndarray:
    """raster as [T, N, *shape], if it is one and its values fit the class its producer declares."""
    size = math.prod(shape)
    if raster is None:
        raise BadInput(
            f"{name}: no raster; counting needs all its steps, ask the target for rasters={name!r}"
        )
    if raster.ndim < 2 or 0 in raster.shape[:2] or math.prod(raster.shape[2:]) != size:
        raise BadInput(f"{name}: raster {raster.shape}, expected (steps, samples, ...), {size} values a step")
    found = raster.reshape(*raster.shape[:2], *shape)
    if cls == REAL:
        if not np.isfinite(found).all():
            raise BadInput(f"{name}: raster holds NaN or infinity; expected finite values, mend the input")
        return found
    if found.dtype.kind not in "iub":
        raise BadInput(f"{name}: raster of {found.dtype}, expected integers; pass encoded values")
    if (allowed := _SPIKES.get(cls)) is not None:
        (low, high), (least, most) = tally.peaks(found), allowed
        if low < least or high > most:
            seen, want = f"{found.min()}..{found.max()}", f"{least}..{most} ({CLASSES[cls]})"
            raise BadInput(f"{name}: raster values {seen}, expected {want}; pass its spikes")
    return found


class Operands:
    """The tensors of one batch, computed from the rasters on demand by Add, Reshape, Delay and means only."""

    def __init__(
        self,
        graph: Graph,
        rasters: Mapping[str, np.ndarray],
        plan: Plan,
        lengths: dict[int, Mapping[str, int]] | None = None,
    ) -> None:
        """lengths: steps of a run -> those of every node, kept from batch to batch."""
        self._lengths = {} if lengths is None else lengths
        self._graph, self._plan = graph, plan
        self._tensors: dict[str, Tensor] = {}
        self._given = rasters  # a target may have products at hand
        self.steps, self.samples = self._read(rasters)

    def _read(self, rasters: Mapping[str, np.ndarray]) -> tuple[int, int]:
        """(T, N) of the run; `lengths` gets the steps of every node, others than T behind a window node."""
        runs: dict[str, tuple[int, int]] = {}
        for name in (*self._graph.sources(), *self._graph.spiking()):
            node = self._graph.nodes[name]
            cls = input_class(node) if isinstance(node, Input) else neuron_class(node)
            values = check_raster(name, rasters.get(name), self._graph.shapes[name], cls)
            runs[name] = values.shape[:2]
            self._tensors[name] = Tensor(values, np.full(values.shape[1], cls, np.int8))
            if isinstance(node, Neuron):
                _ = self._tensors[name].events_by_step  # needed in any case: now the cache holds the values
        run = one_run({n: runs[n] for n in self._graph.sources()})
        if run[0] not in self._lengths:
            self._lengths[run[0]] = steps(self._graph, run[0])
        self.lengths = self._lengths[run[0]]
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
            return _reshaped(self[inputs[0]], self._graph.shapes[name])
        if isinstance(node, Permute):
            return _permuted(self[inputs[0]], node, self._graph.shapes[inputs[0]])
        if isinstance(node, Delay):
            return _delayed(self[inputs[0]], node.steps)
        if isinstance(node, Slice):
            return _sliced(self[inputs[0]], node)
        if isinstance(node, Repeat2d | MaxPool2d):
            return _imaged(self[inputs[0]], node)
        if isinstance(node, Concat):
            return _joined([self[i] for i in inputs])
        if isinstance(node, Product):
            return _product(node, self[inputs[0]], self[inputs[1]], self._given.get(name))
        if isinstance(node, Add):
            return _sum([self[i] for i in inputs])
        if isinstance(node, POOLS):
            return self._pooled(name, node, self[inputs[0]])
        unknown = INTEGER if self._graph.stage == "integer" else REAL
        return Tensor(None, np.full(self.samples, unknown, np.int8))

    def _pooled(self, name: str, node: LinearNode, x: Tensor) -> Tensor:
        in_shape = self._graph.shapes[self._graph.inputs_of(name)[0]]
        if name in self._plan.folded:
            step = route(node, in_shape)
            way = step if x.route is None else np.where(x.route < 0, -1, step[x.route])
            return x.moved(route=way)
        values = mean(node, x.values) if x.known else None
        return Tensor(values, np.full(self.samples, REAL, np.int8))


def one_run(runs: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """(T, N) that all rasters share; BadInput naming the first that differs."""
    first, run = next(iter(runs.items()))
    for name, other in runs.items():
        if other != run:
            raise BadInput(f"{name}: {other} steps and samples, expected {run} as {first}; run them as one")
    return run


def _reshaped(x: Tensor, shape: Shape) -> Tensor:
    if x.route is not None:  # flat positions stay
        return x
    return x.moved(lambda values: values.reshape(*values.shape[:2], *shape))


def _permuted(x: Tensor, node: Permute, shape: Shape) -> Tensor:
    if x.route is not None:  # a folded pool lies before: its windows move
        source = np.arange(math.prod(shape)).reshape(shape).transpose(node.axes).reshape(-1)
        place = np.argsort(source)
        return x.moved(route=np.where(x.route < 0, -1, place[x.route]))
    return x.moved(lambda values: values.transpose(0, 1, *(axis + 2 for axis in node.axes)))


def _product(node: Product, a: Tensor, b: Tensor, given: np.ndarray | None) -> Tensor:
    """given: the values, where the target has them."""
    classes = np.maximum(a.classes, b.classes)
    if isinstance(node, SpikeMatMul):  # sums
        classes = np.where(classes == REAL, REAL, INTEGER).astype(np.int8)
    if not (a.known and b.known):
        return Tensor(None, classes)
    if given is not None:
        return Tensor(given, classes)
    return Tensor(_multiplied(node, *(x.events if x.spikes else x.values for x in (a, b))), classes)


def _multiplied(node: Product, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The product of values [T, N, *shape]; exact where both are integers."""
    if isinstance(node, SpikeAnd) and a.dtype == b.dtype == np.bool_:
        return (a & b).view(np.uint8)
    exact: np.dtype[Any] = np.dtype(np.float64)
    kind: type[np.floating[Any]] = np.float64
    if a.dtype.kind in "iub" and b.dtype.kind in "iub":
        (low, high), (least, most) = tally.peaks(a), tally.peaks(b)
        reach = max(-low, high) * max(-least, most) * (a.shape[-1] if isinstance(node, SpikeMatMul) else 1)
        exact, kind = tally.whole(-reach if min(low, least) < 0 else 0, reach), tally.holding(reach)
    left, right = a.astype(kind), b.astype(kind)  # products of floats are the fast ones
    return (left @ right if isinstance(node, SpikeMatMul) else left * right).astype(exact)


def _delayed(x: Tensor, steps: int) -> Tensor:
    if not x.known or steps == 0:
        return x
    values = np.zeros_like(x.values)
    values[steps:] = x.values[:-steps]
    return Tensor(values, x.classes, x.route)


def _sliced(x: Tensor, node: Slice) -> Tensor:
    """Folded pools never lie before: `plan` folds none that a Slice or a Concat reads."""
    return Tensor(x.values[:, :, node.start : node.stop] if x.known else None, x.classes)


def _imaged(x: Tensor, node: Repeat2d | MaxPool2d) -> Tensor:
    """Nor do they lie before these."""
    if not x.known:
        return Tensor(None, x.classes)
    if isinstance(node, MaxPool2d):
        return Tensor(largest(node, x.values), x.classes)
    return Tensor(x.values.repeat(node.times[0], axis=3).repeat(node.times[1], axis=4), x.classes)


def _joined(parts: list[Tensor]) -> Tensor:
    classes = np.stack([x.classes for x in parts]).max(axis=0)
    if not all(x.known for x in parts):
        return Tensor(None, classes)
    return Tensor(np.concatenate([x.values for x in parts], axis=2), classes)


def _sum(addends: list[Tensor]) -> Tensor:
    classes = np.stack([x.classes for x in addends]).max(axis=0)
    base = np.where(classes == REAL, REAL, INTEGER).astype(np.int8)
    if not all(x.known for x in addends):
        return Tensor(None, base)
    kind: np.dtype[Any] = np.dtype(np.float64)
    if all(x.values.dtype.kind in "iub" for x in addends):
        ends = [tally.peaks(x.values) for x in addends]
        kind = tally.whole(sum(least for least, _ in ends), sum(most for _, most in ends))
    values = addends[0].values.astype(kind)
    for x in addends[1:]:
        np.add(values, x.values, out=values, casting="unsafe")  # whole numbers that `kind` holds
    sizes = Tensor(values if kind.kind == "u" else np.abs(values), base)
    peak = sizes.kept.max(axis=2, initial=0).max(axis=0)
    alone = (classes <= TERNARY) & (peak == 1)  # peak 0: silent, nothing to be read from it
    return Tensor(values, np.where(alone, classes, base).astype(np.int8))
