"""Populations cut into pieces so that every limit of every core holds: greedy, from the outputs backwards.

Cut from the last population to the first, because the output axons of a core depend on how the populations
behind it were cut, and nothing else depends on what is not cut yet. (Populations on a cycle are cut before
their own targets are known; where their output axons pass the limit afterwards, they are cut finer and all
is done again.) A piece is a range of the population in one of two orders: C order, or the last axis (joints)
outermost; the order that needs fewer cores, then fewer bits, is taken. Each core takes as many whole rows as
fit, or neurons where no row fits. A core is shared only where the whole next population fits in it too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np

from convert.ir import Input, Population, Program, Unsupported
from deploy.cores.axons import Axons, axons
from deploy.cores.chip import Chip
from deploy.cores.core import Core, Piece, over
from deploy.cores.piece import Cutter
from deploy.cores.remedy import RELAY, adjacency_left, remedy

ROUNDS = 12  # attempts to cut a cycle fine enough


@dataclass(frozen=True, eq=False)
class Partition:
    """The cores of a program, and the populations that stay outside: inputs and what the host computes."""

    chip: Chip
    program: Program
    cores: tuple[Core, ...]
    outside: frozenset[str]


Progress = Callable[[str], None]


def partition(
    program: Program, chip: Chip, off_chip: Collection[str] = (), progress: Progress = lambda _: None
) -> Partition:
    """Cut a program for a chip; Unsupported with node, value, limit and remedy where a neuron cannot fit."""
    outside = frozenset({*program.inputs(), *off_chip})
    _check(program, chip, outside)
    caps: dict[str, int] = {}
    for _ in range(ROUNDS):
        cores = _cut(program, chip, outside, caps, progress)
        tight = _too_many_out(program, chip, cores)
        if not tight:
            return Partition(chip, program, cores, outside)
        caps |= tight
    name, value = next(iter(tight.items()))
    raise Unsupported(
        name,
        f"pieces of {value} neurons on a cycle still pass the output axons of a core of {chip.name}",
        remedy("axons_out", chip.figures, adjacency_left(program)),
    )


def _check(program: Program, chip: Chip, outside: frozenset[str]) -> None:
    most = chip.limit("delay")
    for p in program.projections:
        if p.dst not in outside and most is not None and program.chip_delay(p) > most:
            found = f"its delay of {program.chip_delay(p)} steps is above the {most} of {chip.name}"
            raise Unsupported(p.name, found, "chain relay neurons, or shorten the convolution over steps")
    for name, population in program.populations.items():
        if name not in outside and chip.slots(type(population.model).__name__) is None:
            known = ", ".join(k.split(".")[1] for k in chip.figures if k.startswith("models."))
            raise Unsupported(
                name,
                f"{chip.name} has no neuron {type(population.model).__name__}, only {known}",
                "choose --chip loihi2, or another neuron in training",
            )
    for name, population in program.populations.items():  # a way out that leads to no missing neuron
        into_chip = any(p.src == name and p.dst not in outside for p in program.projections)
        graded = isinstance(population.model, Input) and population.model.operand != "binary"
        if graded and into_chip and chip.slots(RELAY) is None:
            first = sorted({p.dst for p in program.projections if p.src == name})
            raise Unsupported(
                name,
                f"its messages are graded values, {chip.name} carries spikes only",
                f"let the host compute the first layer (--off-chip {' --off-chip '.join(first)}) "
                "or choose --chip loihi2",
            )


def _cut(
    program: Program, chip: Chip, outside: frozenset[str], caps: dict[str, int], progress: Progress
) -> tuple[Core, ...]:
    done: list[Core] = []
    for name in reversed([n for n in program.populations if n not in outside]):
        progress(name)
        sent = axons(done, name)
        tries = [
            _cut_one(program, chip, done, name, order, sent, caps.get(name))
            for order in orders(program.populations[name])
        ]
        done = min(tries, key=_price)
    return tuple(done)


def _price(cores: list[Core]) -> tuple[int, int]:
    return len(cores), sum(b.bits for core in cores for b in core.blocks())


def orders(population: Population) -> list[tuple[np.ndarray, int]]:
    """(position -> neuron, length of a row) of the orders to try."""
    index = np.arange(population.size, dtype=np.int64)
    if len(population.shape) < 2:
        return [(index, 1)]
    last = population.shape[-1]
    turned = np.ascontiguousarray(np.moveaxis(index.reshape(population.shape), -1, 0)).reshape(-1)
    return [(index, last), (turned, population.size // last)]


def _cut_one(
    program: Program, chip: Chip, done: list[Core], name: str,
    order: tuple[np.ndarray, int], sent: Axons, cap: int | None,
) -> list[Core]:  # fmt: skip
    cutter = Cutter(program, chip, name, order[0], sent)
    cores, start, size = list(done), 0, len(order[0])
    if cores and cap is None and (whole := cutter.piece(0, size, cores[-1].slots)) is not None:
        joined = cores[-1].with_piece(whole)
        if not over(joined.use(), chip):
            return [*cores[:-1], replace(joined, stopped_by=())]
    guess = 1
    while start < size:
        top = size if cap is None else min(size, start + cap)
        piece, stop, why = _largest(cutter, chip, (start, top), order[1], guess)
        cores.append(replace(Core().with_piece(piece), stopped_by=why))
        start, guess = stop, stop - start
    return cores


def _largest(
    cutter: Cutter, chip: Chip, where: tuple[int, int], row: int, guess: int
) -> tuple[Piece, int, tuple[str, ...]]:
    """The longest piece from where[0] to where[1] at most that a core holds, its end, and what stopped it.

    In whole rows if one fits, in neurons otherwise. guess: a length to begin the search at.
    """
    start, top = where
    if why := _passed(cutter, chip, start, start + 1):
        _refuse(cutter, chip, start, why)
    unit = row if start + row <= top and not _passed(cutter, chip, start, start + row) else 1
    low = high = start + unit
    step, ahead, why = unit, min(top, start + max(2, guess // unit) * unit), ()
    while low < top:
        if why := _passed(cutter, chip, start, ahead):
            high = ahead
            break
        low, ahead, step = ahead, min(top, ahead + step), step * 2
    while why and high - low > unit:
        middle = low + max(1, (high - low) // unit // 2) * unit
        if found := _passed(cutter, chip, start, middle):
            high, why = middle, found
        else:
            low = middle
    piece = cutter.piece(start, low, 0)
    if piece is None:  # cannot be: it was weighed above
        _refuse(cutter, chip, start, ("encoding",))
    return piece, low, why if low < top else ()  # type: ignore[return-value]


def _passed(cutter: Cutter, chip: Chip, start: int, stop: int) -> tuple[str, ...]:
    """The limits that positions start..stop pass on a core of their own."""
    piece = cutter.piece(start, stop, 0)
    return ("encoding",) if piece is None else over(Core().with_piece(piece).use(), chip)


def _refuse(cutter: Cutter, chip: Chip, start: int, why: tuple[str, ...]) -> None:
    neuron, name = int(cutter.order[start]), cutter.name
    if why[0] == "encoding":
        raise Unsupported(
            name, f"neuron {neuron}: {chip.name} has no format for its synapses", cutter.unfit()
        )
    piece = cutter.piece(start, start + 1, 0)
    use = Core().with_piece(piece).use() if piece is not None else {}
    limit = chip.figures[f"limits.{why[0]}"]
    raise Unsupported(
        name,
        f"one neuron ({neuron}) needs {why[0]} {use.get(why[0], 0)}, a core of {chip.name} has {limit.value} "
        f"({limit.unit}; {limit.confidence})",
        remedy(why[0], chip.figures, adjacency_left(cutter.program)),
    )


def _too_many_out(program: Program, chip: Chip, cores: tuple[Core, ...]) -> dict[str, int]:
    """Populations whose output axons pass the limit now that all cores are known -> a finer cut."""
    most, per_shared = chip.limit("axons_out"), chip.number("encoding.shared_slots")
    if most is None:
        return {}
    sent = {name: axons(cores, name) for name in program.populations}
    caps: dict[str, int] = {}
    for core in cores:
        slots = [sent[p.population].slots(p.neurons, per_shared) for p in core.pieces]
        if sum(slots) > most:
            worst = core.pieces[int(np.argmax(slots))]
            caps[worst.population] = max(1, len(worst.neurons) // 2)
    return caps
