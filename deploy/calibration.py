"""Run a float graph on data and note what quantisation needs: peaks and rates."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from convert.ir import Activation, BadInput, Graph, Neuron, Product
from convert.ir.sources import Input
from convert.passes.quantise import Calibration
from convert.passes.sigma_delta import Ranges
from deploy.reference import combined, membrane, values
from deploy.target import check_input


def calibrate(graph: Graph, x: np.ndarray) -> Calibration:
    """Peaks of inputs and neurons, mean values of these and of products, over x [T, N, *shape], in float."""
    check_input(x, graph.shapes[graph.input()])
    got: dict[str, np.ndarray] = {}
    peak: dict[str, float] = {}
    rate: dict[str, np.ndarray] = {}
    for name, node, inputs in graph:
        arrays = [got[i].astype(np.float64, copy=False) for i in inputs]
        if isinstance(node, Neuron):
            got[name], before = membrane(node, arrays[0])
            peak[name] = float(np.abs(before).max())
        elif isinstance(node, Input):
            got[name] = node.encode(x)
            peak[name] = float(np.abs(got[name]).max())
        else:
            got[name] = combined(node, *arrays)
        if isinstance(node, Neuron | Input | Product):
            rate[name] = got[name].mean(axis=(0, 1))
    return Calibration(peak, rate)


def ranges(graph: Graph, batches: Iterable[np.ndarray]) -> Ranges:
    """Largest magnitude and rms of inputs and activations, over batches x [T, N, *shape], in float."""
    peak: dict[str, float] = {}
    power: dict[str, float] = {}
    seen: dict[str, int] = {}
    for x in batches:
        check_input(x, graph.shapes[graph.input()])
        got = values(graph, x)
        for name, node, _ in graph:
            if isinstance(node, Activation | Input):
                peak[name] = max(peak.get(name, 0.0), float(np.abs(got[name]).max()))
                power[name] = power.get(name, 0.0) + float(np.square(got[name]).sum())
                seen[name] = seen.get(name, 0) + got[name].size
    if not seen:
        raise BadInput("calibration: no batch to take ranges from; give at least one sample")
    return Ranges(peak, {name: math.sqrt(power[name] / seen[name]) for name in seen})
