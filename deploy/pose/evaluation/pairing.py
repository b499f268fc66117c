"""Ground truth and predictions side by side, frame by frame: what PoseTrack's metrics start from.

Distances are in head sizes, PCKh's unit: 0.6 x the diagonal of the annotated head box. Joints within an
ignore region are in neither; persons without a joint left are in neither. Only labelled frames count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence as Row
from dataclasses import dataclass, replace

import numpy as np

from convert.ir import BadInput
from deploy.pose.joints import judged, plain
from deploy.pose.people import Frame, Person
from deploy.pose.posetrack import Poses
from deploy.pose.regions import inside

HEAD = 0.6  # of the diagonal of the head box: the head size of MPII and PoseTrack


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One frame: G annotated and P predicted persons over K judged joints.

    truth_there  bool [G, K]     truth_ids  int64 [G], -1 without a track
    found_there  bool [P, K]     found_ids  int64 [P], -1 without a track
    scores       float64 [P, K]
    distance     float64 [P, G, K] in head sizes, inf where either joint is absent
    annotated    persons of the frame before ignore regions took any
    """

    image_id: int
    truth_there: np.ndarray
    truth_ids: np.ndarray
    found_there: np.ndarray
    found_ids: np.ndarray
    scores: np.ndarray
    distance: np.ndarray
    annotated: int


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """The judged frames of a video, in order."""

    name: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """All sequences, the names of the judged joints, and what was mended or is missing."""

    joints: tuple[str, ...]
    sequences: tuple[Sequence, ...]
    notes: dict[str, int]

    @property
    def pairs(self) -> list[Pair]:
        """The frames of all sequences."""
        return [pair for one in self.sequences for pair in one.pairs]

    @property
    def tracked(self) -> bool:
        """Whether every person has a track id on both sides: without them nothing can be said of tracks."""
        return all((p.truth_ids >= 0).all() and (p.found_ids >= 0).all() for p in self.pairs)


def paired(truth: Poses, found: Poses, joint_threshold: float = 0.0) -> Paired:
    """Each labelled frame of the truth beside the prediction of the same image id.

    A frame without a prediction has no predicted persons. Predicted joints below the threshold are dropped. A
    prediction without joint scores takes its person's score, or 1 without one too (counted in the notes).
    BadInput: an image the truth does not list, other joints, an annotated person without head box, a
    prediction of which no joint has a visibility above 0.
    """
    notes: Counter[str] = Counter({**truth.notes})
    notes.update(found.notes)
    index = _index(truth.joints, found.joints)
    frames = _frames(truth, found)
    names = tuple(truth.joints[k] for k in index[0])
    sequences = []
    for video in truth.videos:
        pairs = [
            _pair(frame, frames.get(frame.image_id), index, joint_threshold, notes)
            for frame in video.frames
            if frame.labelled
        ]
        sequences.append(Sequence(video.name, tuple(pairs)))
    return Paired(names, tuple(sequences), {text: count for text, count in notes.items() if count})


def _index(truth: Row[str], found: Row[str]) -> tuple[list[int], list[int]]:
    """Judged joints in the truth's order and in the prediction's."""
    mine, names = judged(truth), [plain(name) for name in found]
    lacking = [truth[k] for k in mine if plain(truth[k]) not in names]
    if lacking:
        raise BadInput(
            f"the predictions have no joint {', '.join(lacking)}, which the ground truth judges; theirs are "
            f"{', '.join(found)}"
        )
    return mine, [names.index(plain(truth[k])) for k in mine]


def _frames(truth: Poses, found: Poses) -> dict[int, Frame]:
    known = {frame.image_id for video in truth.videos for frame in video.frames}
    frames = {frame.image_id: frame for video in found.videos for frame in video.frames}
    people = [p for frame in frames.values() for p in frame.people]
    strange = [image for image in frames if image not in known]
    if strange:
        raise BadInput(
            f"{len(strange)} of {len(frames)} predicted images are not in the ground truth, the first is "
            f"{strange[0]} (it has {next(iter(known))}); image ids are kept as they are, never counted anew"
        )
    if people and not any(p.there.any() for p in people):
        raise BadInput("no joint of any prediction has a visibility above 0, so nothing is predicted")
    return frames


def _pair(
    frame: Frame,
    other: Frame | None,
    index: tuple[list[int], list[int]],
    threshold: float,
    notes: Counter[str],
) -> Pair:
    truth = [q for p in frame.people if not p.crowd and (q := _left(p, index[0], frame)) is not None]
    found, scores = [], []
    for person in () if other is None else other.people:
        marks = _scores(person, notes)[index[1]]
        if (kept := _left(person, index[1], frame, marks >= threshold)) is not None:
            found.append(kept)
            scores.append(marks)
    joints = len(index[0])
    return Pair(
        frame.image_id,
        _stack([p.there for p in truth], (0, joints), bool),
        _ids(truth),
        _stack([p.there for p in found], (0, joints), bool),
        _ids(found),
        _stack(scores, (0, joints), np.float64),
        _distance(truth, found, joints, frame),
        len(frame.people),
    )


def _scores(person: Person, notes: Counter[str]) -> np.ndarray:
    """[K]: of the joints, else the person's for each."""
    if person.scores is not None:
        return person.scores
    if person.score is None:
        notes["predictions without any score: taken as 1, AP then rests on the order of the file"] += 1
    return np.full(len(person.keypoints), 1.0 if person.score is None else person.score)


def _left(person: Person, index: list[int], frame: Frame, sure: np.ndarray | bool = True) -> Person | None:
    """The person over the judged joints, absent those not `sure` or in ignore regions; None without any."""
    points = person.keypoints[index]
    there = person.there[index] & sure
    for polygon in frame.ignore:
        there = there & ~inside(points, polygon)
    if not there.any():
        return None
    return replace(person, keypoints=points, visibility=there.astype(np.int8), scores=None)


def _stack(rows: list[np.ndarray], empty: tuple[int, int], kind: type) -> np.ndarray:
    return np.stack(rows).astype(kind) if rows else np.zeros(empty, kind)


def _ids(people: list[Person]) -> np.ndarray:
    return np.array([-1 if p.track_id is None else p.track_id for p in people], np.int64)


def _distance(truth: list[Person], found: list[Person], joints: int, frame: Frame) -> np.ndarray:
    """float64 [P, G, K] in head sizes."""
    heads = np.array([_head_size(person, frame) for person in truth])
    if not truth or not found:
        return np.full((len(found), len(truth), joints), np.inf)
    mine, theirs = (np.stack([p.keypoints for p in people]) for people in (truth, found))
    both = np.stack([p.there for p in found])[:, None] & np.stack([p.there for p in truth])[None]
    away = np.linalg.norm(theirs[:, None] - mine[None], axis=-1) / heads[None, :, None]
    return np.where(both, away, np.inf)


def _head_size(person: Person, frame: Frame) -> float:
    if person.head_box is None:
        raise BadInput(
            f"image {frame.image_id}: annotation {person.id} has no bbox_head, or an empty one; "
            "PoseTrack's metrics measure in head sizes"
        )
    return HEAD * float(np.hypot(*person.head_box[2:]))
