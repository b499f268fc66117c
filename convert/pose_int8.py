"""The integers of a pose network's 8-bit model, as a graph: what is counted where that model runs.

    float graph + pose.onnx  ->  the same graph, stage 'integer': weights and biases as the file holds them,
                                 the input in whole counts of its scale

The file is ONNX Runtime's (deploy.onnx_int8): int8 weights with a scale a channel, uint8 values with a scale
and a zero point a tensor. A value is q - zero point here, so that 0 is what multiplies to nothing. The input
is clipped at +-255 counts here and at its own two ends there; a value clipped is not zero in either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from convert.ir import ArtifactError, ConvTranspose2d, Graph, Input, Node

BITS = 9  # of q - zero point, q of 0 to 255 and the zero point one of them: -255 to 255


def eight_bit_graph(graph: Graph, path: Path) -> Graph:
    """graph: the folded float graph that the model in `path` was quantised from. ArtifactError where the
    model has no 8-bit weights for one of its nodes."""
    held = {w.name: w for w in onnx.load(path).graph.initializer}
    nodes = {name: _eight_bit(name, node, held, path) for name, node in graph.nodes.items()}
    return replace(graph, nodes=nodes, stage="integer")


def _eight_bit(name: str, node: Node, held: Mapping[str, onnx.TensorProto], path: Path) -> Node:
    if isinstance(node, Input):
        scale = float(_value("x_scale", held, path))
        return replace(node, operand="graded", scale=scale, bits=BITS)
    found = {}
    for field in ("weight", "bias"):
        if getattr(node, field, None) is not None:
            found[field] = _value(f"{name}/{field}_quantized", held, path)
    if isinstance(node, ConvTranspose2d):
        found["weight"] = found["weight"].transpose(1, 0, 2, 3)  # ONNX has [in, out, kh, kw]
    return replace(node, **found) if found else node


def _value(name: str, held: Mapping[str, onnx.TensorProto], path: Path) -> np.ndarray:
    if name not in held:
        raise ArtifactError(f"{path}: holds no {name}, expected a model of 8 bits; convert the run again")
    return numpy_helper.to_array(held[name])
