"""Names of NTU RGB+D samples, SsssCcccPpppRrrrAaaa, the official splits, and the list of missing samples.

setup, camera, performer, replication, action: three digits each, all counted from 1. A performance is filmed
by three cameras at once and appears under three names, which differ in C.

set       setups    performers  actions   protocol: training part                    unseen in the test
ntu60     1 to 17   1 to 40     1 to 60   xsub: 20 performers                        subjects
                                          xview: cameras 2 and 3                     views
ntu120    1 to 32   1 to 106    1 to 120  xsub: 53 performers                        subjects
                                          xset: even setups                          setups

Counts on the official name lists, missing samples left out, train / test: ntu60 xsub 40,091 / 16,487, xview
37,646 / 18,932; ntu120 xsub 63,026 / 50,919, xset 54,468 / 59,477.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from train.data.errors import DataError

SUFFIX = ".skeleton"
SUBJECTS_60 = frozenset((1, 2, 4, 5, 8, 9, *range(13, 20), 25, 27, 28, 31, 34, 35, 38))
SUBJECTS_120 = SUBJECTS_60 | frozenset(
    (45, 46, 47, 49, 50, *range(52, 60), 70, 74, 78, *range(80, 87), 89, *range(91, 96), 97, 98, 100, 103)
)
"""Performers of the training part of X-Sub, as the authors of the sets list them: 20 and 53."""

_NAME = re.compile(
    r"S(?P<setup>\d{3})C(?P<camera>\d{3})P(?P<performer>\d{3})R(?P<replication>\d{3})A(?P<action>\d{3})"
)


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """What a sample's name says."""

    setup: int
    camera: int
    performer: int
    replication: int
    action: int

    def __str__(self) -> str:
        return (
            f"S{self.setup:03d}C{self.camera:03d}P{self.performer:03d}"
            f"R{self.replication:03d}A{self.action:03d}"
        )

    @property
    def label(self) -> int:
        """The class, counted from 0."""
        return self.action - 1


@dataclass(frozen=True, slots=True)
class Protocol:
    """trains: whether a sample belongs to the training part; unseen: what the test part alone has, as
    train.data.split understands it."""

    trains: Callable[[Name], bool]
    unseen: str


@dataclass(frozen=True, slots=True)
class Family:
    """One of the two sets: what its names may hold, and its protocols. missing: how many samples the
    official list of missing skeletons has."""

    name: str
    setups: int
    performers: int
    actions: int
    missing: int
    protocols: dict[str, Protocol]

    def holds(self, name: Name) -> bool:
        """Whether a sample of this name belongs to the set."""
        return (
            1 <= name.setup <= self.setups
            and 1 <= name.camera <= 3
            and 1 <= name.performer <= self.performers
            and 1 <= name.action <= self.actions
        )

    def protocol(self, wanted: str) -> Protocol:
        """The protocol of this name; an unknown one is refused with the known."""
        if not isinstance(wanted, str) or wanted not in self.protocols:
            raise DataError(
                f"{self.name}: found protocol {wanted!r}; expected {' or '.join(self.protocols)}; "
                f"pass --data-option protocol={next(iter(self.protocols))}"
            )
        return self.protocols[wanted]

    @property
    def class_names(self) -> tuple[str, ...]:
        """A001, A002, ...: as CTR-GCN npz and PYSKL files name them, so that a model runs on all three.

        What people call them stands in train.data.ntu_classes.
        """
        return tuple(f"A{number:03d}" for number in range(1, self.actions + 1))


NTU60 = Family(
    "ntu60",
    setups=17,
    performers=40,
    actions=60,
    missing=302,
    protocols={
        "xsub": Protocol(lambda name: name.performer in SUBJECTS_60, "subjects"),
        "xview": Protocol(lambda name: name.camera in (2, 3), "views"),
    },
)
NTU120 = Family(
    "ntu120",
    setups=32,
    performers=106,
    actions=120,
    missing=535,
    protocols={
        "xsub": Protocol(lambda name: name.performer in SUBJECTS_120, "subjects"),
        "xset": Protocol(lambda name: name.setup % 2 == 0, "setups"),
    },
)
FAMILIES: dict[str, Family] = {family.name: family for family in (NTU60, NTU120)}


def parse(text: str) -> Name | None:
    """The name that a text (a file's stem) is; None where it is none."""
    match = _NAME.fullmatch(text)
    return None if match is None else Name(**{key: int(value) for key, value in match.groupdict().items()})


def read_missing(path: Path) -> frozenset[Name]:
    """The samples that a list of missing skeletons names, one a line, with or without .skeleton.

    The authors' own files begin with two sentences; lines of several words, empty ones and those that
    begin with # are no names. A single word that is no name is refused: it would be a typing error.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError.of(
            path,
            found=f"no readable text ({error})",
            expected="a list of samples, one a line",
            do="correct --missing",
        ) from error
    found = set()
    for number, line in enumerate(lines, 1):
        words = line.split()
        if len(words) != 1 or line.lstrip().startswith("#"):
            continue
        name = parse(words[0].removesuffix(SUFFIX))
        if name is None:
            raise DataError.of(
                f"{path}:{number}",
                found=repr(words[0][:40]),
                expected="a name SsssCcccPpppRrrrAaaa",
                do="correct the line, or begin it with #",
            )
        found.add(name)
    if not found:
        raise DataError.of(
            path, found="no name", expected="SsssCcccPpppRrrrAaaa, one a line", do="correct --missing"
        )
    return frozenset(found)
