"""From the bodies of a recording to at most two persons.

The sensor loses people and finds them again under another id, sees tables as people, and NTU's clips show two
persons at most. The rules are ours; they follow the advice of the set's authors (reasonable spread, motion
decides who acts) and the denoising of CTR-GCN (bodies of 11 frames or fewer, width over height 0.8 in about
70 % of the frames), which nearly every published result rests on. In order:

1. Joints: exactly (0, 0, 0) is a lost joint (the sensor itself sits there); filled from the frames around.
2. Switches: where two bodies exchange their ids, so that their spines would jump by more than JUMP further
   together than by going on as each other, they go on as each other. A body that begins after a person ended
   continues that person where its spine lies within JUMP of where the person's was last seen; the nearest
   such person, the one who ended later on a tie.
3. Short: a person of SHORT frames or fewer is noise, unless all are.
4. Spread: a frame is implausible where the body is wider (x) than WIDE times its height (y); a person is
   noise who is so in more than MOSTLY of the frames, unless all are: people who lie are wide too.
5. Motion: the sum over joints and axes of the variance over time; the two persons with the most stay, the
   larger first; the earlier first on a tie.

Nothing is cut out of a person, and frames keep their places: where nobody is, all is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from train.data.lost import fill_lost
from train.data.ntu_file import JOINTS, Body, Recording

PERSONS = 2
SHORT = 11
JUMP = 0.5
"""[m] About a step: someone lost for a moment is still there, and someone else seldom is."""
WIDE, MOSTLY = 0.8, 0.7
SPINE = 1
RULES = "2"
"""The version of these rules; goes into prepared files, so that parts of two versions never mix."""


@dataclass(frozen=True, slots=True, eq=False)
class Persons:
    """joints: float32 [frames, 2, 25, 3], zero where a person is not; count: 0, 1 or 2 persons are there.

    dropped holds a line for each body that was left out, joined one for each switch that was mended.
    """

    joints: NDArray[np.float32]
    count: int
    dropped: tuple[str, ...]
    joined: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Person:
    """Tracks of one person in order of time; ids are those of the tracks."""

    ids: list[str]
    frames: NDArray[np.int64]
    joints: NDArray[np.float32]
    motion: float = field(default=0.0)

    @property
    def name(self) -> str:
        """The person in a report: the first id, and how many more."""
        return f"body {self.ids[0]}" + (f" and {len(self.ids) - 1} more ids" if len(self.ids) > 1 else "")


def persons(recording: Recording) -> Persons:
    """The persons of a recording, by the rules of this file."""
    joined: list[str] = []
    dropped: list[str] = []
    people = _join(_exchanged([_filled(body) for body in recording.bodies], joined), joined)
    people = _without(people, dropped, _short)
    people = _without(people, dropped, _wide)
    for person in people:
        person.motion = float(person.joints.astype(np.float64).var(axis=0).sum())
    people.sort(key=lambda person: -person.motion)  # stable: the earlier first on a tie
    dropped += [f"{p.name}: {len(p.frames)} frames, moves less than two others" for p in people[PERSONS:]]
    joints = np.zeros((recording.frames, PERSONS, JOINTS, 3), np.float32)
    kept = people[:PERSONS]
    for place, person in enumerate(kept):
        joints[person.frames, place] = person.joints
    return Persons(joints, len(kept), tuple(dropped), tuple(joined))


def _filled(body: Body) -> _Person:
    """Rule 1. A body whose joints are all lost in a frame is not there in that frame."""
    joints, _ = fill_lost(body.joints)
    there = joints.any(axis=(1, 2))
    return _Person([body.id], body.frames[there], joints[there])


def _exchanged(tracks: list[_Person], joined: list[str]) -> list[_Person]:
    """Rule 2, of two who are there before and after, with SHORT frames between at most."""
    for a, b in combinations(tracks, 2):
        both, i, j = np.intersect1d(a.frames, b.frames, return_indices=True)
        later = (i > 0) & (j > 0)
        both, i, j = both[later], i[later], j[later]
        lately = both - np.minimum(a.frames[i - 1], b.frames[j - 1]) <= SHORT
        here, there = a.joints[:, SPINE], b.joints[:, SPINE]
        kept = _far(here[i], here[i - 1]) + _far(there[j], there[j - 1])
        crossed = _far(here[i], there[j - 1]) + _far(there[j], here[i - 1])
        # A step is judged alike under either naming, so that all are found before any is mended.
        for frame in both[lately & (kept - crossed > JUMP)]:
            p, q = np.searchsorted(a.frames, frame), np.searchsorted(b.frames, frame)
            a.frames, b.frames = (
                np.concatenate([a.frames[:p], b.frames[q:]]),
                np.concatenate([b.frames[:q], a.frames[p:]]),
            )
            a.joints, b.joints = (
                np.concatenate([a.joints[:p], b.joints[q:]]),
                np.concatenate([b.joints[:q], a.joints[p:]]),
            )
            joined.append(f"{a.name}: exchanges its id with {b.ids[0]} in frame {frame}")
    return tracks


def _far(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distances [n] of points [n, 3]."""
    return np.linalg.norm(x - y, axis=1)


def _join(tracks: list[_Person], joined: list[str]) -> list[_Person]:
    """Rule 2 of a body that begins, in the order of the tracks' first frames."""
    people: list[_Person] = []
    for track in sorted((t for t in tracks if len(t.frames)), key=lambda t: t.frames[0]):
        before = [
            (
                float(np.linalg.norm(track.joints[0, SPINE] - person.joints[-1, SPINE])),
                -person.frames[-1],
                place,
            )
            for place, person in enumerate(people)
            if person.frames[-1] < track.frames[0]
        ]
        near = min(before, default=(JUMP + 1.0, 0, 0))
        if near[0] > JUMP:
            people.append(track)
            continue
        person = people[near[2]]
        joined.append(
            f"{person.name}: goes on as {track.ids[0]} in frame {track.frames[0]}, {near[0]:.2f} m away"
        )
        person.ids += track.ids
        person.frames = np.concatenate([person.frames, track.frames])
        person.joints = np.concatenate([person.joints, track.joints])
    return people


def _without(
    people: list[_Person], dropped: list[str], fault: Callable[[_Person], str | None]
) -> list[_Person]:
    """The people without a fault, the others reported; all of them where nobody would be left."""
    faults = [fault(person) for person in people]
    if all(faults):
        return people
    dropped += [f"{person.name}: {why}" for person, why in zip(people, faults, strict=True) if why]
    return [person for person, why in zip(people, faults, strict=True) if not why]


def _short(person: _Person) -> str | None:
    """Rule 3."""
    return f"{len(person.frames)} frames, too short" if len(person.frames) <= SHORT else None


def _wide(person: _Person) -> str | None:
    """Rule 4."""
    extent = np.ptp(person.joints, axis=1)  # [n, 3]
    share = float((extent[:, 0] > WIDE * extent[:, 1]).mean())
    return (
        f"wider than high in {100 * share:.0f} % of {len(person.frames)} frames" if share > MOSTLY else None
    )
