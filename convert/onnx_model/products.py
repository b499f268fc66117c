"""Products of two tensors, all T steps at once.

For spikes the integer form is a float32 MatMul and exact: the operands are 0 and 1, every partial sum is a
count of at most k, and float32 holds every integer up to 2^24. Bounds decide, as everywhere: a product that
may leave them is computed in float64.
"""

from __future__ import annotations

from convert.ir import Node, Shape, SpikeAnd, SpikeMatMul
from convert.onnx_model.context import Context
from convert.onnx_model.linear import Rule, registrar
from convert.onnx_model.values import Value, form, made, wide_enough

RULES: dict[type[Node], Rule] = {}
rule = registrar(RULES)


@rule(SpikeMatMul)
def _mat_mul(c: Context, name: str, node: SpikeMatMul, shape: Shape, a: Value, b: Value) -> Value:
    return _multiplied(c, name, "MatMul", shape, a, b, terms=a.shape[-1])


@rule(SpikeAnd)
def _and(c: Context, name: str, node: SpikeAnd, shape: Shape, a: Value, b: Value) -> Value:
    return _multiplied(c, name, "Mul", shape, a, b, terms=1)


def _multiplied(c: Context, name: str, kind: str, shape: Shape, a: Value, b: Value, terms: int) -> Value:
    ends = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    dtype = "float32"
    if c.integer:
        reach = max(terms * max(abs(e) for e in ends), a.reach, b.reach)
        dtype = wide_enough(name, reach, "float32", "float64")
    y = c.b.op(kind, form(c.b, a, "first", dtype), form(c.b, b, "first", dtype))
    return made(y, shape, "first", dtype, terms * min(ends), terms * max(ends))
