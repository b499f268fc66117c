"""The layers of torch and of train/ as nodes: one handler a type of module.

A handler gets the module's name, the module and the shape of one step of its input, and gives the node, or
none for a module that is an identity at inference. What a node cannot say of a module is refused with the
reason and a remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import nn

from convert.ir import (
    IF,
    LIF,
    Affine,
    AvgPool2d,
    BatchNorm,
    ChannelMix,
    ChannelScale,
    Conv2d,
    ConvTranspose2d,
    CubaLIF,
    GraphConv,
    JointMap,
    JointMean,
    LeakyIntegrator,
    MaxPool2d,
    Node,
    Relu,
    Repeat2d,
    Reshape,
    Shape,
    StepConv,
    StepMap,
    StepMean,
    Unsupported,
)
from train import frame_layers, layers, modality_fusion, neurons, signal_layers
from train.stepwise import Stepwise

Handler = Callable[[str, Any, Shape], Node | None]  # None: the module is an identity at inference
HANDLERS: dict[type[nn.Module], Handler] = {}


def handler_of(module: nn.Module, known: Mapping[type[nn.Module], Handler]) -> Handler | None:
    """The handler of the module's type or nearest base; none where it has replaced what the base does."""
    kind = type(module)
    base = next((cls for cls in kind.__mro__ if cls in known), None)
    return None if base is None or _replaced(module, base) else known[base]


# Methods that a class made from a layer may replace: how it begins, is shown, and what handlers ask it for.
_OPEN = {"__init__", "extra_repr", "reset_parameters", "adjacency", "folded", "matrix", "shifts", "weight"}


def _replaced(module: nn.Module, base: type[nn.Module]) -> set[str]:
    """Methods of `base`, of which the module has its own: it may be another layer."""
    kinds, bases = type(module).__mro__, base.__mro__
    mine = {name for kind in kinds[: kinds.index(base)] for name in vars(kind)} | vars(module).keys()
    theirs = bases[: bases.index(nn.Module)]
    methods = {name for kind in theirs for name, found in vars(kind).items() if isinstance(found, _METHODS)}
    return (mine & methods) - _OPEN


_METHODS = (FunctionType, property, staticmethod, classmethod)


def _handles(*types: type[nn.Module]) -> Callable[[Handler], Handler]:
    def register(function: Handler) -> Handler:
        for cls in types:
            HANDLERS[cls] = function
        return function

    return register


def _values(tensor: torch.Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.detach().cpu().double().numpy()


@_handles(layers.ChannelMix)
def _channel_mix(name: str, m: layers.ChannelMix, shape: Shape) -> Node:
    return ChannelMix(_values(m.weight), _values(m.bias))


@_handles(layers.GraphConv)
def _graph_conv(name: str, m: layers.GraphConv, shape: Shape) -> Node:
    # Added in the model's own precision, as its forward does.
    return GraphConv(_values(m.weight), _values(m.adjacency()))


@_handles(layers.StepConv)
def _step_conv(name: str, m: layers.StepConv, shape: Shape) -> Node:
    return StepConv(_values(m.weight))


_PLAIN: dict[type[nn.Module], type[Node]] = {  # modules without numbers
    layers.JointMean: JointMean, frame_layers.FrameMean: JointMean, layers.StepMean: StepMean, nn.ReLU: Relu
}  # fmt: skip


@_handles(*_PLAIN)
def _plain(name: str, m: nn.Module, shape: Shape) -> Node:
    return next(_PLAIN[cls] for cls in type(m).__mro__ if cls in _PLAIN)()


@_handles(frame_layers.FrameConv)
def _frame_conv(name: str, m: frame_layers.FrameConv, shape: Shape) -> Node:
    weight = _values(m.weight)[:, :, None]  # the image is (C, V, F)
    return Conv2d(weight, None, (1, m.stride), (0, m.dilation * (weight.shape[3] // 2)), (1, m.dilation))


@_handles(frame_layers.ModalityMix)
def _modality_mix(name: str, m: frame_layers.ModalityMix, shape: Shape) -> Node:
    weight = _values(m.weight)
    return Conv2d(weight.reshape(-1, weight.shape[2], 1, 1), groups=len(weight))


@_handles(modality_fusion.ModalityFusion)
def _modality_fusion(name: str, m: modality_fusion.ModalityFusion, shape: Shape) -> Node:
    return ChannelMix(_values(m.folded))  # multiplied in the model's own precision, as its forward does


@_handles(layers.JointMap, layers.StepMap)
def _fixed_map(name: str, m: Any, shape: Shape) -> Node:
    return (JointMap if isinstance(m, layers.JointMap) else StepMap)(_values(m.matrix))


@_handles(signal_layers.JointConv)
def _joint_conv(name: str, m: signal_layers.JointConv, shape: Shape) -> Node:
    return GraphConv(_values(m.weight), m.shifts(shape[-1]))


@_handles(signal_layers.MadeMix)
def _made_mix(name: str, m: signal_layers.MadeMix, shape: Shape) -> Node:
    return ChannelMix(_values(m.weight()))


@_handles(signal_layers.JointFourier, signal_layers.StepFourier)
def _fourier(name: str, m: Any, shape: Shape) -> Node:
    of_joints = isinstance(m, signal_layers.JointFourier)
    return (JointMap if of_joints else StepMap)(_values(m.matrix()))


@_handles(signal_layers.JointSum)
def _joint_sum(name: str, m: signal_layers.JointSum, shape: Shape) -> Node:
    return JointMap(np.ones((1, 1, 1, shape[-1])))


@_handles(signal_layers.Gain)
def _gain(name: str, m: signal_layers.Gain, shape: Shape) -> Node:
    return ChannelScale(np.full(shape[0], _scalar(m.gain)))


@_handles(nn.Linear)
def _linear(name: str, m: nn.Linear, shape: Shape) -> Node:
    if len(shape) != 1:
        raise Unsupported(
            name, f"Linear over the last axis of {shape}", "flatten before it, or use ChannelMix"
        )
    return Affine(_values(m.weight), _values(m.bias))


@_handles(nn.Conv2d)
def _conv2d(name: str, m: nn.Conv2d, shape: Shape) -> Node:
    if m.padding_mode != "zeros" or isinstance(m.padding, str):
        raise Unsupported(
            name, f"padding {m.padding!r} in mode {m.padding_mode!r}", "use zero padding in numbers"
        )
    return Conv2d(_values(m.weight), _values(m.bias), m.stride, m.padding, m.dilation, m.groups)


@_handles(layers.ChannelNorm, nn.BatchNorm1d, nn.BatchNorm2d)
def _batch_norm(name: str, m: nn.BatchNorm1d, shape: Shape) -> Node:
    if m.running_mean is None or m.running_var is None:
        raise Unsupported(
            name,
            "batch norm without running statistics depends on the batch",
            "train with track_running_stats=True",
        )
    ones = np.ones(m.num_features)
    gamma, beta = _values(m.weight), _values(m.bias)
    return BatchNorm(
        ones if gamma is None else gamma,
        0 * ones if beta is None else beta,
        _values(m.running_mean),
        _values(m.running_var),
        m.eps,
    )


@_handles(nn.AvgPool2d)
def _avg_pool(name: str, m: nn.AvgPool2d, shape: Shape) -> Node:
    if m.padding not in (0, (0, 0)) or m.ceil_mode or m.divisor_override:
        raise Unsupported(
            name, "average pooling with padding, ceil_mode or divisor", "pool whole windows only"
        )
    return AvgPool2d(_pair(m.kernel_size), _pair(m.stride))


@_handles(nn.MaxPool2d)
def _max_pool(name: str, m: nn.MaxPool2d, shape: Shape) -> Node:
    if m.ceil_mode or m.return_indices or _pair(m.dilation) != (1, 1):
        raise Unsupported(
            name, "maximum pooling with ceil_mode, dilation or indices", "use none of them; padding may be"
        )
    return MaxPool2d(_pair(m.kernel_size), _pair(m.stride), _pair(m.padding))


@_handles(nn.ConvTranspose2d)
def _conv_transpose(name: str, m: nn.ConvTranspose2d, shape: Shape) -> Node:
    if m.groups != 1 or _pair(m.dilation) != (1, 1):
        raise Unsupported(
            name, f"transposed convolution of {m.groups} groups, dilation {m.dilation}",
            "use one group and no dilation",
        )  # fmt: skip
    weight = _values(m.weight).transpose(1, 0, 2, 3)  # torch has [in, out, kh, kw]
    return ConvTranspose2d(weight, _values(m.bias), m.stride, m.padding, m.output_padding)


@_handles(nn.Upsample)
def _upsample(name: str, m: nn.Upsample, shape: Shape) -> Node:
    times = () if m.scale_factor is None else _pair(m.scale_factor)
    if m.mode != "nearest" or len(times) != 2 or any(f != int(f) or f < 1 for f in times):
        found = f"to size {m.size}" if m.scale_factor is None else f"by {m.scale_factor}"
        raise Unsupported(
            name, f"upsampling {found} in mode {m.mode!r} interpolates, or repeats no whole cells",
            "use mode='nearest' with whole scale_factor, or a ConvTranspose2d",
        )  # fmt: skip
    return Repeat2d((int(times[0]), int(times[1])))


def _pair(value: float | tuple[float, ...]) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, tuple) else (value, value)


@_handles(nn.Flatten)
def _flatten(name: str, m: nn.Flatten, shape: Shape, start: int = 2) -> Node:
    if (m.start_dim, m.end_dim) != (start, -1):
        raise Unsupported(
            name,
            f"Flatten({m.start_dim}, {m.end_dim})",
            f"flatten the axes from {start} on, behind the batch",
        )
    return Reshape((int(np.prod(shape)),))


@_handles(nn.Identity, nn.Dropout, nn.Dropout2d)
def _identity(name: str, m: nn.Module, shape: Shape) -> None:
    return None


@_handles(Stepwise)
def stepwise(
    name: str, m: Stepwise, shape: Shape, known: Mapping[type[nn.Module], Handler] = HANDLERS
) -> Node | None:
    handler = handler_of(m.module, known)
    if handler is None:
        raise Unsupported(name, f"{type(m.module).__name__} has no node", "use a stateless torch.nn layer")
    if handler is _flatten:  # steps and batch are one axis there
        return _flatten(name, m.module, shape, start=1)
    return handler(name, m.module, shape)


def _scalar(value: Any) -> float:
    return float(value.detach()) if isinstance(value, torch.Tensor) else float(value)


def _neuron_bias(m: Any) -> np.ndarray | None:
    bias = _scalar(getattr(m, "bias", 0.0))
    return np.asarray(bias) if bias else None


@_handles(neurons.LIF)
def _lif(name: str, m: neurons.LIF, shape: Shape) -> Node:
    return LIF(_scalar(m.dv), _scalar(m.threshold), _neuron_bias(m))


@_handles(neurons.CubaLIF)
def _cuba_lif(name: str, m: neurons.CubaLIF, shape: Shape) -> Node:
    return CubaLIF(_scalar(m.du), _scalar(m.dv), _scalar(m.threshold), _neuron_bias(m))


@_handles(neurons.IF)
def _if(name: str, m: neurons.IF, shape: Shape) -> Node:
    return IF(_scalar(m.threshold), _neuron_bias(m))


@_handles(neurons.LeakyIntegrator)
def _leaky_integrator(name: str, m: neurons.LeakyIntegrator, shape: Shape) -> Node:
    return LeakyIntegrator(_scalar(m.dv))
