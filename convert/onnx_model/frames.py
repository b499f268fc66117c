"""A graph without state as operators on a batch, [N, *shape]: no step axis, no neuron.

For networks of images: convolutions see NCHW as they are, so that a runtime can fuse and re-lay them. Float
graphs alone; the integer form of such a network is quantised from this one (deploy.onnx_int8).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convert.ir import (
    Add,
    AvgPool2d,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Graph,
    Input,
    MaxPool2d,
    Node,
    Permute,
    Relu,
    Repeat2d,
    Reshape,
    Unsupported,
)
from convert.onnx_model.builder import Builder
from convert.onnx_model.images import conv_transpose, max_pool, repeat

Rule = Callable[[Builder, Node, list[str]], str]


def write_frames(b: Builder, graph: Graph) -> dict[str, str]:
    """Append the graph behind a new input `x` float32 [N, *shape]; the tensors of its outputs by node name.

    Raises Unsupported with the node's name for what has no operator on a batch alone.
    """
    tensors: dict[str, str] = {}
    for name, node, inputs in graph:
        b.scope = name
        if isinstance(node, Input):
            tensors[name] = b.take("x", "float32", ("N", *node.shape))
        elif type(node) not in RULES:
            raise Unsupported(
                name, f"{type(node).__name__} has no operator on a batch of images",
                "use layers of images: convolutions, pooling, upsampling, sums and ReLU",
            )  # fmt: skip
        else:
            tensors[name] = RULES[type(node)](b, node, [tensors[i] for i in inputs])
    return {name: tensors[name] for name in graph.outputs}


def _conv(b: Builder, node: Conv2d, xs: list[str]) -> str:
    scale = 2.0**node.weight_exp
    bias = [b.const(node.bias, "float32", "bias")] if node.bias is not None else []
    return b.op(
        "Conv", xs[0], b.const(node.weight * scale, "float32", "weight"), *bias,
        strides=list(node.stride), pads=[*node.padding, *node.padding], dilations=list(node.dilation),
        group=node.groups,
    )  # fmt: skip


def _conv_transpose(b: Builder, node: ConvTranspose2d, xs: list[str]) -> str:
    bias = [b.const(node.bias, "float32", "bias")] if node.bias is not None else []
    return conv_transpose(b, node, xs[0], *bias)


def _reshape(b: Builder, node: Reshape, xs: list[str]) -> str:
    return b.op("Reshape", xs[0], b.const([0, *node.shape], "int64"))


def _permute(b: Builder, node: Permute, xs: list[str]) -> str:
    return b.op("Transpose", xs[0], perm=[0, *(axis + 1 for axis in node.axes)])


def _pool(b: Builder, node: AvgPool2d, xs: list[str]) -> str:
    return b.op("AveragePool", xs[0], kernel_shape=list(node.kernel), strides=list(node.stride))


def _add(b: Builder, node: Add, xs: list[str]) -> str:
    total = xs[0]
    for x in xs[1:]:
        total = b.op("Add", total, x)
    return total


RULES: dict[type[Node], Rule] = {
    Add: _add,
    AvgPool2d: _pool,
    Concat: lambda b, node, xs: b.op("Concat", *xs, axis=1),
    Conv2d: _conv,
    ConvTranspose2d: _conv_transpose,
    MaxPool2d: lambda b, node, xs: max_pool(b, node, xs[0]),
    Permute: _permute,
    Relu: lambda b, node, xs: b.op("Relu", xs[0]),
    Repeat2d: lambda b, node, xs: repeat(b, node, xs[0]),
    Reshape: _reshape,
}  # type: ignore[dict-item]


def split_vectors(b: Builder, tensor: str, joints: int, shape: tuple[int, int]) -> str:
    """[N, 2K, H, W] -> [N, K, 2, H, W]."""
    return b.op("Reshape", tensor, b.const(np.array([0, joints, 2, *shape]), "int64"))
