"""The nodes, constants and local functions of one ONNX graph while it grows.

Names are made from the spiking graph's node at work (`scope`) and the operator, counted in order: the same
graph gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from convert.ir import Unsupported

OPSET = 21
IR_VERSION = 10  # the first that goes with opset 21: older runtimes than today's can read the file
DOMAIN = "basalt.neuron"

DTYPES: dict[str, int] = {
    "bool": onnx.TensorProto.BOOL, "uint8": onnx.TensorProto.UINT8, "int8": onnx.TensorProto.INT8,
    "int32": onnx.TensorProto.INT32, "int64": onnx.TensorProto.INT64,
    "float32": onnx.TensorProto.FLOAT, "float64": onnx.TensorProto.DOUBLE,
}  # fmt: skip


class Builder:
    """Collects what a ModelProto is made of."""

    def __init__(self) -> None:
        self.scope = ""
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.functions: dict[str, onnx.FunctionProto] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._arrays: list[onnx.TensorProto] = []
        self._names: set[str] = set()

    def reserve(self, name: str) -> str:
        """Take a name of the model's interface; Unsupported if another node has it already."""
        if name in self._names:
            raise Unsupported(name, "two tensors of the ONNX model would have this name", "rename the node")
        self._names.add(name)
        return name

    def fresh(self, kind: str) -> str:
        """A new name for something inside the model."""
        base = name = f"{self.scope}/{kind}"
        count = 1
        while name in self._names:
            count += 1
            name = f"{base}_{count}"
        self._names.add(name)
        return name

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        """Append an operator with one output; the output's name."""
        return self.ops(kind, inputs, 1, domain=domain, **attributes)[0]

    def ops(
        self, kind: str, inputs: Sequence[str], outputs: int, domain: str = "", **attributes: object
    ) -> list[str]:
        """Append an operator with several outputs; their names."""
        name = self.fresh(kind)
        names = [name] if outputs == 1 else [self.fresh(f"{kind}.{i}") for i in range(outputs)]
        self.add(helper.make_node(kind, list(inputs), names, name=name, domain=domain or None, **attributes))
        return names

    def add(self, node: onnx.NodeProto) -> None:
        """Append a finished operator."""
        self.nodes.append(node)

    def const(self, value: object, dtype: str, hint: str = "const") -> str:
        """The name of a constant; equal constants are stored once."""
        array = np.ascontiguousarray(np.asarray(value, dtype)).reshape(np.shape(value))
        key = (dtype, array.shape, array.tobytes())
        if key not in self._constants:
            name = self.fresh(hint)
            self._arrays.append(numpy_helper.from_array(array, name))
            self._constants[key] = name
        return self._constants[key]

    def give(self, name: str, tensor: str, dtype: str, shape: Sequence[int | str]) -> None:
        """Make `tensor` an output of the model, called `name`."""
        self.add(helper.make_node("Identity", [tensor], [self.reserve(name)], name=self.fresh("Output")))
        self.outputs.append(info(name, dtype, shape))

    def take(self, name: str, dtype: str, shape: Sequence[int | str]) -> str:
        """Declare an input of the model."""
        self.inputs.append(info(self.reserve(name), dtype, shape))
        return name

    def model(self, name: str, metadata: dict[str, str]) -> onnx.ModelProto:
        """The finished model, checked in full."""
        graph = helper.make_graph(self.nodes, name, self.inputs, self.outputs, self._arrays)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
        model = helper.make_model(
            graph, opset_imports=opsets, functions=list(self.functions.values()),
            ir_version=IR_VERSION, producer_name="basalt",
        )  # fmt: skip
        for key, value in sorted(metadata.items()):
            model.metadata_props.add(key=key, value=value)
        onnx.checker.check_model(model, full_check=True)
        return model


def info(name: str, dtype: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    """A typed tensor of the interface; symbols in the shape are dynamic."""
    return helper.make_tensor_value_info(name, DTYPES[dtype], list(shape))
