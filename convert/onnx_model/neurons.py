"""Neurons over the steps of a layer: one Scan per layer in the scan form, one call in the step form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import GraphProto, helper

from convert.ir import (
    IF,
    LIF,
    CubaLIF,
    LeakyIntegrator,
    LoihiIntegrator,
    LoihiLIF,
    Neuron,
    Shape,
    Unsupported,
)
from convert.ir.loihi import DECAY_MAX, STATE_SHIFT
from convert.onnx_model.builder import DOMAIN, Builder, info
from convert.onnx_model.functions import needed
from convert.onnx_model.values import Value, form, tail, wide_enough

V_MAX = (1 << 23) - 1
KINDS = (LIF, CubaLIF, IF, LeakyIntegrator, LoihiLIF, LoihiIntegrator)  # the others have no ONNX form yet
_WRAP_FREE = V_MAX >> STATE_SHIFT  # an input no larger cannot leave 24 bits: no wrap, and int32 holds it


@dataclass(frozen=True)
class Call:
    """How a neuron is called: (drive, constants, states) -> (spikes if any, next states)."""

    function: str
    attributes: dict[str, float | int]
    fixed: tuple[str, ...]  # constants between the drive and the states
    states: dict[str, str]  # 'u', 'v': number type
    spiking: bool
    drive: str  # number type
    shape: Shape
    order: str

    @property
    def tail(self) -> Shape:
        """Shape after the batch axis."""
        return tail(self.shape, self.order)


def refuse(name: str, node: Neuron) -> None:
    """Raise Unsupported for a neuron that no function of `basalt.neuron` computes."""
    if not isinstance(node, KINDS):
        reason = f"{type(node).__name__} has no ONNX form"
    elif np.ndim(node.du) or np.ndim(node.dv):
        reason = "its decays differ from neuron to neuron, an ONNX function takes one"
    else:
        return
    raise Unsupported(name, reason, "run the integer graph on `reference`, or its program on `loihi-sim`")


def prepare(b: Builder, name: str, node: Neuron, value: Value) -> tuple[Call, str]:
    """The call of a neuron, and its drive [T, N, *tail]; declares the functions it needs."""
    integer = isinstance(node, LoihiLIF | LoihiIntegrator)
    current = node.du != (DECAY_MAX if integer else 1.0)  # type: ignore[attr-defined]
    bias = _bias(node, value)
    fixed: tuple[str, ...] = ()
    states = {"v": "int32"} if integer else {"v": "float32"}
    dtype = states["v"]
    if current:
        dtype = "int64" if integer else "float32"
        states = {"u": dtype, **states}
        fixed = (b.const(0 if bias is None else bias, dtype, "bias"),)
        drive = _current(b, name, value, dtype)
    elif integer:
        drive = _integer_drive(b, name, value, bias)
    else:
        drive = form(b, value, dtype=dtype)
        drive = drive if bias is None else b.op("Add", drive, b.const(bias, dtype, "bias"))
    function = _declare(b, _function(node, current))
    wanted = {"du", "dv", "threshold", "vth"} & set(b.functions[function].attribute)
    attributes = {field: getattr(node, field) for field in sorted(wanted)}
    return Call(function, attributes, fixed, states, node.spiking, dtype, value.shape, value.order), drive


def _current(b: Builder, name: str, value: Value, dtype: str) -> str:
    """The input of a neuron that keeps a current."""
    if dtype == "int64":
        # |u| <= 4096 |a << 6|, as it fades by 1/4096 a step at least; its product with 4096 must fit.
        wide_enough(name, max(value.reach << (STATE_SHIFT + 24), 1 << 36), "int64")
    return form(b, value, dtype=dtype)


def _declare(b: Builder, function: str) -> str:
    for proto in needed(function):
        b.functions[proto.name] = proto
    return function


def _function(node: Neuron, current: bool) -> str:
    """The function's name; a CubaLIF that loses all its current each step is an LIF."""
    if isinstance(node, CubaLIF):
        return "CubaLIF" if current else "LIF"
    if isinstance(node, LIF | IF):
        return type(node).__name__
    return type(node).__name__ + ("_current" if current else "")


def _bias(node: Neuron, value: Value) -> np.ndarray | None:
    """The bias, to be added to [..., *tail]; one number per channel where the channels come last."""
    bias = getattr(node, "bias", None)
    if bias is None or not np.any(bias):
        return None
    bias = np.asarray(bias)
    if bias.size == 1:
        return bias.reshape(())
    bias = np.broadcast_to(bias, value.shape)
    if value.order == "first":
        return bias
    bias = np.moveaxis(bias, 0, -1)
    row = bias.reshape(-1, bias.shape[-1])[0]
    return row if (bias == row).all() else bias


def _integer_drive(b: Builder, name: str, value: Value, bias: np.ndarray | None) -> str:
    """wrap(a << 6) + bias for all steps at once, int32, where no current is kept."""
    wide_enough(name, value.reach << STATE_SHIFT, "int64")
    small = value.reach <= _WRAP_FREE
    dtype = "int32" if small else "int64"
    drive = b.op("Mul", form(b, value, dtype=dtype), b.const(1 << STATE_SHIFT, dtype))
    if not small:
        drive = b.op(_declare(b, "Wrap24"), drive, domain=DOMAIN)
    if bias is not None:
        drive = b.op("Add", drive, b.const(bias, dtype, "bias"))
    return drive if small else b.op(_declare(b, "Bounded"), drive, domain=DOMAIN)


def step(b: Builder, call: Call, drive: str, states: list[str]) -> tuple[str, list[str]]:
    """One step, T = 1: spikes or v [1, N, *tail], and the next states [N, *tail]."""
    axis = b.const([0], "int64")
    inputs = [b.op("Squeeze", drive, axis), *call.fixed, *states]
    got = b.ops(call.function, inputs, call.spiking + len(states), domain=DOMAIN, **call.attributes)
    after = got[1:] if call.spiking else got
    return b.op("Unsqueeze", got[0] if call.spiking else got[-1], axis), after


def scan(b: Builder, call: Call, drive: str, starts: list[str], trace: bool) -> tuple[str | None, list[str]]:
    """All steps: spikes or v [T, N, *tail] (v only if `trace`), and the last states [N, *tail]."""
    traced = call.spiking or trace
    body = _body(b, call, traced)
    got = b.ops("Scan", [*starts, drive], len(call.states) + traced, body=body, num_scan_inputs=1)
    return (got[-1] if traced else None), got[: len(call.states)]


def _body(b: Builder, call: Call, traced: bool) -> GraphProto:
    """The graph of one step: states and drive [N, *tail] in, states and spikes out."""
    name = b.fresh("step")
    shape = ("N", *call.tail)
    before = [info(f"{name}.{s}", dtype, shape) for s, dtype in call.states.items()]
    after = [info(f"{name}.{s}_next", dtype, shape) for s, dtype in call.states.items()]
    drive = info(f"{name}.drive", call.drive, shape)
    out = info(f"{name}.out", "bool" if call.spiking else call.states["v"], shape)
    given = [*([out] if call.spiking else []), *after]
    nodes = [
        helper.make_node(
            call.function, [drive.name, *call.fixed, *(i.name for i in before)], [o.name for o in given],
            name=f"{name}.{call.function}", domain=DOMAIN, **call.attributes,
        )
    ]  # fmt: skip
    if traced and not call.spiking:
        nodes.append(helper.make_node("Identity", [after[-1].name], [out.name], name=f"{name}.read"))
    return helper.make_graph(nodes, name, [*before, drive], [*after, *([out] if traced else [])])
