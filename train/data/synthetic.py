"""Synthetic human actions: kinematic figures that wave, kick, sit down ... as a Kinect v1 would see them.

No files: a clip is a function of (seed, subject, action, take). Twelve classes, ten subjects who differ in
bone lengths, posture, tempo, amplitude and handedness; subjects 1 to 7 are the training split, 8 to 10 the
test split. Clips last 25 to 60 frames, begin and end about the action, are seen from a random yaw of +-90
degrees, and carry a tracker's errors: drift, tremble and limbs that are lost for some frames. In actions of
the legs an arm may do something else.

`flat` leaves of every joint what a camera sees, x and y, and makes z zero: skeletons as poses of an image
give them (docs/pipeline.md). The clips are otherwise the same.

Every draw is numpy's PCG64 with an explicit seed; coordinates are rounded to 0.1 mm, so that the last bit
of a platform's sine does not reach the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from train.data.actions import ACTIONS, Take
from train.data.clip import Clip, ClipSet
from train.data.errors import DataError
from train.data.figure import ARM, JOINTS, LEG, NECK, SPINE, Figure, grow, pose

NAME = "synthetic"
LAYOUT = "kinect20"
CLASS_NAMES = tuple(ACTIONS)
SUBJECTS: dict[str, tuple[int, ...]] = {"train": tuple(range(1, 8)), "test": (8, 9, 10)}
SHORTEST, LONGEST = 25, 60
YAW_DEG = 90.0
LEG_ACTIONS = ("kick", "squat", "jump", "walk in place", "bend", "sit down", "stand up")
IDLE_ARMS = 0.5
"""Probability that an arm does something of its own in a leg action."""
LOSSES = 1.5
"""Limbs lost by the tracker, mean per clip."""

_SUBJECT, _CLIP = 1, 2
"""First key of the two families of generators, so that they never meet."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A performer: figure; tempo and size factors about 1; stoop [rad]; stance: half angle between the
    legs [rad]; right: probability of acting with the right side."""

    figure: Figure
    tempo: float
    size: float
    stoop: float
    stance: float
    right: float


def load(
    split: str, *, seed: int = 0, train_per_class: int = 60, test_per_class: int = 24, flat: bool = False
) -> ClipSet:
    """The clips (M = 1) of train, test or all; subjects take turns within a class. flat: z is zero.

    More clips per class add clips and leave the others as they are.
    """
    asked = {"train_per_class": train_per_class, "test_per_class": test_per_class}
    return listed(split, seed=seed, flat=flat, **asked).read()


def listed(
    split: str, *, seed: int = 0, train_per_class: int = 60, test_per_class: int = 24, flat: bool = False
) -> ClipSet:
    """The same clips without their joints, which are made whenever they are read."""
    counts = {"train": train_per_class, "test": test_per_class}
    if split not in (*counts, "all"):
        raise DataError(f"{NAME}: unknown split {split!r}; choose train, test or all")
    if seed < 0 or min(counts.values()) < 1:
        raise DataError(
            f"{NAME}: seed {seed}, clips per class {train_per_class} and {test_per_class}; "
            "expected a seed of 0 or more and at least one clip"
        )
    parts = tuple(counts) if split == "all" else (split,)
    clips = [clip for part in parts for clip in _part(seed, SUBJECTS[part], counts[part], flat)]
    return ClipSet(NAME, LAYOUT, CLASS_NAMES, tuple(clips))


def _part(seed: int, subjects: Sequence[int], count: int, flat: bool) -> list[Clip]:
    """count clips of each class by these subjects, listed."""
    people = {number: _subject(_generator(seed, _SUBJECT, number)) for number in subjects}
    clips = []
    for label in range(len(CLASS_NAMES)):
        for place in range(count):
            number, take = subjects[place % len(subjects)], place // len(subjects)
            key = (seed, _CLIP, number, label, take)
            name = f"a{label + 1:02d}_s{number:02d}_t{take:03d}"
            clips.append(Clip(name, partial(_joints, people[number], key, flat), label, number))
    return clips


def _joints(subject: Subject, key: tuple[int, ...], flat: bool) -> NDArray[np.float32]:
    """float32 [1, F, 20, 3] of the clip that these numbers draw."""
    joints = _record(subject, CLASS_NAMES[key[3]], _generator(*key))
    return joints * np.array([1, 1, 0], np.float32) if flat else joints


def _generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(list(key)))


def _subject(generator: np.random.Generator) -> Subject:
    """Draw a performer."""
    return Subject(
        figure=grow(generator),
        tempo=generator.uniform(0.8, 1.25),
        size=generator.uniform(0.7, 1.1),
        stoop=generator.uniform(-0.05, 0.2),
        stance=generator.uniform(0.02, 0.15),
        right=0.9 if generator.random() < 0.8 else 0.1,
    )


def _record(subject: Subject, action: str, generator: np.random.Generator) -> NDArray[np.float32]:
    """float32 [1, F, 20, 3]: one performance in camera space, y up from the sensor, z away."""
    frames = int(generator.integers(SHORTEST, LONGEST + 1))
    take = Take(
        s=np.linspace(generator.uniform(-0.3, 0.1), generator.uniform(0.9, 1.3), frames),
        size=subject.size * generator.uniform(0.7, 1.15),
        turns=subject.tempo * generator.uniform(1.0, 2.6),
        main="right" if generator.random() < subject.right else "left",
    )
    ACTIONS[action](take)
    _manner(take, subject, action, generator)
    joints = pose(subject.figure, take.angles, take.lift) + _error(generator, frames)
    yaw = np.deg2rad(180.0 + generator.uniform(-YAW_DEG, YAW_DEG))
    turn = np.array([[np.cos(yaw), 0.0, np.sin(yaw)], [0.0, 1.0, 0.0], [-np.sin(yaw), 0.0, np.cos(yaw)]])
    place = (generator.uniform(-0.6, 0.6), -0.9, generator.uniform(2.2, 3.6))
    return np.round(joints @ turn.T + place, 4).astype(np.float32)[None]


def _manner(take: Take, subject: Subject, action: str, generator: np.random.Generator) -> None:
    """Posture of the subject, idle movement, and arms that do as they please where the legs act."""
    frames = len(take.s)
    take.angles[SPINE, :, 0] += subject.stoop
    take.angles[NECK, :, 0] += 0.5 * subject.stoop
    idle = generator.random() < IDLE_ARMS and action in LEG_ACTIONS
    lift, out, elbow = generator.uniform((0.0, 0.05, 0.0), (1.2, 0.9, 2.0))
    if idle:
        take.arm("main" if generator.random() < 0.5 else "other", lift=lift, out=out, elbow=elbow)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        take.angles[LEG[side][0], :, 2] += sign * subject.stance
        for joint in ARM[side][:2]:
            take.angles[joint] += 0.25 * _wander(generator, frames, (3,))
        for joint in LEG[side][:2]:
            take.angles[joint, :, 0] += 0.08 * _wander(generator, frames, ())
    take.angles[SPINE] += 0.1 * _wander(generator, frames, (3,))


def _error(generator: np.random.Generator, frames: int) -> NDArray[np.float64]:
    """[F, 20, 3] metres: what a tracker gets wrong.

    A slow drift of each joint, a tremble, and now and then a limb that jumps to a wrong place and stays
    there for some frames.
    """
    error = 0.025 * _wander(generator, frames, (JOINTS, 3))
    error += 0.006 * generator.standard_normal((frames, JOINTS, 3))
    for _ in range(generator.poisson(LOSSES)):
        limb = (*ARM.values(), *LEG.values())[generator.integers(4)]
        start, length = generator.integers(frames), generator.integers(3, 12)
        error[start : start + length, limb[1:]] += 0.2 * generator.standard_normal(3)
    return error


def _wander(generator: np.random.Generator, frames: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """[F, *shape]: a smooth path through a normal draw every twelfth frame."""
    knots = frames // 12 + 2
    values = generator.standard_normal((knots, *shape))
    at = np.arange(frames) / 12.0
    low = at.astype(np.int64)
    share = (at - low).reshape(-1, *[1] * len(shape))
    share = share * share * (3.0 - 2.0 * share)
    return values[low] * (1.0 - share) + values[low + 1] * share
