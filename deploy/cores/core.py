"""A core and what lies on it: pieces of populations, blocks of synapses, and how far each limit is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from deploy.cores.chip import PER_CORE, Chip
from deploy.cores.encoding import Format

DELAY_BITS_LEAST = 3  # 1024 compartments keep 2^3 accumulator slots each without asking


@dataclass(frozen=True, eq=False)
class Block:
    """The synapses of one projection into one piece, in one encoding.

    listed: bool [sources], those that have a list of their own; or bases: int64 [sources], the place at which
    the shared list of a source is laid, -1 for sources without one.
    """

    projection: str
    src: str
    dst: str
    format: Format
    synapses: int
    bits: int
    delay: int
    listed: np.ndarray | None = None
    bases: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Piece:
    """Neurons start..stop of one population, in the order it was cut in: C order, or `turned`, the last axis
    outermost. neurons: their flat indices in C order, int64, in the order they lie in the core."""

    population: str
    start: int
    stop: int
    turned: bool
    neurons: np.ndarray
    blocks: tuple[Block, ...]
    slots: int  # neuron slots they take together
    axons_out: int
    thresholds: frozenset[tuple[int, ...]]
    configs: frozenset[tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Core:
    """One core. stopped_by: the limits that kept the next neuron out; empty where the neurons ended."""

    pieces: tuple[Piece, ...] = ()
    stopped_by: tuple[str, ...] = ()
    lists: Mapping[str, np.ndarray] = field(default_factory=lambda: MappingProxyType({}))
    places: frozenset[tuple[str, str, int]] = frozenset()

    @property
    def slots(self) -> int:
        return sum(p.slots for p in self.pieces)

    def blocks(self) -> tuple[Block, ...]:
        """All blocks of synapses, piece by piece."""
        return tuple(b for p in self.pieces for b in p.blocks)

    def with_piece(self, piece: Piece) -> Core:
        """The core with one piece more."""
        lists, places = dict(self.lists), set(self.places)
        for block in piece.blocks:
            if block.listed is not None:
                known = lists.get(block.src)
                lists[block.src] = block.listed if known is None else known | block.listed
            if block.bases is not None:
                laid = np.unique(block.bases[block.bases >= 0])
                places |= {(block.src, block.dst, int(base)) for base in laid}
        pieces = (*self.pieces, piece)
        return replace(self, pieces=pieces, lists=MappingProxyType(lists), places=frozenset(places))

    def use(self) -> dict[str, int]:
        """How much of each limit per core is taken.

        axons_in: one per source neuron that has a list here (over all projections, whatever their delay: a
        delay is held by the synapse), one per place of a shared list. delay_slots: neurons times 2^bits.
        """
        blocks = self.blocks()
        bits = max((b.format.delay_bits for b in blocks), default=0)
        configs = {c for p in self.pieces for c in p.configs}
        return {
            "neurons": self.slots,
            "synapse_bits": sum(b.bits for b in blocks),
            "axons_in": sum(int(m.sum()) for m in self.lists.values()) + len(self.places),
            "axons_out": sum(p.axons_out for p in self.pieces),
            "synapse_formats": len({b.format for b in blocks}),
            "thresholds": len({t for p in self.pieces for t in p.thresholds}),
            "neuron_configs": len(configs),
            "delay_slots": self.slots << max(DELAY_BITS_LEAST, bits),
        }


def over(use: Mapping[str, int], chip: Chip) -> tuple[str, ...]:
    """Names of the limits that are passed, the one passed furthest first."""
    limits = {name: chip.limit(name) for name in PER_CORE}
    passed = [name for name, most in limits.items() if most is not None and use[name] > most]
    return tuple(sorted(passed, key=lambda name: -use[name] / limits[name]))  # type: ignore[operator]
