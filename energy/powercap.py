"""Linux powercap's RAPL zones: which there are, what they have counted, and why not if they cannot be read.

    intel-rapl:0      name package-0, energy_uj, max_energy_range_uj      (AMD's zones have the same names)
    intel-rapl:0:0    name core | uncore | dram, part of package 0 or beside it
    intel-rapl:1      name package-1, or psys: the whole platform

energy_uj grows and starts again at 0 after max_energy_range_uj.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
UDEV_RULE = (
    'SUBSYSTEM=="powercap", ACTION=="add", RUN+="/bin/chgrp rapl /sys%p/energy_uj", '
    'RUN+="/bin/chmod g+r /sys%p/energy_uj"'
)


class Unreadable(Exception):
    """No reading is to be had: why, and what to do."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


@dataclass(frozen=True)
class Reading:
    """uj: the counter; at: seconds."""

    uj: int
    at: float


@dataclass(frozen=True)
class Zone:
    """One counter. label: what people read; range_uj: where it starts again."""

    path: Path
    name: str
    label: str
    range_uj: int

    @property
    def is_package(self) -> bool:
        return self.name.startswith("package")

    def energy_uj(self) -> int:
        """The counter now."""
        return _whole(self.path / "energy_uj")

    def between(self, before: int, after: int) -> int:
        """Microjoules from one reading to the next, wrapped at most once."""
        return after - before if after >= before else after - before + self.range_uj


def zones(powercap: Path = POWERCAP, root: Path = Path("/")) -> tuple[Zone, ...]:
    """All RAPL zones, one package at least, each of them readable; Unreadable otherwise.

    root: of this system, to say why there are none."""
    try:
        found = sorted(path for path in powercap.iterdir() if path.name.startswith("intel-rapl:"))
    except OSError as error:
        raise Unreadable(f"no powercap at {powercap} ({error.strerror}){_where(root)}") from error
    names = {path.name: _text(path / "name") for path in found}
    made = tuple(_zone(path, names) for path in found)
    if not any(zone.is_package for zone in made):
        raise Unreadable(f"no RAPL package in {powercap}{_where(root)}")
    for zone in made:
        zone.energy_uj()
    return made


def _zone(path: Path, names: dict[str, str]) -> Zone:
    above = names.get(path.name.rpartition(":")[0], "")
    label = f"{above}/{names[path.name]}" if above else names[path.name]
    most = _whole(path / "max_energy_range_uj")
    if most < 1:
        raise Unreadable(f"{path / 'max_energy_range_uj'} is {most}; expected the range of a counter")
    return Zone(path, names[path.name], label, most)


def _whole(path: Path) -> int:
    text = _text(path)
    if not text.isdecimal():
        raise Unreadable(f"{path} holds {text[:40]!r}; expected a whole number of microjoules")
    return int(text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except PermissionError as error:
        remedy = (
            f"let a group read it: groupadd rapl, add yourself, write {UDEV_RULE} to "
            "/etc/udev/rules.d/70-rapl.rules and restart; do not run as root for it"
        )
        raise Unreadable(f"{path} may be read by root alone (since kernel 5.10)", remedy) from error
    except OSError as error:
        raise Unreadable(f"{path} cannot be read ({error.strerror})") from error


def _where(root: Path) -> str:
    """What kind of machine hides the counters, where it shows."""
    kinds = []
    if (root / ".dockerenv").exists() or (root / "run/.containerenv").exists():
        kinds.append("a container (it masks them)")
    try:
        flags = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        flags = ""
    if any(" hypervisor" in line for line in flags.splitlines() if line.startswith("flags")):
        kinds.append("a virtual machine (its processor has none)")
    return f": this is {' in '.join(kinds)}" if kinds else ""
