"""The walk over a graph: each node's rule, the neurons, and what the finished model gives out."""

from __future__ import annotations

import json
from collections.abc import Collection

import numpy as np
import onnx

from convert.ir import (
    Activation,
    BadInput,
    BatchNorm,
    Graph,
    Input,
    LinearNode,
    Neuron,
    Product,
    Shape,
    Unsupported,
    WindowNode,
    refuse_windows,
)
from convert.onnx_model import conv, linear, maps, neurons, products
from convert.onnx_model.builder import Builder
from convert.onnx_model.context import Context
from convert.onnx_model.values import EXACT, Value, form, made, tail

RULES = {**linear.RULES, **conv.RULES, **maps.RULES, **products.RULES}
FORMAT = "basalt-onnx 1"
V_MAX = neurons.V_MAX


class Writer:
    """Writes one graph as a step or a scan model."""

    def __init__(
        self, graph: Graph, stream: bool, probes: Collection[str], counts: bool, laid: bool = False
    ) -> None:
        _refuse(graph, probes)
        if stream:
            refuse_windows(graph, "a step model")
        self.graph, self.stream, self.counts, self.laid = graph, stream, counts, laid
        self.probes = [n for n in graph.spiking() if n in set(probes)]
        self.b = Builder()
        self.c = Context(self.b, graph.stage, stream)
        self.values: dict[str, Value] = {}
        self.last: dict[str, str] = {}  # readout -> v after the last step [N, *tail]

    def model(self) -> onnx.ModelProto:
        """The finished model."""
        for name, node, inputs in self.graph:
            self.b.scope = name
            if isinstance(node, Input):
                self.values[name] = self._input(name, node)
            elif isinstance(node, Neuron):
                self.values[name] = self._neuron(name, node, self.values[inputs[0]])
            else:
                arguments = [self.values[i] for i in inputs]
                shape = self.graph.shapes[name]
                self.values[name] = RULES[type(node)](self.c, name, node, shape, *arguments)
        self._outputs()
        return self.b.model("basalt_step" if self.stream else "basalt_scan", self._metadata())

    def _input(self, name: str, node: Input) -> Value:
        dtype, low, high = input_type(name, node, self.graph.stage)
        lead = ("N",) if self.stream else ("T", "N")
        x = self.b.take("x", dtype, (*lead, *node.shape))
        self.c.x = self.b.op("Unsqueeze", x, self.b.const([0], "int64")) if self.stream else x
        return made(self.c.x, node.shape, "first", dtype, low, high)

    def _neuron(self, name: str, node: Neuron, x: Value) -> Value:
        call, drive = neurons.prepare(self.b, name, node, x)
        trace = True
        if self.stream:
            shape = ("N", *call.tail)
            before = [self.c.state(f"{name}.{s}", shape, t, call.order) for s, t in call.states.items()]
            out, after = neurons.step(self.b, call, drive, before)
            for (state, dtype), tensor in zip(call.states.items(), after, strict=True):
                self.b.give(f"{name}.{state}_next", tensor, dtype, shape)
        else:
            trace = bool(self.graph.users_of(name))
            starts = [self._rest(call.tail, dtype) for dtype in call.states.values()]
            out, after = neurons.scan(self.b, call, drive, starts, trace)
            self.last[name] = after[-1]
        if node.spiking:
            return made(out, x.shape, x.order, "bool", 0, 1)
        return made(out if trace else "", x.shape, x.order, call.states["v"], -V_MAX, V_MAX)

    def _rest(self, shape: Shape, dtype: str) -> str:
        """Zero state [N, *tail]."""
        batch = self.b.op("Shape", self.c.x, start=1, end=2)
        whole = self.b.op("Concat", batch, self.b.const(list(shape), "int64"), axis=0)
        zero = onnx.numpy_helper.from_array(np.zeros(1, dtype))
        return self.b.op("ConstantOfShape", whole, value=zero)

    def _outputs(self) -> None:
        self.b.scope = "out"
        behind = _behind_windows(self.graph)
        for name in self.graph.outputs:
            self._step_output(name) if self.stream else self._scan_output(name)
        for name in self.graph.spiking() if self.counts else ():
            self.b.give(f"{name}.count", self._count(name), "int64", ("N", *self.graph.shapes[name]))
        for name in self.probes:
            value, shape = self.values[name], self.graph.shapes[name]
            if self.stream:
                frame = self._frame(form(self.b, value, "first", "uint8"))
                self.b.give(f"{name}.spikes", frame, "uint8", ("N", *shape))
                continue
            order, dtype = (value.order, "bool") if self.laid else ("first", "uint8")
            steps = f"{name}.T" if name in behind else "T"  # steps of its own
            raster = form(self.b, value, order, dtype)
            self.b.give(f"{name}.raster", raster, dtype, (steps, "N", *tail(shape, order)))
        for name in self._products():
            steps = f"{name}.T" if name in behind else "T"
            raster = form(self.b, self.values[name], "first", "uint8")
            self.b.give(f"{name}.raster", raster, "uint8", (steps, "N", *self.graph.shapes[name]))

    def _products(self) -> list[str]:
        """Products of spikes, within a byte, that not a neuron alone reads: counting would make them anew."""
        found: list[str] = []
        if not self.laid or len(self.probes) < len(self.graph.spiking()):
            return found
        for name, node, inputs in self.graph:
            if isinstance(node, Product) and all(self.values[i].dtype == "bool" for i in inputs):
                read = any(not isinstance(self.graph.nodes[u], Neuron) for u in self.graph.users_of(name))
                if read and self.values[name].high <= EXACT["uint8"]:
                    found.append(name)
        return found

    def _step_output(self, name: str) -> None:
        value = self.values[name]
        dtype = self._given(name)
        frame = self._frame(form(self.b, value, "first", dtype))
        self.b.give(name, frame, dtype, ("N", *self.graph.shapes[name]))

    def _scan_output(self, name: str) -> None:
        shape = ("N", *self.graph.shapes[name])
        value, node = self.values[name], self.graph.nodes[name]
        if isinstance(node, Neuron) and node.spiking:
            self.b.give(name, self._count(name), "int64", shape)
        elif isinstance(node, Neuron):
            tensor = self._read(self._first(self.last[name], value), value)
            self.b.give(name, tensor, self._given(name), shape)
        else:
            dtype = self._given(name)
            last = self.c.frames(form(self.b, value, "first", dtype), -1, 2**62)
            self.b.give(name, self._frame(last), dtype, shape)

    def _given(self, name: str) -> str:
        """Number type of an output: spikes as bytes, integers as int64, the rest float32."""
        node = self.graph.nodes[name]
        if isinstance(node, Neuron) and node.spiking:
            return "uint8"
        return "int64" if self.graph.stage == "integer" else "float32"

    def _read(self, tensor: str, value: Value) -> str:
        """v as it is given out: int64 where it is an integer."""
        return tensor if value.dtype == "float32" else self.b.op("Cast", tensor, to=onnx.TensorProto.INT64)

    def _count(self, name: str) -> str:
        """Spikes over the steps, int64 [N, *shape]."""
        value = self.values[name]
        ones = form(self.b, value, value.order, "int32")
        total = self.b.op("ReduceSum", ones, self.b.const([0], "int64"), keepdims=0)
        return self.b.op("Cast", self._first(total, value), to=onnx.TensorProto.INT64)

    def _first(self, tensor: str, value: Value) -> str:
        """[N, *tail] -> [N, *shape]."""
        if value.order == "first":
            return tensor
        rank = len(value.shape) + 1
        return self.b.op("Transpose", tensor, perm=[0, rank - 1, *range(1, rank - 1)])

    def _frame(self, tensor: str) -> str:
        return self.b.op("Squeeze", tensor, self.b.const([0], "int64"))

    def _metadata(self) -> dict[str, str]:
        graph, source = self.graph, self.graph.input()
        node = graph.nodes[source]
        states = [
            {"input": s.name, "output": f"{s.name}_next", "shape": s.shape, "dtype": s.dtype,
             "channels": s.axes}
            for s in self.c.states
        ]  # fmt: skip
        spiking = {n: graph.shapes[n] for n in graph.spiking()}
        kind = {"name": source, **node.fields()}
        last = [n for n in self.probes if self.values[n].order == "last"]
        beside = {"last": json.dumps(last), "products": json.dumps(self._products())}
        return {
            **(beside if self.laid else {}),
            "basalt.format": FORMAT,
            "basalt.form": "step" if self.stream else "scan",
            "stage": graph.stage,
            "states": json.dumps(states),
            "dt_s": "" if graph.dt_s is None else repr(graph.dt_s),
            "reset": "to zero, after the spike is read; u is not reset",
            "comparison": "v > threshold, strict",
            "tick_order": "input at t -> u -> v -> spike -> reset -> output at t",
            "graph_input": json.dumps(kind),
            "graph_outputs": json.dumps({n: graph.shapes[n] for n in graph.outputs}),
            "spiking": json.dumps(spiking),
            "probes": json.dumps(self.probes),
            "counts": json.dumps(self.counts),
            "node_shapes": json.dumps(dict(graph.shapes)),
        }


def _behind_windows(graph: Graph) -> set[str]:
    """The window nodes and all that lies behind one, in one walk: paths are many where branches meet."""
    found: set[str] = set()
    for name, node, inputs in graph:
        if isinstance(node, WindowNode) or not found.isdisjoint(inputs):
            found.add(name)
    return found


def input_type(name: str, node: Input, stage: str) -> tuple[str, int, int]:
    """Number type of the model's input, and its bounds in an integer graph."""
    if stage != "integer":
        return "float32", 0, 0
    if node.operand == "binary":
        return "uint8", 0, 1
    if node.limit > EXACT["int32"]:
        raise Unsupported(name, f"graded input of {node.bits} bits", "use 32 bits or fewer")
    return "int32", -node.limit, node.limit


def _refuse(graph: Graph, probes: Collection[str]) -> None:
    graph.input()
    for name, node in graph.nodes.items():
        ruled = isinstance(node, LinearNode | Product | Activation) and not isinstance(node, BatchNorm)
        if ruled and type(node) not in RULES:
            raise Unsupported(
                name, f"{type(node).__name__} has no ONNX form", "add a rule in convert/onnx_model"
            )
        if isinstance(node, BatchNorm):
            raise Unsupported(name, "batch norm has no ONNX form here", "fold it first (fold_batchnorm)")
        if isinstance(node, Neuron):
            neurons.refuse(name, node)
    for name in probes:
        if name not in graph.spiking():
            known = ", ".join(graph.spiking())
            raise BadInput(f"{name}: cannot be probed, it is no spiking node; spiking: {known}")
