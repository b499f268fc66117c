"""Joules that a machine measures: powercap's RAPL counters around a run, the idle machine subtracted.

    joule = (E_run - P_idle t_run) / runs          whole packages, all processes, in one repeat
    mean and 95 % interval over the repeats        t distribution, repeats - 1 degrees of freedom

Each repeat is an idle spell, then the run again and again until it has lasted `seconds`. A counter that
passed its `max_energy_range_uj` is read on. Where nothing can be measured, or the idle spells took as much as
the run, the answer is `Unmeasured`, with the reason; no estimate stands in for it, and measured joules never
enter a modelled total.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.ir import BadInput
from energy.powercap import POWERCAP, Reading, Unreadable, Zone, zones

SECONDS, REPEATS, PERIOD_S = 10.0, 5, 0.010
MOST_W = 1000.0  # a package takes less: what bounds how long a counter may go unread


@dataclass(frozen=True)
class Unmeasured:
    """Nothing was measured. reason: why; remedy: what to do, '' where nothing helps."""

    reason: str
    remedy: str = ""

    def as_json(self, samples: int) -> dict[str, Any]:
        """For the report's `measured`; samples: of one run."""
        return {"joule_per_sample": None, "reason": self.reason, "remedy": self.remedy or None}


@dataclass(frozen=True)
class Measured:
    """joule: mean of one run, idle subtracted; ci95: half width of its interval.  repeats: each one's joules.
    idle_w: mean power of the idle machine.  seconds: mean length of one run.  runs: all of them.
    domain: the zones that were added up.  parts: zone -> mean joules of one run, idle not subtracted (core,
    uncore, dram are parts of a package or lie beside it; they are never added to it).
    """

    joule: float
    ci95: float
    repeats: tuple[float, ...]
    idle_w: float
    seconds: float
    runs: int
    domain: str
    parts: dict[str, float]
    source: str = "powercap RAPL"

    def as_json(self, samples: int) -> dict[str, Any]:
        """For the report's `measured`; samples: of one run."""
        return {
            "joule_per_sample": self.joule / samples, "reason": None, "remedy": None, **asdict(self),
            "repeats": list(self.repeats), "idle_joule": self.idle_w * self.seconds,
            "n_repeat": len(self.repeats), "n_samples": samples,
        }  # fmt: skip


@dataclass(frozen=True)
class Clock:
    """Time in seconds, and waiting."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def measure(
    run: Callable[[], object],
    powercap: Path = POWERCAP,
    seconds: float = SECONDS,
    repeats: int = REPEATS,
    clock: Clock | None = None,
) -> Measured | Unmeasured:
    """Energy of one `run()`; takes about 2 x seconds x repeats. BadInput for less than 10 s or 5 repeats."""
    if seconds < SECONDS or repeats < REPEATS:
        raise BadInput(
            f"measuring {repeats} times {seconds:g} s; expected {REPEATS} times {SECONDS:g} s at least: "
            "shorter runs drown in the noise of the counters"
        )
    try:
        meter = _Meter(zones(powercap), clock or Clock())
        found = [_repeat(meter, run, seconds) for _ in range(repeats)]
    except Unreadable as error:
        return Unmeasured(error.reason, error.remedy)
    return _measured(meter, found)


@dataclass(frozen=True)
class _Repeat:
    runs: int
    took: float
    idle_w: float
    used: dict[str, int]  # zone -> microjoules, idle included


class _Meter:
    """Reads all zones; adds up microjoules since `start`, whole numbers, over any wrap of a counter."""

    def __init__(self, watched: tuple[Zone, ...], clock: Clock) -> None:
        self.zones, self.clock = watched, clock
        self._last: dict[str, Reading] = {}
        self.used: dict[str, int] = {}

    def start(self) -> float:
        self.used = {zone.path.name: 0 for zone in self.zones}
        self._last = {zone.path.name: self._read(zone) for zone in self.zones}
        return self.clock.now()

    def read(self, last: bool = False) -> float:
        """Now; counters are read no more often than every PERIOD_S, but always at last."""
        now = self.clock.now()
        for zone in self.zones:
            before = self._last[zone.path.name]
            if not last and now - before.at < PERIOD_S:
                continue
            reading = self._read(zone)
            if (reading.at - before.at) * MOST_W * 1e6 > zone.range_uj:
                raise Unreadable(
                    f"{zone.label} went unread for {reading.at - before.at:.0f} s and may have wrapped twice "
                    f"(it holds {zone.range_uj / 1e6:.0f} J)",
                    "measure a shorter run: fewer samples",
                )
            self.used[zone.path.name] += zone.between(before.uj, reading.uj)
            self._last[zone.path.name] = reading
        return now

    def _read(self, zone: Zone) -> Reading:
        return Reading(zone.energy_uj(), self.clock.now())

    def packages(self) -> int:
        """Microjoules of all packages since `start`."""
        return sum(self.used[zone.path.name] for zone in self.zones if zone.is_package)


def _repeat(meter: _Meter, run: Callable[[], object], seconds: float) -> _Repeat:
    """An idle spell, then runs until `seconds` have passed."""
    begin = meter.start()
    meter.clock.sleep(seconds)
    idle_w = _spell(meter, begin)[1]
    begin, runs, now = meter.start(), 0, -math.inf
    while now - begin < seconds:
        run()
        runs += 1
        now = meter.read()
    took, _ = _spell(meter, begin)
    return _Repeat(runs, took, idle_w, dict(meter.used))


def _spell(meter: _Meter, begin: float) -> tuple[float, float]:
    """(seconds since `begin`, watts of the packages) after a last reading, a period after the one before."""
    meter.clock.sleep(PERIOD_S)
    took = meter.read(last=True) - begin
    return took, meter.packages() / 1e6 / took


def _measured(meter: _Meter, found: list[_Repeat]) -> Measured | Unmeasured:
    packages = [zone for zone in meter.zones if zone.is_package]
    names = {zone.path.name for zone in packages}
    each = tuple((sum(r.used[name] for name in names) / 1e6 - r.idle_w * r.took) / r.runs for r in found)
    joule, idle_w = float(np.mean(each)), float(np.mean([r.idle_w for r in found]))
    if joule <= 0:
        return Unmeasured(
            f"idle at {idle_w:.4g} W the machine took no less than at work ({joule:.4g} J a run are left)",
            "end what else runs and measure again",
        )
    runs = sum(r.runs for r in found)
    parts = {zone.label: sum(r.used[zone.path.name] for r in found) / 1e6 / runs for zone in meter.zones}
    return Measured(
        joule=joule,
        ci95=t_quantile(len(each) - 1) * float(np.std(each, ddof=1)) / math.sqrt(len(each)),
        repeats=each,
        idle_w=idle_w,
        seconds=sum(r.took for r in found) / runs,
        runs=runs,
        domain=" + ".join(zone.label for zone in packages),
        parts=parts,
    )


def t_quantile(freedom: int) -> float:
    """97.5 % quantile of Student's t, by its expansion in 1 / freedom (Abramowitz & Stegun 26.7.5): within
    0.1 % from 4 degrees of freedom on."""
    z = 1.959963984540054
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom ** (power + 1) for power, term in enumerate(terms))
