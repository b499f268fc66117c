"""Videos of people with known identities: some cross the picture, some stay and act.

In every video two people cross in opposite directions at different distances, so that they enter, hide one
another and leave; something stands in front of their way; the others act (train.data.actions), one action
after the other. A video is a function of (seed, number, frames, size); a frame is drawn when it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.data.errors import DataError
from train.data.figure import grow
from train.pose.people.actor import Actor
from train.pose.people.body import Build
from train.pose.people.camera import Camera
from train.pose.people.frame import Frame
from train.pose.people.motion import WALK, acting, turned, walking
from train.pose.people.stage import Stage, light
from train.pose.people.still import SIZE
from train.pose.people.surroundings import background, film, thing
from train.pose.people.wardrobe import Outfit, outfit

VIDEO = 12
"""First key of the generators of videos."""
FPS = 15.0
FRAMES = 60
SPEEDS = (0.9, 1.7)
"""Of those who walk, metres a second."""


@dataclass(frozen=True, slots=True, eq=False)
class Role:
    """One person through a video. joints: [F, 20, 3] in the world; actions: F names; track: 0 and up."""

    track: int
    joints: NDArray[np.float64]
    actions: tuple[str, ...]
    build: Build
    outfit: Outfit

    def at(self, t: int) -> Actor:
        """The person at frame t."""
        return Actor(self.track + 1, self.joints[t], self.build, self.outfit, self.actions[t])


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """frames: how many; fps: frames a second; roles: who is in it."""

    key: tuple[int, int]
    frames: int
    stage: Stage
    roles: tuple[Role, ...]
    fps: float = FPS

    def frame(self, t: int) -> Frame:
        """Frame t, drawn now; the same one every time."""
        if not 0 <= t < self.frames:
            raise DataError(f"synthetic video: found frame {t}; expected 0 to {self.frames - 1}")
        rng = np.random.Generator(np.random.PCG64([*self.key, VIDEO, 1 + t]))
        return self.stage.shot(rng, [role.at(t) for role in self.roles])


def video(seed: int, number: int, frames: int = FRAMES, size: tuple[int, int] = SIZE) -> Video:
    """Video `number`: two who cross and one to three who act."""
    rng = np.random.Generator(np.random.PCG64([seed, number, VIDEO, 0]))
    focal, height = 1.2 * size[1], rng.uniform(1.2, 2.2)
    depth = focal * 1.7 / (size[1] * rng.uniform(0.45, 0.65))
    camera = Camera(size, focal, height, np.arctan2(height - 0.85, depth))
    side = float(rng.choice([-1.0, 1.0]))
    near, far = depth * rng.uniform(0.85, 0.95), depth * rng.uniform(1.1, 1.3)
    roles = [
        _walker(rng, camera, track, away, direction, frames)
        for track, (away, direction) in enumerate(((near, side), (far, -side)))
    ]
    others = range(2, 3 + int(rng.integers(3)))
    roles += [_player(rng, camera, track, depth * rng.uniform(0.95, 1.6), frames) for track in others]
    obstacle = thing(rng, rng.uniform(-0.2, 0.2) * size[0] * near / focal, 0.8 * near)
    horizon = float(camera.project(np.array([0.0, 0.0, -3.0 * depth]))[1])
    stage = Stage(camera, (obstacle,), background(rng, size, horizon), light(rng), film(rng))
    return Video((seed, number), frames, stage, tuple(roles))


def _walker(
    rng: np.random.Generator, camera: Camera, track: int, depth: float, direction: float, frames: int
) -> Role:
    """Somebody who comes in on one side and leaves on the other; direction 1: to the right.

    He is in the middle of the picture between a third and two thirds of the video.
    """
    speed = rng.uniform(*SPEEDS)
    way = np.arange(frames) * speed / FPS
    middle = way[-1] * rng.uniform(0.33, 0.67)
    figure = grow(rng)
    steps = walking(figure, float(way[-1]), frames, rng.random(), str(rng.choice(["left", "right"])))
    joints = turned(steps, np.full(frames, direction * (0.5 * np.pi + rng.normal(0, 0.12))))
    joints = (
        joints
        + np.stack([direction * (way - middle), np.zeros(frames), np.full(frames, -depth)], -1)[:, None]
    )
    return Role(track, joints, (WALK,) * frames, _build(rng), outfit(rng, camera.pixels(1.7, depth) / 200))


def _player(rng: np.random.Generator, camera: Camera, track: int, depth: float, frames: int) -> Role:
    """Somebody who stays where he is and acts."""
    joints, actions = acting(rng, grow(rng), frames)
    x = rng.uniform(-0.38, 0.38) * camera.size[0] * depth / camera.focal
    joints = turned(joints, np.full(frames, rng.uniform(-1.2, 1.2))) + np.array([x, 0.0, -depth])
    return Role(track, joints, tuple(actions), _build(rng), outfit(rng, camera.pixels(1.7, depth) / 200))


def _build(rng: np.random.Generator) -> Build:
    return Build(rng.uniform(0.93, 1.08), rng.uniform(0.8, 1.4), (rng.normal(0, 0.3), rng.normal(0, 0.15)))
