"""Operations that do not depend on spikes: neuron updates, pooling, residual sums, scales, biases.

Each rule gives the operations of ONE step as a function of the node alone, from its own equation:

    LIF               v = (1-dv) v + a;  v > th             1 multiply, 1 add, 1 compare
    CubaLIF           u = (1-du) u + a;  v = (1-dv) v + u   2 multiplies, 2 adds, 1 compare
    IF                v = v + a;  v > th                    1 add, 1 compare
    LeakyIntegrator   v = (1-dv) v + a                      1 multiply, 1 add
    LoihiLIF, LoihiIntegrator, LoihiLIFReset                as LIF if du = 4095, else as CubaLIF
    LoihiTernaryLIF   two thresholds                        as LoihiLIF, 1 compare more
    LoihiLIFRefractory  counts down while v stands          as LoihiLIF, 1 add and 1 compare more
    LoihiRF           two sums of two products and an input 4 multiplies, 4 adds, 3 compares
    LoihiRFIZ         the same, one threshold               4 multiplies, 4 adds, 1 compare
    LoihiDelta        delta = x - x_old + residue; |delta| >= th      2 adds, 1 compare
    LoihiSigma        sigma = sigma + a                     1 add
    LoihiSigmaDelta   sigma, then delta coding; relu        3 adds, 1 compare; relu 1 compare more
    with cum_error    error + delta                         1 add more
    a neuron with a bias                                    1 add more
    AvgPool2d, JointMean                                    (window - 1) adds an output; the division
                                                            belongs to the weights behind
    Add                                                     (addends - 1) adds an output
    BatchNorm                                               1 MAC a value
    Relu              y = max(x, 0)                         1 compare a value
    MaxPool2d         the largest of k values in the image  k - 1 compares an output
    bias of a weighted node                                 1 add an output

The reset is a select and costs nothing; shifts of integer graphs are wires; Reshape, Permute, Delay, Concat,
Slice, Repeat2d, Input: nothing. A new node needs one rule here, in `energy.fanout` or in `energy.products`;
without one it is reported as uncounted.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from convert.ir import (
    IF,
    LIF,
    Add,
    AvgPool2d,
    BatchNorm,
    Concat,
    CubaLIF,
    Delay,
    GraphError,
    Input,
    JointMean,
    LeakyIntegrator,
    LoihiDelta,
    LoihiIntegrator,
    LoihiLIF,
    LoihiLIFRefractory,
    LoihiLIFReset,
    LoihiRF,
    LoihiRFIZ,
    LoihiSigma,
    LoihiSigmaDelta,
    LoihiTernaryLIF,
    MaxPool2d,
    Neuron,
    Node,
    Permute,
    Relu,
    Repeat2d,
    Reshape,
    Shape,
    Slice,
)
from convert.ir.loihi import DECAY_MAX
from energy.pools import seen, window

Ops = dict[str, int]
Rule = Callable[[Node, tuple[Shape, ...], Shape], Ops]
RULES: dict[type[Node], Rule] = {}


def update_rule(*kinds: type[Node]) -> Callable[[Rule], Rule]:
    """Register the rule of node types; a second rule for one type is refused."""

    def register(rule: Rule) -> Rule:
        for kind in kinds:
            if kind in RULES:
                raise GraphError(f"{kind.__name__} has two update rules; keep one")
            RULES[kind] = rule
        return rule

    return register


def updates(node: Node, in_shapes: tuple[Shape, ...], out_shape: Shape) -> Ops | None:
    """Operations of one step, field of `energy.line.COUNTS` -> number; None if no rule knows the node."""
    for kind in type(node).__mro__:
        if kind in RULES:
            return RULES[kind](node, in_shapes, out_shape)
    return None


def neuron_ops(node: Neuron, size: int) -> Ops:
    """Operations of one step of `size` neurons."""
    multiplies, adds, compares, _ = _EQUATIONS[type(node)]
    if currentless(node):
        multiplies, adds = multiplies - 1, adds - 1  # no current state to decay and to add
    if isinstance(node, LoihiSigmaDelta):
        compares += node.act == "relu"
    adds += biased(node) + bool(getattr(node, "cum_error", False))
    return {
        "neuron_steps": size,
        "neuron_multiplies": size * multiplies,
        "neuron_adds": size * adds,
        "neuron_compares": size * compares,
    }


def currentless(node: Neuron) -> bool:
    """Whether a neuron that may keep a current keeps none: du = 4095 forgets it within the step."""
    return isinstance(node, _CURRENT) and bool(np.all(np.equal(node.du, DECAY_MAX)))


def memories(node: Neuron) -> int | None:
    """What a neuron keeps from step to step: numbers; None for a neuron without a rule."""
    known = _EQUATIONS.get(type(node))
    return None if known is None else known[3] - currentless(node)


def biased(node: Neuron) -> bool:
    """Whether a neuron adds a bias at each step."""
    if isinstance(node, LoihiSigmaDelta):
        return bool(np.any(node.bias))
    return getattr(node, "bias", None) is not None and getattr(node, "bias_mant", True) is not None


_EQUATIONS: dict[type[Node], tuple[int, int, int, int]] = {  # multiplies, adds, compares; memories
    LIF: (1, 1, 1, 1),
    CubaLIF: (2, 2, 1, 2),
    IF: (0, 1, 1, 1),
    LeakyIntegrator: (1, 1, 0, 1),
    LoihiLIF: (2, 2, 1, 2),
    LoihiIntegrator: (2, 2, 1, 2),
    LoihiLIFReset: (2, 2, 1, 2),
    LoihiTernaryLIF: (2, 2, 2, 2),
    LoihiLIFRefractory: (2, 3, 2, 3),
    LoihiRF: (4, 4, 3, 2),
    LoihiRFIZ: (4, 4, 1, 2),
    LoihiDelta: (0, 2, 1, 2),
    LoihiSigma: (0, 1, 0, 1),
    LoihiSigmaDelta: (0, 3, 1, 3),
}
_CURRENT = (LoihiLIF, LoihiIntegrator, LoihiLIFReset, LoihiTernaryLIF, LoihiLIFRefractory)  # those with a u


@update_rule(*_EQUATIONS)
def _neuron(node: Neuron, in_shapes: tuple[Shape, ...], out_shape: Shape) -> Ops:
    return neuron_ops(node, math.prod(out_shape))


@update_rule(AvgPool2d, JointMean)
def _pool(node: Node, in_shapes: tuple[Shape, ...], out_shape: Shape) -> Ops:
    return {"pool_adds": (window(node, in_shapes[0]) - 1) * math.prod(out_shape)}


@update_rule(Add)
def _add(node: Add, in_shapes: tuple[Shape, ...], out_shape: Shape) -> Ops:
    return {"residual_adds": (len(in_shapes) - 1) * math.prod(out_shape)}


@update_rule(BatchNorm)
def _scale(node: Node, in_shapes: tuple[Shape, ...], out_shape: Shape) -> Ops:
    return {"scale_macs": math.prod(out_shape)}


@update_rule(Relu)
def _compare(node: Node, in_shapes: tuple[Shape, ...], out_shape: Shape) -> Ops:
    return {"neuron_compares": math.prod(out_shape)}


@update_rule(MaxPool2d)
def _maximum(node: MaxPool2d, in_shapes: tuple[Shape, ...], out_shape: Shape) -> Ops:
    return {"neuron_compares": out_shape[0] * seen(node, in_shapes[0]) - math.prod(out_shape)}


@update_rule(Input, Reshape, Permute, Delay, Concat, Slice, Repeat2d)
def _free(node: Node, in_shapes: tuple[Shape, ...], out_shape: Shape) -> Ops:
    return {}
