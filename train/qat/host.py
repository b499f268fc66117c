"""What runs on the CPU behind the chip, in float64 and frozen: a gradient's way back to the chip's spikes.

The nodes of a folded float graph by name, as functions of tensors [T, N, *shape]. In float64 as the part is
deployed; sums in another order leave its values apart by some 1e-15, as `deploy.split` allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from train.qat.description import Description
from train.qat.errors import NotTrainable
from train.qat.layers import delayed, mixed
from train.step import Params, integrate_step, rest, spike_step

Fields = Mapping[str, Any]
Rule = Callable[..., Tensor]
RULES: dict[str, Rule] = {}
SPIKING = ("LIF", "CubaLIF", "IF")


class Host:
    """A float graph: values of every node from those of its inputs. No module: nothing of it is trained."""

    def __init__(self, description: Description, gradient: str) -> None:
        self.output: str = description.body["outputs"][0]
        self.averaged = description.averaged(self.output)
        self.spiking = description.nodes()[self.output]["type"] in SPIKING
        self.nodes: dict[str, tuple[Rule, Fields, tuple[str, ...]]] = {}
        for name, packed in description.nodes().items():
            if packed["type"] not in RULES:
                kind, remedy = packed["type"], "deploy the run without fine-tuning"
                raise NotTrainable(name, f"{kind} on the CPU has no rule for fine-tuning", remedy)
            fields = {k: _tensor(v) for k, v in description.fields(name).items()}
            given = {**fields, "gradient": gradient, "out": tuple(description.shapes[name])}
            self.nodes[name] = (RULES[packed["type"]], given, description.inputs(name))

    @property
    def inputs(self) -> tuple[str, ...]:
        """What enters: populations of the chip, inputs of the model."""
        return tuple(name for name, (_, _, before) in self.nodes.items() if not before)

    def scores(self, fed: Mapping[str, Tensor]) -> Tensor:
        """What enters, by name, [T, N, *shape] -> scores float64 [N, *shape] of the first output."""
        got: dict[str, Tensor] = {}
        for name, (rule, fields, before) in self.nodes.items():
            arrays = [got[i] for i in before] or [fed[name].to(torch.float64)]
            got[name] = rule(fields, *arrays)
        out = got[self.output]
        last = out.sum(0) if self.spiking else out[-1]
        return last / len(out) if self.averaged else last


def _tensor(value: Any) -> Any:
    return torch.from_numpy(np.array(value, np.float64)) if isinstance(value, np.ndarray) else value


def _rule(*kinds: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(kinds, rule))
        return rule

    return register


def _biased(f: Fields, y: Tensor) -> Tensor:
    """Plus the bias of each channel."""
    return y if f["bias"] is None else y + f["bias"].view(-1, *(1,) * (y.dim() - 3))


@_rule("Input")
def _input(f: Fields, x: Tensor) -> Tensor:
    return x


@_rule("Affine")
def _affine(f: Fields, x: Tensor) -> Tensor:
    return F.linear(x.flatten(2), f["weight"], f["bias"]).view(*x.shape[:2], *f["out"])


@_rule("ChannelMix")
def _channel_mix(f: Fields, x: Tensor) -> Tensor:
    return _biased(f, mixed(x, f["weight"]))


@_rule("StepConv")
def _step_conv(f: Fields, x: Tensor) -> Tensor:
    w = f["weight"]
    return _biased(f, torch.stack([mixed(delayed(x, k), w[:, :, k]) for k in range(w.shape[2])]).sum(0))


@_rule("GraphConv")
def _graph_conv(f: Fields, x: Tensor) -> Tensor:
    pairs = zip(f["weight"], f["adjacency"], strict=True)
    return _biased(
        f, torch.stack([mixed(torch.einsum("tncu...,uv->tncv...", x, a), w) for w, a in pairs]).sum(0)
    )


@_rule("Conv2d")
def _conv2d(f: Fields, x: Tensor) -> Tensor:
    y = F.conv2d(
        x.flatten(0, 1), f["weight"], f["bias"], f["stride"], f["padding"], f["dilation"], f["groups"]
    )
    return y.view(*x.shape[:2], *f["out"])


@_rule("AvgPool2d")
def _avg_pool(f: Fields, x: Tensor) -> Tensor:
    return F.avg_pool2d(x.flatten(0, 1), f["kernel"], f["stride"]).view(*x.shape[:2], *f["out"])


@_rule("ConvTranspose2d")
def _conv_transpose(f: Fields, x: Tensor) -> Tensor:
    weight = f["weight"].transpose(0, 1)
    y = F.conv_transpose2d(x.flatten(0, 1), weight, f["bias"], f["stride"], f["padding"], f["extra"])
    return y.view(*x.shape[:2], *f["out"])


@_rule("Repeat2d")
def _repeat(f: Fields, x: Tensor) -> Tensor:
    return x.repeat_interleave(f["times"][0], dim=3).repeat_interleave(f["times"][1], dim=4)


@_rule("MaxPool2d")
def _max_pool(f: Fields, x: Tensor) -> Tensor:
    # One pixel more than torch allows (half a kernel) may be padded here.
    pads = [n for p in reversed(f["padding"]) for n in (p, p)]
    padded = F.pad(x.flatten(0, 1), pads, value=float("-inf"))
    return F.max_pool2d(padded, f["kernel"], f["stride"]).view(*x.shape[:2], *f["out"])


@_rule("ChannelScale")
def _channel_scale(f: Fields, x: Tensor) -> Tensor:
    return _biased(f, x * f["scale"].view(-1, *(1,) * (x.dim() - 3)))


@_rule("JointMean")
def _joint_mean(f: Fields, x: Tensor) -> Tensor:
    return x.mean(-1)


@_rule("JointMap")
def _joint_map(f: Fields, x: Tensor) -> Tensor:
    parts = x.unflatten(2, (f["matrix"].shape[1], -1))  # [T, N, I, C, V]
    return torch.einsum("jiwv,tnicv->tnjcw", f["matrix"], parts).flatten(2, 3)


@_rule("StepMap")
def _step_map(f: Fields, x: Tensor) -> Tensor:
    return torch.tensordot(f["matrix"], x, dims=1)


@_rule("StepMean")
def _step_mean(f: Fields, x: Tensor) -> Tensor:
    return x.mean(0, keepdim=True)


@_rule("Reshape")
def _reshape(f: Fields, x: Tensor) -> Tensor:
    return x.reshape(*x.shape[:2], *f["out"])


@_rule("Permute")
def _permute(f: Fields, x: Tensor) -> Tensor:
    return x.permute(0, 1, *(axis + 2 for axis in f["axes"]))


@_rule("Delay")
def _delay(f: Fields, x: Tensor) -> Tensor:
    return delayed(x, f["steps"])


@_rule("Add")
def _add(f: Fields, *inputs: Tensor) -> Tensor:
    return sum(inputs[1:], inputs[0])


@_rule("Concat")
def _concat(f: Fields, *inputs: Tensor) -> Tensor:
    return torch.cat(inputs, dim=2)


@_rule("Slice")
def _slice(f: Fields, x: Tensor) -> Tensor:
    return x[:, :, f["start"] : f["stop"]]


@_rule("Relu")
def _relu(f: Fields, x: Tensor) -> Tensor:
    return F.relu(x)


@_rule("SpikeMatMul")
def _mat_mul(f: Fields, a: Tensor, b: Tensor) -> Tensor:
    return a @ b


@_rule("SpikeAnd")
def _and(f: Fields, a: Tensor, b: Tensor) -> Tensor:
    return a * b


@_rule(*SPIKING)
def _spiking(f: Fields, a: Tensor) -> Tensor:
    p = Params(f["du"], f["dv"], f["threshold"], 0.0 if f["bias"] is None else f["bias"])
    state, out = rest(a[0]), []
    for a_t in a:
        s, state = spike_step(a_t, state, p, f["gradient"])
        out.append(s)
    return torch.stack(out)


@_rule("LeakyIntegrator")
def _integrator(f: Fields, a: Tensor) -> Tensor:
    p = Params(f["du"], f["dv"], float("inf"), 0.0 if f["bias"] is None else f["bias"])
    state, out = rest(a[0]), []
    for a_t in a:
        state = integrate_step(a_t, state, p)
        out.append(state.v)
    return torch.stack(out)
