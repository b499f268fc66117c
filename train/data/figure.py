"""The synthetic person: bone lengths of a subject, and forward kinematics from limb angles to joints.

Body frame: x to the person's left, y up, z ahead; metres. Joint order kinect20.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HIP, SPINE, NECK, HEAD = range(4)
ARM = {"left": (4, 5, 6, 7), "right": (8, 9, 10, 11)}
LEG = {"left": (12, 13, 14, 15), "right": (16, 17, 18, 19)}
JOINTS = 20

# Kinematics start in the hip, unlike the layout of train.skeletons, whose root only serves graphs.
_PARENTS = (-1, 0, 1, 2, 2, 4, 5, 6, 2, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18)


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """offsets: float64 [20, 3], each joint seen from its parent in the rest pose: upright, arms down."""

    offsets: NDArray[np.float64]


def grow(generator: np.random.Generator) -> Figure:
    """A person of 1.45 to 1.95 m, whose proportions vary by some per cent."""
    height = generator.uniform(0.85, 1.15)
    trunk, arm, leg, width = height * generator.uniform(0.92, 1.08, size=4)
    offsets = np.zeros((JOINTS, 3))
    offsets[SPINE] = (0.0, 0.06 * trunk, 0.0)
    offsets[NECK] = (0.0, 0.43 * trunk, 0.0)
    offsets[HEAD] = (0.0, 0.19 * height, 0.0)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        shoulder, elbow, wrist, hand = ARM[side]
        offsets[shoulder] = (sign * 0.19 * width, -0.07 * trunk, 0.0)
        offsets[elbow] = (0.0, -0.26 * arm, 0.0)
        offsets[wrist] = (0.0, -0.24 * arm, 0.0)
        offsets[hand] = (0.0, -0.09 * arm, 0.0)
        hip, knee, ankle, foot = LEG[side]
        offsets[hip] = (sign * 0.09 * width, -0.05 * trunk, 0.0)
        offsets[knee] = (0.0, -0.44 * leg, 0.0)
        offsets[ankle] = (0.0, -0.38 * leg, 0.0)
        offsets[foot] = (0.0, -0.05 * leg, 0.10 * leg)
    return Figure(offsets)


def pose(figure: Figure, angles: NDArray[np.float64], lift: NDArray[np.float64]) -> NDArray[np.float64]:
    """angles: float64 [20, F, 3], lift: [F] -> joints: float64 [F, 20, 3], lowest joint at y = lift [m].

    angles[j] [rad] turn all that hangs on joint j, about x (flexion) first, then about z (side), then
    about y (twist), in the frame of the joint's parent.
    """
    frames = angles.shape[1]
    joints = np.zeros((JOINTS, frames, 3))
    turns = _rotations(angles)
    for joint, parent in enumerate(_PARENTS):
        if parent >= 0:
            joints[joint] = joints[parent] + turns[parent] @ figure.offsets[joint]
            turns[joint] = turns[parent] @ turns[joint]
    joints[..., 1] += lift - joints[..., 1].min(axis=0)
    return joints.swapaxes(0, 1)


def _rotations(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """[..., 3] -> [..., 3, 3]: R_y R_z R_x."""
    cosines, sines = np.cos(angles), np.sin(angles)
    cx, cy, cz = (cosines[..., axis] for axis in range(3))
    sx, sy, sz = (sines[..., axis] for axis in range(3))
    turns = np.empty((*angles.shape, 3))
    turns[..., 0, 0], turns[..., 1, 0], turns[..., 2, 0] = cy * cz, sz, -sy * cz
    turns[..., 0, 1] = sy * sx - cy * sz * cx
    turns[..., 1, 1] = cz * cx
    turns[..., 2, 1] = cy * sx + sy * sz * cx
    turns[..., 0, 2] = sy * cx + cy * sz * sx
    turns[..., 1, 2] = -cz * sx
    turns[..., 2, 2] = cy * cx - sy * sz * sx
    return turns
