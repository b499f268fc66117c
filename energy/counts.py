"""Graph or program, and rasters -> counts per line and sample. Facts, no joules.

Counting is per sample and per batch: memory is that of one batch, and batches may be cut anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from convert.ir import Graph, Neuron, Product, Program
from energy.attention import Attention, attentions
from energy.ends import first_layers, heads
from energy.fanout import Fanout, fanout, weighted
from energy.line import Counts, Line, Options, Role, Uncounted
from energy.operand import Operands, plan
from energy.pools import POOLS
from energy.products import COUNTED, product_line
from energy.program_counts import ProgramCounter
from energy.synapses import synaptic_line
from energy.updates import updates


def counter(model: Graph | Program, options: Options | None = None) -> GraphCounter | ProgramCounter:
    """The counter of a graph or program: `.rasters` to ask the target for, `.count(rasters)` per batch."""
    chosen = options or Options()
    return ProgramCounter(model, chosen) if isinstance(model, Program) else GraphCounter(model, chosen)


def count(graph: Graph, rasters: Mapping[str, np.ndarray], options: Options | None = None) -> Counts:
    """Counts of one batch; rasters: name -> [T, N, *shape] of every input (as encoded) and spiking node."""
    return GraphCounter(graph, options or Options()).count(rasters)


def count_program(
    program: Program, rasters: Mapping[str, np.ndarray], options: Options | None = None
) -> Counts:
    """The same for a program: one line a projection, one a population."""
    return ProgramCounter(program, options or Options()).count(rasters)


class GraphCounter:
    """Counts batches of one graph; fan-out maps are made once per number of steps."""

    def __init__(self, graph: Graph, options: Options) -> None:
        self._graph, self._options = graph, options
        self._plan = plan(graph, options.fold_pool)
        self._first, self._heads = first_layers(graph), heads(graph)
        self._attentions = attentions(graph)
        # What a node is, asked once and not for every batch.
        self._weighted = {n for n, node in graph.nodes.items() if weighted(node)}
        self._products = {n: node for n, node in graph.nodes.items() if isinstance(node, COUNTED)}
        self._firing = set(graph.spiking())
        self._read = {  # products whose values more than neurons need
            n
            for n in self._products
            if any(not isinstance(graph.nodes[u], Neuron) for u in graph.users_of(n))
        }
        self._lengths: dict[int, Mapping[str, int]] = {}
        self._fans: dict[tuple[str, int], tuple[Fanout, ...]] = {}
        self._still: dict[tuple[str, int, int], Line | None] = {}
        sources = set(graph.sources())
        self._values = sum(math.prod(s) for n, s in graph.shapes.items() if n not in sources)
        self.rasters: tuple[str, ...] = (*graph.sources(), *graph.spiking())

    def count(self, rasters: Mapping[str, np.ndarray]) -> Counts:
        """Counts of one batch."""
        operands = Operands(self._graph, rasters, self._plan, self._lengths)
        if any(samples != operands.samples for _, samples, _ in self._still):
            self._still.clear()  # those of one size of batch are kept
        lines: list[Line] = []
        missing: list[str] = []
        for name, _, inputs in self._graph:
            if name in self._weighted:
                lines += self._synaptic(name, operands)
            elif (product := self._products.get(name)) is not None:
                lines.append(self._product(name, product, inputs, operands))
            elif (line := self._steady(name, inputs, operands)) is None:
                missing.append(name)
            elif line.counts:
                lines.append(line)
        return Counts(tuple(lines), operands.samples, operands.steps, self._options, self._uncounted(missing))

    def _synaptic(self, name: str, operands: Operands) -> list[Line]:
        node, source = self._graph.nodes[name], self._graph.inputs_of(name)[0]
        in_shape, out_shape = self._graph.shapes[source], self._graph.shapes[name]
        steps, samples = operands.lengths[source], operands.samples
        if (name, steps) not in self._fans:
            self._fans[name, steps] = fanout(node, in_shape, steps)
        bias = operands.lengths[name] * math.prod(out_shape) if getattr(node, "bias", None) is not None else 0
        where = (name, type(node).__name__, in_shape, out_shape)
        fans = self._fans[name, steps]
        return [
            synaptic_line(
                where, fan, operands[source], (steps, samples), self._options, self._role(name, (source,)),
                bias if fan is fans[-1] else 0,
            )
            for fan in fans
        ]  # fmt: skip

    def _product(self, name: str, node: Product, inputs: tuple[str, ...], operands: Operands) -> Line:
        left, right = inputs
        known = self._graph.shapes
        shapes = (known[left], known[right], known[name])
        run, role = (operands.lengths[left], operands.samples), self._role(name, inputs)
        made = operands[name] if name in self._read else None  # its values hold the pairs of spikes too
        line = product_line((name, node), shapes, (operands[left], operands[right], made), run, role)
        for pair in self._attentions:
            if name in (pair.scores, pair.mixed):
                return replace(
                    line, recounts={**(line.recounts or {}), "pairs_kv": _pairs(pair, name, operands)}
                )
        return line

    def _role(self, name: str, inputs: tuple[str, ...]) -> Role:
        spikes, sums = set(inputs) <= self._plan.spikes, not self._plan.sums.isdisjoint(inputs)
        return Role(spikes, spikes and sums, name in self._first, name in self._heads)

    def _steady(self, name: str, inputs: tuple[str, ...], operands: Operands) -> Line | None:
        """The line of a node whose work does not depend on its input; None if no rule knows it."""
        key = (name, operands.samples, operands.lengths[name])
        if key not in self._still:
            self._still[key] = self._work(*key, inputs)
        line = self._still[key]
        if line is not None and name in self._firing:
            by_step = operands[name].events_by_step
            spikes = {"spikes_out": by_step.sum(axis=1)}
            return replace(line, counts={**line.counts, **spikes}, by_step={"spikes_out": by_step})
        return line

    def _work(self, name: str, samples: int, length: int, inputs: tuple[str, ...]) -> Line | None:
        """The line of what the node does whatever its input is: the same in batches of one size."""
        node, out_shape = self._graph.nodes[name], self._graph.shapes[name]
        in_shapes = tuple(self._graph.shapes[i] for i in inputs)
        ops = updates(node, in_shapes, out_shape)
        if ops is None:
            return None
        folded = isinstance(node, POOLS) and name in self._plan.folded
        steps = 0 if folded else length  # folded: the synapses behind do the work
        counts = {field: np.full(samples, n * steps, np.int64) for field, n in ops.items()}
        in_shape = in_shapes[0] if in_shapes else out_shape
        return Line(name, type(node).__name__, in_shape, out_shape, counts, folded=folded)

    def _uncounted(self, missing: list[str]) -> tuple[Uncounted, ...]:
        shapes, nodes = self._graph.shapes, self._graph.nodes
        shares = {n: math.prod(shapes[n]) / max(self._values, 1) for n in missing}
        return tuple(Uncounted(n, type(nodes[n]).__name__, share) for n, share in shares.items())


def _pairs(pair: Attention, name: str, operands: Operands) -> np.ndarray:
    """int64 [N]: all of a pair's operations at its second product, none at its first."""
    if name == pair.scores:
        return np.zeros(operands.samples, np.int64)
    q, k, v = (_active(operands, n) for n in (pair.q, pair.k, pair.v))
    return q * pair.d_v + np.minimum(k * pair.d_v, v * pair.d)


def _active(operands: Operands, name: str) -> np.ndarray:
    """int64 [N]: non-zero values of a node over all steps; every one where they were not computed."""
    x = operands[name]
    if not x.known:
        return np.full(operands.samples, operands.lengths[name] * operands.size(name), np.int64)
    return x.events_by_step.sum(axis=1)
