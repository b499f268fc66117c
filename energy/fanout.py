"""Fan-out: through how many synapses does each input value of a weighted node go?

The exact synaptic operations of a sample are the dot product of its non-zero values with this map, so the map
is all there is to know about a node. Borders are exact: a value near the edge meets fewer taps. Zero weights
are synapses and are counted; a second map counts the synapses whose weight is not exactly zero.

A new weighted node needs one rule here, `(node, in_shape, steps) -> (Fanout, ...)`, one entry per stage.
Products of two tensors have no map, for what a value passes depends on its partner: `energy.products`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convert.ir import (
    Affine,
    ChannelMix,
    ChannelScale,
    Conv2d,
    GraphConv,
    GraphError,
    JointMap,
    Node,
    Shape,
    StepConv,
    StepMap,
    StepMean,
)


@dataclass(frozen=True, eq=False)
class Fanout:
    """One stage of a weighted node over a run of T steps.

    item: '' or the name of the stage.  dense: MACs of the run with all inputs non-zero, padding included.
    synapses, nonzero: int64 [S, P], S = 1 (every step alike) or T; P flat input positions.
    lanes: 0: the operand is the node's input. Above 0: it is an inner tensor of real values, `lanes` of them
    for each of P columns (places of a channel), all zero where no channel of the column is active.
    """

    dense: int
    synapses: np.ndarray
    nonzero: np.ndarray
    item: str = ""
    lanes: int = 0

    @cached_property
    def alike(self) -> bool:
        """Whether no weight is exactly zero: both maps are the same."""
        return np.array_equal(self.synapses, self.nonzero)

    def inbounds(self, steps: int) -> int:
        """MACs of a run with all inputs non-zero, padding left out."""
        return self._all * (steps if len(self.synapses) == 1 else 1)

    @cached_property
    def _all(self) -> int:
        return int(self.synapses.sum())


Rule = Callable[[Node, Shape, int], tuple[Fanout, ...]]
RULES: dict[type[Node], Rule] = {}


def fanout_rule(kind: type[Node]) -> Callable[[Rule], Rule]:
    """Register the rule of a node type; a second rule for one type is refused."""

    def register(rule: Rule) -> Rule:
        if kind in RULES:
            raise GraphError(f"{kind.__name__} has two fan-out rules; keep one")
        RULES[kind] = rule
        return rule

    return register


def weighted(node: Node) -> bool:
    """Whether the node has synapses that a rule here counts."""
    return any(kind in RULES for kind in type(node).__mro__)


def fanout(node: Node, in_shape: Shape, steps: int) -> tuple[Fanout, ...]:
    """The stages of a node; GraphError if it has no rule."""
    for kind in type(node).__mro__:
        if kind in RULES:
            return RULES[kind](node, in_shape, steps)
    raise GraphError(f"{type(node).__name__}: no fan-out rule; known: {', '.join(k.__name__ for k in RULES)}")


@fanout_rule(Affine)
def _affine(node: Affine, in_shape: Shape, steps: int) -> tuple[Fanout, ...]:
    """Every value reaches every output: F = out; or those its `synapses` name."""
    out, size = node.weight.shape
    nonzero = np.count_nonzero(node.weight, axis=0).astype(np.int64)
    if node.synapses is not None:
        joined = node.synapses.sum(axis=0, dtype=np.int64)
        return (Fanout(steps * out * size, joined[None], nonzero[None]),)
    return (Fanout(steps * out * size, np.full((1, size), out, np.int64), nonzero[None]),)


@fanout_rule(ChannelMix)
def _channel_mix(node: ChannelMix, in_shape: Shape, steps: int) -> tuple[Fanout, ...]:
    """A value reaches the out channels at its own position: F = out."""
    out, channels = node.weight.shape
    size = math.prod(in_shape)
    nonzero = np.repeat(np.count_nonzero(node.weight, axis=0).astype(np.int64), size // channels)
    return (Fanout(steps * out * size, np.full((1, size), out, np.int64), nonzero[None]),)


@fanout_rule(StepConv)
def _step_conv(node: StepConv, in_shape: Shape, steps: int) -> tuple[Fanout, ...]:
    """A value at step t reaches tap k where t + k < T: F_t = out min(K, T - t)."""
    out, channels, taps = node.weight.shape
    size = math.prod(in_shape)
    left = np.minimum(taps, steps - np.arange(steps, dtype=np.int64))
    synapses = np.repeat((out * left)[:, None], size, axis=1)
    by_tap = np.count_nonzero(node.weight, axis=0).astype(np.int64)  # [in, K]
    reached = np.cumsum(by_tap, axis=1)[:, left - 1].T  # [T, in]
    return (Fanout(steps * out * taps * size, synapses, np.repeat(reached, size // channels, axis=1)),)


@fanout_rule(ChannelScale)
def _channel_scale(node: ChannelScale, in_shape: Shape, steps: int) -> tuple[Fanout, ...]:
    """Every value passes one synapse, to its own place: F = 1. The weighted residual of integer graphs."""
    size = math.prod(in_shape)
    nonzero = np.repeat((node.scale != 0).astype(np.int64), size // len(node.scale))
    return (Fanout(steps * size, np.ones((1, size), np.int64), nonzero[None]),)


@fanout_rule(GraphConv)
def _graph_conv(node: GraphConv, in_shape: Shape, steps: int) -> tuple[Fanout, ...]:
    """Two stages: z_k = W_k x at each joint, F = K out; then y = sum_k z_k A_k, F = V per real value of z."""
    k, out, channels = node.weight.shape
    _, joints, targets = node.adjacency.shape
    places = math.prod(in_shape[2:])  # frames of a joint
    columns = joints * places
    mixed = np.repeat(np.count_nonzero(node.weight, axis=(0, 1)).astype(np.int64), columns)
    mix = np.full((1, channels * columns), k * out, np.int64)
    spread = np.full((1, columns), k * out * targets, np.int64)
    links = np.repeat(out * np.count_nonzero(node.adjacency, axis=(0, 2)).astype(np.int64), places)
    return (
        Fanout(steps * k * out * channels * columns, mix, mixed[None], "mix"),
        Fanout(steps * k * out * columns * targets, spread, links[None], "adjacency", k * out),
    )


@fanout_rule(JointMap)
def _joint_map(node: JointMap, in_shape: Shape, steps: int) -> tuple[Fanout, ...]:
    """A joint's value reaches the joints its column of the matrix joins: zeros are no synapses."""
    reached = np.count_nonzero(node.matrix, axis=(0, 2)).astype(np.int64)  # [I, V]
    channels = in_shape[0] // len(reached)
    synapses = np.repeat(reached, channels, axis=0).reshape(1, -1)
    return (Fanout(steps * channels * node.matrix.size, synapses, synapses),)


@fanout_rule(StepMap)
def _step_map(node: StepMap, in_shape: Shape, steps: int) -> tuple[Fanout, ...]:
    """A value at step t reaches the steps that column t of the matrix joins: zeros are no synapses."""
    size = math.prod(in_shape)
    reached = np.count_nonzero(node.over("StepMap", steps), axis=0).astype(np.int64)
    synapses = np.repeat(reached[:, None], size, axis=1)
    return (Fanout(node.matrix.size * size, synapses, synapses),)


@fanout_rule(StepMean)
def _step_mean(node: StepMean, in_shape: Shape, steps: int) -> tuple[Fanout, ...]:
    """Every value of every step is multiplied by 1/T and added: F = 1."""
    one = np.ones((1, math.prod(in_shape)), np.int64)
    return (Fanout(steps * one.size, one, one),)


@fanout_rule(Conv2d)
def _conv2d(node: Conv2d, in_shape: Shape, steps: int) -> tuple[Fanout, ...]:
    out_shape = node.out_shape("Conv2d", in_shape)
    geometry = (node.stride, node.padding, node.dilation, node.groups)
    return (conv_fanout(node.weight, in_shape, out_shape, *geometry, steps),)


def conv_fanout(
    weight: np.ndarray,
    in_shape: Shape,
    out_shape: Shape,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    steps: int,
) -> Fanout:
    """weight [O, C / groups, kh, kw] over (C, H, W). A tap and an output side fix the position it reads, so

    F(c, y, x) = sum_{p, q} #{o of c's group: counted} R_p(y) R_q(x),   R_p(y) = 1 if i s + p d - pad = y
                                                                       for some output row i
    """
    rows, cols = (
        _reach(in_shape[1 + a], out_shape[1 + a], weight.shape[2 + a], stride[a], padding[a], dilation[a])
        for a in (0, 1)
    )
    per_channel = out_shape[0] // groups
    plane = per_channel * np.outer(rows.sum(axis=0), cols.sum(axis=0))
    synapses = np.repeat(plane[None], in_shape[0], axis=0)
    grouped = weight.reshape(groups, per_channel, *weight.shape[1:])
    filled = np.count_nonzero(grouped, axis=1).astype(np.int64).reshape(in_shape[0], *weight.shape[2:])
    nonzero = np.einsum("cpx,py->cyx", np.einsum("cpq,qx->cpx", filled, cols), rows)
    dense = steps * math.prod(weight.shape) * math.prod(out_shape[1:])
    return Fanout(dense, synapses.reshape(1, -1), nonzero.reshape(1, -1))


def _reach(size: int, outs: int, taps: int, stride: int, padding: int, dilation: int) -> np.ndarray:
    """int64 [taps, size]: 1 where some output reads this position through this tap."""
    at = np.arange(outs)[None] * stride + np.arange(taps)[:, None] * dilation - padding
    reach = np.zeros((taps, size), np.int64)
    tap, out = np.nonzero((at >= 0) & (at < size))
    reach[tap, at[tap, out]] = 1
    return reach
