"""Bits of lists and blocks, by hand. Integers: the tolerance is zero."""

from __future__ import annotations

import numpy as np
import pytest

from convert.ir import ConvWeights
from deploy.cores.chip import chip
from deploy.cores.encoding import delay_bits, index_bits, list_bits, width
from deploy.cores.partition import partition


@pytest.mark.parametrize(
    ("lengths", "per", "words"),
    [
        ([0], 8, 0),
        ([1], 8, 1),  # 8 + 10 = 18 bits
        ([6], 8, 1),  # 48 + 10 = 58
        ([7], 8, 2),  # 56 + 10 = 66: one bit pair too many
        ([64], 8, 9),  # 512 + 10 = 522
        ([65], 8, 10),  # a full block and one of 18 bits
        ([128, 3], 14, 31),  # 2 blocks of 906 bits, 15 words each; 52 bits, 1 word
    ],
)
def test_bits_of_lists(lengths, per, words):
    assert list_bits(chip("loihi1"), np.array(lengths), per) == 64 * words


@pytest.mark.parametrize(("delay", "bits"), [(0, 0), (1, 2), (2, 2), (3, 3), (6, 3), (7, 4), (62, 6)])
def test_bits_of_a_delay(delay, bits):
    """d bits hold 2^d - 2 steps: 6 bits 62."""
    assert delay_bits(delay) == bits


def test_widths_are_the_next_legal_ones():
    one = chip("loihi1")
    assert width(one, "weight_bits", 7) == 8
    assert width(one, "weight_bits", 9) is None
    assert width(one, "index_bits", 1) == 6
    assert width(one, "index_bits", index_bits(1023)) == 10
    assert width(one, "index_bits", 13) is None


def only_block(program, name="loihi1"):
    (core,) = partition(program, chip(name)).cores
    (block,) = core.blocks()
    return block, core


def test_a_full_matrix_is_held_dense(chain):
    """3 sources, each a list of 10 weights of 8 bits: 90 bits, 2 words."""
    block, core = only_block(chain(np.arange(30).reshape(10, 3) + 1))
    assert (block.format.encoding, block.synapses, block.bits) == ("dense", 30, 3 * 2 * 64)
    assert core.use()["axons_in"] == 3


def test_few_synapses_are_held_sparse(chain, sparse):
    """One synapse in 40 targets: sparse 8 + 6 + 10 bits, 1 word; dense 330 bits, 6 words."""
    w = np.zeros((40, 2), int)
    w[7, 0], w[33, 1] = 5, 6
    block, core = only_block(chain(sparse(w)))
    assert (block.format.encoding, block.synapses, block.bits) == ("sparse", 2, 2 * 64)
    assert block.format.index_bits == 6
    assert core.use()["axons_in"] == 2


def test_a_convolution_is_held_once(chain):
    """A row of 20, kernel of 3, no padding: 18 targets. In the middle every source has the list of all 3
    weights, at each border there are 2 kinds of shorter ones: 5 lists, not 20. 3 (8 + 6) + 10 = 52 bits: one
    word each. The places are the first targets, 0..17: sources 0, 1, 2 begin at target 0."""
    w = ConvWeights(np.array([[[[1, 2, 3]]]]), (1, 1, 20), (1, 1, 18), (1, 1), (0, 0), (1, 1), 1)
    block, core = only_block(chain(w, shapes=[(1, 1, 20), (1, 1, 18)]))
    assert (block.format.encoding, block.synapses, block.bits) == ("shared", 54, 5 * 64)
    assert core.use()["axons_in"] == 18


def test_a_shared_list_needs_its_place_below_the_limit(chain, tiny):
    """With places below 4 only, the convolution must be listed source by source."""
    w = ConvWeights(np.array([[[[1, 2, 3]]]]), (1, 1, 20), (1, 1, 18), (1, 1), (0, 0), (1, 1), 1)
    program = chain(w, shapes=[(1, 1, 20), (1, 1, 18)])
    target = tiny(**{"encoding.shared_base": 4})
    (core,) = partition(program, target).cores
    assert core.blocks()[0].format.encoding != "shared"
    assert core.blocks()[0].bits == 20 * 64
    assert core.use()["axons_in"] == 20


def test_a_delay_costs_bits_and_slots(chain):
    """Delay 3: 3 bits a synapse: 4 weights 4 x 11 + 10 = 54 bits, 1 word; 5 weights 65 bits, 2 words."""
    program = chain(np.ones((5, 1), int), delays=[3])
    block, core = only_block(program)
    assert (block.format.delay_bits, block.bits) == (3, 128)
    assert core.use()["delay_slots"] == 5 * 8
    block, core = only_block(chain(np.ones((5, 1), int), delays=[7]))
    assert block.format.delay_bits == 4
    assert core.use()["delay_slots"] == 5 * 16


def test_weight_bits_above_the_chips_are_refused(chain, tiny):
    from convert.ir import Unsupported

    with pytest.raises(Unsupported, match="p1: neuron 0: tiny has no format for its synapses"):
        partition(chain(np.ones((2, 2), int)), tiny(**{"encoding.weight_bits": (1, 2, 4)}))
