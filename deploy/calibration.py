"""Run a float graph on data and note what quantisation needs: peaks and rates."""

from __future__ import annotations

import numpy as np

from convert.ir import Graph, Neuron, Product
from convert.ir.sources import Input
from convert.passes.quantise import Calibration
from deploy.reference import combined, membrane
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
