"""Joules from a power analyser's log (INA219/226, Joulescope, Monsoon...): CSV of time and power.

    header   time_s | time_ms | time_us;  power_w | power_mw | power_uw, or voltage_v with current_a | _ma
    phase    optional column: run | idle, what the device did
    joule    trapezoids over the stretches of `run` - mean power of `idle` x their seconds

Other columns are left alone. Without `phase` all of it is the run, and no idle power is known or subtracted.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from convert.ir import BadInput

TIMES = {"time_s": 1.0, "time_ms": 1e-3, "time_us": 1e-6}
POWERS = {"power_w": 1.0, "power_mw": 1e-3, "power_uw": 1e-6}
CURRENTS = {"current_a": 1.0, "current_ma": 1e-3}
PHASES = ("run", "idle")


@dataclass(frozen=True)
class PowerLog:
    """joule: of the run, idle subtracted where known.  idle_w: None where it is not.  file: its name."""

    joule: float
    seconds: float
    idle_w: float | None
    readings: int
    file: str

    def as_json(self, samples: int) -> dict[str, Any]:
        """For the report's `measured`; samples: that the device worked through during the run."""
        idle = None if self.idle_w is None else self.idle_w * self.seconds
        return {
            "joule_per_sample": self.joule / samples, "reason": None, "remedy": None, "joule": self.joule,
            "ci95": None, "repeats": [self.joule], "idle_w": self.idle_w, "idle_joule": idle,
            "seconds": self.seconds, "runs": 1, "n_repeat": 1, "n_samples": samples, "domain": "device",
            "parts": {}, "source": f"power log {self.file}",
        }  # fmt: skip


def power_log(path: Path) -> PowerLog:
    """Read and integrate a log; BadInput naming the line that is no reading."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            scale = _columns(path, [name.strip().lower() for name in rows.fieldnames or []])
            rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or []]
            readings = [_reading(path, rows.line_num, row, scale) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: not a readable power log ({error})") from error
    return _integrated(path, readings)


def _columns(path: Path, names: list[str]) -> dict[str, float]:
    """Columns that are used -> what their values are multiplied by."""
    time = [name for name in TIMES if name in names]
    power = [name for name in POWERS if name in names]
    current = [name for name in CURRENTS if name in names] if "voltage_v" in names else []
    if len(time) != 1 or len(power or current) != 1:
        raise BadInput(
            f"{path}: columns {', '.join(names) or 'none'}; expected one of {', '.join(TIMES)}, and one of "
            f"{', '.join(POWERS)} or voltage_v with one of {', '.join(CURRENTS)}"
        )
    used = {time[0]: TIMES[time[0]]} | {n: {**POWERS, **CURRENTS}[n] for n in power or current}
    return used if power else {**used, "voltage_v": 1.0}


def _reading(
    path: Path, number: int, row: Mapping[str, Any], scale: Mapping[str, float]
) -> tuple[float, float, str]:
    """(seconds, watts, phase)."""
    values = {}
    for name, unit in scale.items():
        try:
            values[name] = float(row[name]) * unit
        except (TypeError, ValueError):
            values[name] = math.nan
        if not math.isfinite(values[name]):
            raise BadInput(f"{path}, line {number}: {name} is {row[name]!r}; expected a number")
    phase = (row.get("phase") or "run").strip().lower()
    if phase not in PHASES:
        raise BadInput(f"{path}, line {number}: phase is {phase!r}; expected run or idle")
    time, *factors = values.values()
    return time, math.prod(factors), phase


def _integrated(path: Path, readings: list[tuple[float, float, str]]) -> PowerLog:
    sums = {phase: [0.0, 0.0] for phase in PHASES}  # joules, seconds
    for (before, first, phase), (after, second, then) in pairwise(readings):
        if after <= before:
            raise BadInput(f"{path}: time goes from {before:g} s to {after:g} s; expected it to rise")
        if phase == then:
            sums[phase][0] += (first + second) / 2 * (after - before)
            sums[phase][1] += after - before
    joule, seconds = sums["run"]
    if seconds == 0.0:
        raise BadInput(
            f"{path}: {len(readings)} readings, no two in a row of a run; expected a run to integrate"
        )
    idle_w = sums["idle"][0] / sums["idle"][1] if sums["idle"][1] else None
    if idle_w is not None and idle_w * seconds > joule:
        raise BadInput(
            f"{path}: idle at {idle_w:g} W takes more than the run at {joule / seconds:g} W; expected less, "
            "check the phase column"
        )
    if joule < 0:
        raise BadInput(
            f"{path}: the run is at {joule / seconds:g} W; expected 0 or more, check the sign of the current"
        )
    return PowerLog(joule - (idle_w or 0.0) * seconds, seconds, idle_w, len(readings), path.name)
