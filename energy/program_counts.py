"""Counts of a program: every projection is a line (synaptic events), every population of neurons is one.

A spike of the source at aligned step t passes all synapses of its neuron if it arrives within the run,
t + delay < T. Dense projections hold every synapse, zeros too; sparse ones hold the stored ones; convolutions
share a kernel and end at the border.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from convert.ir import ConvWeights, DenseWeights, Input, Program, Projection, SparseWeights, Unsupported
from energy.ends import program_heads
from energy.fanout import Fanout, conv_fanout
from energy.line import Counts, Line, Options, Role
from energy.operand import check_raster, input_class, neuron_class, one_run
from energy.synapses import synaptic_line
from energy.tensor import Tensor
from energy.updates import neuron_ops


class ProgramCounter:
    """Counts batches of one program; out-degrees are made once per number of steps."""

    def __init__(self, program: Program, options: Options) -> None:
        self._program, self._options = program, options
        self._heads = program_heads(program)
        self._fans: dict[tuple[str, int], Fanout] = {}
        self.rasters: tuple[str, ...] = tuple(
            n for n, p in program.populations.items() if isinstance(p.model, Input) or p.model.spiking
        )

    def count(self, rasters: Mapping[str, np.ndarray]) -> Counts:
        """Counts of one batch; rasters: population -> [T, N, *shape] or [T, N, size], in aligned steps."""
        tensors = {name: self._tensor(name, rasters) for name in self.rasters}
        run = one_run({n: x.values.shape[:2] for n, x in tensors.items()})
        lines = [self._projection(p, tensors, run) for p in self._program.projections]
        lines += [self._population(name, tensors, run) for name in self._program.neurons()]
        return Counts(tuple(lines), run[1], run[0], self._options)

    def _tensor(self, name: str, rasters: Mapping[str, np.ndarray]) -> Tensor:
        population = self._program.populations[name]
        model = population.model
        cls = input_class(model) if isinstance(model, Input) else neuron_class(model)
        values = check_raster(name, rasters.get(name), (population.size,), cls)
        return Tensor(values, np.full(values.shape[1], cls, np.int8))

    def _projection(self, p: Projection, tensors: Mapping[str, Tensor], run: tuple[int, int]) -> Line:
        if p.src not in tensors:
            raise Unsupported(p.name, f"its source {p.src} does not spike", "read it out instead")
        if (p.name, run[0]) not in self._fans:
            self._fans[p.name, run[0]] = _arriving(_degrees(p, run[0]), p.delay, run[0])
        source, target = (self._program.populations[n] for n in (p.src, p.dst))
        spikes = source.message in ("binary", "ternary")
        role = Role(spikes, first=isinstance(source.model, Input), head=p.name in self._heads)
        where = (p.name, f"Projection[{type(p.weights).__name__}]", source.shape, target.shape)
        return synaptic_line(where, self._fans[p.name, run[0]], tensors[p.src], run, self._options, role)

    def _population(self, name: str, tensors: Mapping[str, Tensor], run: tuple[int, int]) -> Line:
        population = self._program.populations[name]
        ops = neuron_ops(population.model, population.size)
        counts = {field: np.full(run[1], n * run[0], np.int64) for field, n in ops.items()}
        by_step = {"spikes_out": tensors[name].events_by_step} if name in tensors else None
        if by_step is not None:
            counts["spikes_out"] = by_step["spikes_out"].sum(axis=1)
        kind, shape = type(population.model).__name__, population.shape
        return Line(name, kind, shape, shape, counts, by_step=by_step)


def _degrees(p: Projection, steps: int) -> Fanout:
    """Out-degree of every source neuron."""
    w = p.weights
    if isinstance(w, ConvWeights):
        return conv_fanout(
            w.kernel, w.in_shape, w.out_shape, w.stride, w.padding, w.dilation, w.groups, steps
        )  # fmt: skip
    if isinstance(w, SparseWeights):
        degree = np.diff(w.starts)
        upto = np.concatenate([[0], np.cumsum(w.values != 0, dtype=np.int64)])
        return Fanout(steps * len(w.rows), degree[None], (upto[w.starts[1:]] - upto[w.starts[:-1]])[None])
    if isinstance(w, DenseWeights):
        out, size = w.shape
        nonzero = np.count_nonzero(w.matrix, axis=0).astype(np.int64)
        return Fanout(steps * out * size, np.full((1, size), out, np.int64), nonzero[None])
    raise Unsupported(p.name, f"no fan-out rule for {type(w).__name__}", "add one beside the three others")


def _arriving(fan: Fanout, delay: int, steps: int) -> Fanout:
    """The same map, zero for spikes that would arrive after the last step."""
    if delay == 0:
        return fan
    in_time = (np.arange(steps, dtype=np.int64) + delay < steps)[:, None]
    return Fanout(fan.dense, fan.synapses * in_time, fan.nonzero * in_time)
