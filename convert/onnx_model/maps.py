"""Fixed maps in float graphs: of the joints within a step, and of the steps of a whole window.

A scan model holds all T steps of a tensor, so a window node is one product over the first axis. A step model
does not, and refuses it. Neither node exists in an integer graph.
"""

from __future__ import annotations

from convert.ir import JointMap, Node, Shape, StepMap, StepMean
from convert.onnx_model.context import Context, shape_of
from convert.onnx_model.linear import Rule, registrar
from convert.onnx_model.values import Value, form, made, tail

RULES: dict[type[Node], Rule] = {}
rule = registrar(RULES)


@rule(JointMap)
def _joint_map(c: Context, name: str, node: JointMap, shape: Shape, x: Value) -> Value:
    """[T, N, I C, V] -> [T, N, C, I V], times [I V, J V'], -> [T, N, J C, V']."""
    b, (parts_out, parts_in, joints_out, joints) = c.b, node.matrix.shape
    channels = x.shape[0] // parts_in
    matrix = node.matrix.transpose(1, 3, 0, 2).reshape(parts_in * joints, parts_out * joints_out)
    rows = form(b, x, "first", "float32")
    if parts_in > 1:
        rows = _regrouped(c, rows, (parts_in, channels, joints), (channels, parts_in * joints))
    y = b.op("MatMul", rows, b.const(matrix, "float32", "matrix"))
    if parts_out > 1:
        y = _regrouped(c, y, (channels, parts_out, joints_out), shape)
    return made(y, shape, "first", "float32")


def _regrouped(c: Context, tensor: str, parts: Shape, shape: Shape) -> str:
    """[T, N, ...] as [T, N, *parts], its first two parts exchanged, in the shape [T, N, *shape]."""
    parted = c.b.op("Reshape", tensor, c.b.const([0, 0, *parts], "int64"))
    turned = c.b.op("Transpose", parted, perm=[0, 1, 3, 2, 4])
    return c.b.op("Reshape", turned, c.b.const(shape_of(shape, "first"), "int64"))


@rule(StepMap)
def _step_map(c: Context, name: str, node: StepMap, shape: Shape, x: Value) -> Value:
    b, after = c.b, len(node.matrix)
    # Zero keeps T as it is: a run of another length fails at the product and is not folded into the batch.
    frames = b.op("Reshape", form(b, x, dtype="float32"), b.const([0, -1], "int64"))
    y = b.op("MatMul", b.const(node.matrix, "float32", "matrix"), frames)
    whole = b.op("Reshape", y, b.const([after, -1, *tail(shape, x.order)], "int64"))
    return made(whole, shape, x.order, "float32")


@rule(StepMean)
def _step_mean(c: Context, name: str, node: StepMean, shape: Shape, x: Value) -> Value:
    y = c.b.op("ReduceMean", form(c.b, x, dtype="float32"), c.b.const([0], "int64"), keepdims=1)
    return made(y, shape, x.order, "float32")
