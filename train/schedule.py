"""Learning rates as pure functions of the iteration: there is nothing to store for a resume."""

import math
from collections.abc import Callable

Schedule = Callable[[float, float], float]


def _cosine(start: float, end: float, share: float) -> float:
    """From start to end along half a cosine, share in [0, 1]."""
    return end + (start - end) * (1.0 + math.cos(math.pi * share)) / 2.0


def one_cycle(done: float, warm_up: float) -> float:
    """1/25 -> 1 over the first `warm_up` of the run, then -> 1/250000; cosines (Smith and Topin
    2018)."""
    if done < warm_up:
        return _cosine(1.0 / 25.0, 1.0, done / warm_up)
    return _cosine(1.0, 1.0 / 250_000.0, (done - warm_up) / (1.0 - warm_up))


def cosine(done: float, warm_up: float) -> float:
    """Straight 0 -> 1 over the first `warm_up` of the run, then a cosine to 0."""
    if done < warm_up:
        return done / warm_up
    return _cosine(1.0, 0.0, (done - warm_up) / (1.0 - warm_up))


def constant(done: float, warm_up: float) -> float:
    """Straight 0 -> 1 over the first `warm_up` of the run, then 1."""
    return min(1.0, done / warm_up) if warm_up else 1.0


SCHEDULES: dict[str, Schedule] = {"one-cycle": one_cycle, "cosine": cosine, "constant": constant}


def schedule(name: str) -> Schedule:
    """(share of the run that is done, warm-up share) -> factor of the peak learning rate."""
    if name not in SCHEDULES:
        raise ValueError(f"unknown schedule {name!r}; known: {', '.join(sorted(SCHEDULES))}")
    return SCHEDULES[name]
