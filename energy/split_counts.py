"""Counts of a model in two parts: the chip's events, and the dense arithmetic of the CPU behind them.

A CPU does not skip zeros: each line of the host part counts one MAC of real operands for every weight inside
the borders and every step, whatever the values; zeros of a fixed map's matrix are left out, as they are in
memory. Its lines carry the place 'cpu'. They have no synaptic operations: those are the chip's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from convert.ir import Graph, Neuron, Product, Program, SpikeMatMul, steps
from energy.counts import counter
from energy.ends import heads
from energy.fanout import fanout, weighted
from energy.line import Counts, Line, Options, Uncounted
from energy.operand import REAL
from energy.updates import updates


class SplitCounter:
    """Counts batches of a chip part (graph or program) and the host part behind it."""

    def __init__(self, chip: Graph | Program, host: Graph, options: Options | None = None) -> None:
        self._chip, self._host = counter(chip, options), host
        self._heads = heads(host)
        self.rasters: tuple[str, ...] = tuple(dict.fromkeys((*self._chip.rasters, *host.spiking())))

    def count(self, rasters: Mapping[str, np.ndarray]) -> Counts:
        """Counts of one batch."""
        chip = self._chip.count(rasters)
        before = [replace(line, head=line.head and not self._heads) for line in chip.lines]
        lines, missing = [], []
        lengths = steps(self._host, chip.steps)
        for name, node, _ in self._host:
            if weighted(node) or isinstance(node, Product):
                found = self._synaptic(name, lengths, chip.samples)
            else:
                found = self._steady(name, lengths, rasters, chip.samples)
            if found is None:
                share = math.prod(self._host.shapes[name]) / self._values()
                missing.append(Uncounted(name, type(node).__name__, share))
            else:
                lines += found
        return Counts((*before, *lines), chip.samples, chip.steps, chip.options, (*chip.uncounted, *missing))

    def _values(self) -> int:
        return sum(math.prod(s) for n, s in self._host.shapes.items() if n not in self._host.sources())

    def _synaptic(self, name: str, lengths: Mapping[str, int], samples: int) -> list[Line]:
        node, source = self._host.nodes[name], self._host.inputs_of(name)[0]
        in_shape, out_shape = self._host.shapes[source], self._host.shapes[name]
        stages = self._stages(name, lengths[source])
        bias = lengths[name] * math.prod(out_shape) if getattr(node, "bias", None) is not None else 0
        lines = []
        for item, dense, inbounds in stages:
            numbers = {
                "dense_mac": dense, "dense_mac_inbounds": inbounds, "mac": inbounds,
                "bias_adds": bias if item == stages[-1][0] else 0,
            }  # fmt: skip
            counts = {field: np.full(samples, n, np.int64) for field, n in numbers.items()}
            one = np.ones(samples)
            measures = {"firing_rate": one, "mean_value": one * np.nan, "sop_paper": one * dense}
            lines.append(Line(
                name, type(node).__name__, in_shape, out_shape, counts, item,
                np.full(samples, REAL, np.int8), measures, assumed_dense=True, place="cpu",
                head=name in self._heads, steps=lengths[source],
            ))  # fmt: skip
        return lines

    def _stages(self, name: str, steps: int) -> list[tuple[str, int, int]]:
        """(name of the stage, MACs of the run, of them inside the borders)."""
        node, shape = self._host.nodes[name], self._host.shapes[self._host.inputs_of(name)[0]]
        if isinstance(node, Product):
            pairs = steps * math.prod(self._host.shapes[name])
            pairs *= shape[-1] if isinstance(node, SpikeMatMul) else 1
            return [("", pairs, pairs)]
        return [(fan.item, fan.dense, fan.inbounds(steps)) for fan in fanout(node, shape, steps)]

    def _steady(
        self, name: str, lengths: Mapping[str, int], rasters: Mapping[str, np.ndarray], samples: int
    ) -> list[Line] | None:
        node, out_shape = self._host.nodes[name], self._host.shapes[name]
        in_shapes = tuple(self._host.shapes[i] for i in self._host.inputs_of(name))
        ops = updates(node, in_shapes, out_shape)
        if ops is None:
            return None
        counts = {field: np.full(samples, n * lengths[name], np.int64) for field, n in ops.items()}
        by_step = None
        if isinstance(node, Neuron) and node.spiking:
            events = np.reshape(rasters[name], (lengths[name], samples, -1))
            by_step = {"spikes_out": np.count_nonzero(events, axis=2).T.astype(np.int64)}
            counts["spikes_out"] = by_step["spikes_out"].sum(axis=1)
        shape, kind = in_shapes[0] if in_shapes else out_shape, type(node).__name__
        line = Line(name, kind, shape, out_shape, counts, place="cpu", by_step=by_step)
        return [line] if counts else []
