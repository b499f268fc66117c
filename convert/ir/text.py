"""A graph as stable text: what golden tests compare and error messages and `inspect` print."""

from __future__ import annotations

import math

import numpy as np

from convert.ir.graph import Graph
from convert.ir.node import Node


def text(graph: Graph) -> str:
    """One line a node: name, type, fields, inputs, shape. Arrays appear as dtype, shape and range."""
    lines = [f"graph {graph.stage} dt={'-' if graph.dt_s is None else graph.dt_s}"]
    width = max(len(n) for n in graph.nodes)
    for name, node, inputs in graph:
        shape = "x".join(map(str, graph.shapes[name]))
        arrow = f" <- {', '.join(inputs)}" if inputs else ""
        lines.append(f"  {name:<{width}}  {describe(node)} [{shape}]{arrow}")
    lines.append(f"  -> {', '.join(graph.outputs)}")
    return "\n".join(lines) + "\n"


def describe(node: Node) -> str:
    """Type and fields of one node, None and array contents left out."""
    fields = [f"{k}={_value(v)}" for k, v in node.fields().items() if v is not None]
    return f"{type(node).__name__}({', '.join(fields)})"


def _value(value: object) -> str:
    if isinstance(value, np.ndarray):
        shape = "x".join(map(str, value.shape))
        if value.size == 0:
            return f"{value.dtype}[{shape}]"
        low, high = value.min(), value.max()
        return f"{value.dtype}[{shape}]{{{_number(low)}..{_number(high)}}}"
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return _number(value)


def _number(value: object) -> str:
    if isinstance(value, float | np.floating):
        return f"{float(value):.4g}" if math.isfinite(value) else str(value)
    return str(value)
