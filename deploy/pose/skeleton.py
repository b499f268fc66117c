"""Joints of an image to the joints of an action model: stated combinations, nothing guessed.

A target joint is a weighted sum of joints of the image, by name. Several combinations may stand for one
target joint: the first whose joints are all there serves. With M the middle of the shoulders, N that of the
hips, and f the elbow-to-wrist vector, s the knee-to-ankle vector of the side:

    limbs            shoulder, elbow, wrist, hip, knee, ankle: as they are
    hip centre       N + 0.14 (M - N)      spine  N + 0.29 (M - N)      shoulder centre  N + 1.20 (M - N)
    head             middle of the ears; else an ear, the eyes' middle, an eye, the nose, the head, the middle
                     of neck and top of the head
    hand             wrist + f / 3         hand tip  wrist + f / 2      thumb  wrist + f / 3
    foot             ankle + s / 8: the heel's side; image joints say nothing of the toes

NTU's spine base, spine mid, neck and spine shoulder are hip centre, N + 0.57 (M - N), shoulder centre and
N + 1.00 (M - N). Shares of the trunk lie between those of the synthetic figure (0.11, 0.23, 1.15) and those
of NW-UCLA's mean skeleton (0.18, 0.35, 1.24); Kinect puts its centres above the joints that images show.

Coordinates: x to the right as in the image, y up (the image's is down), z = 0: what an image shows, nothing
lifted. The unit is a pixel; every normalisation of a recipe removes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from convert.ir import BadInput
from deploy.pose.joints import plain

Combination = Mapping[str, float]

_SIDES = ("left", "right")
_PARTS = (("shoulder", "elbow", "wrist", "hand"), ("hip", "knee", "ankle", "foot"))
_LIMBS = tuple(f"{side} {part}" for chain in _PARTS for side in _SIDES for part in chain)

TARGETS: dict[str, tuple[str, ...]] = {
    "kinect20": ("hip centre", "spine", "shoulder centre", "head", *_LIMBS),
    "ntu25": (
        "spine base", "spine mid", "neck", "head", *_LIMBS, "spine shoulder",
        "left hand tip", "left thumb", "right hand tip", "right thumb",
    ),
}  # fmt: skip
"""Layouts that can be made, and their joints in order (train.skeletons; a test holds them together)."""

TRUNK = {
    "hip centre": 0.14, "spine": 0.29, "shoulder centre": 1.2,
    "spine base": 0.14, "spine mid": 0.57, "spine shoulder": 1.0, "neck": 1.2,
}  # fmt: skip
HAND, HAND_TIP, FOOT = 1 / 3, 1 / 2, 1 / 8
_HEAD: tuple[Combination, ...] = (
    {"left_ear": 0.5, "right_ear": 0.5}, {"left_ear": 1.0}, {"right_ear": 1.0},
    {"left_eye": 0.5, "right_eye": 0.5}, {"left_eye": 1.0}, {"right_eye": 1.0}, {"nose": 1.0},
    {"head": 1.0}, {"neck": 0.5, "head_top": 0.5},
)  # fmt: skip


def combinations(joint: str) -> tuple[Combination, ...]:
    """What may stand for a joint of a target layout, best first."""
    if joint in TRUNK:
        up, down = TRUNK[joint] / 2, (1 - TRUNK[joint]) / 2
        return ({"left_shoulder": up, "right_shoulder": up, "left_hip": down, "right_hip": down},)
    if joint == "head":
        return _HEAD
    side, _, part = joint.partition(" ")
    beyond = {"hand": HAND, "hand tip": HAND_TIP, "thumb": HAND, "foot": FOOT}
    if part in beyond:
        end, before = ("ankle", "knee") if part == "foot" else ("wrist", "elbow")
        return ({f"{side}_{end}": 1 + beyond[part], f"{side}_{before}": -beyond[part]},)
    return ({f"{side}_{part}": 1.0},)


@dataclass(frozen=True, slots=True, eq=False)
class SkeletonMap:
    """From K image joints to V joints of `layout`. choices[v]: rows float64 [n, K] of weights, best first."""

    layout: str
    joints: tuple[str, ...]
    choices: tuple[np.ndarray, ...]

    @property
    def hips(self) -> list[int]:
        """Places of the hips in the layout."""
        return [self.joints.index(f"{side} hip") for side in _SIDES]

    def skeletons(self, xy: np.ndarray, known: np.ndarray) -> np.ndarray:
        """xy float64 [F, K, 2], known bool [K] -> float32 [F, V, 3]: x, -y, 0.

        known: joints that have a place in all F frames. One row serves a joint in all frames, so that it does
        not jump from one combination to another. BadInput names a joint that nothing known gives
        (`missing`).
        """
        if lost := self.missing(known):
            raise BadInput(
                f"layout {self.layout}: {', '.join(lost)} cannot be made of the joints that are there"
            )
        rows = np.stack([next(row for row in rows if known[row != 0].all()) for rows in self.choices])
        flat = np.einsum("vk,fkc->fvc", rows, np.where(known[:, None], xy, 0.0))
        return np.stack([flat[..., 0], -flat[..., 1], np.zeros(flat.shape[:2])], -1).astype(np.float32)

    def missing(self, known: np.ndarray) -> list[str]:
        """Target joints that the known image joints, bool [K], do not give."""
        return [
            name
            for name, rows in zip(self.joints, self.choices, strict=True)
            if not any(known[row != 0].all() for row in rows)
        ]


def skeleton_map(names: Sequence[str], layout: str) -> SkeletonMap:
    """The map from image joints of these names (any set of `deploy.pose.joints`, in any order) to a layout.

    BadInput for a layout that is not known here, and where a target joint has no combination.
    """
    if layout not in TARGETS:
        raise BadInput(
            f"action model of layout {layout!r}: poses can be brought to {', '.join(TARGETS)} alone"
        )
    place = {plain(name): k for k, name in enumerate(names)}
    choices = []
    for joint in TARGETS[layout]:
        fitting = [c for c in combinations(joint) if set(c) <= set(place)]
        if not fitting:
            wanted = " or ".join("+".join(c) for c in combinations(joint))
            raise BadInput(
                f"poses of {len(names)} joints: none gives {joint} of {layout}, which takes {wanted}; use a "
                "pose network of COCO's, PoseTrack18's, CrowdPose's, MPII's or LSPET's joints"
            )
        rows = np.zeros((len(fitting), len(names)))
        for row, combination in zip(rows, fitting, strict=True):
            for name, weight in combination.items():
                row[place[name]] = weight
        choices.append(rows)
    return SkeletonMap(layout, TARGETS[layout], tuple(choices))
