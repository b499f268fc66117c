"""From the twenty joints of a kinematic figure to a body: what is drawn, and where COCO's joints are.

The head is a ball that carries a face; it may look elsewhere than the trunk. Sizes are metres, of a person of
1.7 m; `Build` scales them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from train.data.figure import ARM, HEAD, HIP, LEG, NECK

Points = NDArray[np.float64]

COCO = (
    "nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder", "left elbow",
    "right elbow", "left wrist", "right wrist", "left hip", "right hip", "left knee", "right knee",
    "left ankle", "right ankle",
)  # fmt: skip
"""COCO's keypoints in order."""
FLIPPED = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
"""The joint that each becomes in a mirror."""
_LIMBS = ((ARM, (0, 1, 2)), (LEG, (0, 1, 2)))


@dataclass(frozen=True, slots=True)
class Build:
    """height, girth: factors about 1 of balls and of limbs; gaze: yaw and pitch of the head [rad]."""

    height: float = 1.0
    girth: float = 1.0
    gaze: tuple[float, float] = (0.0, 0.0)


class Part(NamedTuple):
    """A hull of balls. name: of the wardrobe's piece; centres: [n, 3]; radii: [n], metres; joints: COCO
    indices that are seen where this part is seen."""

    name: str
    centres: Points
    radii: NDArray[np.float64]
    joints: frozenset[int]


class Body(NamedTuple):
    """keypoints: [17, 3] in COCO's order; facing: [17, 3] outward normals of the face's five, zero elsewhere;
    head: centre [3], its axes [3, 3] (left, up, ahead) and radius; parts to be drawn."""

    keypoints: Points
    facing: Points
    head: Points
    axes: Points
    radius: float
    parts: tuple[Part, ...]


def body(joints: Points, build: Build) -> Body:
    """joints: [20, 3] of train.data.figure, in the world."""
    axes = _head_axes(joints, build)
    radius = 0.105 * build.height
    centre = joints[HEAD] + 0.02 * build.height * axes[1]
    places = np.array([[0, -0.1, 1.12], [0.33, 0.25, 0.9], [-0.33, 0.25, 0.9], [0.93, 0, 0], [-0.93, 0, 0]])
    normals = np.array([[0, 0, 1], [0.35, 0, 1], [-0.35, 0, 1], [1, 0, 0.3], [-1, 0, 0.3]], np.float64)
    keypoints, facing = np.zeros((17, 3)), np.zeros((17, 3))
    keypoints[:5] = centre + radius * places @ axes
    facing[:5] = normals @ axes
    for start, (chain, steps) in zip((5, 11), _LIMBS, strict=True):
        for step in steps:
            for side, name in enumerate(("left", "right")):
                keypoints[start + 2 * step + side] = joints[chain[name][step]]
    return Body(keypoints, facing, centre, axes, radius, tuple(_parts(joints, keypoints, centre, build)))


def _head_axes(joints: Points, build: Build) -> Points:
    """[3, 3]: left, up and ahead of the head, each a row."""
    up = joints[HEAD] - joints[NECK]
    up = up / np.linalg.norm(up)
    left = joints[ARM["left"][0]] - joints[ARM["right"][0]]
    left = left - (left @ up) * up
    left = left / np.linalg.norm(left)
    ahead = np.cross(left, up)
    yaw, pitch = build.gaze
    left, ahead = np.cos(yaw) * left - np.sin(yaw) * ahead, np.sin(yaw) * left + np.cos(yaw) * ahead
    up, ahead = np.cos(pitch) * up + np.sin(pitch) * ahead, np.cos(pitch) * ahead - np.sin(pitch) * up
    return np.stack([left, up, ahead])


def _parts(joints: Points, keypoints: Points, head: Points, build: Build) -> list[Part]:
    """Hulls of all but the head itself."""
    found = []

    def add(name: str, at: list[Points], radii: list[float], shown: tuple[int, ...] = ()) -> None:
        found.append(Part(name, np.array(at), build.girth * build.height * np.array(radii), frozenset(shown)))

    for side, name in enumerate(("left", "right")):
        hip, knee, ankle, foot = joints[list(LEG[name])]
        toe = ankle + 1.7 * (foot - ankle)
        add("thigh", [hip, knee], [0.085, 0.06], (11 + side, 13 + side))
        add("shank", [knee, 0.55 * knee + 0.45 * ankle, ankle], [0.055, 0.056, 0.038], (13 + side, 15 + side))
        add("shoe", [ankle, toe], [0.045, 0.035], (15 + side,))
        shoulder, elbow, wrist, hand = joints[list(ARM[name])]
        add("upper arm", [shoulder, elbow], [0.055, 0.042], (5 + side, 7 + side))
        add("forearm", [elbow, wrist], [0.041, 0.03], (7 + side, 9 + side))
        add("hand", [wrist, 0.3 * wrist + 0.7 * hand], [0.028, 0.035], (9 + side,))
    shoulders, hips = keypoints[5:7], keypoints[11:13]
    middle = 0.5 * (joints[NECK] + joints[HIP])
    add(
        "trunk", [*(0.9 * shoulders + 0.1 * shoulders.mean(axis=0)), middle, joints[NECK], *hips],
        [0.075, 0.075, 0.125, 0.06, 0.09, 0.09], (5, 6, 11, 12),
    )  # fmt: skip
    add("neck", [joints[NECK], 0.5 * (joints[NECK] + head)], [0.05, 0.05])
    knees = keypoints[13:15]
    add("skirt", [*hips, *(0.3 * hips + 0.7 * knees)], [0.1, 0.1, 0.12, 0.12], (11, 12))
    return found
