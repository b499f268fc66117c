"""Identities over frames: each pose continues a track or begins one.

A frame goes in four steps:
    1. joints below `joint_threshold` are dropped, then persons without joints or below `score_threshold`
    2. tracks are moved on to this frame (`motion`): at constant velocity, or left where they were seen
    3. poses are matched with tracks, seen just now or lost, by the Hungarian method on likeness, where it is
       at least `least` and the move is within `gate`
    4. a pose that continues nothing begins a track if it scores at least `birth`; a track unseen for more
       than `max_age` frames is dead

Against swapped identities: the velocity carries two people through a crossing; a track unseen for some frames
has the same claim as one in sight, or the neighbour in sight would take over whoever comes back first; the
gate forbids jumps; tracks with fewer than `min_hits` poses are taken out at the end, the false ones mostly;
and every pair of matches that would have been nearly as good exchanged is reported (`margin`), so that a
person looks there. Nothing is drawn by chance, and equal choices go by order: the same file gives the same
tracks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import gcd

import numpy as np

from convert.ir import BadInput
from deploy.pose.association import KINDS, close_calls, likeness, matched, within_reach
from deploy.pose.motion import Motion, begun
from deploy.pose.people import Frame, Person, Video
from deploy.pose.posetrack import TRACKS

MOTIONS = ("velocity", "last")


@dataclass(frozen=True, slots=True)
class Rules:
    """How tracks are made; frames are frame numbers, so that a skipped frame counts as time."""

    likeness: str = "oks"
    least: float = 0.2
    gate: float = 0.75  # diagonals of the larger of the two boxes
    motion: str = "velocity"
    max_age: int = 15
    min_hits: int = 3
    birth: float = 0.3
    joint_threshold: float = 0.2
    score_threshold: float = 0.0
    margin: float = 0.1

    def __post_init__(self) -> None:
        if self.likeness not in KINDS or self.motion not in MOTIONS:
            raise BadInput(
                f"likeness {self.likeness!r}, motion {self.motion!r}: expected one of {', '.join(KINDS)} and "
                f"one of {', '.join(MOTIONS)}"
            )


@dataclass(frozen=True, slots=True)
class Event:
    """What happened in a frame: 'birth', 'death', 'found again' or 'close call', and to which tracks."""

    image_id: int
    kind: str
    tracks: tuple[int, ...]
    detail: str = ""


@dataclass(slots=True)
class Tracker:
    """Follows the people of one video, a frame at a time. `sigmas` float64 [K] of the OKS."""

    rules: Rules
    sigmas: np.ndarray
    tracks: dict[int, Motion] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    last: int | None = None
    born: int = 0

    def step(self, frame: Frame, number: int) -> tuple[Person, ...]:
        """The people of the frame that are kept, with their track ids; `number` must grow."""
        if self.last is not None and number <= self.last:
            raise BadInput(f"image {frame.image_id}: frame number {number} comes after {self.last}")
        people = [kept for p in frame.people if (kept := self._kept(p)) is not None]
        self._forget(frame, number)
        owner = self._continued(frame, number, people)
        self.last = number
        made = []
        for n, person in enumerate(people):
            if n not in owner and _at_least(person, self.rules.birth):
                owner[n] = self._begin(frame, person, number)
            if n in owner:
                made.append(replace(person, track_id=owner[n]))
            else:
                self.dropped["poses that continue no track and score too low to begin one"] += 1
        return tuple(made)

    def _kept(self, person: Person) -> Person | None:
        rules = self.rules
        if person.scores is not None:
            there = person.there & (person.scores >= rules.joint_threshold)
            points = np.where(there[:, None], person.keypoints, 0.0)
            self.dropped["joints below the joint threshold"] += int(person.there.sum() - there.sum())
            person = replace(
                person, keypoints=points, visibility=np.where(there, person.visibility, 0).astype(np.int8)
            )
        if not person.there.any():
            self.dropped["persons without a joint"] += 1
            return None
        if not _at_least(person, rules.score_threshold):
            self.dropped["persons below the score threshold"] += 1
            return None
        return person

    def _forget(self, frame: Frame, number: int) -> None:
        for track, motion in list(self.tracks.items()):
            if _unseen(motion, number) > self.rules.max_age:
                del self.tracks[track]
                self.events.append(Event(frame.image_id, "death", (track,)))

    def _continued(self, frame: Frame, number: int, people: list[Person]) -> dict[int, int]:
        """Pose -> the track it continues, for the poses that continue one; their motions go on."""
        constant, tracks = self.rules.motion == "velocity", list(self.tracks)
        expected = [self.tracks[track].expected(number, constant) for track in tracks]
        alike = likeness(expected, people, self.rules.likeness, self.sigmas)
        allowed = (alike >= self.rules.least) & within_reach(expected, people, self.rules.gate)
        pairs = matched(alike, allowed)
        for row, other, gain in close_calls(alike, allowed, pairs, self.rules.margin):
            both = tracks[row], tracks[other]
            self.events.append(Event(frame.image_id, "close call", both, f"better by {gain:.3f}"))
        for row, n in pairs:
            track, before = tracks[row], self.tracks[tracks[row]]
            if before.seen != self.last:
                unseen = f"unseen for {_unseen(before, number)} frames"
                self.events.append(Event(frame.image_id, "found again", (track,), unseen))
            self.tracks[track] = before.after(people[n], number)
        return {n: tracks[row] for row, n in pairs}

    def _begin(self, frame: Frame, person: Person, number: int) -> int:
        track, self.born = self.born, self.born + 1
        self.tracks[track] = begun(person, number)
        self.events.append(Event(frame.image_id, "birth", (track,)))
        return track


def _unseen(motion: Motion, number: int) -> int:
    """Frames between the last sight and frame `number`, both left out."""
    return number - motion.seen - 1


def _at_least(person: Person, score: float) -> bool:
    """Whether a person scores that; one without any score does."""
    return person.confidence is None or person.confidence >= score


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """A video with identities, what happened, and what was dropped (text -> how often)."""

    video: Video
    n_tracks: int
    events: tuple[Event, ...]
    dropped: dict[str, int]


def track(video: Video, rules: Rules, sigmas: np.ndarray) -> Tracked:
    """Identities of a whole video. Track ids are 0, 1, ... by first appearance, short tracks taken out.

    A video shorter than `min_hits` frames asks for one pose a frame. BadInput beyond 10,000 tracks.
    """
    tracker = Tracker(rules, sigmas)
    order = numbers(video)
    frames = [replace(f, people=tracker.step(f, n)) for f, n in zip(video.frames, order, strict=True)]
    hits = Counter(p.track_id for frame in frames for p in frame.people)
    needed = min(rules.min_hits, len(frames))
    lasting = [old for old in sorted(hits) if hits[old] >= needed]
    if len(lasting) > TRACKS:
        raise BadInput(f"video {video.name}: {len(lasting)} tracks, more than PoseTrack's {TRACKS} ids")
    new = {old: place for place, old in enumerate(lasting)}
    dropped = Counter(tracker.dropped)
    dropped[f"poses of tracks with fewer than {needed}"] = sum(hits.values()) - sum(hits[old] for old in new)
    kept = replace(video, frames=tuple(_renamed(frame, new) for frame in frames))
    events = [
        replace(event, tracks=tuple(new[old] for old in event.tracks))
        for event in tracker.events
        if set(event.tracks) <= set(new)
    ]
    return Tracked(kept, len(new), tuple(events), {k: v for k, v in dropped.items() if v})


def _renamed(frame: Frame, new: dict[int, int]) -> Frame:
    """The frame with new track ids, without the people of tracks that have none."""
    people = [replace(p, track_id=new[p.track_id]) for p in frame.people if p.track_id in new]
    return replace(frame, people=tuple(people))


def numbers(video: Video) -> list[int]:
    """Frame numbers from 0, in steps of the file's own: 10, 20, 40 are 0, 1, 3. Without growing ones 0, 1,
    ...
    """
    found = [frame.fields.get("frame_id") for frame in video.frames]
    if not all(isinstance(n, int) for n in found):
        return list(range(len(found)))
    steps = [b - a for a, b in pairwise(found)]
    if any(step <= 0 for step in steps):
        return list(range(len(found)))
    unit = gcd(*steps) or 1
    return [(n - found[0]) // unit for n in found]
