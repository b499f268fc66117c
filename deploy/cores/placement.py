"""Cores on the mesh: a local search that shortens the way of the messages.

Routers lie in a grid, several cores to a router; a message goes along x, then along y: hops = |dx| + |dy|.
Chips lie in a row, so that x goes on from one to the next; crossings are counted beside the hops. The outside
enters at the corner router of the first chip. (Both are assumptions: neither the boards' chip-to-chip wiring
nor the way in is modelled.)

    cost = sum over i, j of  M[i, j] hops(place i, place j)

Simulated annealing from the order of the populations: move a core to a free place or let two change places;
seeded, so the same seed gives the same placement. The best placement seen is kept, never a worse one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deploy.cores.chip import Chip
from deploy.cores.traffic import Traffic

MOVES_PER_CORE = 300
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Placement:
    """slot int64 [cores]: place of every core; chip, x, y int64 [cores] (x within its chip).

    hops_before, hops: message hops per sample in the order of the populations, and as placed.
    """

    chips: int
    slot: np.ndarray
    chip: np.ndarray
    x: np.ndarray
    y: np.ndarray
    hops_before: float
    hops: float


def grid(chip: Chip, chips: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(chip, x, y) of every slot; x goes on from chip to chip. Slots run router by router, row by row."""
    wide, per = chip.number("mesh.width"), chip.number("mesh.cores_per_router")
    cores = int(chip.limit("cores_per_chip") or 1)
    number, slot = np.divmod(np.arange(chips * cores), cores)
    router = slot // per
    y, x = np.divmod(router, wide)
    x = np.where(y % 2, wide - 1 - x, x)  # rows go to and fro: neighbours in order are neighbours on the mesh
    return number, number * wide + x, y


def place(
    chip: Chip, messages: Traffic, seed: int = 0, moves: int | None = None,
    progress: Progress = lambda done, of: None,
) -> Placement:  # fmt: skip
    """Places for all cores; moves = 0 leaves them in order."""
    count = len(messages.matrix) - 1
    chips = max(1, -(-count // int(chip.limit("cores_per_chip") or 1)))
    number, x, y = grid(chip, chips)
    between = messages.matrix + messages.matrix.T
    np.fill_diagonal(between, 0.0)
    far = np.abs(x[:, None] - x[None]) + np.abs(y[:, None] - y[None])
    search = _Search(between, far.astype(np.float64), np.arange(count))
    before = search.cost()
    best = search.anneal(
        np.random.default_rng(seed), MOVES_PER_CORE * count if moves is None else moves, progress
    )
    wide = chip.number("mesh.width")
    return Placement(chips, best, number[best], x[best] - wide * number[best], y[best], before, search.cost())


class _Search:
    """between [cores + 1, cores + 1] symmetric messages, the outside last; far [slots, slots] hops."""

    def __init__(self, between: np.ndarray, far: np.ndarray, slots: np.ndarray) -> None:
        self.between, self.far = between, far
        self.count = len(slots)
        self.slot = np.append(slots, 0)  # the outside stands at the corner
        self.owner = np.full(len(far), -1)
        self.owner[slots] = np.arange(self.count)

    def cost(self) -> float:
        """Message hops of the placement."""
        return float((self.between * self.far[np.ix_(self.slot, self.slot)]).sum()) / 2.0

    def anneal(self, draw: np.random.Generator, moves: int, progress: Progress) -> np.ndarray:
        """The best slots found; the search stands there afterwards."""
        if self.count == 0 or moves == 0:
            return self.slot[:-1].copy()
        cores, targets = draw.integers(self.count, size=moves), draw.integers(len(self.far), size=moves)
        chances = draw.random(moves)
        tries = [abs(self._gain(c, t)) for c, t in zip(cores[:200], targets[:200], strict=True)]
        heat = max(float(np.mean(tries)), 1e-12)
        cooling = (1e-4) ** (1.0 / moves)
        now = least = self.cost()
        best = self.slot.copy()
        for step in range(moves):
            core, target = int(cores[step]), int(targets[step])
            change = self._gain(core, target)
            if change <= 0.0 or chances[step] < np.exp(-change / heat):
                self._move(core, target)
                now += change
                if now < least - 1e-9:
                    least, best = now, self.slot.copy()
            heat *= cooling
            if step % 4096 == 0:
                progress(step, moves)
        self.slot = best
        progress(moves, moves)
        return best[:-1].copy()

    def _gain(self, core: int, target: int) -> float:
        """What the cost would change by if `core` went to the slot `target`, whoever is there coming back."""
        here, other = int(self.slot[core]), int(self.owner[target])
        if here == target:
            return 0.0
        away = self.far[target, self.slot] - self.far[here, self.slot]
        pull = self.between[core] if other < 0 else self.between[core] - self.between[other]
        change = float(pull @ away)
        if other >= 0:  # the two keep their distance: take out what the products above made of it
            d = self.far[here, target]
            change += 2.0 * d * self.between[core, other]
        return change

    def _move(self, core: int, target: int) -> None:
        here, other = int(self.slot[core]), int(self.owner[target])
        self.slot[core], self.owner[target], self.owner[here] = target, core, other
        if other >= 0:
            self.slot[other] = here
