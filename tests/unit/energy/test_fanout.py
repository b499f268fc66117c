"""Fan-out maps against loops over the node's own equation."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from convert.ir import (
    LIF,
    Affine,
    ChannelMix,
    Conv2d,
    GraphConv,
    GraphError,
    JointMap,
    StepConv,
    StepMap,
    StepMean,
)
from energy.fanout import RULES, fanout, fanout_rule, weighted

PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


def loop_conv(node, in_shape):
    """(all, non-zero) synapses per input, and MACs with padding: the equation of Conv2d, written out."""
    out_shape = node.out_shape("conv", in_shape)
    outs, per, kh, kw = node.weight.shape
    every, nonzero, dense = np.zeros(in_shape, int), np.zeros(in_shape, int), 0
    for o, i, j in itertools.product(*map(range, out_shape)):
        for c, p, q in itertools.product(range(per), range(kh), range(kw)):
            dense += 1
            y = i * node.stride[0] + p * node.dilation[0] - node.padding[0]
            x = j * node.stride[1] + q * node.dilation[1] - node.padding[1]
            if 0 <= y < in_shape[1] and 0 <= x < in_shape[2]:
                channel = o // (outs // node.groups) * per + c
                every[channel, y, x] += 1
                nonzero[channel, y, x] += node.weight[o, c, p, q] != 0
    return every, nonzero, dense


@settings(max_examples=60, deadline=None)
@given(
    kernel=PAIR, stride=PAIR, padding=st.tuples(st.integers(0, 2), st.integers(0, 2)), dilation=PAIR,
    groups=st.sampled_from([1, 2]), sides=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_conv_borders(kernel, stride, padding, dilation, groups, sides, seed):
    assume(
        all(n + 2 * p >= d * (k - 1) + 1 for n, p, d, k in zip(sides, padding, dilation, kernel, strict=True))
    )
    weight = np.random.default_rng(seed).integers(-1, 2, (2 * groups, 2, *kernel))
    node = Conv2d(weight, None, stride, padding, dilation, groups)
    in_shape = (2 * groups, *sides)
    every, nonzero, dense = loop_conv(node, in_shape)
    (fan,) = fanout(node, in_shape, steps=3)
    assert fan.synapses.dtype == fan.nonzero.dtype == np.int64
    assert np.array_equal(fan.synapses[0], every.reshape(-1))
    assert np.array_equal(fan.nonzero[0], nonzero.reshape(-1))
    assert (fan.dense, fan.inbounds(3)) == (3 * dense, 3 * every.sum())


def test_conv_3x3_on_3x3_by_hand():
    (fan,) = fanout(Conv2d(np.ones((2, 1, 3, 3)), padding=(1, 1)), (1, 3, 3), 1)
    assert fan.synapses.reshape(3, 3).tolist() == [[8, 12, 8], [12, 18, 12], [8, 12, 8]]  # 2 x {4, 6, 9}


def test_affine_counts_zero_weights_and_says_how_many_are_not():
    (fan,) = fanout(Affine(np.array([[1, 0, 2], [0, 0, 3]])), (3,), 5)
    assert fan.synapses.tolist() == [[2, 2, 2]] and fan.nonzero.tolist() == [[1, 0, 2]]
    assert fan.dense == 5 * 6


def test_channel_mix_stays_at_its_position():
    (fan,) = fanout(ChannelMix(np.array([[1, 0], [1, 1], [0, 0]])), (2, 4), 1)
    assert fan.synapses.tolist() == [[3] * 8] and fan.nonzero.tolist() == [[2] * 4 + [1] * 4]


def test_step_conv_ends_at_the_last_step():
    # 1 channel in, 2 out, 3 taps, 4 steps: taps that still arrive are 3, 3, 2, 1; tap 1 of output 0 is zero
    weight = np.ones((2, 1, 3))
    weight[0, 0, 1] = 0
    (fan,) = fanout(StepConv(weight), (1,), 4)
    assert fan.synapses.tolist() == [[6], [6], [4], [2]]
    assert fan.nonzero.tolist() == [[5], [5], [3], [2]]
    assert fan.dense == 4 * 6 and fan.inbounds(4) == 18


def test_step_conv_longer_than_the_run():
    (fan,) = fanout(StepConv(np.ones((1, 2, 9))), (2, 3), 2)
    assert fan.synapses.tolist() == [[2] * 6, [1] * 6]


def test_graph_conv_has_two_stages():
    adjacency = np.array([[[1, 0, 0], [1, 1, 0], [0, 0, 0]]])  # K 1, V 3
    mix, spread = fanout(GraphConv(np.ones((1, 4, 2)), adjacency), (2, 3), 1)
    assert (mix.item, mix.dense, mix.synapses.tolist()) == ("mix", 24, [[4] * 6])
    assert (spread.item, spread.dense, spread.lanes) == ("adjacency", 36, 4)
    assert spread.synapses.tolist() == [[12] * 3] and spread.nonzero.tolist() == [[4, 8, 0]]


def test_joint_map_joins_where_its_matrix_does():
    # 2 parts in, 1 out, 2 joints to 3; part 0 joins (0,0) (1,0) (2,1), part 1 joins (0,1); 2 channels a part
    matrix = np.array([[[[1, 0], [1, 0], [0, 2]], [[0, 3], [0, 0], [0, 0]]]])
    (fan,) = fanout(JointMap(matrix), (4, 2), 5)
    assert fan.synapses.tolist() == [[2, 1, 2, 1, 0, 1, 0, 1]]
    assert fan.dense == 5 * 2 * 12 and fan.inbounds(5) == 5 * 2 * 4


def test_step_map_joins_where_its_matrix_does():
    (fan,) = fanout(StepMap(np.array([[1, 0, 2], [1, 1, 0]])), (2,), 3)
    assert fan.synapses.tolist() == [[2, 2], [1, 1], [1, 1]]
    assert fan.dense == 12 and fan.inbounds(3) == 8


def test_step_mean_passes_every_value_once():
    (fan,) = fanout(StepMean(), (2, 3), 4)
    assert fan.synapses.tolist() == [[1] * 6] and fan.dense == fan.inbounds(4) == 24


def test_registry_is_loud():
    assert len(RULES) >= 5 and not weighted(LIF(0.5))
    with pytest.raises(GraphError, match=r"LIF: no fan-out rule; known: Affine"):
        fanout(LIF(0.5), (1,), 1)
    with pytest.raises(GraphError, match="Affine has two"):
        fanout_rule(Affine)(lambda node, shape, steps: ())
