"""A track cut into windows of frames, each as skeletons that an action model can look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from deploy.pose.people import Person, Video
from deploy.pose.skeleton import SkeletonMap

LEAST = 8  # frames of a window in which a person must be seen


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Frames start .. stop - 1 of a track. joints: float32 [F, V, 3], zeros where the person is not seen, or
    None; why: the reason where there are none; seen: frames in which the person is."""

    track: int
    start: int
    stop: int
    seen: int
    joints: np.ndarray | None
    why: str = ""


def tracks(video: Video) -> dict[int, dict[int, Person]]:
    """Track id -> frame (its place in the video) -> person."""
    found: dict[int, dict[int, Person]] = {}
    for place, frame in enumerate(video.frames):
        for person in frame.people:
            if person.track_id is not None:
                found.setdefault(person.track_id, {})[place] = person
    return found


def spans(first: int, last: int, length: int, hop: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of windows of `length` frames, `hop` apart, over frames first .. last; the last window
    ends with the track. A track that is shorter is one window."""
    end = last + 1
    start = first
    while start + length < end:
        yield start, start + length
        start += hop
    yield max(first, end - length), end


@dataclass(frozen=True, slots=True)
class Cut:
    """How tracks are cut. length, hop: frames; least: frames of a window in which the person must be seen.

    travel False: the way across the picture is taken out, the middle of the hips stays at one x (heights
    stay: jumping is no travel). For models of people who act on the spot.
    """

    length: int = 45
    hop: int = 15
    least: int = LEAST
    travel: bool = True


def windows(video: Video, mapping: SkeletonMap, cut: Cut) -> Iterator[Window]:
    """All windows of all tracks."""
    for track, people in sorted(tracks(video).items()):
        for start, stop in spans(min(people), max(people), cut.length, cut.hop):
            here = {place: person for place, person in people.items() if start <= place < stop}
            yield _window(track, (start, stop), here, mapping, cut)


def _window(
    track: int, span: tuple[int, int], people: dict[int, Person], mapping: SkeletonMap, cut: Cut
) -> Window:
    if len(people) < cut.least:
        why = f"seen in {len(people)} frames, {cut.least} are needed"
        return Window(track, *span, len(people), None, why)
    places = np.array(sorted(people))
    there = np.stack([people[p].there for p in places])
    known = there.any(axis=0)
    if lost := mapping.missing(known):
        return Window(track, *span, len(people), None, f"never seen: what gives {', '.join(lost)}")
    points = filled(np.stack([people[p].keypoints for p in places]), there, places)
    joints = np.zeros((span[1] - span[0], len(mapping.joints), 3), np.float32)
    made = mapping.skeletons(points, known)
    if not cut.travel:
        hips = made[:, mapping.hips, 0].mean(axis=1, keepdims=True)
        made[..., 0] -= hips - hips[0]
    joints[places - span[0]] = made
    return Window(track, *span, len(people), joints)


def filled(points: np.ndarray, there: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Points [F, K, 2] with the joints that are not there, bool [F, K], on the straight line in time between
    where they were seen; before the first and after the last sight they stand still. places: int [F]. A joint
    that is never there stays as it is."""
    made = np.array(points, np.float64)
    for k in np.flatnonzero(there.any(axis=0) & ~there.all(axis=0)):
        at = there[:, k]
        for axis in range(2):
            made[:, k, axis] = np.interp(places, places[at], points[at, k, axis])
    return made
