"""E_ram: picojoules of one access to a word, as a function of how large the memory is.

    levels   the price of the smallest listed memory that holds the words; `beyond` it, main memory
    linear   straight lines through (bytes, pJ) points, the last price beyond the last point
    affine   base + per_bit x words x word_bits

A published figure belongs to an access of `access_bits`. `charged` says what a word of `word_bits` pays:
'share' its part of that access, 'access' the whole of it (Lemaire and who follows charge a 64-bit figure for
one 32-bit word).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

LAWS = {"levels": ("points", "beyond"), "linear": ("points",), "affine": ("base", "per_bit")}
CHARGED = ("share", "access")
KEYS = {"law", "word_bits", "access_bits", "charged", "in_total", "fifo_messages", "note"}


@dataclass(frozen=True)
class Ram:
    """law, prices: module.  in_total: whether memory and addressing belong to the table's total, or stand
    beside it.  fifo_messages: length of a queue of spikes, whose memory a spike is read from and written to.
    """

    law: str
    word_bits: int
    access_bits: int
    charged: str
    in_total: bool
    fifo_messages: int
    points: tuple[tuple[float, float], ...] = ()
    beyond: float = 0.0
    base: float = 0.0
    per_bit: float = 0.0
    note: str = ""

    @staticmethod
    def of(body: Mapping[str, Any]) -> Ram:
        """From a checked [memory] of a table's file."""
        points = tuple((float(size), float(pj)) for size, pj in body.get("points", ()))
        return Ram(**{**body, "points": points})

    def pj(self, words: int) -> float:
        """Picojoules to read or write one word of a memory of `words` words; no memory, no cost."""
        if words <= 0:
            return 0.0
        bits = words * self.word_bits
        share = self.word_bits / self.access_bits if self.charged == "share" else 1.0
        if self.law == "affine":
            return share * (self.base + self.per_bit * bits)
        sizes, prices = zip(*self.points, strict=True)
        if self.law == "linear":
            return share * float(np.interp(bits / 8, sizes, prices))
        fitting = [price for size, price in self.points if bits <= 8 * size]
        return share * (fitting[0] if fitting else self.beyond)

    def describe(self) -> dict[str, Any]:
        """As JSON takes it, keys of other laws left out."""
        body = {**asdict(self), "points": [list(p) for p in self.points]}
        others = {key for law, keys in LAWS.items() if law != self.law for key in keys} - set(LAWS[self.law])
        return {key: value for key, value in body.items() if key not in others}
