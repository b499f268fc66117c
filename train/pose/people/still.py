"""Single pictures of people: a picture is a function of (seed, number, size), made when it is asked for."""

from __future__ import annotations

import numpy as np

from train.data.figure import grow
from train.pose.people.actor import Actor
from train.pose.people.body import Build
from train.pose.people.camera import Camera
from train.pose.people.frame import Frame
from train.pose.people.motion import posture, turned
from train.pose.people.stage import Stage, light
from train.pose.people.surroundings import Thing, background, film, thing
from train.pose.people.wardrobe import outfit

STILL = 11
"""First key of the generators of pictures; videos have another."""
SIZE = (320, 240)
CROWD = (0.4, 0.3, 0.2, 0.1)
"""Probability of one, two, three, four people."""


def still(seed: int, number: int, size: tuple[int, int] = SIZE) -> Frame:
    """Picture `number`: people in front of something, partly behind something, and behind one another."""
    rng = np.random.Generator(np.random.PCG64([seed, STILL, number]))
    camera, first = _camera(rng, size)
    actors = []
    for i in range(1 + int(rng.choice(len(CROWD), p=CROWD))):
        depth = first if i == 0 else first * rng.uniform(0.7, 1.8)
        actors.append(_actor(rng, i + 1, camera, depth, spread=0.2 if i == 0 else 0.42))
    things = [_thing(rng, camera, first) for _ in range(int(rng.poisson(0.7)))]
    horizon = float(camera.project(np.array([0.0, 0.0, -3.0 * first]))[1])
    stage = Stage(camera, tuple(things), background(rng, size, horizon), light(rng), film(rng))
    return stage.shot(rng, actors)


def _camera(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Camera, float]:
    """A camera, and the distance of whom it is pointed at: 0.4 to 1.05 of the picture high, or cut off."""
    focal, height = size[1] * rng.uniform(0.9, 1.7), rng.uniform(0.5, 2.3)
    share = rng.uniform(0.4, 1.05) if rng.random() < 0.75 else rng.uniform(1.05, 2.0)
    depth = focal * 1.7 / (size[1] * share)
    aim = 0.85 if share < 1.05 else rng.uniform(0.5, 1.4)
    tilt = np.arctan2(height - aim, depth) + rng.normal(0, 0.03)
    roll = rng.normal(0, 0.05) if rng.random() < 0.85 else rng.uniform(-0.7, 0.7)
    return Camera(size, focal, height, tilt, roll), depth


def _actor(rng: np.random.Generator, number: int, camera: Camera, depth: float, spread: float) -> Actor:
    """Somebody at a distance; spread: how far from the middle, in picture widths."""
    joints, action = posture(rng, grow(rng))
    yaw = rng.uniform(-1.3, 1.3) if rng.random() < 0.6 else rng.uniform(-np.pi, np.pi)
    roll = rng.uniform(-np.pi, np.pi) if rng.random() < 0.1 else 0.0
    x = rng.uniform(-spread, spread) * camera.size[0] * depth / camera.focal
    joints = turned(joints, yaw, roll) + np.array([x, 0.0, -depth])
    build = Build(
        rng.uniform(0.93, 1.08), rng.uniform(0.75, 1.45), (rng.normal(0, 0.45), rng.normal(0, 0.25))
    )
    return Actor(number, joints, build, outfit(rng, camera.pixels(1.7, depth) / 200), action)


def _thing(rng: np.random.Generator, camera: Camera, first: float) -> Thing:
    depth = first * rng.uniform(0.5, 0.95)
    x = rng.uniform(-0.45, 0.45) * camera.size[0] * depth / camera.focal
    return thing(rng, x, depth)
