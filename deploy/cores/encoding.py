"""How synapses lie in a core's memory, in bits, in each encoding.

The synapses that one message wakes form a *list*. A list of m synapses is stored in blocks of at most
`block_synapses`, each with a header, each filled up to whole words:

    bits(m, per) = sum over blocks of  word ceil((n per + header) / word)

    sparse   per = weight + delay + index     one synapse a stored weight, each names its target
    dense    per = weight + delay             one synapse a neuron of the piece, zeros included; no names
    shared   per = weight + delay + index     as sparse, but a list is stored once for all sources whose lists
             are equal up to where they are laid: a convolution's kernel once per core. The message says which
             list and where: one axon per place ("population message"), not one per source

weight, delay and index have the smallest legal width that holds them. A projection has one delay, so all its
synapses carry the same; a field of d bits holds delays up to 2^d - 2. Source of the block form and widths:
NengoLoihi, block.py, for Loihi 1; for Loihi 2 the same is assumed (see the chip files).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deploy.cores.chip import Chip


@dataclass(frozen=True)
class Format:
    """What the synapses of one block form share; a core holds a limited number of these."""

    encoding: str  # 'sparse' | 'dense' | 'shared'
    weight_bits: int
    exp: int
    delay_bits: int
    index_bits: int

    @property
    def bits_per_synapse(self) -> int:
        return self.weight_bits + self.delay_bits + self.index_bits


def width(chip: Chip, name: str, needed: int) -> int | None:
    """The smallest legal width of at least `needed` bits; None if there is none."""
    return next((w for w in chip.widths(name) if w >= needed), None)


def delay_bits(delay: int) -> int:
    """Bits of a delay field that holds `delay` steps: the least d with 2^d - 2 >= delay."""
    return 0 if delay == 0 else max(1, int(delay + 1).bit_length())


def index_bits(top: int) -> int:
    """Bits of an index 0..top."""
    return int(top).bit_length()


def list_bits(chip: Chip, lengths: np.ndarray, per: int) -> int:
    """Bits of lists of these lengths [synapses], `per` bits a synapse; int."""
    word, block = chip.number("encoding.word_bits"), chip.number("encoding.block_synapses")
    header = chip.number("encoding.block_header_bits")
    lengths = np.asarray(lengths, np.int64)
    whole, rest = np.divmod(lengths, block)
    words = whole * -(-(block * per + header) // word)
    words = words + np.where(rest > 0, -(-(rest * per + header) // word), 0)
    return int(words.sum()) * word
