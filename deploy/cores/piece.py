"""Weighs pieces of one population: what range start..stop of it would take of a core."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from convert.ir import Program, Projection
from deploy.cores.axons import Axons
from deploy.cores.chip import Chip
from deploy.cores.core import Block, Piece
from deploy.cores.encoding import Format, delay_bits, index_bits, list_bits, width
from deploy.cores.wiring import Wiring

_THRESHOLDS = ("vth", "vth_hi", "vth_lo")
_DECAYS = ("du", "dv", "sin_decay", "cos_decay", "refractory", "reset_interval", "bias_exp")


class Cutter:
    """One population in one order: order int64 [size], position -> neuron. sent: its axons."""

    def __init__(self, program: Program, chip: Chip, name: str, order: np.ndarray, sent: Axons) -> None:
        self.name, self.order, self.chip, self.sent = name, order, chip, sent
        self.turned = bool((np.diff(order) != 1).any())
        self.program = program
        self.wirings = [Wiring(p, order) for p in program.into(name)]
        model = program.populations[name].model
        self.slots = int(chip.slots(type(model).__name__) or 1)
        self._thresholds = _values(program, name, _THRESHOLDS)[order]
        self._decays = _values(program, name, _DECAYS)[order]
        self._weigh = lru_cache(maxsize=8)(self._weighed)

    def piece(self, start: int, stop: int, offset: int) -> Piece | None:
        """Positions start..stop laid at neuron slot `offset` of a core; None if no encoding can hold them."""
        return self._weigh(start, stop, offset)

    def _weighed(self, start: int, stop: int, offset: int) -> Piece | None:
        blocks: list[Block] = []
        for wiring in self.wirings:
            found = self._block(wiring, start, stop, offset)
            if found is None:
                return None
            blocks += found
        neurons = self.order[start:stop]
        return Piece(
            self.name, start, stop, self.turned, neurons, tuple(blocks), self.slots * (stop - start),
            self.sent.slots(neurons, self.chip.number("encoding.shared_slots")),
            frozenset(map(tuple, np.unique(self._thresholds[start:stop], axis=0).tolist())),
            frozenset(map(tuple, np.unique(self._decays[start:stop], axis=0).tolist())),
        )  # fmt: skip

    def unfit(self) -> str:
        """What to do where no encoding fits."""
        wide = max(w.projection.bits for w in self.wirings)
        return f"weights have {wide} bits: convert with fewer --bits, or cut the layer smaller"

    def _block(self, wiring: Wiring, start: int, stop: int, offset: int) -> list[Block] | None:
        """The cheapest legal encoding of one projection into the piece; [] where nothing arrives."""
        options = list(self._options(wiring, start, stop, offset))
        if not options:
            return [] if not wiring.lengths(start, stop).any() else None
        return [min(options, key=lambda block: block.bits)]

    def _options(self, wiring: Wiring, start: int, stop: int, offset: int) -> Iterator[Block]:
        p, chip = wiring.projection, self.chip
        lengths = wiring.lengths(start, stop)
        reached = lengths > 0
        if not reached.any():
            return
        head = self._head(p)
        if None in head:
            return
        weight, delay = head
        total = int(lengths.sum())
        form = Format("dense", weight, p.exp, delay, 0)
        bits = list_bits(chip, np.full(int(reached.sum()), stop - start), form.bits_per_synapse)
        yield self._made(p, form, total, bits, listed=reached)
        index = width(chip, "index_bits", index_bits(offset + stop - start - 1))
        if index is not None:
            form = Format("sparse", weight, p.exp, delay, index)
            bits = list_bits(chip, lengths[reached], form.bits_per_synapse)
            yield self._made(p, form, total, bits, listed=reached)
        if not wiring.dense and wiring.may_share:
            yield from self._shared(wiring, head, (start, stop, offset), total)

    def _head(self, p: Projection) -> tuple[int | None, int | None]:
        weight = width(self.chip, "weight_bits", p.bits)
        return weight, width(self.chip, "delay_bits", delay_bits(self.program.chip_delay(p)))

    def _shared(
        self, wiring: Wiring, head: tuple, where: tuple[int, int, int], total: int
    ) -> Iterator[Block]:
        start, stop, offset = where
        lists = wiring.lists(start, stop)
        index = width(self.chip, "index_bits", index_bits(lists.span))
        if index is None or offset + int(lists.base.max()) >= self.chip.number("encoding.shared_base"):
            return
        form = Format("shared", head[0], wiring.projection.exp, head[1], index)
        bases = np.full(wiring.sources, -1, np.int64)
        bases[lists.sources] = lists.base
        bits = list_bits(self.chip, lists.kind_lengths, form.bits_per_synapse)
        yield self._made(wiring.projection, form, total, bits, bases=bases)

    def _made(
        self, p: Projection, form: Format, total: int, bits: int,
        listed: np.ndarray | None = None, bases: np.ndarray | None = None,
    ) -> Block:  # fmt: skip
        delay = self.program.chip_delay(p)
        return Block(p.name, p.src, p.dst, form, total, bits, delay, listed, bases)


def _values(program: Program, name: str, fields: tuple[str, ...]) -> np.ndarray:
    """The named parameters of each neuron, int64 [size, fields]; 0 where the model has no such field."""
    population = program.populations[name]
    values = (np.asarray(getattr(population.model, field, 0), np.int64) for field in fields)
    return np.stack([np.broadcast_to(v, population.shape).reshape(-1) for v in values], axis=1)
