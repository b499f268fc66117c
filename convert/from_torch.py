"""torch module to graph, by tracing: with `torch_layers` the only file outside train/ that knows torch.

`torch.fx` walks the model with our layers and the common torch modules as leaves; each leaf becomes one
node. A model speaks time-major tensors [T, N, *shape]; its graph is per step. What would lose state or mix
steps unseen is refused with the module's name: an attribute written in forward, a buffer read there, a
recurrent torch module, a loop over steps, an operation without a meaning here.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import fx, nn

from convert import tensor_ops
from convert.held import changed, held, restore
from convert.ir import (
    Add,
    Graph,
    Input,
    Node,
    Shape,
    Unsupported,
    check,
)
from convert.torch_layers import HANDLERS, Handler, handler_of, stepwise
from train import neurons

_ADDITIONS = {operator.add, operator.iadd, torch.add}
_IMAGE = (  # torch's axes: batch, channels, ...
    nn.Conv2d, nn.ConvTranspose2d, nn.AvgPool2d, nn.MaxPool2d, nn.Upsample, nn.BatchNorm1d, nn.BatchNorm2d,
)  # fmt: skip
_MOVES = {"contiguous", "float", "clone"}


def from_torch(
    model: nn.Module,
    in_shape: Shape,
    operand: str = "real",
    handlers: Mapping[type[nn.Module], Handler] | None = None,
    dt_s: float | None = None,
) -> Graph:
    """The traced graph of a model in eval mode.

    in_shape: shape of one step of one sample; operand: 'real' or 'binary', what the input holds.
    handlers: module type -> handler, tried before the built-in ones.
    Raises Unsupported naming the module, the reason and the remedy.
    """
    known = {**HANDLERS, **(handlers or {})}
    training = {m: m.training for m in model.modules()}
    model.eval()
    try:
        traced = _trace(model, known)
        return check(_Builder(model, known, Input(in_shape, operand), dt_s).build(traced))
    finally:
        for module, was in training.items():
            module.training = was


class _Tracer(fx.Tracer):
    def __init__(self, known: Mapping[type[nn.Module], Handler]) -> None:
        super().__init__()
        self.known = known

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if handler_of(m, self.known) is not None:
            return True
        return type(m).__module__.startswith("torch.nn") and not isinstance(m, nn.Sequential)


def _trace(model: nn.Module, known: Mapping[type[nn.Module], Handler]) -> fx.Graph:
    before = {name: held(m) for name, m in model.named_modules()}
    try:
        traced = _Tracer(known).trace(model)
    except (TypeError, ValueError, fx.proxy.TraceError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise Unsupported(
            type(model).__name__,
            f"its forward cannot be traced ({reason})",
            "build it of layers of train/ and torch.nn, no loops or branches on data",
        ) from error
    for name, module in model.named_modules():
        written = changed(module, before[name])
        if written:
            restore(module, before[name], written)
            raise Unsupported(
                name or type(model).__name__,
                f"hidden state: forward writes the attribute {written[0]!r}",
                "take state in and give it out, or use a neuron of train.neurons",
            )
    return traced


class _Builder:
    """Walks the traced graph once, filling nodes and edges."""

    def __init__(
        self, model: nn.Module, known: Mapping[type[nn.Module], Handler], source: Input, dt_s: float | None
    ) -> None:
        self.modules, self.known, self.dt_s = dict(model.named_modules()), known, dt_s
        self.nodes: dict[str, Node] = {"input": source}
        self.edges: list[tuple[str, str]] = []
        self.shapes: dict[str, Shape] = {"input": source.shape}
        self.at: dict[fx.Node, Any] = {}  # the node a tensor comes from, by name; or the value of a size
        self.meta: dict[str, str] = {}

    def build(self, traced: fx.Graph) -> Graph:
        outputs: tuple[str, ...] = ()
        for step in traced.nodes:
            if step.op == "placeholder":
                if self.at:
                    raise Unsupported(step.name, "the model has a second input", "give it one tensor")
                self.at[step] = "input"
            elif step.op == "output":
                found = step.args[0]
                found = found if isinstance(found, tuple | list) else (found,)
                if not found or not all(self._is_tensor(a) for a in found):
                    raise Unsupported(
                        "output", "the model returns more than tensors", "return one or a tuple"
                    )
                outputs = tuple(self.at[a] for a in found)
            else:
                self.at[step] = getattr(self, f"_{step.op}")(step)
        graph = Graph(self.nodes, tuple(self.edges), outputs, "traced", self.dt_s, self.meta)
        for name in graph.neurons():
            if graph.users_of(name) and (read := self.meta.get(f"read.{name}", "all")) != "all":
                user = graph.users_of(name)[0]
                why = f"gives one value of all steps (read {read!r}), {user} takes one a step"
                raise Unsupported(name, why, "read 'all' there, or end the model in it")
        return graph

    def _add(self, name: str, node: Node, inputs: tuple[str, ...]) -> str:
        name = name if name not in self.nodes else f"{name}.again{len(self.nodes)}"
        self.shapes[name] = node.out_shape(name, *(self.shapes[i] for i in inputs))
        self.nodes[name] = node
        self.edges += [(i, name) for i in inputs]
        return name

    def _call_module(self, step: fx.Node) -> str:
        name, module = str(step.target), self.modules[str(step.target)]
        handler = handler_of(module, self.known)
        if handler is None:
            kind = type(module).__name__
            why = "keeps hidden state" if isinstance(module, nn.RNNBase) else "has no node"
            raise Unsupported(name, f"{kind} {why}", "use a layer of train/ or pass a handler for it")
        if len(step.args) != 1 or step.kwargs or not self._is_tensor(step.args[0]):
            raise Unsupported(name, "is called with more than one tensor", "state and options are no inputs")
        source = self.at[step.args[0]]
        if type(module) in _IMAGE and handler is HANDLERS[type(module)]:
            raise Unsupported(
                name, f"{type(module).__name__} mixes steps and batch", "put it into a Stepwise"
            )
        if handler is stepwise:
            handler = partial(stepwise, known=self.known)
        node = handler(name, module, self.shapes[source])
        if isinstance(module, neurons.LeakyIntegrator):
            self.meta[f"read.{name}"] = module.read
        return source if node is None else self._add(name, node, (source,))

    def _call_function(self, step: fx.Node) -> Any:
        kind = getattr(step.target, "__name__", str(step.target))
        tensors = [a for a in step.args if self._is_tensor(a)]
        if step.target in _ADDITIONS and len(tensors) == len(step.args) == 2 and not step.kwargs:
            return self._add(step.name, Add(), tuple(self.at[a] for a in tensors))
        return self._operation(step, kind, f"the function {kind}")

    def _call_method(self, step: fx.Node) -> Any:
        if step.target in _MOVES:
            return self.at[step.args[0]]  # type: ignore[index]
        return self._operation(step, str(step.target), f"the tensor method {step.target}")

    def _operation(self, step: fx.Node, kind: str, what: str) -> Any:
        """An operation on tensors, or on the sizes of tensors: the node it adds, or its value."""
        try:
            found = self._applied(step, kind)
        except tensor_ops.Refused as error:
            raise Unsupported(
                step.name, f"{what} {error}", "leave steps and samples alone, a graph is per step"
            ) from None
        if found is None:
            raise Unsupported(step.name, f"{what} has no node", "use a layer of train/ or torch.nn")
        return found

    def _applied(self, step: fx.Node, kind: str) -> Any:
        args = fx.node.map_arg(step.args, self.at.__getitem__)
        options = fx.node.map_arg(step.kwargs, self.at.__getitem__)
        tensors = [self.at[a] for a in step.args if self._is_tensor(a)]
        if not any(self._is_tensor(a) for a in step.all_input_nodes):
            return tensor_ops.number(kind, args)
        if kind in tensor_ops.JOINS and isinstance(args[0], tuple | list):
            node = tensor_ops.joined([self.shapes[i] for i in args[0]], args[1:], options)
            return self._add(step.name, node, tuple(args[0]))
        if not tensors or (not self._is_tensor(step.args[0]) and len(args) != 2):
            return None
        shape = self.shapes[tensors[0]]
        if (kind == "size" and not options) or (kind == "getattr" and args[1] == "shape"):
            whole = tensor_ops.sizes(shape)
            return whole[args[1]] if kind == "size" and len(args) > 1 else whole
        others = [a for a, b in zip(args, step.args, strict=True) if not self._is_tensor(b)]
        if len(tensors) == 2 and not others:
            node = None if options else tensor_ops.product(kind)
        elif (
            len(args) == 2
            and not options
            and isinstance(others[0], int | float)
            and kind in tensor_ops.SCALES
        ):
            node = tensor_ops.scale(kind, others[0], shape, first=self._is_tensor(step.args[0]))
        else:
            node = tensor_ops.move(others[0] if kind == "getattr" else kind, shape, others, options)
        return None if node is None else self._add(step.name, node, tuple(tensors))

    def _is_tensor(self, arg: Any) -> bool:
        return isinstance(arg, fx.Node) and isinstance(self.at[arg], str)

    def _get_attr(self, step: fx.Node) -> str:
        raise Unsupported(
            str(step.target),
            "forward reads this tensor outside a known layer: hidden state or a parameter of no layer",
            "put it into a layer of train/",
        )
