"""How people stand and move: the kinematics of the synthetic actions, mixed with postures of no action.

Angles are those of train.data.figure. Actions are train.data.actions': what a tracked person is labelled with
is what the action models learn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from train.data.actions import ACTIONS, Take
from train.data.figure import ARM, HIP, JOINTS, LEG, NECK, SPINE, Figure, pose

Points = NDArray[np.float64]
WALK = "walk in place"
NO_ACTION = "none"
STRIDE = 1.3
"""Metres that one repetition of walking covers."""


def posture(rng: np.random.Generator, figure: Figure) -> tuple[Points, str]:
    """[20, 3] at the origin, facing the viewer, and the action's name: a moment of an action, or anything."""
    if rng.random() < 0.3:
        return pose(figure, _anything(rng), np.zeros(1))[0], NO_ACTION
    name = str(rng.choice(list(ACTIONS)))
    take = Take(
        s=np.array([rng.random()]), size=rng.uniform(0.7, 1.2), turns=rng.uniform(1.0, 2.6),
        main=str(rng.choice(["left", "right"])),
    )  # fmt: skip
    ACTIONS[name](take)
    take.angles += rng.normal(0, 0.1, take.angles.shape)
    return pose(figure, take.angles, take.lift)[0], name


def _anything(rng: np.random.Generator) -> Points:
    """[20, 1, 3]: limbs wherever they can be, as in sport."""
    angles = rng.normal(0, 0.06, (JOINTS, 1, 3))
    angles[SPINE, 0] += rng.normal(0, (0.45, 0.25, 0.25))
    angles[NECK, 0] += rng.normal(0, 0.2, 3)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        shoulder, elbow, _, _ = ARM[side]
        angles[shoulder, 0] += (-rng.uniform(-0.8, 2.8), rng.normal(0, 0.4), sign * rng.uniform(-0.2, 2.4))
        angles[elbow, 0] += (-rng.uniform(0, 2.3), 0.0, 0.0)
        hip, knee, ankle, _ = LEG[side]
        lift, bent = rng.uniform(-0.5, 1.4), rng.uniform(0, 1.8)
        angles[hip, 0] += (-lift, 0.0, sign * rng.uniform(-0.1, 0.7))
        angles[knee, 0] += (bent, 0.0, 0.0)
        angles[ankle, 0] += (0.4 * (lift - bent), 0.0, 0.0)
    return angles


def turned(joints: Points, yaw: Points | float, roll: float = 0.0) -> Points:
    """[..., 20, 3] turned about the vertical (yaw [...]), then about the line of sight through the hip."""
    cos, sin, zero = np.cos(yaw), np.sin(yaw), np.zeros_like(yaw)
    upright = np.stack(
        [
            np.stack([cos, zero, sin], -1),
            np.stack([zero, zero + 1, zero], -1),
            np.stack([-sin, zero, cos], -1),
        ],
        -2,
    )
    found = joints @ np.swapaxes(upright, -1, -2)
    if roll == 0.0:
        return found
    cos, sin = np.cos(roll), np.sin(roll)
    hip = found[..., HIP : HIP + 1, :]
    found = (found - hip) @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) + hip
    return found - np.array([0, 1, 0]) * found[..., 1].min(axis=-1)[..., None, None]


def walking(figure: Figure, distance: float, frames: int, start: float, main: str) -> Points:
    """[F, 20, 3] at the origin: walking that fits the way that is covered; start: where in a stride."""
    turns = distance / STRIDE
    take = Take(s=start + np.linspace(0, 1, frames), size=0.9, turns=turns, main=main)
    ACTIONS[WALK](take)
    return pose(figure, take.angles, take.lift)


def acting(rng: np.random.Generator, figure: Figure, frames: int) -> tuple[Points, list[str]]:
    """[F, 20, 3] at the origin and the action of every frame: one after the other, each from its start."""
    angles, lift, names = [], [], []
    while len(names) < frames:
        name = str(rng.choice(list(ACTIONS)))
        length = int(rng.integers(25, 61))
        take = Take(
            s=np.linspace(0, 1, length), size=rng.uniform(0.8, 1.15), turns=rng.uniform(1.2, 2.6),
            main=str(rng.choice(["left", "right"])),
        )  # fmt: skip
        ACTIONS[name](take)
        angles.append(take.angles)
        lift.append(take.lift)
        names += [name] * length
    whole, height = np.concatenate(angles, axis=1), np.concatenate(lift)
    return pose(figure, _smoothed(whole)[:, :frames], _smoothed(height)[:frames]), names[:frames]


def _smoothed(values: NDArray[np.float64], taps: int = 5) -> NDArray[np.float64]:
    """A running mean over frames (axis 1 of angles, axis 0 of heights): actions meet without a jump."""
    axis = min(1, values.ndim - 1)
    padded = np.concatenate(
        [np.repeat(np.take(values, [0], axis), taps // 2, axis), values,
         np.repeat(np.take(values, [-1], axis), taps // 2, axis)], axis
    )  # fmt: skip
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps, axis=axis)
    return windows.mean(axis=-1)
