"""Operators on a batch of images [N, C, H, W] float32 that frames and whole windows share."""

from __future__ import annotations

from convert.ir import ConvTranspose2d, MaxPool2d, Repeat2d
from convert.onnx_model.builder import Builder


def conv_transpose(b: Builder, node: ConvTranspose2d, images: str, *bias: str) -> str:
    """The transposed convolution; bias: the name of a constant [out], or none."""
    weight = b.const(node.weight.transpose(1, 0, 2, 3), "float32", "weight")  # ONNX has [in, out, kh, kw]
    return b.op(
        "ConvTranspose", images, weight, *bias, strides=list(node.stride),
        pads=[*node.padding, *node.padding], output_padding=list(node.extra),
    )  # fmt: skip


def max_pool(b: Builder, node: MaxPool2d, images: str) -> str:
    """The largest value of each window; ONNX's padding is no value either."""
    sides = {"kernel_shape": list(node.kernel), "strides": list(node.stride)}
    return b.op("MaxPool", images, pads=[*node.padding, *node.padding], **sides)


def repeat(b: Builder, node: Repeat2d, images: str) -> str:
    """Every value `times` times: cell i of the result reads cell floor(i / f)."""
    scales = b.const([1, 1, *node.times], "float32")
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return b.op("Resize", images, "", scales, mode="nearest", **how)
