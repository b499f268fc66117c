"""Published and re-derived integers that follow from architecture alone."""

import numpy as np
import pytest

from convert.ir import Affine, Conv2d, Graph, Input
from energy.costs import cost_table
from energy.counts import count
from energy.energy import price
from energy.fanout import fanout

ISSUE_AC = 245_851_246.5306023  # Spikformer-4-384, AC printed in spikformer issue #23


def dense(node, in_shape, steps):
    return sum(stage.dense for stage in fanout(node, in_shape, steps))


def conv(outs, ins):
    return Conv2d(np.ones((outs, ins, 3, 3), np.int8), padding=(1, 1))


def head(classes, width):
    return Affine(np.ones((classes, width), np.int8), np.zeros(classes))


@pytest.mark.parametrize("steps, first, side, outs, ins, want", [
    (4, 48, 32, 10, 384, 5_312_266),  # Spikformer-4-384, CIFAR-10
    (4, 64, 224, 1000, 512, 347_329_512),  # Spikingformer-8-512, ImageNet, author log
    (4, 96, 224, 1000, 768, 520_993_768),  # Spikingformer-8-768, ImageNet, author log
])  # fmt: skip
def test_macs_of_first_conv_and_head(steps, first, side, outs, ins, want):
    # the authors count the head once, its bias as MACs
    macs = dense(conv(first, 3), (3, side, side), steps) + dense(head(outs, ins), (ins,), 1) + outs
    assert macs == want


def test_the_counter_agrees_on_spikformer_4_384():
    nodes = {"x": Input((3, 32, 32)), "conv": conv(48, 3)}
    first = count(Graph(nodes, (("x", "conv"),), ("conv",), "folded"), {"x": np.ones((4, 1, 3, 32, 32))})
    nodes = {"x": Input((384,)), "head": head(10, 384)}
    last = count(Graph(nodes, (("x", "head"),), ("head",), "folded"), {"x": np.ones((1, 1, 384))})
    macs = first.total("dense_mac")[0] + last.total("dense_mac")[0] + last.total("bias_adds")[0]
    assert macs == 5_312_266
    table = cost_table("horowitz45-fp32")
    # mJ as the issue prints it; double precision arithmetic on 16 digits
    mj = (table.price("mac") * macs + table.price("ac") * ISSUE_AC) / 1e9
    assert mj == pytest.approx(0.24570254547754, rel=1e-12)
    assert price(first, table)["paper-spikformer"].total()[0] == pytest.approx(4.6 * 5_308_416, rel=1e-12)


def test_second_stem_conv_of_spikformer_8_512():
    assert dense(conv(128, 64), (64, 112, 112), 4) == 3_699_376_128  # author log 3.69937613e9
